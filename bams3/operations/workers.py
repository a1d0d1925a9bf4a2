"""How many threads, and work shared among them in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from bams3.errors import UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """Cores that this process may use: its affinity, and its cgroup's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):
        return cores


def worker_count(workers: int | str) -> int:
    """A number of workers, or `auto` for all available cores. Raises UsageError for anything else."""
    if workers == "auto":
        return available_cores()
    try:
        number = int(workers)
    except ValueError:
        number = 0
    if number < 1:
        raise UsageError(f"workers {workers!r}: give a number from 1, or auto")
    return number


def in_order(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """`map` by `workers` threads: results in the order of `items`, of which only a few are taken ahead."""
    if workers < 2:
        yield from map(function, items)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def watched(
    items: Iterable[Item], size: Callable[[Item], int], progress: Callable[[int], Any] | None
) -> Iterator[Item]:
    """`items` as they come, the size of each reported to `progress`."""
    for item in items:
        yield item
        if progress:
            progress(size(item))
