"""Worker threads: their number, and ordered parallel mapping."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

from bams3.errors import UsageError
from bams3.warned import warn

if TYPE_CHECKING:
    from concurrent.futures import Future

TURN = 0.5
Item = TypeVar("Item")
Result = TypeVar("Result")


BASE_MEMORY = 100 << 20
"""Bytes of memory that a command needs, independent of its number of workers."""
WORKER_MEMORY = 160 << 20
"""Bytes of memory that each worker may add. With BASE_MEMORY, this is at least what was measured for any command
(docs/guide.md)."""

SMALL_TASK = 1 << 17
"""A thread takes several small row groups together, until they have this many bytes of records."""

WAITING_MEMORY, LEAST_WAITING_MEMORY = 768 << 20, 64 << 20
"""Bytes of memory for data that can also wait on disk: if the available memory is unknown, and if it is small."""


def worker_count(workers: int | str) -> int:
    """Parse a number of workers; `auto` means as many as the cores and the memory allow.

    Raises UsageError for other values.
    """
    if workers == "auto":
        from bams3.parallel.limits import available_cores, available_memory

        cores, memory = available_cores(), available_memory()
        return cores if memory is None else max(1, min(cores, (memory - BASE_MEMORY) // WORKER_MEMORY))
    try:
        number = int(workers)
    except ValueError:
        number = 0
    if number < 1:
        raise UsageError(f"workers {workers!r}: give a positive number, or auto")
    return number


def memory_to_wait(asked: int | str | None, workers: int) -> int:
    """Return the number of bytes of memory for data that can also wait on disk.

    `asked`: an integer, or a string such as "4G". By default, a quarter of what this process may use, or what this
    number of workers leaves of it if that is less. Raises UsageError for other values.
    """
    if asked is None:
        from bams3.parallel.limits import available_memory

        memory = available_memory()
        if memory is None:
            return WAITING_MEMORY
        return max(min(memory // 4, memory - BASE_MEMORY - workers * WORKER_MEMORY), LEAST_WAITING_MEMORY)
    number, unit = str(asked).upper().removesuffix("B"), 0
    if number[-1:] in "KMGT":
        number, unit = number[:-1], " KMGT".index(number[-1:])
    size = int(number) << 10 * unit if number.isdecimal() else 0
    if size < 1 << 10:  # probably a number of GB without its unit
        raise UsageError(f"--memory {asked}: give a size such as 512M or 4G")
    return size


def warn_of_memory(workers: int) -> None:
    """Print a warning if this number of workers may need more memory than this process may use."""
    from bams3.parallel.limits import available_memory

    needed, memory = BASE_MEMORY + workers * WORKER_MEMORY, available_memory()
    if memory is not None and needed > memory:
        who, advice = f"{workers} workers", "use fewer, or --workers auto"
        if workers == 1:
            who, advice = "1 worker", "allow more, or the kernel may kill the command"
        warn(
            f"{who} may need {needed // 10**6} MB of memory, but only {memory // 10**6} MB are available; {advice}"
        )


class Workers:
    """A pool of `count` threads for tasks of any kind. With a count of 1, everything runs in the calling thread.

    With an `executor`, tasks run there instead, and `count` is the number of tasks that it runs at the same time. It
    must have a method `submit`, and its futures must have `result`, `cancel` and `add_done_callback`.
    """

    def __init__(self, count: int, executor: Any = None) -> None:
        self.count = count
        self._pool = executor
        self._own: Any = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        if self._own:
            self._own.shutdown(cancel_futures=True)

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], /, *, ordered: bool = True,
        ahead: int | None = None,
    ) -> Iterator[Result]:  # fmt: skip
        """Yield results in the order of `items`, like the built-in `map`.

        An error, whether of an item or of a result, is raised at its place in that order, so that it is the same for
        any number of threads.

        Parameters
        ----------
        function
            Called with each item.
        items
            The items.
        ordered
            If False, results come as soon as they are ready. If several items fail, the error of the first one is
            raised.
        ahead
            How many items are taken in advance; by default, two for each worker.
        """
        if self.count == 1 and self._pool is None:
            return map(function, items)
        most = 2 * self.count if ahead is None else ahead
        if self._pool is None:
            return self._begun(function, iter(items), ordered, most)
        return (self._in_order if ordered else self._as_ready)(self._submit(function, items), most)

    def _begun(
        self, function: Callable[[Item], Result], items: Iterator[Item], ordered: bool, most: int
    ) -> Iterator[Result]:
        """Run a single task in the calling thread, because importing threads takes longer than many short commands."""
        taken = deque(islice(items, 1))
        failed: list[Exception] = []
        try:
            taken.extend(islice(items, 1))
        except Exception as error:
            failed.append(error)
        if len(taken) > 1:
            every = chain((taken.popleft() for _ in range(2)), items)
            yield from (self._in_order if ordered else self._as_ready)(self._submit(function, every), most)
        while taken:
            yield function(taken.popleft())
        while failed:
            raise failed.pop()

    def _in_order(self, futures: Iterable["Future[Result]"], most: int) -> Iterator[Result]:
        ahead: deque[Future[Result]] = deque()
        try:
            for future in futures:
                ahead.append(future)
                if len(ahead) > most:
                    yield result_of(ahead.popleft())
            while ahead:
                yield result_of(ahead.popleft())
        # The traceback of an error refers to this frame, which must not refer to the error or to data in turn.
        finally:
            for future in ahead:
                future.cancel()
            ahead.clear()
            future = None  # type: ignore[assignment]

    def _as_ready(self, futures: Iterable["Future[Result]"], most: int) -> Iterator[Result]:
        from queue import Empty, SimpleQueue

        ahead: dict[int, Future[Result]] = {}
        ready: SimpleQueue[int] = SimpleQueue()

        def next_result() -> Result:
            while True:
                try:
                    number = ready.get(timeout=TURN)
                    break
                except Empty:  # see `result_of`
                    pass
            try:
                return ahead.pop(number).result()
            except Exception:
                for earlier in sorted(ahead.keys() & range(number)):
                    ahead.pop(earlier).result()
                raise

        try:
            for number, future in enumerate(futures):
                ahead[number] = future
                future.add_done_callback(partial(_put, ready, number))
                if len(ahead) > most:
                    yield next_result()
            while ahead:
                yield next_result()
        finally:  # as in `_in_order`
            for future in ahead.values():
                future.cancel()
            ahead.clear()
            future = None  # type: ignore[assignment]

    def _submit(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator["Future[Result]"]:
        failed: list[Future[Result]] = []
        try:
            for item in items:
                # Threads are created only when there is work, because many commands need none.
                if self._pool is None:
                    from concurrent.futures import ThreadPoolExecutor

                    self._pool = self._own = ThreadPoolExecutor(self.count)
                yield self._pool.submit(function, item)
        except Exception as error:
            failed.append(_failed(error))
        while failed:
            yield failed.pop()


def result_of(future: "Future[Result]") -> Result:
    """Wait for a future, and return its result or raise its error.

    In CPython, a wait that begins at the very moment of a signal does not notice it. Repeated waits of TURN seconds
    delay Ctrl-C only this long in such a case; a wait for the future would delay it until the task has ended.
    """
    from threading import Event

    done = Event()
    future.add_done_callback(lambda _: done.set())
    while not done.wait(TURN):
        pass
    try:
        return future.result()
    finally:  # as in `_in_order`
        del future


def _failed(error: Exception) -> "Future[Any]":
    from concurrent.futures import Future

    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def _put(queue: Any, number: int, _: Any) -> None:
    queue.put(number)


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int | Workers
) -> Iterator[Result]:
    """Call `Workers.map` with a shared pool of workers, or with a new one of `workers` threads."""
    if isinstance(workers, Workers):
        yield from workers.map(function, items)
    else:
        with Workers(workers) as own:
            yield from own.map(function, items)


def together(items: Iterable[Item], size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Yield lists of `items`, in order.

    Small items are put together, because handing over each of them to a thread would take longer than processing it.
    `size`: returns the number of bytes of the records of an item.
    """
    run: list[Item] = []
    total = 0
    for item in items:
        run.append(item)
        total += size(item)
        if total >= SMALL_TASK:
            yield run
            run, total = [], 0
    if run:
        yield run


def watched(
    items: Iterable[Item], size: Callable[[Item], int], progress: Callable[[int], Any] | None
) -> Iterator[Item]:
    """Yield `items`, and report the size of each to `progress`."""
    for item in items:
        yield item
        if progress:
            progress(size(item))
