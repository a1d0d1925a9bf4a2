"""The grid of windows and its batches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bams3.dataset import layout
from bams3.errors import UsageError

SIZES = st.lists(st.one_of(st.just(0), st.integers(0, 100), st.integers(0, 1 << 40)), max_size=30)


@given(SIZES, st.integers(1, 40))
def test_batches_partition_the_windows(sizes: list[int], of: int) -> None:
    windows = list(range(len(sizes)))
    batches = [layout.batch(windows, sizes, number, of) for number in range(1, of + 1)]
    assert [window for batch in batches for window in batch] == windows
    if any(sizes) and of < len(sizes):
        fair, largest = sum(sizes) / of, max(sizes)
        assert all(sum(sizes[window] for window in batch) <= fair + largest for batch in batches)


BATCHES = [
    ([5, 5, 5, 5], [[0, 1], [2, 3]]),
    ([9, 1, 1, 1, 6], [[0], [1, 2, 3, 4]]),
    ([0, 0, 0, 0, 0], [[0, 1], [2], [3, 4]]),
    ([0, 0, 7, 0, 0, 0], [[0, 1], [2], [3, 4, 5]]),
    ([100, 0, 0], [[0], [1], [2]]),
    ([100], [[], [0], []]),
    ([], [[], []]),
]


@pytest.mark.parametrize(("sizes", "expected"), BATCHES)
def test_batches(sizes: list[int], expected: list[list[int]]) -> None:
    windows, of = list(range(len(sizes))), len(expected)
    assert [layout.batch(windows, sizes, number, of) for number in range(1, of + 1)] == expected


@pytest.mark.parametrize(("number", "of"), [(0, 1), (2, 1), (1, 0)])
def test_impossible_batches(number: int, of: int) -> None:
    with pytest.raises(UsageError, match="i/n"):
        layout.batch([1], [1], number, of)
