"""The batches of `bams3 merge`: the windows of each batch, and the records of the inputs in these windows."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from bams3.bam.records import find_start
from bams3.dataset import layout
from bams3.dataset.layout import UNPLACED, Window
from bams3.dataset.manifest import header_id
from bams3.dataset.merged import Merged, RecordTotals
from bams3.dataset.reader import DatasetReader
from bams3.errors import SourceError
from bams3.operations.batches import digest_of, identity_of, sizes_of_chunks
from bams3.operations.merge_input import MergeInput, decoded, has_windows_of
from bams3.operations.merged_part import written
from bams3.operations.merging import MergedRecords
from bams3.operations.windows import blocks_of, sizes_of
from bams3.sources.wrapped import WrappedSource

if TYPE_CHECKING:
    from bams3.bam.records import RecordBlock
    from bams3.chunk.entry import ChunkEntry
    from bams3.dataset.layout import Grid
    from bams3.dataset.parts import Part
    from bams3.dataset.plan import Plan
    from bams3.operations.convert import Conversion
    from bams3.sources.inputs import Mapper, Source

Place = tuple[int, int]
"""A reference id (−1 as 2^32 − 1) and a position (or −1), which compare in the order of BAM."""
_UNPLACED = UNPLACED & 0xFFFFFFFF
_END = (_UNPLACED, 1 << 31)  # after all records


class Shares:
    """The division of several inputs into batches.

    `merging`: a digest of inputs and options, the same in all batches.
    """

    def __init__(self, inputs: Sequence[MergeInput], plan: Plan, options: Sequence[object]) -> None:
        """Measure the inputs. `options`: the options that affect records or header.

        Raises SourceError for an input that can't be read by window.
        """
        self._plan, self._inputs = plan, []
        self._sizes: Counter[int] = Counter()
        told: list[Any] = [*options]
        for each in inputs:
            if not each.translation.keeps_order:
                raise SourceError(
                    f"{each.name}: its contigs are not in the order of those of the inputs before it, which --batch "
                    "does not allow; sort it in their order, or leave --batch out"
                )
            if isinstance(each.opened, DatasetReader):
                sizes = sizes_of_chunks(each.opened, plan, each.translation.references)
                told.append(identity_of(each.opened))
            else:
                file = _File(each.opened, plan, each.translation.references)
                each, sizes = each._replace(opened=file), file.sizes_in_grid()
                told.append([header_id(file.header), sorted(sizes.items()), _numbers(file)])
            self._inputs.append(each)
            self._sizes.update(sizes)
        self.merging = digest_of(told)

    def windows(self, number: int, of: int) -> Grid:
        """Return the windows of a batch. Batches are about equal in the bytes that the inputs have for them."""
        windows: Grid = layout.batch(self._plan.grid, self._sizes, number, of)  # type: ignore[assignment]
        return windows

    def inputs(self, windows: Grid) -> list[MergeInput]:
        """Return the inputs, restricted to the records of these consecutive windows."""
        return [each._replace(opened=self._within(each, windows)) for each in self._inputs]

    def counts(self) -> dict[int, int]:
        """Return the number of all records by reference id, from manifests and indexes; empty if one lacks it."""
        total: Counter[int] = Counter()
        for each in self._inputs:
            numbers, references = _numbers(each.opened), each.translation.references
            if numbers is None:
                return {}
            for reference_id, number in numbers.items():
                total[reference_id if reference_id < 0 else references[reference_id]] += number
        return dict(total)

    def _within(self, each: MergeInput, windows: Grid) -> Any:
        if isinstance(each.opened, _File):
            return each.opened.within(list(windows.runs()))
        assert isinstance(each.opened, DatasetReader)
        if not windows:
            return each.opened.only([])
        grid, references = self._plan.grid, each.translation.references
        after = (grid.index_of(*windows[-1][:2]) or 0) + 1
        begin = _place(windows[0], references)
        end = _place(grid[after], references) if after < len(grid) else _END
        part = each.opened.only(
            entry for entry in each.opened.index if _first(entry) < end and begin <= _last(entry)
        )
        return part if has_windows_of(each, part, self._plan) else _Cut(part, begin, end)


def merged_part(job: Conversion, shares: Shares, windows: Grid, mapper: Mapper, *, is_first: bool) -> Part:
    """Write the chunks of the batch with these windows, and return its part."""
    records = MergedRecords(shares.inputs(windows), job.plan, mapper)
    part = written(job, records)
    part.windows, part.source_counts = list(windows.runs()), shares.counts()
    datasets = records.datasets() if is_first else RecordTotals.zero()
    part.merged = Merged(datasets, records.changed(), job.plan.merging)
    return part


class _File(WrappedSource):
    """A file whose windows are given with the reference ids of the plan. Its records keep the file's own ids."""

    def __init__(self, source: Source, plan: Plan, references: Sequence[int]) -> None:
        """Wrap a file. Raises SourceError if it can't be read by window."""
        super().__init__(source)
        self._plan = plan
        self._own = {UNPLACED: UNPLACED} | {new: old for old, new in enumerate(references)}
        self._runs: list[Window] = []
        source.will_read([])

    def within(self, runs: list[Window]) -> _File:
        """Return the file, restricted to the blocks of these windows."""
        part = copy(self)
        part._runs = runs
        return part

    def sizes_in_grid(self) -> Counter[int]:
        """Return the approximate number of bytes in each window, by its index in the grid."""
        found = sizes_of(self._plan.grid, self)
        sizes = found.items() if isinstance(found, Mapping) else enumerate(found)
        return Counter({place: size for place, size in sizes if size > 0})

    def blocks(self, mapper: Mapper = map, *, ordered: bool = True) -> Iterator[RecordBlock]:
        return blocks_of(self, self._plan, self._runs, mapper)

    def window(self, reference_id: int, start: int, end: int, mapper: Mapper = map) -> Iterator[RecordBlock]:
        if reference_id not in self._own:
            return iter(())
        return self._source.window(self._own[reference_id], start, end, mapper)

    def unplaced(self, mapper: Mapper = map) -> Iterator[RecordBlock]:
        return self._source.unplaced(mapper)

    def will_read(self, windows: Sequence[tuple[int, int, int]]) -> None:
        self._source.will_read([self._in_file(each) for each in windows if each[0] in self._own])

    def sizes(self, windows: Sequence[tuple[int, int, int]]) -> list[int]:
        known = iter(self._source.sizes([self._in_file(each) for each in windows if each[0] in self._own]))
        return [next(known) if each[0] in self._own else 0 for each in windows]

    def _in_file(self, window: tuple[int, int, int]) -> tuple[int, int, int]:
        return self._own[window[0]], *window[1:]


class _Cut:
    """The records between two places of a dataset from which no chunk can be copied."""

    def __init__(self, dataset: DatasetReader, begin: Place, end: Place) -> None:
        self._dataset, self._begin, self._end = dataset, begin, end

    def blocks(self, mapper: Mapper) -> Iterator[RecordBlock]:
        for block in decoded(self._dataset, mapper):
            first, last = (find_start(block, *_signed(place)) for place in (self._begin, self._end))
            if first < last:
                yield block[first:last]


def _numbers(opened: Source | DatasetReader) -> dict[int, int] | None:
    """Return the numbers of records of an input, by its own reference ids; None if no manifest or index has them."""
    if isinstance(opened, DatasetReader):
        rows = opened.manifest.counts.by_reference
        return {key: sum(row) for key, row in rows.items()} if opened.is_whole else None
    counts = opened.counts()
    if counts is None or counts.unplaced is None:
        return None
    return {UNPLACED: counts.unplaced} | {key: sum(row) for key, row in enumerate(counts.references)}


def _place(window: Window, references: Sequence[int]) -> Place:
    """Return where a window of the plan begins in an input. `references`: the plan's ids of its contigs, ascending."""
    own = bisect_left(references, window.reference_id) if window.reference_id != UNPLACED else len(references)
    if own == len(references):
        return _UNPLACED, -1
    return own, window.start or -1 if references[own] == window.reference_id else -1


def _first(entry: ChunkEntry) -> Place:
    return entry.order[0], entry.min_pos


def _last(entry: ChunkEntry) -> Place:
    return entry.order[0], max(zone.max_pos for zone in entry.zones)


def _signed(place: Place) -> Place:
    return (UNPLACED, place[1]) if place[0] == _UNPLACED else place
