"""A source in the order of coordinates, whose duplicates are marked on its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from bams3.bam.records import RecordBlock
from bams3.duplicates.changes import changed
from bams3.duplicates.keys import Keys
from bams3.duplicates.marks import Marks
from bams3.errors import SourceError
from bams3.sources.inputs import IndexCounts, Mapper, Source

if TYPE_CHECKING:
    from bams3.duplicates.options import Markdup

Finished = Callable[[Sequence[str], Sequence[Sequence[int]], int, int], None]


class MarkedSource:
    """`source` as `samtools markdup` leaves it. See `Source`; it can't be read by window.

    Threads of the `mapper` find what reads are compared by, and make changed copies; reads are compared in order.
    `finished` is called when all is read: with the read groups that are told apart, with the numbers of reads without
    one and of those of each (`statistics.KINDS`), and with how often no barcode and no coordinates could be read.
    """

    def __init__(self, source: Source, options: Markdup, finished: Finished | None = None) -> None:
        self._source, self._options, self._finished = source, options, finished
        self.path, self.header, self.once = source.path, source.header, source.once
        self._groups = options.groups(source.header)
        self._maker = options.keys(self._groups)
        options.marker(self._groups)  # options are wrong before anything is read

    @property
    def truncated(self) -> bool:
        return self._source.truncated

    def blocks(self, mapper: Mapper = map, *, ordered: bool = True) -> Iterator[RecordBlock]:
        return mapper(self._changed, self._decided(mapper))

    def window(self, reference_id: int, start: int, end: int, mapper: Mapper = map) -> Iterator[RecordBlock]:
        raise SourceError(f"{self.path}: a read may be the duplicate of one outside of the window")

    def unplaced(self, mapper: Mapper = map) -> Iterator[RecordBlock]:
        return self.window(-1, 0, 0, mapper)

    def will_read(self, windows: Sequence[tuple[int, int, int]]) -> None:
        """Do nothing: no window can be read."""

    def counts(self) -> IndexCounts | None:
        return None if self._options.remove else self._source.counts()

    def sizes(self, windows: Sequence[tuple[int, int, int]]) -> list[int]:
        return self._source.sizes(windows)

    def close(self) -> None:
        self._source.close()

    def __enter__(self) -> MarkedSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decided(self, mapper: Mapper) -> Iterator[tuple[RecordBlock, Marks]]:
        marker = self._options.marker(self._groups)
        barcodes = 0
        for block, keys in mapper(self._keyed, self._source.blocks(mapper)):
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
