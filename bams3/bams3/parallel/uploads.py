"""Writing of many objects: some are uploaded, or written through to the disk, while the next ones are written."""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO

from bams3.storage import Storage

if TYPE_CHECKING:
    from concurrent.futures import Future

PENDING = 8  # objects that are written, but not yet complete


class Uploads:
    """A writer of objects to a storage; all are complete when the context exits without an exception.

    The error of an object that could not be completed is raised by a later call, or at the end.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> "Uploads":
        from concurrent.futures import ThreadPoolExecutor

        self._pool = ThreadPoolExecutor(PENDING, "bams3-upload")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._pool.shutdown()
        if kind is None:
            self._settle(0)

    @contextmanager
    def create(self, path: str) -> Iterator[BinaryIO]:
        """Like `Storage.create`, but the object may appear later."""
        with ExitStack() as stack:
            yield stack.enter_context(self.storage.create(path))
            self._pending.append(self._pool.submit(stack.pop_all().close))
        self._settle(PENDING)

    def _settle(self, most: int) -> None:
        while len(self._pending) > most:
            self._pending.popleft().result()
