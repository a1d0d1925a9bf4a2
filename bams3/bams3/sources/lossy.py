"""A source whose records are changed on their way in, because the user asked for a lossy conversion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bams3.bam.lossy import Loss
from bams3.bam.records import RecordBlock
from bams3.sources.inputs import IndexCounts, Mapper, Source

if TYPE_CHECKING:
    from bams3.bam.header import Header


def with_loss(source: Source, loss: Loss | None) -> Source:
    """Return the source as a conversion with this loss sees it."""
    return LossySource(source, loss) if loss else source


class LossySource:
    """`source` with a `loss` applied to each record, and stated in the header. See `Source`."""

    def __init__(self, source: Source, loss: Loss) -> None:
        self._source, self._loss = source, loss
        self.path = source.path
        self.header: Header = loss.in_header(source.header)

    @property
    def truncated(self) -> bool:
        return self._source.truncated

    @property
    def once(self) -> bool:
        return self._source.once

    def blocks(self, mapper: Mapper = map, *, ordered: bool = True) -> Iterator[RecordBlock]:
        return mapper(self._loss.applied, self._source.blocks(mapper, ordered=ordered))

    def window(self, reference_id: int, start: int, end: int, mapper: Mapper = map) -> Iterator[RecordBlock]:
        return mapper(self._loss.applied, self._source.window(reference_id, start, end, mapper))

    def unplaced(self, mapper: Mapper = map) -> Iterator[RecordBlock]:
        return mapper(self._loss.applied, self._source.unplaced(mapper))

    def will_read(self, windows: Sequence[tuple[int, int, int]]) -> None:
        self._source.will_read(windows)

    def counts(self) -> IndexCounts | None:
        return None if self._loss.dropped_read_groups else self._source.counts()

    def sizes(self, windows: Sequence[tuple[int, int, int]]) -> list[int]:
        return self._source.sizes(windows)

    def close(self) -> None:
        self._source.close()

    def __enter__(self) -> LossySource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
