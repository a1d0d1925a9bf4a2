"""Marking of duplicates in streams of sorted reads: those of a source, or any blocks of records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from bams3.bam.records import RecordBlock
from bams3.duplicates.changes import changed
from bams3.duplicates.keys import Keys
from bams3.duplicates.marks import Marker, Marks
from bams3.sources.inputs import IndexCounts, Mapper, Source
from bams3.sources.runs import SortedRun, call
from bams3.sources.wrapped import WrappedSource

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.duplicates.options import Markdup
    from bams3.duplicates.supplementary import Supplementary

Finished = Callable[[Sequence[str], Sequence[Sequence[int]], int, int], None]
"""Called when all reads have been read, with: the names of the read groups that are distinguished; the numbers of reads
(`statistics.KINDS`), first of those without a read group, then of each group; how often no barcode could be read; and
how often no coordinates could be read."""


class Marking:
    """Marks duplicates as `samtools markdup` does. Raises UsageError for invalid options.

    `path`: the source of the reads, for errors. `folder`: the folder for the temporary file that is needed to mark
    other records of duplicates.
    """

    def __init__(
        self, header: Header, options: Markdup, finished: Finished | None = None, *, path: str = "",
        folder: str | None = None,
    ) -> None:  # fmt: skip
        self._options, self._finished = options, finished
        self._path, self._folder = path, folder
        self._groups = options.groups(header)
        self._maker = options.keys(self._groups)
        options.marker(self._groups)

    def marked(self, blocks: Iterable[RecordBlock], mapper: Mapper) -> Iterator[RecordBlock]:
        """Yield the blocks with their duplicates marked.

        The threads of `mapper` make the keys of reads and the changed copies. The reads are compared in order, by one
        thread.
        """
        others = self._options.others(self._groups)
        marker = self._options.marker(self._groups, others)
        marked = mapper(self.changed, self._decided(marker, blocks, mapper))
        yield from self._with_others(others, marked, mapper) if others else marked
        self.finish(marker, others)

    def marker(self) -> Marker:
        """Return a marker that finds duplicates, but not their other records."""
        return self._options.marker(self._groups)

    def finish(self, marker: Marker, others: Supplementary | None = None) -> list[list[int]]:
        """Report the results after all reads have been marked, and return the numbers of reads."""
        more = others.numbers() if others else [[0, 0]] * (len(self._groups) + 1)
        numbers = [[*row, *rest] for row, rest in zip(marker.numbers(), more, strict=True)]
        if self._finished:
            groups = [name.decode("utf-8", "surrogateescape") for name in self._groups]
            self._finished(groups, numbers, marker.barcodes, marker.unreadable)
        return numbers

    def _decided(
        self, marker: Marker, blocks: Iterable[RecordBlock], mapper: Mapper
    ) -> Iterator[tuple[RecordBlock, Marks]]:
        for block, keys in mapper(self.keyed, blocks):
            yield from marker.add(block, keys)
        yield from marker.finish()

    def _with_others(
        self, others: Supplementary, blocks: Iterable[RecordBlock], mapper: Mapper
    ) -> Iterator[RecordBlock]:
        """Mark the other records of duplicates.

        They may come before the duplicates, so all records wait in a temporary file until all duplicates are known.
        """
        waiting = SortedRun(
            self._folder, self._path, "its duplicates are marked", "choose another folder (--tmp-dir)"
        )
        try:
            waiting.write((partial(_itself, block) for block in blocks if len(block)), mapper)
            again = mapper(call, (frame.load for frame in waiting.frames(0)))
            yield from mapper(self._changed_again, ((block, Marks(*others.marks(block))) for block in again))
        finally:
            waiting.close()

    def keyed(self, block: RecordBlock) -> tuple[RecordBlock, Keys]:
        """Return a block with the keys of its reads."""
        return block, self._maker.keys(block)

    def changed(self, decided: tuple[RecordBlock, Marks]) -> RecordBlock:
        """Return a block with its marks applied."""
        return changed(*decided, remove=self._options.remove, clear=self._options.clear)

    def _changed_again(self, decided: tuple[RecordBlock, Marks]) -> RecordBlock:
        return changed(*decided, remove=self._options.remove)


def _itself(block: RecordBlock) -> RecordBlock:
    return block


class MarkedSource(WrappedSource):
    """A source with its duplicates marked. See `Source` and `Marking`."""

    def __init__(
        self, source: Source, options: Markdup, finished: Finished | None = None, folder: str | None = None
    ) -> None:
        super().__init__(source)
        self._removes = options.remove
        self._marking = Marking(source.header, options, finished, path=source.path, folder=folder)

    def blocks(self, mapper: Mapper = map, *, ordered: bool = True) -> Iterator[RecordBlock]:
        return self._marking.marked(self._source.blocks(mapper), mapper)

    def counts(self) -> IndexCounts | None:
        return None if self._removes else super().counts()
