"""Writing of many objects to a store: one upload is completed while the next objects are written."""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from bams3.storage import Storage, is_remote

if TYPE_CHECKING:
    from concurrent.futures import Future

PENDING = 8  # objects that are written, but whose upload is not complete


class Uploads:
    """A writer of objects to a storage; all are complete when the context exits without an exception.

    The error of an upload is raised by a later call, or at the end. Local files are completed immediately.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._pool: Any = None
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> "Uploads":
        if is_remote(self.storage.root):
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(PENDING, "bams3-upload")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._pool:
            self._pool.shutdown()
        if kind is None:
            self._settle(0)

    @contextmanager
    def create(self, path: str) -> Iterator[BinaryIO]:
        """Like `Storage.create`, but the object may appear later."""
        with ExitStack() as stack:
            yield stack.enter_context(self.storage.create(path))
            if self._pool:
                self._pending.append(self._pool.submit(stack.pop_all().close))
        self._settle(PENDING)

    def _settle(self, most: int) -> None:
        while len(self._pending) > most:
            self._pending.popleft().result()
