"""Prefetching: while row groups are decoded, requests for the next ones are in flight.

The work is a sequence of jobs, which are tuples that begin with a row group. For the jobs of each chunk, a plan creates
the requests (spans), and assigns them to the row groups. Plans that are not carried out are used to estimate costs.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from bams3.chunk.spans import Span

if TYPE_CHECKING:
    from concurrent.futures import Future

Job = TypeVar("Job", bound=tuple[Any, ...])
Plan = Callable[[list[Job]], list[Span]]
"""A function that creates the requests for some jobs of one chunk, and returns them."""

JOBS_AHEAD = 128
BYTES_AHEAD = 64 << 20  # fetched or in flight, and not yet consumed


def plan_hot(jobs: list[Any]) -> list[Span]:
    """Plan the streams that counting and depth need."""
    return _plan(jobs, cold=False)


def plan_all(jobs: list[Any]) -> list[Span]:
    """Plan all streams."""
    return _plan(jobs, cold=True)


def _plan(jobs: list[Any], cold: bool) -> list[Span]:
    return jobs[0][0].chunk.plan([job[0] for job in jobs], cold=cold) if jobs else []


def planned(jobs: Iterable[Job], plan: Plan[Job]) -> Iterator[tuple[Job, list[Span]]]:
    """Yield jobs, each with the spans that no job before it needs."""
    for chunk, of_chunk in groupby(jobs, key=lambda job: job[0].chunk):
        together = list(of_chunk)
        spans = plan(together)
        for job in together:
            first = [span for span in spans if span in job[0].spans or span in chunk.footer_spans]
            spans = [span for span in spans if span not in first]
            yield job, first


def fetched(jobs: Iterable[Job], plan: Plan[Job]) -> Iterator[Job]:
    """Yield jobs in order, each as soon as its spans have arrived, while those of the next jobs are being fetched.

    The error of a request is raised when its job would be yielded.
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
    """Return the first job, once everything that it needs has arrived."""
    job, _, futures = ahead.popleft()
    for future in futures:
        future.result()
    return job
