"""The streams of a row group, fetched in spans of its chunk, then checked and decompressed on first use."""

from __future__ import annotations

from typing import Protocol

from bams3.chunk.footer import Footer, RowGroupEntry, StreamEntry, hot_of, is_hot
from bams3.codec import streams
from bams3.errors import FormatError

Range = tuple[int, int]
"""Offset in the chunk, and length, in bytes."""


class StoredStreams(Protocol):
    """The part of `ChunkReader` that streams need."""

    name: str

    @property
    def footer(self) -> Footer: ...

    def read(self, start: int, length: int) -> bytes: ...

    def view(self, start: int, length: int) -> memoryview: ...


class Span:
    """`length` bytes of a chunk at offset `start`: the result of one request, made on first use or earlier."""

    def __init__(self, chunk: StoredStreams, start: int, length: int) -> None:
        self.start, self.length = start, length
        self._chunk = chunk
        self._data: memoryview | None = None

    def fetch(self) -> memoryview:
        """The bytes. Raises FormatError if the chunk is missing or too short."""
        if self._data is None:
            self._data = self._chunk.view(self.start, self.length)
        return self._data

    def fill(self, data: memoryview) -> None:
        """Set the bytes, if they were fetched together with others."""
        self._data = data

    def has(self, start: int, length: int) -> bool:
        """Whether the span contains these bytes of the chunk."""
        return self.start <= start and start + length <= self.start + self.length

    def view(self, start: int, length: int) -> memoryview:
        """These bytes of the chunk, not copied."""
        return self.fetch()[start - self.start : start - self.start + length]

    def cut(self, start: int, length: int) -> bytes:
        """Like `view`, but copied."""
        return bytes(self.view(start, length))


class Streams(dict[str, bytes]):
    """The streams of one row group: fetched, checked and decompressed on first use; b"" if there is no such stream."""

    def __init__(self, chunk: StoredStreams, number: int, where: str, hot: Range, cold: Range) -> None:
        self._chunk, self._number, self._where = chunk, number, where
        self._places = cold, hot
        self._checked: dict[bool, memoryview] = {}  # hot or cold streams with a common checksum
        self.spans: list[Span] = []
        self._entry: RowGroupEntry | None = None

    @property
    def entry(self) -> RowGroupEntry:
        if self._entry is None:
            try:
                self._entry = self._chunk.footer.row_groups[self._number]
            except IndexError:
                raise FormatError(
                    f"{self._chunk.name}: it has fewer row groups than the index says"
                ) from None
        return self._entry

    def have(self, start: int, length: int) -> None:
        """Make sure that one of the spans contains these bytes of the chunk."""
        if self._holder(start, length) is None:
            self.spans.append(Span(self._chunk, start, length))

    def _holder(self, start: int, length: int) -> Span | None:
        for span in self.spans:
            if span.has(start, length):
                return span
        return None

    def read_with(self, name: str) -> Range:
        """See `RowGroup.read_with`."""
        entry = self.entry
        stream = entry.streams[name]
        if stream.crc32 is None:
            return self._places[is_hot(name, entry.streams)]
        return stream.offset, stream.stored

    def stored(self) -> dict[str, memoryview]:
        """The stored bytes of all streams, not copied. Raises FormatError if any are damaged, even if read again."""
        entries = self.entry.streams
        hot_streams = hot_of(entries)
        views = [(self._holder(*place) or self._chunk).view(*place) for place in self._places]
        found = {}
        for name, entry in entries.items():
            hot = name in hot_streams
            at = entry.offset - self._places[hot][0]
            found[name] = views[hot][at : at + entry.stored]
            if entry.crc32 is None or streams.checksum(found[name]) != entry.crc32:
                found[name] = self.bytes_of(name, entry)
        return found

    def bytes_of(self, name: str, entry: StreamEntry) -> memoryview:
        """The stored bytes of a stream, not copied. Raises FormatError if they are damaged, even if read again."""
        if entry.crc32 is not None and (held := self._holder(entry.offset, entry.stored)):
            return self._read(f"stream '{name}'", (entry.offset, entry.stored), entry.crc32, held)
        hot = is_hot(name, self.entry.streams)
        place = self._places[hot]
        if entry.crc32 is None:
            if hot not in self._checked:
                what = f"one of its {('cold', 'hot')[hot]} streams"
                self._checked[hot] = self._read(what, place, self.entry.checksums[hot], self._holder(*place))
            at = entry.offset - place[0]
            return self._checked[hot][at : at + entry.stored]
        if hot:
            self.have(*place)
        place = entry.offset, entry.stored
        return self._read(f"stream '{name}'", place, entry.crc32, self._holder(*place))

    def _read(self, what: str, place: Range, crc32: int | None, held: Span | None) -> memoryview:
        """Return the checked bytes of a range, from the span `held` if it is given."""
        stored = (held or self._chunk).view(*place)
        if streams.checksum(stored) != crc32:
            stored = self._chunk.view(*place)
            if streams.checksum(stored) != crc32:
                raise FormatError(
                    f"{self._where}: {what} is damaged (checksum); restore the chunk or convert it again"
                )
        return stored

    def __missing__(self, name: str) -> bytes:
        entry = self.entry.streams.get(name)
        if entry is None:
            return b""
        stored = self.bytes_of(name, entry)
        try:
            data: bytes = streams.decompress(name, entry.codec, stored, entry.raw)
        except FormatError as error:
            raise FormatError(f"{self._where}: {error}") from error
        return self.setdefault(name, data)  # another thread may use its own result, so keep that
