"""The chunk index: an entry for each chunk, in the order of BAM. docs/format.md specifies it."""

import json
from collections.abc import Sequence
from typing import Any

from bams3.chunk.entry import ChunkEntry
from bams3.chunk.footer import MAGIC
from bams3.chunk.zones import check_joined, check_zones
from bams3.dataset import layout
from bams3.dataset.generations import split_path
from bams3.dataset.hashed_paths import is_hashed
from bams3.dataset.layout import Grid
from bams3.dataset.manifest import (
    HASHED_PATHS,
    IN_GENERATIONS,
    MAX_INDEX,
    VERSION,
    Counts,
    Manifest,
    check_sha256,
    is_count,
)
from bams3.dataset.tiles import tiles_to_bytes
from bams3.errors import FormatError
from bams3.untrusted import inflate, parse_json

CHUNK_TEXT, ROW_GROUP_TEXT = 1 << 10, 1 << 8  # most bytes that a chunk and a row group take, inflated
_NOWHERE = "at an invalid position, or not on the dataset's grid"


def index_to_bytes(entries: list[ChunkEntry]) -> bytes:
    """Encode the chunk index: zstd-compressed JSON, with one chunk per line, followed by the tiles."""
    import zstandard

    lines = ",\n".join(json.dumps(entry.to_json(), separators=(",", ":")) for entry in entries)
    compressed: bytes = zstandard.ZstdCompressor(level=9).compress(f"[\n{lines}\n]\n".encode())
    return compressed + tiles_to_bytes(entries)


def index_from_bytes(data: bytes, manifest: Manifest, name: str) -> list[ChunkEntry]:
    """Parse a chunk index whose checksum has been verified. Raises FormatError if it is invalid."""
    # Every chunk has at least one row group, and every row group at least one record.
    most = min(MAX_INDEX, CHUNK_TEXT * (manifest.chunks + 1) + ROW_GROUP_TEXT * manifest.records)
    try:
        entries = [ChunkEntry(*entry) for entry in parse_json(inflate(data, most, more=True))]
        if any(entry.tiles for entry in entries):
            raise ValueError("entries that are too long")
        check_chunks(
            entries, manifest.counts, manifest.references, manifest.chunk_size, manifest.joined,
            manifest.version,
        )  # fmt: skip
        check_hashes(entries, manifest.version)
        if (len(entries), sum(entry.size for entry in entries)) != (manifest.chunks, manifest.bytes):
            raise ValueError(f"its chunks do not add up to the totals in {layout.METADATA}")
        return entries
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise FormatError(
            f"{name}: damaged {layout.INDEX}, or from another dataset: {error}; restore it or convert again"
        ) from error


def check_chunk(
    chunk: ChunkEntry, references: Sequence[Sequence[Any]], chunk_size: int, joined: Grid | None,
    version: int = VERSION,
) -> None:  # fmt: skip
    """Raise ValueError unless an entry is that of a valid chunk on the grid of these references.

    Parameters
    ----------
    chunk
        The entry of the chunk.
    references
        [name, length] of each contig, by reference id.
    chunk_size
        Length of a window in bp.
    joined
        The grid, if contigs share windows.
    version
        Format version of the dataset, which determines the valid paths.
    """
    try:
        if not isinstance(chunk.path, str):
            raise ValueError("invalid path")
        path = split_path(chunk.path)[0] if version in (IN_GENERATIONS, HASHED_PATHS) else chunk.path
        if version == HASHED_PATHS and not is_hashed(path):
            raise ValueError("not a hashed path")
        _check(chunk, None if version == HASHED_PATHS else path, references, chunk_size, joined)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{chunk.path!r}: {error}") from error


def _check(
    chunk: ChunkEntry, path: str | None, references: Sequence[Sequence[Any]], chunk_size: int, joined: Grid | None
) -> None:  # fmt: skip
    """Check an entry. `path`: the path of the chunk without its generation; None if it is hashed."""
    numbers = (chunk.start, chunk.end, chunk.size, chunk.footer_bytes, chunk.footer_crc32)
    contig = chunk.reference_id
    if type(contig) is not int or not -1 <= contig < len(references):
        raise ValueError(f"invalid reference {contig!r}")
    if not all(map(is_count, numbers)) or not isinstance(chunk.contigs, (list, tuple)):
        raise ValueError("invalid numbers")
    sharing = joined.sharing(contig) if joined and contig != layout.UNPLACED else range(contig, contig + 1)
    if len(sharing) > 1:
        _check_shared(chunk, path, references, sharing)
    else:
        _check_alone(chunk, path, references, chunk_size)
    if len(MAGIC) + chunk.streams + chunk.footer_bytes != chunk.size:
        raise ValueError("its streams and footer do not add up to its size")


def _check_alone(
    chunk: ChunkEntry, path: str | None, references: Sequence[Sequence[Any]], chunk_size: int
) -> None:
    """Check the place and the row groups of a chunk that contigs do not share."""
    start = chunk.start
    if chunk.reference_id == layout.UNPLACED:
        length, end, right, known = 0, start, layout.unplaced_path(start), True
    else:
        name, length = references[chunk.reference_id]
        end = start + chunk_size
        right = layout.chunk_path(name, start, end)
        known = start % chunk_size == 0 and start < max(length, 1)
    if not known or path not in (right, None) or chunk.end != end or chunk.contigs:
        raise ValueError(_NOWHERE)
    check_zones(chunk.row_groups, chunk.reference_id, start, end, length)


def _check_shared(
    chunk: ChunkEntry, path: str | None, references: Sequence[Sequence[Any]], sharing: range
) -> None:
    """Check the place and the row groups of a chunk that contigs share."""
    is_there = path in (layout.joined_path(sharing.start, sharing.stop), None)
    if not is_there or (chunk.reference_id, chunk.start) != (sharing.start, 0):
        raise ValueError(_NOWHERE)
    if not chunk.contigs or not all(contig in sharing for contig in chunk.contigs):
        raise ValueError("invalid contigs")
    lengths = [references[contig][1] for contig in chunk.contigs]
    check_joined(chunk.contigs, chunk.row_groups, chunk.reference_id, chunk.start, chunk.end, lengths)


def check_hashes(chunks: Sequence[ChunkEntry], version: int) -> None:
    """Raise ValueError unless each chunk has a valid SHA-256, or none if datasets of this version have none."""
    for chunk in chunks:
        try:
            check_sha256(chunk.sha256, version)
        except ValueError as error:
            raise ValueError(f"{chunk.path!r}: {error}") from None


def check_chunks(
    chunks: Sequence[ChunkEntry], counts: Counts | None, references: Sequence[Sequence[Any]], chunk_size: int,
    joined: Grid | None, version: int = VERSION,
) -> None:  # fmt: skip
    """Raise ValueError unless these are valid chunks, in order and without duplicates.

    `counts`: if given, the chunks must have as many records of each reference. Other parameters: as for `check_chunk`.
    """
    records = dict.fromkeys(counts.by_reference if counts else (), 0)
    before = (0, -1)
    for chunk in chunks:
        check_chunk(chunk, references, chunk_size, joined, version)
        place = chunk.order
        if place <= before:
            raise ValueError(f"{chunk.path!r}: duplicated, or out of order")
        follows = before[1] + 1 if before[0] == place[0] else 0
        if chunk.reference_id == layout.UNPLACED and chunk.start != follows:
            raise ValueError(f"{chunk.path!r}: the chunk before it is missing")
        before = place
        for contig, number in chunk.records_by_contig:
            records[contig] = records.get(contig, 0) + number
    if len({chunk.path for chunk in chunks}) < len(chunks):
        raise ValueError("two chunks with the same path")
    if counts is None:
        return
    counted = {
        reference_id: mapped + unmapped for reference_id, (mapped, unmapped) in counts.by_reference.items()
    }
    for reference_id, number in records.items() if records != counted else ():
        if number != counted.get(reference_id, 0):
            name = references[reference_id][0] if reference_id >= 0 else "no position"
            raise ValueError(
                f"{number} records of {name!r}, but the counts say {counted.get(reference_id, 0)}"
            )
