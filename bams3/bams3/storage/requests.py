"""Requests to an object store: how many at once, when again, and what was asked.

Each request goes through `perform`, which waits for its turn, repeats it after a fault that may pass, and notes
it in the log and the totals.
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

LOG = "BAMS3_LOG_REQUESTS"  # environment: a file to append a line a request to; "-" is standard error
LIMIT = "BAMS3_MAX_REQUESTS"  # environment: requests in flight, at most
ATTEMPTS = "AWS_MAX_ATTEMPTS"  # environment: how often a request is made, at most

DEFAULT_LIMIT = 50
DEFAULT_ATTEMPTS = 10
FIRST_PAUSE = 0.1  # seconds: the mean pause before the first repetition is half of it, and doubles …
LONGEST_PAUSE = 10.0  # … up to half of this


class Limiter:
    """Lets at most `limit` requests through at once, process-wide.

    The limit is halved when a store says that there are too many, at most once for all that were in flight then,
    and grows by one for about `limit` requests that succeed, up to `most` (additive increase, multiplicative
    decrease, as TCP has it: Chiu and Jain 1989).
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self._in_flight = 0
        self._halvings = 0
        self._free = threading.Condition()

    @contextmanager
    def turn(self) -> Iterator[int]:
        """Wait until a request may be made, and count it as in flight; gives what `slow_down` is to be told."""
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
        """A request that began after `begun` halvings met a store that has too many."""
        with self._free:
            if begun == self._halvings:
                self._halvings += 1
                self.limit = max(1.0, self.limit / 2)

    def succeeded(self) -> None:
        """A request went well."""
        if self.limit < self.most:
            with self._free:
                self.limit = min(float(self.most), self.limit + 1 / self.limit)
                self._free.notify()


@dataclass
class Totals:
    """What this process has asked of object stores: requests (repetitions included), bytes of bodies."""

    requests: int = 0
    received: int = 0
    sent: int = 0


_totals = Totals()
_lock = threading.Lock()
_limiter: Limiter | None = None


def totals() -> Totals:
    """What has been asked so far."""
    with _lock:
        return replace(_totals)


def limiter() -> Limiter:
    """The limiter of this process."""
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
    """Make a request, again where a fault may pass, and return what it gives.

    `key` is the object's URI as it may be shown, `span` the range of bytes asked for, `sent` the bytes of the
    body. Raises RequestError.
    """
    attempts, gate = number(ATTEMPTS, DEFAULT_ATTEMPTS), limiter()
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
        if not fault.passing or attempt >= attempts:
            fault.attempts = attempt
            raise fault from None
        time.sleep(random.random() * min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)))
    raise AssertionError("not reached")


def note(
    method: str, key: str, span: str, received: int, sent: int, started: float, status: int | str
) -> None:
    """Count a request, and log it where that was asked for: method, key, range, bytes, milliseconds, status."""
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
            os.write(file, data)  # one call a line, so that those of many threads and processes do not mix
        finally:
            os.close(file)
    except OSError as error:  # not to be taken for what the store said
        raise UsageError(f"{where}: {error.strerror}; requests can't be logged there") from None
