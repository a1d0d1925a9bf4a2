"""The tiles of all row groups, which the index of a dataset stores after its entries. docs/format.md specifies them."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from bams3.chunk import tiles
from bams3.chunk.entry import ChunkEntry
from bams3.chunk.tiles import TILE_SHIFT, packed, unpacked
from bams3.codec import ZoneMap
from bams3.dataset import layout
from bams3.dataset.manifest import MAX_INDEX
from bams3.errors import FormatError
from bams3.untrusted import inflate, parse_json

WRONG_TILES = "its tiles in the index are not those of its records; restore the index or convert again"
_BYTES, _MIN_POS, _MAX_POS = (ZoneMap._fields.index(name) for name in ("bytes", "min_pos", "max_pos"))


class Tiles:
    """The lists of tiles of all row groups of a dataset. `chunk.tiles` describes such a list."""

    def __init__(self, columns: Sequence[Sequence[int]], entries: Sequence[ChunkEntry]) -> None:
        """Unpack the lists from `columns`. Raises ValueError or TypeError unless these chunks can have them."""
        counts, steps, starts, backs = columns
        rows = [row for entry in entries for row in entry.row_groups]
        lasts = array("q")
        for entry in entries:
            lasts.extend(_tile(row[_MAX_POS]) if _has_tiles(entry) else -2 for row in entry.row_groups)
        sizes = array("q", (row[_BYTES] for row in rows))
        try:
            self._lists, self._places = unpacked(counts, steps, starts, backs, _firsts(rows), lasts, sizes)
        except OverflowError:
            raise ValueError("tiles beyond 64 bits") from None
        begins = accumulate((len(entry.row_groups) for entry in entries), initial=0)
        self._begins = {entry.path: begin for entry, begin in zip(entries, begins, strict=False)}

    def __getitem__(self, number: int) -> array[int]:
        """Return the list of a row group, by its number in the dataset.

        In a row group that contigs share, each contig has a number.
        """
        return self._lists[self._places[number] : self._places[number + 1]]

    def of(self, path: str, number: int) -> array[int]:
        """Return the list of a row group, by the path of its chunk and its number in the chunk."""
        return self[self._begins[path] + number]

    def of_chunk(self, entry: ChunkEntry) -> list[array[int]]:
        """Return the lists of the row groups of a chunk."""
        return [self.of(entry.path, number) for number in range(len(entry.row_groups))]


def tiles_to_bytes(entries: Sequence[ChunkEntry]) -> bytes:
    """Encode the tiles of all row groups as zstd-compressed JSON.

    The result is b"" if no row group can have tiles, or if those of some chunk are unknown.
    """
    if not all(entry.tiles for entry in entries) or not any(map(_may_list, entries)):
        return b""
    import zstandard

    text = json.dumps(_packed(entries), separators=(",", ":"))
    compressed: bytes = zstandard.ZstdCompressor(level=9).compress(text.encode())
    return compressed


def tiles_from_bytes(data: bytes, entries: Sequence[ChunkEntry], name: str) -> Tiles | None:
    """Parse the tiles that an index has after the entries of these chunks.

    The result is None if an earlier version wrote the index, without tiles. Raises FormatError if they are invalid.
    """
    try:
        if data:
            return Tiles(parse_json(inflate(data, MAX_INDEX)), entries)
        if any(map(_may_list, entries)):
            return None
        return Tiles(([0] * sum(len(entry.row_groups) for entry in entries), [], [], []), entries)
    except (ValueError, TypeError) as error:
        raise FormatError(
            f"{name}: damaged {layout.INDEX}, or from another dataset: {error}; restore it or convert again"
        ) from error


def check_tiles(entries: Sequence[ChunkEntry]) -> None:
    """Raise ValueError, TypeError or IndexError unless the tiles in these entries are possible."""
    known = [entry for entry in entries if entry.tiles]
    if any(len(entry.tiles) != len(entry.row_groups) for entry in known):
        raise ValueError("tiles that do not add up to the row groups")
    Tiles(_packed(known), known)


def _has_tiles(entry: ChunkEntry) -> bool:
    return entry.reference_id != layout.UNPLACED and not entry.contigs


def _may_list(entry: ChunkEntry) -> bool:
    """Tell whether the list of any row group of a chunk may have a tile."""
    return _has_tiles(entry) and any(row[_BYTES] >= tiles.LEAST_BYTES for row in entry.row_groups)


def _packed(entries: Sequence[ChunkEntry]) -> Any:
    lists = (listed for entry in entries for listed in entry.tiles)
    return packed(lists, _firsts(row for entry in entries for row in entry.row_groups))


def _firsts(rows: Iterable[Sequence[int]]) -> array[int]:
    """Return the tile in which the first record of each row group starts."""
    return array("q", (_tile(row[_MIN_POS]) for row in rows))


def _tile(pos: int) -> int:
    return max(pos, 0) >> TILE_SHIFT
