"""Predict the wall time of `convert` with many workers, and print it as JSON.

python benchmarks/harness/replay.py BAM DATASET WORKERS …

First, a run is traced: each task for a worker is carried out as soon as it is submitted, so tasks run one after the
other, and their CPU time, and that of the main thread between them, is measured without contention. What the main
thread does next depends on the number of workers, but never on time, so a trace has the order of events of a real run.
`Machine` then replays the trace. It has a core for each worker, and queues for tasks, for cores, and for Python's lock.
The disk is not simulated. The output has `wall`, the predicted seconds by number of workers, and `measured`, the
seconds of a real run with two workers.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from heapq import heappop, heappush
from math import ceil
from typing import Any, NamedTuple

import bams3.operations.convert as conversion
from bams3.cli import main
from bams3.parallel.uploads import PENDING, Uploads
from bams3.parallel.workers import Workers
from sampled import sampled

SLICE = 1e-3  # seconds after which a simulated thread yields to others

RUN, SUBMIT, WRITE, WAIT = range(4)


class Trace:
    """What the main thread did, in order: it ran for some seconds, submitted task `number`, or waited for it.

    `tasks`: the CPU seconds of each task.
    """

    def __init__(self) -> None:
        self.steps: list[tuple[int, float]] = []
        self.tasks: list[float] = []
        self._since = time.thread_time()

    def note(self, kind: int, number: int) -> None:
        """Record that the main thread has run until now, and what it does next."""
        self.steps += [(RUN, time.thread_time() - self._since), (kind, number)]

    def go_on(self) -> None:
        """Record that the main thread runs from now on."""
        self._since = time.thread_time()

    def new(self) -> int:
        """Return the number of a new task."""
        self.tasks.append(0.0)
        return len(self.tasks) - 1

    def submit(self, function: Callable[[Any], Any], item: Any) -> Future[Any]:
        """Carry out a task at once; otherwise like the method of an executor."""
        future = Done(self, self.new())
        self.note(SUBMIT, future.number)
        start = time.thread_time()
        try:
            future.set_result(function(item))
        except BaseException as error:
            future.set_exception(error)
        self.tasks[future.number] = time.thread_time() - start
        self.go_on()
        return future


class Done(Future):  # type: ignore[type-arg]
    """The future of a task that has been carried out. Requests for its result are recorded."""

    def __init__(self, trace: Trace, number: int) -> None:
        super().__init__()
        self.trace, self.number = trace, number

    def result(self, timeout: float | None = None) -> Any:
        self.trace.note(WAIT, self.number)
        self.trace.go_on()
        return super().result(timeout)


class TracedUploads(Uploads):
    """Records the writing of a chunk as a task that begins when all of its row groups have been submitted."""

    trace: Trace

    def write(self, path: str, function: Any, items: Iterable[Any]) -> Any:
        self.numbers: dict[str, int] = getattr(self, "numbers", {})
        self.numbers[path] = self.trace.new()
        result = super().write(path, function, items)
        self.trace.note(WRITE, self.numbers[path])
        self.trace.go_on()
        return result

    def _create(self, path: str, function: Any, handed: Any) -> Any:
        start = time.thread_time()
        try:
            return super()._create(path, function, handed)
        finally:
            self.trace.tasks[self.numbers[path]] = time.thread_time() - start

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for number in getattr(self, "numbers", {}).values():
            self.trace.note(WAIT, number)
            self.trace.go_on()


def traced(words: list[str], workers: int) -> Trace:
    """Return the trace of a conversion with this number of workers."""
    trace = Trace()
    originals = conversion.Workers, conversion.Uploads
    TracedUploads.trace = trace
    conversion.Workers = lambda count: Workers(count, trace)  # type: ignore[assignment,misc]
    conversion.Uploads = TracedUploads  # type: ignore[misc]
    try:
        if main([*words, "--workers", str(workers)]):
            sys.exit(1)
    finally:
        conversion.Workers, conversion.Uploads = originals  # type: ignore[misc]
    trace.note(RUN, 0)
    return trace


class Locked(NamedTuple):
    """The fraction of its time in which a thread holds Python's lock."""

    main: float
    worker: float


Wish = tuple[float, bool] | None
"""What a simulated thread requests: some seconds of a core, with or without the lock; or None, to sleep until it is
woken."""
Thread = Generator[Wish, None, None]


class Machine:
    """Replays a trace on `workers` cores, with the same number of threads for tasks, and other threads that write."""

    def __init__(self, trace: Trace, workers: int, locked: Locked) -> None:
        self._trace, self._locked = trace, locked
        self._now, self._free, self._count = 0.0, workers, 0
        self._running: list[tuple[float, int, Thread, bool]] = []
        self._ready: deque[tuple[Thread, float, bool]] = deque()
        self._lock_taken = False
        self._for_lock: deque[tuple[Thread, float]] = deque()
        self._asleep: list[Thread] = []
        self._done: set[float] = set()
        tasks: deque[float] = deque()
        chunks: deque[float] = deque()
        threads = [self._main(tasks, chunks)]
        threads += [self._worker(tasks) for _ in range(workers)]
        threads += [self._worker(chunks) for _ in range(PENDING)]
        for thread in threads:
            self._resume(thread)

    def wall(self) -> float:
        """Carry out everything, and return the seconds that it takes."""
        while self._running:
            self._now, _, thread, locked = heappop(self._running)
            self._free += 1
            if locked:
                self._lock_taken = bool(self._for_lock)
                if self._for_lock:
                    self._start(*self._for_lock.popleft(), True)
            self._resume(thread)
            while self._free and self._ready:
                self._run(*self._ready.popleft())
        return self._now

    def _main(self, tasks: deque[float], chunks: deque[float]) -> Thread:
        for kind, value in self._trace.steps:
            if kind == RUN:
                yield from _sliced(value, self._locked.main)
            elif kind == WAIT:
                while value not in self._done:
                    yield None
            else:
                (chunks if kind == WRITE else tasks).append(value)
                self._wake()

    def _worker(self, tasks: deque[float]) -> Thread:
        while True:
            while not tasks:
                yield None
            number = tasks.popleft()
            yield from _sliced(self._trace.tasks[int(number)], self._locked.worker)
            self._done.add(number)
            self._wake()

    def _wake(self) -> None:
        woken, self._asleep = self._asleep, []
        for thread in woken:
            self._ready.append((thread, 0.0, False))

    def _resume(self, thread: Thread) -> None:
        """Let a thread make its next request."""
        for wish in thread:
            if wish is None:
                self._asleep.append(thread)
            elif wish[1] and self._lock_taken:
                self._for_lock.append((thread, wish[0]))
            else:
                self._lock_taken = self._lock_taken or wish[1]
                self._start(thread, *wish)
            return

    def _start(self, thread: Thread, seconds: float, locked: bool) -> None:
        if self._free:
            self._run(thread, seconds, locked)
        elif locked:  # other threads wait for it
            self._ready.appendleft((thread, seconds, locked))
        else:
            self._ready.append((thread, seconds, locked))

    def _run(self, thread: Thread, seconds: float, locked: bool) -> None:
        self._free -= 1
        self._count += 1
        heappush(self._running, (self._now + seconds, self._count, thread, locked))


def _sliced(seconds: float, locked: float) -> Iterator[Wish]:
    """Yield the slices of work, a part of which needs the lock."""
    count = ceil(seconds / SLICE)
    for _ in range(count):
        yield seconds / count * (1 - locked), False
        yield seconds / count * locked, True


def predict(bam: str, dataset: str, numbers: list[int]) -> dict[str, Any]:
    """Predict wall times; see the docstring of this module."""
    words = ["convert", "--overwrite", bam, dataset]
    shares = sampled([*words, "--workers", "2"])
    own, all_locked, shared = shares["main"], shares["locked"], shares["shared"]
    of_workers = shared - own
    locked = Locked((all_locked - of_workers) / own, of_workers / (1 - own))
    wall = {}
    for number in numbers:
        trace = traced(words, number)
        wall[number] = Machine(trace, number, locked).wall()
    return {"measured": shares["wall"], "wall": wall, "locked": locked}


if __name__ == "__main__":
    print(json.dumps(predict(sys.argv[1], sys.argv[2], list(map(int, sys.argv[3:])))))
