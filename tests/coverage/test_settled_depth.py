"""Depth that is given out while reads come in: the same, in less memory. And its histogram."""

from array import array
from collections import Counter

import pytest
from bams3.coverage.depth import Depth
from bams3.coverage.measure import Histogram
from bams3.coverage.tally import Tally
from bams3.errors import FormatError
from coverage_bams import scattered_bam
from coverage_groups import row_groups
from depths import mosdepth, ours
from hypothesis import given
from hypothesis import strategies as st

LENGTH = 1_200_000
MODES = {
    "default": ([], {}),
    "fast": (["-x"], {"fast_mode": True}),
    "mates of other qualities": (["-Q", "30"], {"min_mapq": 30}),
    "unmapped reads as well": (["-F", "0"], {"exclude_flags": 0}),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("late", [0, 1, 60])
def test_equals_mosdepth(mode, late, tmp_path):
    arguments, options = MODES[mode]
    bam = scattered_bam(tmp_path / "scattered.bam", late, late)
    expected = mosdepth(bam, tmp_path / "m" / "out", arguments)
    for size in (40, 700):
        assert ours(bam, tmp_path / f"b{size}" / "out", size, **options) == expected


@pytest.mark.parametrize("mode", ["bases", "extents", "fragments"])
@pytest.mark.parametrize("late", [0, 60])
def test_depths_follow_each_other(mode, late, tmp_path):
    bam = scattered_bam(tmp_path / "scattered.bam", 5, late)
    whole, tally = Tally(LENGTH, mode=mode), Tally(LENGTH, mode=mode, incremental=True)
    settled = []
    for group in row_groups(bam, 0, 100):
        whole.add(group)
        tally.add(group)
        settled.append(tally.settled())
    settled = [*filter(None, settled), tally.finish()]
    depth = sum((one.values() for one in settled), array("i"))
    assert depth == whole.finish().values()
    assert len(depth) == LENGTH
    assert any(depth)
    if mode == "fragments":  # one may begin far before its read
        assert len(settled) == 1
    elif mode == "extents" or not late:
        assert len(settled) > 5
        assert max(map(len, settled[:-1])) < LENGTH / 4


def test_row_groups_out_of_order(tmp_path):
    first, second, *_ = row_groups(scattered_bam(tmp_path / "scattered.bam", 5, 0), 0, 400)
    tally = Tally(LENGTH, incremental=True)
    tally.add(second)
    assert tally.settled() is not None
    with pytest.raises(FormatError, match="order"):
        tally.add(first)


@given(
    st.lists(
        st.sampled_from([0, 1, 30, 511, 512, 9000, 399_990, 400_000, 400_001, 2**31 - 1, -1, -7]), max_size=30
    )
)
def test_histogram_counts_every_depth(values):
    """mosdepth leaves depths below 0 out, and counts those above 400,000 as of 399,990."""
    depth, histogram = Depth(len(values) + 3), Histogram()
    depth.put(2, array("i", [*values, 0]))
    for begin in range(0, len(values) + 3, 7):
        histogram.add(depth, begin, min(begin + 7, len(depth)))
    counted = Counter(value if value <= 400_000 else 399_990 for value in [0, 0, 0, *values] if value >= 0)
    assert histogram.summary() == depth.summary()
    assert {value: count for value, count in enumerate(histogram.to_list()) if count} == counted
