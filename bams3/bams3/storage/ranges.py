"""Many ranges of an object in few requests."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

GAP = 1 << 17  # bytes between two ranges that are fetched rather than asked for in two requests
MERGED = 8 << 20  # bytes that near ranges are merged up to


class Run(NamedTuple):
    """Ranges that one request fetches: `start`, `end`, and which they are."""

    start: int
    end: int
    members: list[int]


def merge_ranges(ranges: Sequence[tuple[int, int]]) -> list[Run]:
    """The requests for ranges (start, length): those at most GAP apart together, up to MERGED bytes.

    A longer range is one request all the same; empty ranges are in none.
    """
    runs: list[Run] = []
    for member in sorted(range(len(ranges)), key=ranges.__getitem__):
        start, length = ranges[member]
        if length <= 0:
            continue
        end = start + length
        last = runs[-1] if runs else None
        if last and start - last.end <= GAP and max(end, last.end) - last.start <= MERGED:
            runs[-1] = Run(last.start, max(end, last.end), last.members)
            last.members.append(member)
        else:
            runs.append(Run(start, end, [member]))
    return runs


def fetch(
    fetch_range: Callable[[int, int], memoryview], ranges: Sequence[tuple[int, int]]
) -> list[memoryview]:
    """The bytes of every range, by `fetch_range(start, end)` of the merged ones, in parallel."""
    runs = merge_ranges(ranges)
    found = [memoryview(b"")] * len(ranges)

    def fetch_run(run: Run) -> memoryview:
        return fetch_range(run.start, run.end)

    fetched = map(fetch_run, runs) if len(runs) < 2 else pool().map(fetch_run, runs)
    for run, data in zip(runs, fetched, strict=True):
        for member in run.members:
            start, length = ranges[member]
            found[member] = data[start - run.start : start - run.start + length]
    return found


@cache
def pool() -> "ThreadPoolExecutor":
    """Threads that wait for answers. Only for single requests: what waits for others in here could wait forever."""
    from concurrent.futures import ThreadPoolExecutor

    from bams3.storage.requests import limiter

    return ThreadPoolExecutor(limiter().most, "bams3-request")
