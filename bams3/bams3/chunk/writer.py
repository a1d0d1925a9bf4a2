"""Writing a chunk: row groups in, one object out."""

import builtins
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from bams3 import codec
from bams3.chunk.footer import HOT, MAGIC, TRAILER, Footer, RowGroupEntry, StreamEntry
from bams3.chunk.reader import RowGroup, records_checksum
from bams3.codec import streams

SPILL = 16 << 20  # bytes of a chunk's compressed hot streams that are kept in memory


@dataclass
class CompressedRowGroup:
    """A row group ready to be written: `streams` maps name → (codec, stored bytes, raw length)."""

    records: int
    bytes: int
    zone: dict[str, int]
    references: list[int]
    read_groups: list[str]
    crc32: int
    streams: dict[str, tuple[str, builtins.bytes, int]]


def compress_row_group(block: Any, reference_id: int, level: int) -> CompressedRowGroup:
    """Encode and compress a RecordBlock. Most of the work runs without the GIL."""
    encoded, zone, references, read_groups = codec.encode(block, reference_id, level)
    compressed = {}
    for name, stream in encoded.items():
        compressed[name] = (*streams.compress(stream, level), len(stream))
    size = block.offsets[-1] - block.offsets[0]
    checksum = records_checksum(block)
    return CompressedRowGroup(len(block), size, zone, references, read_groups, checksum, compressed)


def stored_row_group(group: RowGroup) -> CompressedRowGroup:
    """A row group of an existing chunk, as it is stored there. Raises FormatError if it is damaged."""
    entry = group.chunk.footer.row_groups[group.number]
    return CompressedRowGroup(
        entry.records, entry.bytes, entry.zone_map(), entry.references, entry.read_groups, entry.crc32,
        group.stored_streams(),
    )  # fmt: skip


def write_chunk(
    file: BinaryIO,
    footer: Footer,
    row_groups: Iterable[CompressedRowGroup],
    references: Sequence[Sequence[Any]],
) -> tuple[int, int, int]:
    """Write a chunk whose footer has its identity filled in; returns (size of the chunk in bytes, size of its footer
    including the trailer, CRC-32 of the stored footer). `references` are the [name, length] of the dataset.

    Cold streams are written as they come. The hot streams of all row groups follow after the last one, contiguously;
    until then they are held in memory, or beyond `SPILL` bytes in a temporary file.
    """
    placed: list[tuple[RowGroupEntry, str, str, int, int, int]] = []
    at = file.write(MAGIC)
    with tempfile.SpooledTemporaryFile(SPILL) as hot:
        for group in row_groups:
            entry = RowGroupEntry(
                group.records, group.bytes, **group.zone, references=group.references,
                read_groups=group.read_groups, crc32=group.crc32, streams={},
            )  # fmt: skip
            footer.row_groups.append(entry)
            for name, (coding, stored, raw) in group.streams.items():
                crc32 = streams.checksum(stored)
                if name in HOT:
                    hot.write(stored)
                    placed.append((entry, name, coding, len(stored), raw, crc32))
                else:
                    file.write(stored)
                    entry.streams[name] = StreamEntry(coding, at, len(stored), raw, crc32)
                    at += len(stored)
        for entry, name, coding, length, raw, crc32 in placed:
            entry.streams[name] = StreamEntry(coding, at, length, raw, crc32)
            at += length
        hot.seek(0)
        shutil.copyfileobj(hot, file, 1 << 20)
    mentioned = sorted({reference for group in footer.row_groups for reference in group.references})
    named = [[reference, *references[reference]] for reference in mentioned]
    ending = footer._replace(references=named).to_bytes()
    file.write(ending)
    return at + len(ending), len(ending), TRAILER.unpack(ending[-TRAILER.size :])[1]
