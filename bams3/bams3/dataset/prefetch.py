"""Fetching ahead: the requests for what is to be decoded next are in flight while something is decoded.

What is decoded are jobs: tuples that begin with a row group. What is requested for them is told chunk by chunk by a
plan, which gives the row groups their spans. The same plans, not carried out, tell what an operation costs.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from bams3.chunk.reader import Span

if TYPE_CHECKING:
    from concurrent.futures import Future

Job = TypeVar("Job", bound=tuple[Any, ...])
Plan = Callable[[list[Job]], list[Span]]
"""Makes the requests for some jobs of one chunk, and returns them."""

JOBS_AHEAD = 128
BYTES_AHEAD = 64 << 20  # that are fetched, or on their way, and not yet taken


def plan_hot(jobs: list[Any]) -> list[Span]:
    """The streams that counting and depth need."""
    return _plan(jobs, cold=False)


def plan_all(jobs: list[Any]) -> list[Span]:
    """All streams."""
    return _plan(jobs, cold=True)


def _plan(jobs: list[Any], cold: bool) -> list[Span]:
    return jobs[0][0].chunk.plan([job[0] for job in jobs], cold=cold) if jobs else []


def planned(jobs: Iterable[Job], plan: Plan[Job]) -> Iterator[tuple[Job, list[Span]]]:
    """Jobs, each with the spans that it is the first to need."""
    for chunk, of_chunk in groupby(jobs, key=lambda job: job[0].chunk):
        together = list(of_chunk)
        spans = plan(together)
        for job in together:
            first = [span for span in spans if span in job[0].spans or span in chunk.footer_spans]
            spans = [span for span in spans if span not in first]
            yield job, first


def fetched(jobs: Iterable[Job], plan: Plan[Job]) -> Iterator[Job]:
    """Jobs in their order, each when its spans are there; those of the next ones are fetched meanwhile.

    Raises what a request raises where its job stands in the order.
    """
    from bams3.storage.ranges import pool

    ahead: deque[tuple[Job, int, list[Future[memoryview]]]] = deque()
    volume = 0
    try:
        for job, spans in planned(jobs, plan):
            size = sum(span.length for span in spans)
            ahead.append((job, size, [pool().submit(span.fetch) for span in spans]))
            volume += size
            while len(ahead) > JOBS_AHEAD or (volume > BYTES_AHEAD and len(ahead) > 1):
                volume -= ahead[0][1]
                yield _arrived(ahead)
        while ahead:
            yield _arrived(ahead)
    finally:
        for _, _, futures in ahead:
            for future in futures:
                future.cancel()


def _arrived(ahead: "deque[tuple[Job, int, list[Future[memoryview]]]]") -> Job:
    """The first job, when it has all that it needs."""
    job, _, futures = ahead.popleft()
    for future in futures:
        future.result()
    return job
