"""A source whose records are changed as they are read, for a lossy conversion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter

from bams3.bam.lossy import Loss
from bams3.bam.records import RecordBlock
from bams3.bam.regions import LAST
from bams3.sources.inputs import IndexCounts, Mapper, Source
from bams3.sources.wrapped import WrappedSource


def with_loss(source: Source, loss: Loss | None) -> Source:
    """Return the source with a loss applied to its records, or the source itself if there is no loss."""
    return LossySource(source, loss) if loss else source


def with_qualities(blocks: Iterable[RecordBlock], loss: Loss, mapper: Mapper) -> Iterator[RecordBlock]:
    """Apply the part of a loss that depends on neighbouring records to sorted records, after `loss.applied`."""
    if not loss.needs_neighbours:
        return iter(blocks)
    from bams3.sources.consensus import simplified

    return chain.from_iterable(map(attrgetter("blocks"), simplified(blocks, mapper)))


class LossySource(WrappedSource):
    """A source with a loss applied to each record, and stated in the header. See `Source`."""

    def __init__(self, source: Source, loss: Loss) -> None:
        super().__init__(source)
        self._loss = loss
        self.header = loss.in_header(source.header)

    def blocks(self, mapper: Mapper = map, *, ordered: bool = True) -> Iterator[RecordBlock]:
        ordered = ordered or self._loss.needs_neighbours
        reduced = mapper(self._loss.applied, self._source.blocks(mapper, ordered=ordered))
        return with_qualities(reduced, self._loss, mapper)

    def window(self, reference_id: int, start: int, end: int, mapper: Mapper = map) -> Iterator[RecordBlock]:
        first, last = self._surroundings(start, end)
        reduced = mapper(self._loss.applied, self._source.window(reference_id, first, last, mapper))
        if not self._loss.needs_neighbours:
            return reduced
        from bams3.sources.consensus import WINDOW, simplified

        inside = (each for each in simplified(reduced, mapper) if start <= each.window * WINDOW < end)
        return chain.from_iterable(map(attrgetter("blocks"), inside))

    def unplaced(self, mapper: Mapper = map) -> Iterator[RecordBlock]:
        return mapper(self._loss.applied, self._source.unplaced(mapper))

    def will_read(self, windows: Sequence[tuple[int, int, int]]) -> None:
        self._source.will_read([(reference, *self._surroundings(*ends)) for reference, *ends in windows])

    def counts(self) -> IndexCounts | None:
        return None if self._loss.dropped_read_groups else self._source.counts()

    def _surroundings(self, start: int, end: int) -> tuple[int, int]:
        """Return a window extended by the records on which the result for its own records depends."""
        if not self._loss.needs_neighbours or start == end:
            return start, end
        from bams3.sources.consensus import WINDOW

        return max(start - WINDOW, 0), end if end >= LAST else end + WINDOW
