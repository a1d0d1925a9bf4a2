"""A source whose records are changed on their way in, because the user asked for a lossy conversion."""

from __future__ import annotations

from collections.abc import Iterator

from bams3.bam.lossy import Loss
from bams3.bam.records import RecordBlock
from bams3.sources.inputs import IndexCounts, Mapper, Source
from bams3.sources.wrapped import WrappedSource


def with_loss(source: Source, loss: Loss | None) -> Source:
    """Return the source as a conversion with this loss sees it."""
    return LossySource(source, loss) if loss else source


class LossySource(WrappedSource):
    """`source` with a `loss` applied to each record, and stated in the header. See `Source`."""

    def __init__(self, source: Source, loss: Loss) -> None:
        super().__init__(source)
        self._loss = loss
        self.header = loss.in_header(source.header)

    def blocks(self, mapper: Mapper = map, *, ordered: bool = True) -> Iterator[RecordBlock]:
        return mapper(self._loss.applied, self._source.blocks(mapper, ordered=ordered))

    def window(self, reference_id: int, start: int, end: int, mapper: Mapper = map) -> Iterator[RecordBlock]:
        return mapper(self._loss.applied, self._source.window(reference_id, start, end, mapper))

    def unplaced(self, mapper: Mapper = map) -> Iterator[RecordBlock]:
        return mapper(self._loss.applied, self._source.unplaced(mapper))

    def counts(self) -> IndexCounts | None:
        return None if self._loss.dropped_read_groups else self._source.counts()
