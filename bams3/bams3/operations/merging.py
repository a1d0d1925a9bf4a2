"""Merging of the records of several inputs, window by window; chunks that can be copied instead are set aside.

If only a dataset has records in a window, and its chunk holds exactly what would be written, the chunk is set aside.
Otherwise, the records of all inputs in the window are merged, and row groups of one of the datasets that stay the same
are copied (`interleaved`).
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from math import inf
from typing import Any

from bams3.bam.flags import REVERSE
from bams3.bam.records import RecordBlock, check_order
from bams3.bam.translate import Translator
from bams3.chunk.entry import ChunkEntry
from bams3.chunk.reader import ChunkReader
from bams3.chunk.row_group import RowGroup
from bams3.chunk.writer import CompressedRowGroup, stored_row_group
from bams3.codec import ENCODINGS
from bams3.dataset.layout import last_window
from bams3.dataset.manifest import Counts
from bams3.dataset.merged import RecordTotals
from bams3.dataset.plan import Plan
from bams3.dataset.prefetch import plan_all
from bams3.dataset.reader import DatasetReader
from bams3.errors import FormatError, SourceError
from bams3.operations.copying import is_same
from bams3.operations.interleaved import Ahead, interleaved, merged_blocks
from bams3.operations.merge_input import MergeInput, block_of, decoded, has_windows_of
from bams3.operations.row_groups import ChunkKey, StoredRowGroup
from bams3.sources.inputs import Mapper
from bams3.sources.messages import show

FOOTERS = 64
"""Number of chunks of a dataset whose footers are kept in memory."""
Place = tuple[int, int]
"""The reference id (−1 as 2^32 − 1) and the start of a window, which compare in the order of BAM."""
NOWHERE = (1 << 32, 0)  # after all windows
_UNPLACED = (1 << 32) - 1


class MergedRecords:
    """The records of all inputs, in the order of `samtools merge`, for a dataset with this plan."""

    def __init__(self, inputs: Sequence[MergeInput], plan: Plan, mapper: Mapper) -> None:
        self._inputs = [_of(each, plan, mapper) for each in inputs]

    def blocks(self) -> Iterator[RecordBlock | StoredRowGroup]:
        """Yield blocks of the records whose chunks are not copied, and between them row groups that may stay.

        Raises SourceError if an input is not sorted.
        """
        while True:
            places = [each.place for each in self._inputs]
            place = min(places)
            if place == NOWHERE:
                break
            there = [each for each, its in zip(self._inputs, places, strict=True) if its == place]
            if len(there) == 1 and isinstance(there[0], _Chunks) and there[0].sets_aside():
                continue
            if any(isinstance(each, _Chunks) and each.place != NOWHERE for each in self._inputs):
                yield from _window(there, place)
            else:  # no window is set aside any more
                yield from merged_blocks(
                    [each.window(None) for each in self._inputs if each.place != NOWHERE]
                )
        for each in self._inputs:
            each.warn()

    @property
    def has_others(self) -> bool:
        """Whether any input but the first has records that were not read yet."""
        return any(each.place != NOWHERE for each in self._inputs[1:])

    def copied(self) -> Iterator[tuple[ChunkKey, CompressedRowGroup]]:
        """Yield the row groups of chunks that were set aside and are in neither `same` nor `staying`.

        Call this after all blocks have been read.
        """
        for each in self._chunks:
            if each.changes and not each.is_same:
                yield from each.copied()

    @property
    def same(self) -> Iterator[tuple[DatasetReader, list[ChunkEntry]]]:
        """The datasets whose chunks are copied byte for byte, and their chunks that were set aside."""
        return ((each.dataset, each.aside) for each in self._chunks if each.changes and each.is_same)

    @property
    def staying(self) -> list[ChunkEntry]:
        """The chunks that a growing dataset keeps, which were set aside."""
        return [entry for each in self._chunks if not each.changes for entry in each.staying()]

    def new(self) -> RecordTotals:
        """Return the totals of the records read from files, and of the changed records of datasets (as changed)."""
        return RecordTotals.together(each.new for each in self._inputs)

    def kept(self) -> RecordTotals:
        """Return the totals of the unchanged records of datasets.

        Raises FormatError if a manifest counts too few records.
        """
        return RecordTotals.together(each.kept() for each in self._chunks)

    def datasets(self) -> RecordTotals:
        """Return the totals of all records in datasets whose chunks can be copied."""
        return RecordTotals.together(each.whole() for each in self._chunks)

    def changed(self) -> RecordTotals:
        """Those of them that have changed, as they were."""
        return RecordTotals.together(each.changed() for each in self._chunks)

    @property
    def _chunks(self) -> Iterator["_Chunks"]:
        return (each for each in self._inputs if isinstance(each, _Chunks))


def _window(there: Sequence["_Records | _Chunks"], place: Place) -> Iterator[RecordBlock | StoredRowGroup]:
    """Yield the merged records of the inputs that have records in the window at a place."""
    for number, each in enumerate(there if len(there) > 1 else ()):
        if isinstance(each, _Chunks) and each.stays_among(number):
            others = [other.window(place) for other in there if other is not each]
            return interleaved(each.stored(), others, number, each.decoded)
    return merged_blocks([each.window(place) for each in there])


def _of(each: MergeInput, plan: Plan, mapper: Mapper) -> "_Records | _Chunks":
    """Return the records of an input: as chunks if these can be set aside."""
    if isinstance(each.opened, DatasetReader):
        if has_windows_of(each, each.opened, plan):
            return _Chunks(each, each.opened, plan, mapper)
        return _Records(each, plan, decoded(each.opened, mapper), mapper)
    return _Records(each, plan, each.opened.blocks(mapper), mapper)


class _Records:
    """The sorted records of an input, with their new ids."""

    def __init__(self, each: MergeInput, plan: Plan, blocks: Iterator[RecordBlock], mapper: Mapper) -> None:
        self._input, self._plan, self._mapper = each, plan, mapper
        self.new = RecordTotals.zero()
        self._references = [(name, length) for name, length in plan.references]
        self.translator = Translator(each.translation) if each.changes else None
        self._ahead = Ahead(self._checked(blocks))

    @property
    def place(self) -> Place:
        """The window of the next record."""
        if not self._ahead.known:
            return NOWHERE
        reference_id, pos = map(int, self._ahead.place)
        if reference_id == _UNPLACED:
            return _UNPLACED, 0
        return reference_id, self._plan.window_start(reference_id, pos)

    def window(self, place: Place | None) -> Iterator[RecordBlock]:
        """Yield the records up to the end of the window at `place`, which has the next record; None: all records."""
        return self._ahead.until(*((-1, inf) if place is None else self._end(place)))

    def _end(self, place: Place) -> tuple[int, int]:
        """Return where the window after this place begins, as a signed reference id and a position."""
        reference_id, start = place
        if reference_id == _UNPLACED:
            return -1, 1 << 31
        size = self._plan.chunk_size
        if start < last_window(self._plan.lengths[reference_id], size):
            return reference_id, start + size
        return reference_id + 1, -1

    def _checked(self, blocks: Iterator[RecordBlock]) -> Iterator[RecordBlock]:
        """Yield the blocks with their new ids. Raises SourceError if these put them out of order."""
        last, seen = (0, -1), 0
        for changed, totals in self._mapper(self._translated, blocks):
            self.new.add(totals)
            if not self._input.translation.keeps_order:
                try:
                    last = check_order(changed, *last, seen, self._references)
                except SourceError as error:
                    raise SourceError(
                        f"{self._input.name}: its contigs are not in the order of those of the inputs before it; "
                        f"in that order, it is {error}; pipe the output of samtools merge to bams3 convert --sort"
                    ) from None
            seen += len(changed)
            if len(changed):
                yield changed

    def _translated(self, block: RecordBlock) -> tuple[RecordBlock, RecordTotals]:
        changed = self.translator.translated(block) if self.translator else block
        return changed, RecordTotals.of_block(changed)

    def warn(self) -> None:
        """Print which tags were left out."""
        _warn(self._input, self.translator)


class _Chunks:
    """The chunks of a dataset that has the windows of the plan."""

    def __init__(self, each: MergeInput, dataset: DatasetReader, plan: Plan, mapper: Mapper) -> None:
        self._input, self.dataset, self._plan, self._mapper = each, dataset, plan, mapper
        self.changes = each.changes
        self.is_same = is_same(dataset, plan)
        self._translator = Translator(each.translation)
        self._windows = [list(entries) for _, entries in groupby(dataset.whole, key=_place)]
        self._windows.reverse()
        self.new, self._old = RecordTotals.zero(), RecordTotals.zero()
        """Totals of the records that change: after the change, and before it."""
        self.aside: list[ChunkEntry] = []
        self._opened: dict[str, ChunkReader] = {}
        self.place = self._place()

    def _place(self) -> Place:
        """The window of the next chunk."""
        if not self._windows:
            return NOWHERE
        reference_id, start = _place(self._windows[-1][0])
        if reference_id == _UNPLACED:
            return reference_id, start
        return self._input.translation.references[reference_id], start

    def sets_aside(self) -> bool:
        """Set the chunks of the next window aside if they can be copied; tell whether they can."""
        if self.changes and not all(map(self._stays, self._windows[-1])):
            return False
        self.aside += self._pop()
        return True

    def copied(self) -> Iterator[tuple[ChunkKey, CompressedRowGroup]]:
        """Yield the row groups of the chunks that were set aside."""
        keys = {entry.path: (entry.reference_id, entry.start) for entry in self.aside}
        for group, copied in self._mapper(
            lambda group: (group, self._copied(group)), self._groups(self.aside)
        ):
            yield keys[group.chunk.path], copied

    def staying(self) -> Iterator[ChunkEntry]:
        """Yield the chunks that were set aside, with their tiles if the dataset has them."""
        tiles = self.dataset.tiles
        return (entry._replace(tiles=tiles.of_chunk(entry)) if tiles else entry for entry in self.aside)

    def _copied(self, group: RowGroup) -> CompressedRowGroup:
        """Return a row group in its stored form."""
        copied = stored_row_group(group, self.dataset.tiles_of(group))
        group.spans.clear()  # release the fetched bytes
        return copied

    def stays_among(self, before: int) -> bool:
        """Tell whether row groups of the next window may stay among records of other inputs.

        `before`: how many of these inputs come before this one. Reads without a position may stay only if all of them
        sort first (position −1, forward strand) and no input comes before this one, so that no record precedes them.
        """
        entries = self._windows[-1]
        if self.place[0] == _UNPLACED and (
            before or any(z.max_pos >= 0 or z.flags_any & REVERSE for each in entries for z in each.zones)
        ):
            return False
        return not self.changes or all(map(self._stays, entries))

    def stored(self) -> Iterator[StoredRowGroup]:
        """Yield the row groups of the next window."""
        entries = self._pop()
        for group in self._groups(entries):
            copied, decoded = partial(self._copied, group), partial(self._block, group)
            yield StoredRowGroup(*entries[0].window, group.zone, copied, decoded, group)

    def decoded(self, stored: Iterable[StoredRowGroup]) -> Iterator[RecordBlock]:
        """Yield the records of row groups that do not stay."""
        return self._blocks(each.group for each in stored)

    def window(self, place: Place | None) -> Iterator[RecordBlock]:
        """Yield the records of the next window."""
        return self._blocks(self._groups(self._pop()))

    def _block(self, group: RowGroup) -> RecordBlock:
        return next(self._blocks([group]))

    def _pop(self) -> list[ChunkEntry]:
        """Return the chunks of the next window, and move on to the window after it."""
        entries = self._windows.pop()
        self.place = self._place()
        return entries

    def _blocks(self, groups: Iterable[RowGroup]) -> Iterator[RecordBlock]:
        for block, old, new in self._mapper(self._read, groups):
            self._old.add(old)
            self.new.add(new)
            yield block

    def _chunk(self, entry: ChunkEntry) -> ChunkReader:
        """Open a chunk. The footers of up to FOOTERS chunks are kept, so that they are read only once."""
        chunk = self._opened.pop(entry.path, None) or self.dataset.stored_chunk(entry)
        if len(self._opened) < FOOTERS:
            self._opened[entry.path] = chunk
        return chunk

    def _groups(self, entries: list[ChunkEntry]) -> Iterator[RowGroup]:
        groups = (group for entry in entries for group in self._chunk(entry).stored_row_groups)
        return (group for (group,) in self.dataset.fetched(zip(groups), plan_all))

    def _read(self, group: RowGroup) -> tuple[RecordBlock, RecordTotals, RecordTotals]:
        """Return the records of a row group with new ids, and, if they change, their totals before and after."""
        block = block_of(group, len(self.dataset.references))
        changed = self._translator.translated(block) if self.changes else block
        numbers = (
            (RecordTotals.zero(), RecordTotals.zero())
            if changed is block
            else map(RecordTotals.of_block, (block, changed))
        )
        return changed, *numbers

    def _stays(self, entry: ChunkEntry) -> bool:
        """Tell whether a chunk already holds the row groups into which its records would be encoded."""
        chunk = self._chunk(entry)
        footer, plan, translation = chunk.footer, self._plan, self._input.translation
        if (footer.level, footer.encodings) != (plan.level, ENCODINGS):
            return False
        for reference, name, length in footer.references:
            new = translation.references[reference]
            if new != reference or plan.references[new] != [name, length]:
                return False
        read_groups = {name for group in footer.row_groups for name in group.read_groups}
        return translation.keeps(b"RG", read_groups) and all(
            translation.keeps(b"PG", group.text_values("PG"))
            for group in chunk.stored_row_groups
            if "tag.PG:Z" in group.entry.streams
        )

    def whole(self) -> RecordTotals:
        """Return the totals of all records of the dataset, with the ids of the merged header."""
        assert self.dataset.manifest.sums is not None  # otherwise nothing is copied
        return self._of_plan(RecordTotals(self.dataset.manifest.counts, self.dataset.manifest.sums))

    def changed(self) -> RecordTotals:
        """Those of them that have changed, as they were."""
        return self._of_plan(self._old)

    def kept(self) -> RecordTotals:
        """Return the totals of the unchanged records. Raises FormatError if the manifest counts too few records."""
        try:
            return self.whole().without(self.changed())
        except ValueError:
            raise FormatError(
                f"{self._input.name}: its chunks do not have the records that its manifest counts; "
                "run bams3 verify, and convert again"
            ) from None

    def _of_plan(self, totals: RecordTotals) -> RecordTotals:
        counts, references = totals.counts, self._input.translation.references
        rows = {key if key < 0 else references[key]: row for key, row in counts.by_reference.items()}
        return totals._replace(counts=Counts(counts.passed, counts.failed, rows))

    def warn(self) -> None:
        """Print which tags were left out."""
        _warn(self._input, self._translator)


def _warn(each: MergeInput, translator: Translator | None) -> None:
    lost: dict[Any, bytes] = translator.lost if translator else {}
    for (tag, value), read in lost.items():
        show(
            each.name,
            f"reads with {tag}:Z:{value.decode('utf-8', 'surrogateescape')}, such as "
            f"{read.decode('utf-8', 'surrogateescape')}, lose this tag: the header has no @{tag} line with this ID",
        )


def _place(entry: ChunkEntry) -> Place:
    """Return the window of a chunk. All chunks of reads without a position share one."""
    reference_id, start = entry.window
    return reference_id & _UNPLACED, start
