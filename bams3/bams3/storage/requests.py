"""Requests to object stores: limit on concurrency, retries, log and totals.

Every request goes through `perform`, which waits for its turn, retries after transient failures, and records the
request in the log and the totals.
"""

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeVar

from bams3.errors import UsageError
from bams3.shown import shown
from bams3.storage.environment import number
from bams3.storage.faults import RequestError

Result = TypeVar("Result")

# Environment variable: a file to append one line per request to; "-": standard error.
LOG = "BAMS3_LOG_REQUESTS"
LIMIT = "BAMS3_MAX_REQUESTS"  # environment variable: maximum number of requests in flight
ATTEMPTS = "AWS_MAX_ATTEMPTS"  # environment variable: maximum number of attempts per request

DEFAULT_LIMIT = 50
DEFAULT_ATTEMPTS = 10
# Seconds; the pause before the first retry is a random time up to this; the bound doubles …
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0  # … up to this


class Limiter:
    """Allows at most `limit` simultaneous requests in this process.

    The limit is halved when a store reports too many requests (only once for all requests that were in flight then),
    and is increased by one after about `limit` successful requests, up to `most`. This is additive increase and
    multiplicative decrease, as in TCP (Chiu and Jain 1989).
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self._in_flight = 0
        self._halvings = 0
        self._free = threading.Condition()

    @contextmanager
    def turn(self) -> Iterator[int]:
        """Context manager: wait for a free slot, and count a request as in flight; yield `begun` for `slow_down`."""
        with self._free:
            self._free.wait_for(lambda: self._in_flight < max(1, int(self.limit)))
            self._in_flight += 1
            begun = self._halvings
        try:
            yield begun
        finally:
            with self._free:
                self._in_flight -= 1
                self._free.notify()

    def slow_down(self, begun: int) -> None:
        """Record that the store refused a request because of too many.

        `begun`: the number of halvings when it began.
        """
        with self._free:
            if begun == self._halvings:
                self._halvings += 1
                self.limit = max(1.0, self.limit / 2)

    def succeeded(self) -> None:
        """Record that a request succeeded."""
        if self.limit < self.most:
            with self._free:
                self.limit = min(float(self.most), self.limit + 1 / self.limit)
                self._free.notify()


@dataclass
class RequestTotals:
    """Totals of this process: requests to object stores (including retries), and bytes of bodies."""

    requests: int = 0
    received: int = 0
    sent: int = 0


_totals = RequestTotals()
_lock = threading.Lock()
_limiter: Limiter | None = None


def totals() -> RequestTotals:
    """Return a copy of the totals so far."""
    with _lock:
        return replace(_totals)


def limiter() -> Limiter:
    """Return the limiter of this process."""
    global _limiter
    with _lock:
        if _limiter is None:
            _limiter = Limiter(number(LIMIT, DEFAULT_LIMIT))
        return _limiter


def perform(
    method: str,
    key: str,
    request: Callable[[], Result],
    *,
    span: str = "",
    sent: int = 0,
    received: Callable[[Result], int] = lambda _: 0,
) -> Result:
    """Make a request, retry it after transient failures, and return its result.

    Parameters
    ----------
    method
        The HTTP method, or LIST, for the log.
    key
        URI of the object, for the log.
    request
        Makes the request.
    span
        The requested range of bytes, for the log.
    sent
        Number of bytes in the body.
    received
        Returns the number of bytes that were received in a result.

    Raises
    ------
    RequestError
        If the last attempt failed.
    """
    attempts, gate, lost = number(ATTEMPTS, DEFAULT_ATTEMPTS), limiter(), False
    for attempt in count(1):
        with gate.turn() as begun:
            started = time.perf_counter()
            try:
                result = request()
            except Exception as error:
                fault = RequestError.of(error)
                note(method, key, span, 0, sent, started, fault.status or fault.kind)
            else:
                status = 206 if span else 200
                note(method, key, span, received(result), sent, started, status)
                gate.succeeded()
                return result
        if fault.slow_down:
            gate.slow_down(begun)
        lost = lost or fault.status is None or fault.status >= 500
        if not fault.passing or attempt >= attempts:
            fault.attempts, fault.lost = attempt, lost
            raise fault from None
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))
        time.sleep(random.random() * longest)  # not a secret # nosec B311
    raise AssertionError("not reached")


def note(
    method: str, key: str, span: str, received: int, sent: int, started: float, status: int | str
) -> None:
    """Count a request and, if enabled, log its method, key, range, bytes, milliseconds and status."""
    with _lock:
        _totals.requests += 1
        _totals.received += received
        _totals.sent += sent
    where = os.environ.get(LOG)
    if not where:
        return
    milliseconds = (time.perf_counter() - started) * 1e3
    line = f"{method}\t{shown(key)}\t{span or '-'}\t{received or sent}\t{milliseconds:.1f}\t{status}\n"
    data = line.encode()
    if where == "-":
        sys.stderr.buffer.write(data)
        sys.stderr.flush()
        return
    try:
        file = os.open(where, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(
                file, data
            )  # one call per line, so that the lines of several threads and processes do not mix
        finally:
            os.close(file)
    except OSError as error:  # it must not be mistaken for an error of the store
        raise UsageError(f"{where}: {error.strerror}; choose another file for the log of requests") from None
