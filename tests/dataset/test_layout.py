"""The grid of windows and its batches."""

from itertools import combinations_with_replacement, pairwise

import pytest
from bams3.dataset import layout
from bams3.errors import UsageError
from hypothesis import given
from hypothesis import strategies as st

SIZES = st.lists(st.one_of(st.just(0), st.integers(-9, 100), st.integers(0, 1 << 63)), max_size=30)


@given(SIZES, st.integers(1, 40))
def test_runs_are_a_partition(sizes: list[int], of: int) -> None:
    windows = list(range(len(sizes)))
    runs = layout.split(windows, sizes, of)
    assert [window for run in runs for window in run] == windows
    assert all(runs)
    with_size = sum(size > 0 for size in sizes) or len(windows)
    assert len(runs) == min(of, with_size)
    assert all(any(sizes[window] > 0 for window in run) for run in runs) or with_size == len(windows)
    batches = [layout.batch(windows, sizes, number, of) for number in range(1, of + 1)]
    assert batches == runs + [[]] * (of - len(runs))
    assert layout.batch(windows, sizes, 1 << 40, 1 << 40) == []


@given(
    st.lists(st.one_of(st.just(0), st.integers(0, 9), st.integers(0, 1 << 62)), max_size=9),
    st.integers(1, 10),
)
def test_the_largest_run_is_as_small_as_it_can_be(sizes: list[int], of: int) -> None:
    """Of all ways to cut (brute force)."""
    cuts = combinations_with_replacement(range(len(sizes) + 1), of - 1)
    smallest = min(
        max(sum(sizes[start:end]) for start, end in pairwise([0, *cut, len(sizes)])) for cut in cuts
    )
    assert max(map(sum, layout.split(sizes, sizes, of)), default=0) == smallest


@given(st.lists(st.integers(50, 100), min_size=1), st.integers(1, 10))
def test_runs_are_balanced_where_sizes_allow(sizes: list[int], of: int) -> None:
    """With ten or more to a run the largest is at most 1.2 times the mean; the sizes are of chunks of a genome."""
    runs = [sum(run) for run in layout.split(sizes * 10, sizes * 10, of)]
    if len(sizes) >= of:
        assert max(runs) <= 1.2 * sum(runs) / of


BATCHES = [
    ([5, 5, 5, 5], [[0, 1], [2, 3]]),
    ([9, 1, 1, 1, 6], [[0], [1, 2, 3, 4]]),
    ([0, 0, 0, 0, 0], [[0], [1, 2], [3, 4]]),
    ([0, 0, 7, 0, 0, 0], [[0, 1, 2, 3, 4, 5], [], []]),
    ([100, 0, 0, 1], [[0, 1, 2], [3], []]),
    ([8, 10, 7, 17], [[0], [1, 2], [3]]),
    ([3, 3, 3, 1, 1, 1], [[0], [1], [2, 3, 4, 5]]),
    ([1, 1, 1, 1, 1, 1, 1, 8], [[0, 1, 2, 3, 4], [5, 6], [7]]),
    ([100], [[0], [], []]),
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


@given(SIZES, st.integers(1, 40))
def test_sizes_by_place(sizes: list[int], of: int) -> None:
    """Those of some items are enough: the others have none."""
    some = {place: size for place, size in enumerate(sizes) if size}
    assert layout.split(range(len(sizes)), some, of) == layout.split(range(len(sizes)), sizes, of)


@given(st.lists(st.integers(0, 3 << 18), max_size=5), st.integers(0, 20), st.integers(0, 20))
def test_a_grid_is_its_windows(lengths: list[int], first: int, last: int) -> None:
    size = 1 << 18
    cells = [
        layout.Window(number, start, start + size)
        for number, length in enumerate(lengths)
        for start in range(0, max(length, 1), size)
    ] + [layout.Window(layout.UNPLACED, 0, 0)]
    whole = layout.Grid([(f"c{length}", length) for length in lengths], size)
    grid, cells = whole[first:last], cells[first:last]
    assert list(grid) == [grid[place] for place in range(len(grid))] == cells
    assert [grid.index_of(*cell[:2]) for cell in cells] == list(range(len(cells)))
    assert [cell for run in grid.runs() for cell in layout.cells(run, size)] == cells
    assert len(list(grid.runs())) == len({cell.reference_id for cell in cells})
    for outside in ((len(lengths), 0), (0, 1), (0, -size), (0, 4 * size), (-2, 0)):
        assert grid.index_of(*outside) is None


def test_how_many_contigs_are_many() -> None:
    many = [("x", 9)] * 4097
    assert len(layout.Grid(many, 1 << 20).shared) == 4096
    assert not layout.Grid(many[1:], 1 << 20).shared
