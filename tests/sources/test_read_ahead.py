"""Bytes of a remote source that are read ahead."""

import random

import pytest
from bams3.sources import remote
from hypothesis import given
from hypothesis import strategies as st


@given(
    cuts=st.lists(st.integers(0, 3000), max_size=8),
    reads=st.lists(st.tuples(st.integers(0, 3100), st.integers(1, 500)), max_size=20),
    portion=st.integers(1, 700),
)
def test_any_read_gives_what_is_there(
    cuts: list[int], reads: list[tuple[int, int]], portion: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was said to be read and whatever is read then, in order or not."""
    monkeypatch.setattr(remote, "PORTION", portion)
    data = random.Random(1).randbytes(3000)
    ends = sorted(cuts)
    spans = list(zip(ends[::2], ends[1::2], strict=False))
    asked: list[tuple[int, int]] = []

    def fetch(start: int, end: int) -> memoryview:
        assert 0 <= start < end <= len(data)
        asked.append((start, end))
        return memoryview(data)[start:end]

    def ahead() -> remote._ReadAhead:
        return remote._ReadAhead(
            fetch, lambda: len(data), remote._portions(remote._merged(spans)), remote.DEPTH
        )

    in_order = ahead()
    for start, end in spans:
        at = start
        while at < end:
            found = in_order.read(at, end - at)
            assert found
            assert found == data[at : at + len(found)]
            at += len(found)
    assert sorted(asked) == sorted(remote._portions(remote._merged(spans)))  # each once, and nothing else
    in_disorder = ahead()
    for start, size in reads:
        found = in_disorder.read(start, size)
        assert len(found) <= size
        assert bool(found) == (start < len(data))
        assert found == data[start : start + len(found)]
