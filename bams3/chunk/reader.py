"""Reading a chunk: `Chunk` knows where everything is, `RowGroup` decodes what it is asked for."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from bams3.chunk.footer import MAGIC, TRAILER, Footer, RowGroupEntry, trailer_length
from bams3.codec import HOT_STREAMS, Columns, streams
from bams3.errors import FormatError
from bams3.storage import Storage

TAIL = 1 << 16  # bytes read from the end of a chunk of which nothing is known

_HOT = frozenset(HOT_STREAMS)


class Chunk:
    """One chunk of a storage: `path`, `name` (for messages); its footer is read when it is first needed."""

    def __init__(
        self, storage: Storage, path: str, *, size: int | None = None, footer_bytes: int = TAIL,
        footer_crc32: int | None = None, zones: list[list[int]] | None = None,
    ) -> None:  # fmt: skip
        """What the dataset's index says of the chunk (all but the first two) saves requests, and is checked.

        `zones`: of each row group [records, bytes, min_pos, max_pos, max_end, min_mapq, max_mapq, flags_any,
        flags_all].
        """
        self.path = path
        self.name = f"{storage.root.rstrip('/')}/{path}"
        self._storage = storage
        self._size, self._footer_bytes, self._footer_crc32, self._zones = (
            size,
            footer_bytes,
            footer_crc32,
            zones,
        )
        self._hot: bytes | None = None

    @cached_property
    def size(self) -> int:
        """Length in bytes. Raises FormatError if the chunk is missing or not as long as the index says."""
        try:
            actual = self._storage.size(self.path)
        except FileNotFoundError:
            raise self._missing() from None
        if self._size is not None and actual != self._size:
            raise FormatError(
                f"{self.name}: {actual} bytes instead of {self._size}: cut short, or of another dataset"
            )
        return actual

    @cached_property
    def footer(self) -> Footer:
        """Raises FormatError if the chunk is missing, damaged, or not the one that the index describes."""
        length = min(self._footer_bytes, self.size)
        tail = self._read(self.size - length, length)
        wanted = trailer_length(tail, self.name) + TRAILER.size
        if length < wanted <= self.size:
            tail = self._read(self.size - wanted, wanted)
        if self._footer_crc32 not in (None, TRAILER.unpack(tail[-TRAILER.size :])[1]):
            raise FormatError(
                f"{self.name}: not the chunk that the dataset's index describes: of another dataset?"
            )
        footer = Footer.from_bytes(tail, self.name)
        footer.check(self.size - wanted, self.name)
        if self._zones is not None and len(self._zones) != len(footer.row_groups):
            raise FormatError(
                f"{self.name}: the dataset's index tells of other row groups; restore it, or convert again"
            )
        return footer

    @property
    def row_groups(self) -> Iterator["RowGroup"]:
        """The row groups, in order."""
        zones = self._zones if self._zones is not None else [group.zone() for group in self.footer.row_groups]
        for number, zone in enumerate(zones):
            yield RowGroup(self, number, zone)

    def load_hot(self) -> None:
        """Fetch the streams that counting and depth need, of all row groups, in one request."""
        if self._hot is None:
            self._hot = self._read(0, self.footer.hot)
            if self._hot[: len(MAGIC)] != MAGIC:
                raise FormatError(f"{self.name}: damaged chunk: it does not begin with the magic")

    def stored_streams(self, number: int) -> dict[str, tuple[str, bytes, int]]:
        """A row group's streams as they stand: name → (codec, stored bytes, raw length). Raises FormatError."""
        found = {}
        for name, entry in self.footer.row_groups[number].streams.items():
            stored = self._stored(entry.offset, entry.stored)
            if streams.checksum(stored) != entry.crc32:
                raise FormatError(f"{self.name}, row group {number}: stream '{name}' is damaged (checksum)")
            found[name] = (entry.codec, stored, entry.raw)
        return found

    def _missing(self) -> FormatError:
        return FormatError(f"{self.name}: the chunk is missing; restore it or convert its window again")

    def _read(self, start: int, length: int) -> bytes:
        try:
            data = self._storage.get_range(self.path, start, length)
        except FileNotFoundError:
            raise self._missing() from None
        if len(data) != length:
            raise FormatError(
                f"{self.name}: cut short: {len(data)} bytes instead of {length} at offset {start}"
            )
        return data

    def _stored(self, offset: int, length: int) -> bytes:
        if self._hot is not None and offset + length <= len(self._hot):
            return self._hot[offset : offset + length]
        return self._read(offset, length)


class RowGroup(Columns):
    """A row group of a chunk: its zone map at once, its columns when they are asked for."""

    def __init__(self, chunk: Chunk, number: int, zone: list[int]) -> None:
        """`zone` as in `Chunk`."""
        records, size, self.min_pos, self.max_pos, self.max_end = zone[:5]
        self.min_mapq, self.max_mapq, self.flags_any, self.flags_all = zone[5:]
        self.chunk = chunk
        self.name = f"{chunk.name}, row group {number}"
        self.number = number
        super().__init__(_Streams(chunk, number, self.name), records, size)

    @property
    def reference_id(self) -> int:  # type: ignore[override]
        """Of every record; −1: no position."""
        return self.chunk.footer.reference_id

    def load(self) -> None:
        """Fetch all streams, in two requests."""
        self._streams.load()  # type: ignore[attr-defined]


class _Streams(dict[str, bytes]):
    """Streams of one row group: fetched, checked and decompressed at first use; b"" for those it has not."""

    def __init__(self, chunk: Chunk, number: int, where: str) -> None:
        self._chunk, self._number, self._where = chunk, number, where
        self._fetched: dict[bool, tuple[int, bytes]] = {}

    @property
    def _entry(self) -> RowGroupEntry:
        try:
            return self._chunk.footer.row_groups[self._number]
        except IndexError:
            raise FormatError(f"{self._chunk.name}: it has fewer row groups than the index says") from None

    def load(self) -> None:
        """Fetch all streams: in one request those for counting and depth, in another the rest."""
        for hot in (True, False):
            self._fetch(hot)

    def _fetch(self, hot: bool) -> tuple[int, bytes]:
        """(offset, bytes) of the part of the chunk that has the row group's hot streams, or its others."""
        if hot not in self._fetched:
            entries = [entry for name, entry in self._entry.streams.items() if (name in _HOT) == hot]
            start = min((entry.offset for entry in entries), default=0)
            end = max((entry.offset + entry.stored for entry in entries), default=0)
            self._fetched[hot] = (start, self._chunk._stored(start, end - start))
        return self._fetched[hot]

    def __missing__(self, name: str) -> bytes:
        entry = self._entry.streams.get(name)
        if entry is None:
            return b""
        codec, offset, length, raw, crc32 = entry
        hot = name in _HOT
        if hot or False in self._fetched:
            start, data = self._fetched.get(hot) or self._fetch(hot)
            stored = data[offset - start : offset - start + length]
        else:
            stored = self._chunk._stored(offset, length)
        if streams.checksum(stored) != crc32:
            raise FormatError(
                f"{self._where}: stream '{name}' is damaged (checksum); restore or convert the chunk again"
            )
        try:
            data = streams.decompress(name, codec, stored, raw)
        except FormatError as error:
            raise FormatError(f"{self._where}: {error}") from error
        self[name] = data
        return data


def open_chunk(uri: Any) -> Chunk:
    """A lone chunk at a path or URI, with nothing else at hand. Raises FormatError, UsageError."""
    from bams3.storage import open_storage

    folder, slash, name = str(uri).rpartition("/")
    return Chunk(open_storage(folder or slash or "."), name)
