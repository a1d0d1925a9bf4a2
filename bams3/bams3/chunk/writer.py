"""Writing a chunk: one object from compressed row groups."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO

from bams3 import temporary
from bams3.chunk.entry import ChunkEntry
from bams3.chunk.footer import (
    JOINED_MAGIC,
    MAGIC,
    SMALL_COLD,
    SMALL_HOT,
    TRAILER,
    Footer,
    Identity,
    RowGroupEntry,
    StreamEntry,
    joined_zone,
    parted,
)
from bams3.chunk.header import HeaderLines
from bams3.chunk.row_group import RowGroup, records_checksum
from bams3.chunk.tiles import tiles_of
from bams3.codec import ENCODINGS, ZoneMap, joined, streams, text_values
from bams3.codec.encoder import encode

SPILL = 16 << 20  # bytes of a chunk's compressed hot streams that are kept in memory, at most
COPIED = 1 << 20  # bytes of them that are copied at a time


class _Spooled(tempfile.SpooledTemporaryFile[bytes]):
    """A temporary file that stays in memory until it has many bytes."""

    def rollover(self) -> None:
        temporary.folder()  # its first call warns
        super().rollover()


@dataclass
class CompressedRowGroup:
    """A row group that is ready to be written.

    `streams` maps name → (codec, stored bytes, raw length). `programs` has the values of the records' PG tags. For
    `contigs`, see `RowGroupEntry`; `tiles` is a list as in `chunk.tiles`.
    """

    zone: ZoneMap
    references: list[int]
    read_groups: list[str]
    programs: list[str]
    crc32: int
    streams: Mapping[str, tuple[str, bytes | memoryview, int]]
    contigs: Sequence[Sequence[int]] = ()
    tiles: Sequence[int] = ()


def compress_row_group(block: Any, reference_id: int, level: int) -> CompressedRowGroup:
    """Encode and compress a RecordBlock. Most of the work is done without the GIL."""
    encoded, zone, references, read_groups = encode(block, reference_id, level)
    return _compressed(block, level, encoded, zone, references, read_groups)


def compress_joined(block: Any, lengths: Sequence[int], level: int) -> CompressedRowGroup:
    """Like `compress_row_group`, but for records of several contigs. `lengths` are those of all references, by id."""
    encoded, contigs, references, read_groups = joined.encode(block, lengths, level)
    zone = joined_zone(contig[1:] for contig in contigs)
    return _compressed(block, level, encoded, zone, references, read_groups, contigs)


def _compressed(
    block: Any, level: int, encoded: dict[str, Any], zone: ZoneMap, references: list[int],
    read_groups: list[str], contigs: Sequence[Sequence[int]] = (),
) -> CompressedRowGroup:  # fmt: skip
    compressed, (cold, hot) = {}, parted(encoded)
    for name, stream in encoded.items():
        compressed[name] = (*streams.compress(stream, level, hot=name in hot), len(stream))
    sizes = [sum(len(compressed[name][1]) for name in names) for names in (hot, cold)]
    zone = zone._replace(hot=sizes[0], cold=sizes[1])
    programs = text_values(encoded, "PG")
    crc32, tiles = records_checksum(block), () if contigs else tiles_of(block)
    return CompressedRowGroup(zone, references, read_groups, programs, crc32, compressed, contigs, tiles)


def stored_row_group(group: RowGroup, tiles: Sequence[int] | None) -> CompressedRowGroup:
    """A row group of an existing chunk, as it is stored there. `tiles` is its list; if it is None, the records are
    decoded to make the list. Raises FormatError if the row group is damaged."""
    entry = group.chunk.footer.row_groups[group.number]
    return CompressedRowGroup(
        entry.zone, entry.references, entry.read_groups, group.text_values("PG"), entry.crc32,
        group.stored_streams(), entry.contigs,
        tiles if tiles is not None else listed(group),
    )  # fmt: skip


def listed(group: RowGroup) -> Sequence[int]:
    """The list of tiles of a stored row group, made from its records. Raises FormatError if the row group is
    damaged."""
    return () if group.entry.contigs else tiles_of(group.stored_block())


def _described(group: CompressedRowGroup, *parts: list[str]) -> RowGroupEntry:
    """The entry of a row group in the footer, without the offsets of its streams. `parts` has the names of the cold
    streams and of the hot streams."""
    entries, checksums = {}, []
    sizes, small = (group.zone.cold, group.zone.hot), (SMALL_COLD, SMALL_HOT)
    for names, size, most in zip(parts, sizes, small, strict=True):
        joint = size <= most
        for name in names:
            coding, stored, raw = group.streams[name]
            crc32 = None if joint else streams.checksum(stored)
            entries[name] = StreamEntry(coding, 0, len(stored), raw, crc32)
        whole = b"".join(group.streams[name][1] for name in names) if joint else b""
        checksums.append(streams.checksum(whole) if joint else None)
    return RowGroupEntry(
        group.zone, group.references, group.read_groups, group.crc32, entries, (checksums[0], checksums[1]),
        group.contigs,
    )  # fmt: skip


def write_chunk(
    file: BinaryIO,
    path: str,
    identity: Identity,
    row_groups: Iterable[CompressedRowGroup],
    header: HeaderLines,
    *,
    is_joined: bool = False,
) -> ChunkEntry:
    """Write a chunk; returns its index entry. `header` is that of the dataset; `is_joined` means that contigs share the
    chunk.

    Cold streams are written immediately. The hot streams of all row groups follow at the end, contiguously. Until then,
    they are kept in memory or, if they have more than `SPILL` bytes, in a temporary file.
    """
    entries: list[RowGroupEntry] = []
    programs: set[str] = set()
    tiles: list[Sequence[int]] = []
    digest = sha256()

    def write(data: bytes) -> int:
        digest.update(data)
        return file.write(data)

    at = write(JOINED_MAGIC if is_joined else MAGIC)
    with _Spooled(SPILL) as hot:
        for group in row_groups:
            programs.update(group.programs)
            cold_names, hot_names = parted(group.streams)
            entries.append(_described(group, cold_names, hot_names))
            tiles += [group.tiles, *[()] * (len(group.contigs) - 1)]
            at += write(b"".join(group.streams[name][1] for name in cold_names))
            hot.writelines(group.streams[name][1] for name in hot_names)
        hot.seek(0)
        while data := hot.read(COPIED):
            at += write(data)
    mentioned = sorted({reference for entry in entries for reference in entry.references})
    named = [[reference, *header.references[reference]] for reference in mentioned]
    read_groups = {name for entry in entries for name in entry.read_groups}
    text = header.kept(mentioned, read_groups, programs, at)
    footer = Footer(
        *identity, named, dict(ENCODINGS), entries, header=text.decode("utf-8", "surrogateescape")
    )
    ending = footer.to_bytes()
    write(ending)
    footer_crc32 = TRAILER.unpack(ending[-TRAILER.size :])[1]
    place = identity[1:4]
    return ChunkEntry(
        path, *place, at + len(ending), len(ending), footer_crc32, footer.zones, footer.contigs, digest.hexdigest(),
        tiles,
    )  # fmt: skip
