"""What another process or thread does: tests wait for it here."""

import time
from collections.abc import Callable
from typing import TypeVar

Reached = TypeVar("Reached")

LIMIT = 900
"""Seconds, for what hangs: a busy machine takes minutes."""


def until(
    reached: Callable[[], Reached], goes_on: Callable[[], bool] = lambda: True, said: Callable[[], str] = str
) -> Reached:
    """Wait until `reached` returns something true, and return it. Fails with what was `said` if what should reach it
    does not go on."""
    deadline = time.monotonic() + LIMIT
    while not (found := reached()):
        assert goes_on() or reached(), said()
        assert time.monotonic() < deadline, said()
        time.sleep(0.02)
    return found
