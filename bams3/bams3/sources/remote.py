"""Alignments in an object store, read in place: only the needed ranges, with several requests in flight."""

import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import BinaryIO, cast

from bams3.errors import UsageError
from bams3.sources.inputs import MAX_SMALL, check_small, source_error
from bams3.storage import open_object
from bams3.storage.ranges import pool

FIRST = 1 << 16
"""Size in bytes of the first request for a file that is read from its start, which usually covers a BAM header."""
PORTION = 4 << 20
"""Maximum size of a request in bytes. With this size, the transfer takes longer than the latency."""
DEPTH = 8
"""Maximum number of portions in flight or waiting to be read. At 50 ms per request, they sustain 390 MB/s, as much as
eight converting threads consume; four portions sustain 230 MB/s."""
KEPT = 2
"""Number of portions that are kept after they are read, because the block at the end of a window is often the first
block of the next window, and may span two portions."""

Range = tuple[int, int]
"""Start and end of a range of bytes of a file."""


class RemoteInput:
    """An object at a URI. See `Input`.

    The object must not change while it is in use. If its name begins to refer to another object, an error is raised.
    """

    remote = True
    once = False

    def __init__(self, uri: str) -> None:
        scheme, _, rest = uri.partition("://")
        if not rest.partition("?")[0].partition("/")[2]:
            raise UsageError(f"{uri}: not a file; use {scheme}://…/NAME.bam")
        self.path = uri
        self._storage, self._key = open_object(uri)
        self.name = f"{self._storage.root}/{self._key}"
        self._ahead: _ReadAhead | None = None

    def open(self, start: int = 0, end: int | None = None) -> BinaryIO:
        if start == 0 and end is None:
            ahead = self._read_ahead(_growing(self.size), depth=1)
        elif self._ahead and self._ahead.covers(start):
            ahead = self._ahead
        else:
            self.will_read([(start, self.size() if end is None else end)])
            ahead = cast(_ReadAhead, self._ahead)
        return cast(BinaryIO, _Cursor(ahead, start))

    def will_read(self, spans: Sequence[Range]) -> None:
        size = self.size()
        merged = _merged([(start, min(end, size)) for start, end in spans])
        self._read_ahead(_portions(merged), depth=DEPTH).spans = merged

    def size(self) -> int:
        try:
            return self._storage.size(self._key)
        except OSError as error:
            raise source_error(error) from None

    def modified(self) -> float | None:
        return None

    def read_small(self) -> bytes:
        data = self._storage.get_range(self._key, 0, MAX_SMALL + 1)
        check_small(self.name, len(data))
        return data

    def close(self) -> None:
        if self._ahead:
            self._ahead.close()

    def _read_ahead(self, plan: Iterator[Range], depth: int) -> "_ReadAhead":
        self.close()
        self._ahead = _ReadAhead(self._fetch, self.size, plan, depth)
        return self._ahead

    def _fetch(self, start: int, end: int) -> memoryview:
        try:
            (data,) = self._storage.get_ranges(self._key, [(start, end - start)])  # no copy
            return memoryview(data)
        except OSError as error:
            raise source_error(error) from None


class _ReadAhead:
    """Fetches the portions of a plan in order, some of them before they are requested.

    Data that are outside the plan, or that were read long ago, are fetched on request, and only as much as requested.
    After `close`, this holds for all data.
    """

    def __init__(
        self,
        fetch: Callable[[int, int], memoryview],
        size: Callable[[], int],
        plan: Iterator[Range],
        depth: int,
    ) -> None:
        self.spans: Sequence[Range] = ()
        self._fetch, self._size, self._plan, self._depth = fetch, size, plan, depth
        self._flying: deque[tuple[Range, Future[memoryview]]] = deque()
        self._kept: deque[tuple[int, memoryview]] = deque(maxlen=KEPT)

    def covers(self, position: int) -> bool:
        return any(start <= position < end for start, end in self.spans)

    def read(self, position: int, size: int) -> bytes:
        """Read up to `size` bytes from a position on; returns none only at the end of the object."""
        self._top_up()
        for start, portion in self._kept:
            if start <= position < start + len(portion):
                return bytes(portion[position - start : position - start + size])
        while self._top_up() and self._flying[0][0][0] <= position:
            (start, end), future = self._flying.popleft()
            if end <= position:
                future.cancel()
                continue
            portion = future.result()
            self._kept.append((start, portion))
            self._depth = min(self._depth + 1, DEPTH)
            return bytes(portion[position - start : position - start + size])
        end = min(position + size, self._size())
        return bytes(self._fetch(position, end)) if position < end else b""

    def close(self) -> None:
        """Stop fetching ahead."""
        self._plan = iter(())
        for _, future in self._flying:
            future.cancel()
        self._flying.clear()

    def _top_up(self) -> bool:
        """Put as many portions in flight as allowed; returns False if none are left."""
        for span in islice(self._plan, self._depth - len(self._flying)):
            self._flying.append((span, pool().submit(self._fetch, *span)))
        return bool(self._flying)


class _Cursor(io.RawIOBase):
    """A file object over a read-ahead, which it may share with other cursors."""

    def __init__(self, ahead: _ReadAhead, position: int) -> None:
        self._ahead, self._position = ahead, position

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return self.readall()
        data = self._ahead.read(self._position, size) if size else b""
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only seeking from the start is supported")
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def _growing(size: Callable[[], int]) -> Iterator[Range]:
    """Yield the portions of an object from its start, small ones first, because only the start may be needed."""
    yield 0, FIRST  # the response tells the size of the object
    start, length = FIRST, 2 * FIRST
    while start < size():
        yield start, min(start + length, size())
        start, length = start + length, min(2 * length, PORTION)


def _merged(spans: Sequence[Range]) -> list[Range]:
    """Spans in order; a span that touches or overlaps the previous one is merged into it."""
    found: list[Range] = []
    for start, end in spans:
        if found and found[-1][0] <= start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif start < end:
            found.append((start, end))
    return found


def _portions(spans: Sequence[Range]) -> Iterator[Range]:
    for start, end in spans:
        for at in range(start, end, PORTION):
            yield at, min(at + PORTION, end)
