"""Threads of bams3: what an error leaves behind; and memory for what can wait on disk."""

import gc
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from bams3.errors import UsageError
from bams3.parallel import limits
from bams3.parallel.workers import Workers, memory_to_wait


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


GIB = 1 << 30


@pytest.mark.parametrize(
    ("asked", "available", "expected"),
    [
        ("1024", 9, 1024), ("3k", 9, 3 << 10), ("512M", 9, 512 << 20), ("4GB", 9, 4 * GIB), (7000, 9, 7000),
        ("1T", 9, 1 << 40),
        (None, 40 * GIB, 10 * GIB), (None, 2 * GIB, GIB // 2), (None, 512 << 20, 92 << 20), (None, 9, 64 << 20),
        (None, None, 768 << 20),
    ],
)  # fmt: skip
def test_memory_for_what_can_wait_on_disk(
    asked: Any, available: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "available_memory", lambda: available)
    assert memory_to_wait(asked, 2) == expected


@pytest.mark.parametrize("asked", ["", "0", "0G", "4", "-1", "1.5G", "G", "1X", "1 G", "1GG"])
def test_sizes_of_memory_that_are_none(asked: str) -> None:
    with pytest.raises(UsageError, match=f"^--memory {asked}: give a size"):
        memory_to_wait(asked, 2)
