"""Reads in the order of coordinates whose duplicates are marked on their way: those of a source, or any blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from bams3.bam.records import RecordBlock
from bams3.duplicates.changes import changed
from bams3.duplicates.keys import Keys
from bams3.duplicates.marks import Marks
from bams3.sources.inputs import IndexCounts, Mapper, Source
from bams3.sources.wrapped import WrappedSource

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.duplicates.options import Markdup

Finished = Callable[[Sequence[str], Sequence[Sequence[int]], int, int], None]
"""Called when all is read: with the read groups that are told apart, with the numbers of reads without one and of those
of each (`statistics.KINDS`), and with how often no barcode and no coordinates could be read."""


class Marking:
    """Marks duplicates as `samtools markdup` does. Raises UsageError for options that can't be used."""

    def __init__(self, header: Header, options: Markdup, finished: Finished | None = None) -> None:
        self._options, self._finished = options, finished
        self._groups = options.groups(header)
        self._maker = options.keys(self._groups)
        options.marker(self._groups)

    def marked(self, blocks: Iterable[RecordBlock], mapper: Mapper) -> Iterator[RecordBlock]:
        """Yield the blocks with their duplicates marked. Threads of the `mapper` find what reads are compared by, and
        make changed copies; reads are compared in order."""
        return mapper(self._changed, self._decided(blocks, mapper))

    def _decided(self, blocks: Iterable[RecordBlock], mapper: Mapper) -> Iterator[tuple[RecordBlock, Marks]]:
        marker, barcodes = self._options.marker(self._groups), 0
        for block, keys in mapper(self._keyed, blocks):
            barcodes += keys.unreadable
            yield from marker.add(block, keys)
        yield from marker.finish()
        if self._finished:
            groups = [name.decode("utf-8", "surrogateescape") for name in self._groups]
            self._finished(groups, marker.numbers(), barcodes, marker.unreadable)

    def _keyed(self, block: RecordBlock) -> tuple[RecordBlock, Keys]:
        return block, self._maker.keys(block)

    def _changed(self, decided: tuple[RecordBlock, Marks]) -> RecordBlock:
        return changed(*decided, remove=self._options.remove, clear=self._options.clear)


class MarkedSource(WrappedSource):
    """`source` with duplicates marked. See `Source` and `Marking`."""

    def __init__(self, source: Source, options: Markdup, finished: Finished | None = None) -> None:
        super().__init__(source)
        self._removes = options.remove
        self._marking = Marking(source.header, options, finished)

    def blocks(self, mapper: Mapper = map, *, ordered: bool = True) -> Iterator[RecordBlock]:
        return self._marking.marked(self._source.blocks(mapper), mapper)

    def counts(self) -> IndexCounts | None:
        return None if self._removes else super().counts()
