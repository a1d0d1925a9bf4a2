"""Threads that decode, and a cache of bounded size for what they decode; all virtual BAMs of a process share them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from bams3.parallel.limits import available_memory

Value = TypeVar("Value")

DEFAULT_BYTES, MOST_BYTES = 512 << 20, 4 << 30


def bytes_for_one() -> int:
    """How many bytes to keep for the programs of one user: `DEFAULT_BYTES`, but at most half of the memory that this
    process may use."""
    return _at_most_half(DEFAULT_BYTES)


def bytes_for_many() -> int:
    """How many bytes to keep for clients who read here and there: a quarter of the memory that this process may use,
    but between `DEFAULT_BYTES` and `MOST_BYTES`, and at most half of it."""
    return _at_most_half(min(max((available_memory() or 0) // 4, DEFAULT_BYTES), MOST_BYTES))


def _at_most_half(kept: int) -> int:
    memory = available_memory()
    return kept if memory is None else min(kept, memory // 2)


class Decoder(Generic[Value]):
    """Makes values in threads: each once, however many ask for it, until it is dropped as the least recently used.

    `limit`: bytes that are kept; `held`: those that are; `workers`: the number of threads. Thread-safe. A value takes
    its part of the bytes when it is made: were it counted before, many who wait would leave no room for what others
    read. A value that could not be made is forgotten, and made again for the next one who asks.
    """

    def __init__(self, limit: int = DEFAULT_BYTES, workers: int = 1) -> None:
        self.limit, self.workers = limit, workers
        self._pool = ThreadPoolExecutor(workers, "bams3-decode")
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, Future[Value]] = {}
        self._kept: OrderedDict[Hashable, tuple[Future[Value], int]] = OrderedDict()
        self.held = 0

    def submit(self, key: Hashable, size: int, make: Callable[[], Value]) -> Future[Value]:
        """Return the future of a value of `size` bytes, which `make` makes unless it is there."""
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
        """Forget a value, if it is there, since nobody is expected to ask for it again."""
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
