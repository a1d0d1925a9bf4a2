"""Counts, in linear time, of the records that overlap each of many regions of a contig. Regions may overlap."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, TypeAlias

from bams3.bam.intervals import sorted_column
from bams3.select.kernels import add_to, overlaps, spread

if TYPE_CHECKING:
    from bams3.chunk.row_group import RowGroup

Counted: TypeAlias = "tuple[int, array[int], int, array[int]]"
"""What a row group adds to the counts: the index of the first affected end, and how many records begin before that end
and before each of the next ones; the index of the first affected start, and how many records end at or before it and
each of the next ones."""


class Overlaps:
    """Regions of one contig, and the counts of records so far.

    A record overlaps the regions that end after its start, except those that start at or after its end.
    """

    def __init__(self, reference_id: int, starts: array[int], ends: array[int], rows: array[int]) -> None:
        """`starts` (sorted) and `ends` of the regions; `rows`: the row of each region in the result."""
        self.reference_id = reference_id
        self._starts, self._ends, self._rows = starts, ends, rows
        self._ordered = sorted_column(ends)
        self._begun, self._ended = _zeros(len(rows) + 1), _zeros(len(rows) + 1)

    @property
    def extent(self) -> tuple[int, int]:
        """The first start and the last end."""
        return self._starts[0], self._ordered[-1]

    @property
    def borders(self) -> tuple[array[int], array[int]]:
        """The starts and the ends, each sorted."""
        return self._starts, self._ordered

    def touch(self, group: RowGroup) -> bool:
        """Tell whether a record of the row group may overlap any of the regions."""
        return bisect_left(self._starts, group.zone.max_end) > bisect_right(self._ordered, group.zone.min_pos)

    def alike(self, group: RowGroup) -> bool:
        """Tell whether all records of the row group overlap the same regions."""
        begins, past_begins, ends, past_ends = self._range(group)
        return begins == past_begins and ends == past_ends

    def count(self, group: RowGroup, mask: bytearray) -> Counted:
        """Count the records of a row group that `mask` keeps. Thread-safe."""
        begins, past_begins, ends, past_ends = self._range(group)
        begun, ended = _zeros(past_begins - begins + 1), _zeros(past_ends - ends + 1)
        if len(begun) == len(ended) == 1:
            begun[0] = ended[0] = mask.count(1)
        else:
            ordered = memoryview(self._ordered)[begins:past_begins]
            starts = memoryview(self._starts)[ends:past_ends]
            spread(mask, group.pos, group.end, starts, ordered, begun, ended)
        return begins, begun, ends, ended

    def add(self, counted: Counted) -> None:
        """Add a result of `count`."""
        begins, begun, ends, ended = counted
        add_to(self._begun, begins, begun)
        add_to(self._ended, ends, ended)

    def put(self, numbers: array[int]) -> None:
        """Write the count of each region to its row, after all counts have been added."""
        overlaps(self._ends, self._ordered, self._begun, self._ended, self._rows, numbers)

    def _range(self, group: RowGroup) -> tuple[int, int, int, int]:
        """Return the index ranges of the ends, and of the starts, that lie within the row group."""
        begins = bisect_right(self._ordered, group.zone.min_pos)
        ends = bisect_left(self._starts, group.zone.min_pos + 1)
        return (
            begins, max(begins, bisect_right(self._ordered, group.zone.max_pos)),
            ends, max(ends, bisect_left(self._starts, group.zone.max_end)),
        )  # fmt: skip


def _zeros(n: int) -> array[int]:
    return array("q", bytes(8)) * n
