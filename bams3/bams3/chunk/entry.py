"""What is known about a chunk without reading it: its entry in the dataset's index."""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from bams3.codec import ZoneMap

_RECORDS, _MIN_POS, _MAX_END, _HOT, _COLD = (
    itemgetter(ZoneMap._fields.index(name)) for name in ("records", "min_pos", "max_end", "hot", "cold")
)


class ChunkEntry(NamedTuple):
    """The index entry of a chunk: its location, and for each row group the values of its `ZoneMap`. An index has many
    row groups, so `zones` builds the zone maps on demand.

    If several contigs share the chunk, `row_groups` has the values for each contig in each row group, `contigs` has the
    reference id of each of these, and `reference_id` is that of the first contig that may be in the chunk.

    `sha256` is the hash of all bytes of the chunk in hex digits. It is empty if an earlier version wrote the index, or
    if the chunk was read without an index.

    `tiles` has, for each of `row_groups`, its list of tiles (`chunk.tiles`); it is empty if they are unknown. An entry
    that was read from an index lacks them, because the index has them after all entries (`dataset.tiles`).
    """

    path: str
    reference_id: int
    start: int
    end: int
    size: int
    footer_bytes: int
    footer_crc32: int
    row_groups: Sequence[Sequence[int]]
    contigs: Sequence[int] = ()
    sha256: str = ""
    tiles: Sequence[Sequence[int]] = ()

    def to_json(self) -> Sequence[Any]:
        """The entry as in an index, without its tiles."""
        if self.sha256:
            return self[:-1]
        return self[:-2] if self.contigs else self[:-3]

    def to_part_json(self) -> Sequence[Any]:
        """The entry as in a part."""
        return [*self.to_json(), [list(listed) for listed in self.tiles]] if self.tiles else self.to_json()

    @property
    def zones(self) -> list[ZoneMap]:
        """The zone maps of its row groups, in order."""
        return list(map(ZoneMap._make, self.row_groups))

    @property
    def window(self) -> tuple[int, int]:
        """Reference id and start (0-based) of its window."""
        return self.reference_id, self.start if self.reference_id >= 0 else 0

    @property
    def order(self) -> tuple[int, int]:
        """A key that sorts entries in the order of the BAM: by reference, with unplaced reads last."""
        return self.reference_id & 0xFFFFFFFF, self.start

    @property
    def records(self) -> int:
        """Number of records."""
        return sum(map(_RECORDS, self.row_groups))

    @property
    def records_by_contig(self) -> Iterable[tuple[int, int]]:
        """Pairs of reference id and number of records; a contig may have several pairs."""
        if not self.contigs:
            return [(self.reference_id, self.records)]
        return zip(self.contigs, map(_RECORDS, self.row_groups), strict=True)

    @property
    def min_pos(self) -> int:
        """Smallest POS, 0-based."""
        smallest: int = min(map(_MIN_POS, self.row_groups))
        return smallest

    @property
    def max_end(self) -> int:
        """Largest end, exclusive."""
        largest: int = max(map(_MAX_END, self.row_groups))
        return largest

    @property
    def streams(self) -> int:
        """Stored bytes of its streams."""
        stored: int = sum(map(_HOT, self.row_groups)) + sum(map(_COLD, self.row_groups))
        return stored
