"""Cutting records into row groups. The cuts depend on the records alone, never on how they arrive in blocks."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from math import inf
from typing import Any, NamedTuple

from bams3.bam.records import RecordBlock, end_of_contig, split_windows
from bams3.chunk.writer import CompressedRowGroup
from bams3.codec import ZoneMap
from bams3.dataset import layout
from bams3.dataset.layout import UNPLACED


class UncodedRowGroup:
    """A row group under construction. `start`: start of its chunk's window (0 for reads without a position)."""

    def __init__(self, reference_id: int, start: int) -> None:
        self.reference_id = reference_id
        self.start = start
        self.records = 0
        self.size = 0
        self._blocks: list[Any] = []
        # A RecordBlock, and the range of its records that were taken last.
        self._last: tuple[Any, int, int] | None = None

    @property
    def is_full(self) -> bool:
        return self.records == layout.ROW_GROUP_RECORDS or self.size >= layout.ROW_GROUP_BYTES

    def take(self, block: Any, first: int, last: int) -> int:
        """Take as many of the block's records [first, last) as fit, but at least one; return the end of those taken."""
        offsets = block.offsets
        last = min(last, first + layout.ROW_GROUP_RECORDS - self.records)
        limit = offsets[first] + layout.ROW_GROUP_BYTES - self.size
        if offsets[last - 1] >= limit:
            last = max(first + 1, bisect_left(offsets, limit, first, last))
        if self._last and self._last[0] is block and self._last[2] == first:
            self._last = block, self._last[1], last
        else:
            self._end_block()
            self._last = block, first, last
        self.records += last - first
        self.size += offsets[last] - offsets[first]
        return last

    def _end_block(self) -> None:
        if self._last:
            block, first, last = self._last
            self._blocks.append(block[first:last])
            self._last = None

    @property
    def blocks(self) -> list[Any]:
        """Its RecordBlocks."""
        self._end_block()
        return self._blocks


class StoredRowGroup(NamedTuple):
    """A row group of a dataset among the records to be cut. It is copied if row groups still end at its borders.

    `reference_id`, `start`: as in an `UncodedRowGroup`. `copied`: returns the row group in its stored form. `decoded`:
    returns its records. `group`: the row group of its dataset.
    """

    reference_id: int
    start: int
    zone: ZoneMap
    copied: Callable[[], CompressedRowGroup]
    decoded: Callable[[], RecordBlock]
    group: Any

    @property
    def window(self) -> int:
        """The number of the window of 2^17 bp in which the row group begins."""
        return 0 if self.reference_id == UNPLACED else max(self.zone.min_pos, 0) >> layout.ROW_GROUP_SHIFT

    @property
    def reach(self) -> float:
        """The last position at which a further record, after the row group's own, would still belong to it."""
        if is_full(self.zone):
            return -inf if self.reference_id == UNPLACED else self.zone.max_pos
        if self.reference_id == UNPLACED or self.zone.records < layout.SMALL_ROW_GROUP:
            return inf
        return max(self.zone.max_pos, 0) | (1 << layout.ROW_GROUP_SHIFT) - 1


def cut_row_groups(
    blocks: Iterable[Any], chunk_size: int, lengths: Sequence[int] | Mapping[int, int],
    shared: dict[int, int] | None = None,
) -> Iterator[Any]:  # fmt: skip
    """Yield the row groups of RecordBlocks in order; docs/format.md, "Row groups", defines the rule.

    A row group ends where its chunk ends, where it is full, and at the end of a window of 2^17 bp unless it is small.
    In a window that contigs share, it ends with a contig unless it is small.

    A `StoredRowGroup` among the blocks is yielded unchanged if the row group before it ends there. Otherwise, its
    records are cut like the others.

    Parameters
    ----------
    blocks
        Sorted RecordBlocks, and StoredRowGroups between them.
    chunk_size
        Length of a window in bp.
    lengths
        Lengths of the contigs in bp, by reference id.
    shared
        For each contig that shares a window, the reference id of the first contig in that window.
    """
    group: UncodedRowGroup | None = None
    group_window = 0  # the window of its last record; the contig of that record if contigs share the window
    last_of = (layout.UNPLACED, 0)  # a reference id, and the start of the last window of that contig
    for block in blocks:
        if isinstance(block, StoredRowGroup):
            if group and not _ends_before(block, group, group_window):
                block = block.decoded()
            else:
                yield from (group, block) if group else (block,)
                group = None
                continue
        for first, last, reference_id, window in split_windows(block, layout.ROW_GROUP_SHIFT, shared):
            start, stop, enough = 0, last, layout.SHARED_ROW_GROUP
            is_shared = window < 0
            if not is_shared:
                start, enough = (
                    (window << layout.ROW_GROUP_SHIFT) // chunk_size * chunk_size,
                    layout.SMALL_ROW_GROUP,
                )
            if start and (reference_id != last_of[0] or start > last_of[1]):
                last_of = reference_id, layout.last_window(lengths[reference_id], chunk_size)
                start = min(start, last_of[1])
            while first < last:
                if is_shared:
                    _, window = end_of_contig(block, first)
                if group and (
                    (group.reference_id, group.start) != (reference_id, start)
                    or (window != group_window and group.records >= enough)
                ):
                    yield group
                    group = None
                group = group or UncodedRowGroup(reference_id, start)
                if is_shared:  # take as many contigs as the row group needs to be large enough
                    stop = min(first + max(enough - group.records, 1), last)
                    stop, window = end_of_contig(block, stop - 1)
                first, group_window = group.take(block, first, stop), window
                if group.is_full:
                    yield group
                    group = None
    if group:
        yield group


def _ends_before(stored: StoredRowGroup, group: UncodedRowGroup, window: int) -> bool:
    """Tell whether a row group, whose last record is in this window of 2^17 bp, ends where a stored one begins."""
    return (group.reference_id, group.start) != (stored.reference_id, stored.start) or (
        window != stored.window and group.records >= layout.SMALL_ROW_GROUP
    )


def ends_row_group(reference_id: int, zone: ZoneMap, after: ZoneMap) -> bool:
    """Tell, from their zone maps, whether a row group may end where the next one of its chunk begins."""
    windows = (
        max(zone.max_pos, 0) >> layout.ROW_GROUP_SHIFT,
        max(after.min_pos, 0) >> layout.ROW_GROUP_SHIFT,
    )
    return is_full(zone) or (
        reference_id != layout.UNPLACED
        and zone.records >= layout.SMALL_ROW_GROUP
        and windows[0] != windows[1]
    )


def is_full(zone: ZoneMap) -> bool:
    """Tell whether a row group is full, so that it may end at any position."""
    return zone.records == layout.ROW_GROUP_RECORDS or zone.bytes >= layout.ROW_GROUP_BYTES


ChunkKey = tuple[int, int]
"""Reference id and start of a chunk's window; (UNPLACED, number) for reads without a position."""


class Task(NamedTuple):
    """The records of row group `number` of a chunk, to be encoded; or `stored`, a row group to be copied.

    `size`: number of bytes of the records, or of the stored row group.
    """

    key: ChunkKey
    number: int
    size: int
    blocks: list[Any]
    stored: Any = None


def tasks_of(row_groups: Iterable[UncodedRowGroup | StoredRowGroup]) -> Iterator[Task]:
    """Yield the row groups of a source as tasks, with the chunk that each belongs to."""
    for (reference_id, start), of_window in groupby(row_groups, key=lambda g: (g.reference_id, g.start)):
        for number, group in enumerate(of_window):
            if reference_id == UNPLACED:
                start, number = divmod(number, layout.UNPLACED_ROW_GROUPS)
            if isinstance(group, StoredRowGroup):
                size = group.zone.hot + group.zone.cold
                yield Task((reference_id, start), number, size, [], group)
            else:
                yield Task((reference_id, start), number, group.size, group.blocks)
