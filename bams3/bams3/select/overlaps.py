"""How many records overlap each of many regions of a contig, whichever way those lie: in time linear in both."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, TypeAlias

from bams3.bam.intervals import sorted_column
from bams3.select.kernels import add_to, overlaps, spread

if TYPE_CHECKING:
    from bams3.chunk.reader import RowGroup

Counted: TypeAlias = "tuple[int, array[int], int, array[int]]"
"""What a row group adds: from which end on to the records that begin before it; from which start on to those that end
by it."""


class Overlaps:
    """Regions of one contig, and the records counted so far.

    A record overlaps the regions whose ends lie past its start, but for those that start at or past its end.
    """

    def __init__(self, reference_id: int, starts: array[int], ends: array[int], rows: array[int]) -> None:
        """`starts`, in order, and `ends` of the regions; `rows`: where their numbers go."""
        self.reference_id = reference_id
        self._starts, self._ends, self._rows = starts, ends, rows
        self._ordered = sorted_column(ends)
        self._begun, self._ended = _zeros(len(rows) + 1), _zeros(len(rows) + 1)

    @property
    def span(self) -> tuple[int, int]:
        """From the first start to the last end."""
        return self._starts[0], self._ordered[-1]

    @property
    def borders(self) -> tuple[array[int], array[int]]:
        """The starts, and the ends, each in order."""
        return self._starts, self._ordered

    def touch(self, group: RowGroup) -> bool:
        """May a record of the row group overlap any of the regions?"""
        return bisect_left(self._starts, group.zone.max_end) > bisect_right(self._ordered, group.zone.min_pos)

    def alike(self, group: RowGroup) -> bool:
        """Do all records of the row group overlap the same regions?"""
        begins, past_begins, ends, past_ends = self._range(group)
        return begins == past_begins and ends == past_ends

    def count(self, group: RowGroup, mask: bytearray) -> Counted:
        """Count the records of a row group that `mask` keeps; any thread may."""
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
        """Add what `count` gave."""
        begins, begun, ends, ended = counted
        add_to(self._begun, begins, begun)
        add_to(self._ended, ends, ended)

    def put(self, numbers: array[int]) -> None:
        """Put each region's number into its row, once all are added."""
        overlaps(self._ends, self._ordered, self._begun, self._ended, self._rows, numbers)

    def _range(self, group: RowGroup) -> tuple[int, int, int, int]:
        """Which of the ends, and which of the starts, lie within the row group."""
        begins = bisect_right(self._ordered, group.zone.min_pos)
        ends = bisect_left(self._starts, group.zone.min_pos + 1)
        return (
            begins, max(begins, bisect_right(self._ordered, group.zone.max_pos)),
            ends, max(ends, bisect_left(self._starts, group.zone.max_end)),
        )  # fmt: skip


def _zeros(n: int) -> array[int]:
    return array("q", bytes(8)) * n
