"""The base class of sources that change the records of another source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bams3.errors import SourceError
from bams3.sources.inputs import IndexCounts, Mapper, Source

if TYPE_CHECKING:
    from typing import Self

    from bams3.bam.header import Header
    from bams3.bam.records import RecordBlock


class WrappedSource:
    """A source based on another one.

    Subclasses change some of its methods. It can't be read by window. See `Source`.
    """

    def __init__(self, source: Source) -> None:
        self._source, self.path = source, source.path
        self.header: Header = source.header

    @property
    def truncated(self) -> bool:
        return self._source.truncated

    @property
    def once(self) -> bool:
        return self._source.once

    def window(self, reference_id: int, start: int, end: int, mapper: Mapper = map) -> Iterator[RecordBlock]:
        raise SourceError(
            f"{self.path}: an input whose records are changed as they are read can't be read by window"
        )

    def unplaced(self, mapper: Mapper = map) -> Iterator[RecordBlock]:
        return self.window(-1, 0, 0, mapper)

    def will_read(self, windows: Sequence[tuple[int, int, int]]) -> None:
        self._source.will_read(windows)

    def counts(self) -> IndexCounts | None:
        return self._source.counts()

    def sizes(self, windows: Sequence[tuple[int, int, int]]) -> list[int]:
        return self._source.sizes(windows)

    def close(self) -> None:
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
