"""Threads of bams3: what an error leaves behind."""

import gc
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from bams3.parallel.workers import Workers


class Data:
    """Something large."""


def read(number: int) -> Iterator[Data]:
    for _ in range(number):
        yield Data()
    raise ValueError


def fail(data: Data) -> Data:
    raise ValueError


def same(data: Data) -> Data:
    return data


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(("number", "function"), [(0, same), (3, same), (30, same), (3, fail), (30, fail)])
def test_an_error_lets_go_of_what_was_read(
    number: int, function: Callable[[Data], Data], ordered: bool
) -> None:
    """At once: Python's search for cycles may come gigabytes later."""
    seen: list[weakref.ref[Data]] = []

    def items() -> Iterator[Data]:
        for data in read(number):
            seen.append(weakref.ref(data))
            yield data

    gc.disable()
    try:
        with suppress(ValueError), Workers(2) as workers:
            deque(workers.map(function, items(), ordered=ordered), maxlen=0)
        assert [data for data in seen if data() is not None] == []
    finally:
        gc.enable()
