"""Writing a chunk: row groups in, one object out."""

import builtins
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from bams3 import codec
from bams3.chunk.footer import MAGIC, TRAILER, Footer, RowGroupEntry, StreamEntry
from bams3.chunk.reader import Chunk
from bams3.codec import streams

SPILL = 16 << 20  # bytes of compressed streams of a chunk, hot or other, that are kept in memory

_HOT = frozenset(codec.HOT_STREAMS)

_Part = tuple[Any, list[tuple[RowGroupEntry, str, str, int, int, int]]]
"""A file of streams; of each its row group, name, codec, stored and raw length, and checksum."""


@dataclass
class CompressedRowGroup:
    """A row group ready to be written: `streams` is name → (codec, stored bytes, raw length)."""

    records: int
    bytes: int
    zone: dict[str, int]
    references: list[int]
    read_groups: list[str]
    crc32: int
    streams: dict[str, tuple[str, builtins.bytes, int]]


def compress_row_group(block: Any, reference_id: int, level: int) -> CompressedRowGroup:
    """Encode and compress a RecordBlock. Runs without the GIL for most of its time."""
    encoded, zone, references, read_groups = codec.encode(block, reference_id, level)
    compressed = {}
    for name, stream in encoded.items():
        compressed[name] = (*streams.compress(stream, level), len(stream))
    size = block.offsets[-1] - block.offsets[0]
    checksum = records_checksum(block)
    return CompressedRowGroup(len(block), size, zone, references, read_groups, checksum, compressed)


def stored_row_group(chunk: Chunk, number: int) -> CompressedRowGroup:
    """A row group of a chunk as it stands there. Raises FormatError where it is damaged."""
    entry = chunk.footer.row_groups[number]
    return CompressedRowGroup(
        entry.records, entry.bytes, entry.zone_map(), entry.references, entry.read_groups, entry.crc32,
        chunk.stored_streams(number),
    )  # fmt: skip


def records_checksum(block: Any) -> int:
    """CRC-32 of the records' bytes as BAM has them."""
    from isal.isal_zlib import crc32

    return crc32(memoryview(block.data)[block.offsets[0] : block.offsets[-1]])


def write_chunk(
    file: BinaryIO,
    footer: Footer,
    row_groups: Iterable[CompressedRowGroup],
    references: Sequence[Sequence[Any]],
) -> tuple[int, int, int]:
    """Write a chunk whose footer's identity is filled in; returns (size of the chunk in bytes, of its footer with
    the trailer, CRC-32 of the stored footer). `references` are the [name, length] of the dataset.

    The streams for counting and depth of all row groups come first, contiguous. Both they and the others are
    kept aside until the last row group is there: in memory, past `SPILL` bytes in a temporary file.
    """
    with tempfile.SpooledTemporaryFile(SPILL) as hot_file, tempfile.SpooledTemporaryFile(SPILL) as cold_file:
        hot: _Part = (hot_file, [])
        cold: _Part = (cold_file, [])
        for group in row_groups:
            entry = RowGroupEntry(
                group.records, group.bytes, **group.zone, references=group.references,
                read_groups=group.read_groups, crc32=group.crc32, streams={},
            )  # fmt: skip
            footer.row_groups.append(entry)
            for name, (coding, stored, raw) in group.streams.items():
                aside, placed = hot if name in _HOT else cold
                aside.write(stored)
                placed.append((entry, name, coding, len(stored), raw, streams.checksum(stored)))
        file.write(MAGIC)
        at = len(MAGIC)
        for aside, placed in (hot, cold):
            for entry, name, coding, length, raw, crc32 in placed:
                entry.streams[name] = StreamEntry(coding, at, length, raw, crc32)
                at += length
            footer.hot = footer.hot or at
            aside.seek(0)
            shutil.copyfileobj(aside, file, 1 << 20)
    mentioned = sorted({reference for group in footer.row_groups for reference in group.references})
    footer.references = [[reference, *references[reference]] for reference in mentioned]
    ending = footer.to_bytes()
    file.write(ending)
    return at + len(ending), len(ending), TRAILER.unpack(ending[-TRAILER.size :])[1]
