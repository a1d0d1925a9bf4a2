"""Fetching of many ranges of an object with few requests."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

GAP = 1 << 17  # maximum bytes between two ranges that one request fetches
MERGED = 8 << 20  # maximum bytes of a request for several ranges


class RangeRequest(NamedTuple):
    """A request for one or more ranges: `start` and `end` in bytes, and the indexes of the ranges (`members`)."""

    start: int
    end: int
    members: list[int]


def merge_ranges(ranges: Sequence[tuple[int, int]], gap: int = GAP) -> list[RangeRequest]:
    """Merge ranges (start, length) that are at most `gap` bytes apart into requests of up to MERGED bytes.

    A range that is longer than this is still one request. Empty ranges need no request.
    """
    runs: list[RangeRequest] = []
    for member in sorted(range(len(ranges)), key=ranges.__getitem__):
        start, length = ranges[member]
        if length <= 0:
            continue
        end = start + length
        last = runs[-1] if runs else None
        if last and start - last.end <= gap and max(end, last.end) - last.start <= MERGED:
            runs[-1] = RangeRequest(last.start, max(end, last.end), last.members)
            last.members.append(member)
        else:
            runs.append(RangeRequest(start, end, [member]))
    return runs


def fetch(
    fetch_range: Callable[[int, int], memoryview], ranges: Sequence[tuple[int, int]]
) -> list[memoryview]:
    """Return the bytes of every range. `fetch_range(start, end)` is called in parallel for the merged ranges."""
    runs = merge_ranges(ranges)
    found = [memoryview(b"")] * len(ranges)

    def fetch_run(run: RangeRequest) -> memoryview:
        return fetch_range(run.start, run.end)

    fetched = map(fetch_run, runs) if len(runs) < 2 else pool().map(fetch_run, runs)
    for run, data in zip(runs, fetched, strict=True):
        for member in run.members:
            start, length = ranges[member]
            found[member] = data[start - run.start : start - run.start + length]
    return found


@cache
def pool() -> "ThreadPoolExecutor":
    """Return the threads that wait for responses. A task must not wait for another task here, which could deadlock."""
    from concurrent.futures import ThreadPoolExecutor

    from bams3.storage.requests import limiter

    return ThreadPoolExecutor(limiter().most, "bams3-request")
