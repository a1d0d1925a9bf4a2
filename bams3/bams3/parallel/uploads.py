"""Writing of many objects to a store: each is written and completed by a thread, while the next ones begin.

Small objects are written several at a time, because handing over and syncing each of them would take longer than
writing it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BytesIO
from queue import Queue
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from bams3.parallel.limits import open_files
from bams3.storage import Storage

if TYPE_CHECKING:
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")

PENDING = 8  # greatest number of objects that are being written
AHEAD = 2  # number of items of an object that wait to be written
TOGETHER = 16  # greatest number of small objects that one thread writes
OTHER_FILES = 40  # number of files that a process may have open besides the objects that it writes
_END, _STOP = object(), object()


class Uploads:
    """A writer of objects to a storage. All are complete when the context exits without an exception.

    An error in writing an object is raised by a later call, or at the end.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._pending: deque[Future[Any]] = deque()
        self._together = _Together()
        self._most_together = min(max((open_files() - OTHER_FILES) // PENDING, 1), TOGETHER)

    def __enter__(self) -> "Uploads":
        from concurrent.futures import ThreadPoolExecutor

        self._pool = ThreadPoolExecutor(PENDING, "bams3-upload")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._write_together()
        finally:
            self._pool.shutdown()
        if kind is None:
            self._settle(0)

    def write(
        self, path: str, function: Callable[[BinaryIO, Iterator[Item]], Result], items: Iterable[Item]
    ) -> Callable[[], Result]:
        """Write an object: a thread calls `function` with a file to write to, and with the items.

        The items are taken in the calling thread, one after the other. Returns a function that waits until the object
        is complete, and returns the result of `function`.
        """
        handed: Queue[Any] = Queue(AHEAD)
        future: Future[Result] = self._pool.submit(self._create, path, function, handed)
        try:
            for item in items:
                handed.put(item)
        except BaseException:
            handed.put(_STOP)
            raise
        handed.put(_END)
        self._pending.append(future)
        self._settle(PENDING - 1)
        return future.result

    def write_small(self, path: str, function: Callable[[BinaryIO], Result]) -> Callable[[], Result]:
        """Write a small object, like `write`, but without items."""
        result = self._together.add(path, function)
        if len(self._together.objects) == self._most_together:
            self._write_together()
        return result

    def _write_together(self) -> None:
        together, self._together = self._together, _Together()
        if together.objects:
            together.future = self._pool.submit(together.write, self.storage)
            self._pending.append(together.future)
            self._settle(PENDING - 1)

    def _create(
        self, path: str, function: Callable[[BinaryIO, Iterator[Item]], Result], handed: "Queue[Any]"
    ) -> Result:
        items = _taken(handed)
        try:
            with self.storage.create(path) as file:
                return function(file, items)
        except BaseException:
            for _ in items:  # the other thread must not wait for room
                pass
            raise

    def _settle(self, most: int) -> None:
        while len(self._pending) > most:
            self._pending.popleft().result()


class _Together:
    """Small objects that one thread writes together."""

    def __init__(self) -> None:
        self.objects: list[tuple[str, Callable[[BinaryIO], Any]]] = []
        self.future: Future[list[Any]] | None = None

    def add(self, path: str, function: Callable[[BinaryIO], Result]) -> Callable[[], Result]:
        self.objects.append((path, function))
        return partial(self._result, len(self.objects) - 1)

    def _result(self, number: int) -> Any:
        assert self.future is not None
        return self.future.result()[number]

    def write(self, storage: Storage) -> list[Any]:
        results, objects = [], []
        for path, function in self.objects:
            file = BytesIO()
            results.append(function(file))
            objects.append((path, file.getvalue()))
        storage.put_all(objects)
        self.objects.clear()
        return results


def _taken(handed: "Queue[Any]") -> Iterator[Any]:
    """Yield items until the end. Raises _StoppedError if the remaining ones will not come."""
    while (item := handed.get()) is not _END:
        if item is _STOP:
            raise _StoppedError
        yield item


class _StoppedError(Exception):
    """The calling thread has failed, so the object must not appear."""
