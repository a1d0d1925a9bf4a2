"""Threads that decode, and a cache of limited size for the results. All virtual BAMs of a process share them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from bams3.parallel.limits import available_memory

Value = TypeVar("Value")

DEFAULT_BYTES, MOST_BYTES = 512 << 20, 4 << 30


def bytes_for_one() -> int:
    """The number of bytes to keep for the programs of one user: `DEFAULT_BYTES`, but at most half of the memory that
    this process may use."""
    return _at_most_half(DEFAULT_BYTES)


def bytes_for_many() -> int:
    """The number of bytes to keep for many clients who read in different places: a quarter of the memory that this
    process may use, but between `DEFAULT_BYTES` and `MOST_BYTES`, and at most half of the memory."""
    return _at_most_half(min(max((available_memory() or 0) // 4, DEFAULT_BYTES), MOST_BYTES))


def _at_most_half(kept: int) -> int:
    memory = available_memory()
    return kept if memory is None else min(kept, memory // 2)


class Decoder(Generic[Value]):
    """A cache that makes values in threads. Each value is made once, even if several callers request it at the same
    time; the least recently used values are dropped. Thread-safe.

    `limit` is the most bytes that are kept, `held` the number of bytes that are kept now, and `workers` the number of
    threads. The size of a value counts only once it is made; otherwise many pending requests would leave no room for
    values that others read. A value that could not be made is forgotten, and made again for the next request.
    """

    def __init__(self, limit: int = DEFAULT_BYTES, workers: int = 1) -> None:
        self.limit, self.workers = limit, workers
        self._pool = ThreadPoolExecutor(workers, "bams3-decode")
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, Future[Value]] = {}
        self._kept: OrderedDict[Hashable, tuple[Future[Value], int]] = OrderedDict()
        self.held = 0

    def submit(self, key: Hashable, size: int, make: Callable[[], Value]) -> Future[Value]:
        """Return the future of a value of `size` bytes. `make` makes the value if it is not in the cache."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
            if key in self._waiting:
                return self._waiting[key]
            self._waiting[key] = future = self._pool.submit(make)
        future.add_done_callback(lambda done: self._keep(key, size, done))
        return future

    def drop(self, key: Hashable) -> None:
        """Drop a value from the cache, if it is there, because it will probably not be requested again."""
        with self._lock:
            if key in self._kept:
                self.held -= self._kept.pop(key)[1]

    def _keep(self, key: Hashable, size: int, done: Future[Value]) -> None:
        with self._lock:
            del self._waiting[key]
            if done.cancelled() or done.exception():
                return
            self._kept[key] = done, size
            held = self.held + size
            while held > self.limit and len(self._kept) > 1:
                held -= self._kept.popitem(last=False)[1][1]
            self.held = held
