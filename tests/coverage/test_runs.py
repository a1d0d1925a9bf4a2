"""Reads that count as samtools counts them: kernels on columns that contradict each other, and on hostile CIGARs."""

from array import array
from typing import Any

import pytest
from bams3.coverage.mates import MateEnds
from bams3.coverage.pileup import settled
from bams3.coverage.runs import counted, keep_long
from bams3.errors import FormatError
from coverage_groups import D, I, M, N, S, group, mask_of
from hypothesis import given
from hypothesis import strategies as st

DAMAGE = {
    "pos": array("i", [1]),
    "end": array("i"),
    "cigar_start": array("I", [0, 9]),
    "cigar_count": array("I", [2**32 - 1, 1]),
    "cigar_pool": array("I"),
    "l_seq": array("i", [-1, 5]),
    "qual": b"\x1e" * 9,
    "mapq": array("B"),
    "flag": array("H", [1] * 3),
}


@pytest.mark.parametrize("column", DAMAGE)
def test_columns_that_contradict_each_other(column: str) -> None:
    reads = group([(5, M)], [(5, M)])
    setattr(reads, column, DAMAGE[column])
    with pytest.raises(FormatError, match="damaged"):
        counted(reads, mask_of(reads), min_quality=3, pileup=True, sum_to=100)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("previous", array("i", [-1, 1])),
        ("previous", array("i", [-2, -1])),
        ("next_pos", array("i", [1])),
        ("names", (b"ab", array("q", [0, 1]))),
        ("names", (b"ab", array("q", [0, 3, 2]))),
        ("names", (b"ab", array("q", [-1, 1, 2]))),
    ],
)
def test_names_that_contradict_each_other(column: str, values: Any) -> None:
    reads = group([(5, M)], [(5, M)])
    setattr(reads, column, values)
    with pytest.raises(FormatError, match="damaged"):
        MateEnds().clip(reads, mask_of(reads))


def test_clips_are_of_the_mask() -> None:
    reads = group([(5, M)], [(5, M)])
    with pytest.raises(FormatError):
        MateEnds().clip(reads, bytearray(3))
    with pytest.raises(FormatError):
        keep_long(bytearray(3), reads, 5, soft_clips=False)


operations = st.lists(st.tuples(st.integers(0, 6), st.sampled_from((M, I, D, N, S))), max_size=6)


@given(st.lists(operations, min_size=1, max_size=4), st.booleans(), st.integers(0, 20), st.data())
def test_depth_is_that_of_the_positions(
    cigars: Any, deletions: bool, begin: int, data: st.DataObject
) -> None:
    reads = group(*cigars)
    reads.qual = bytes(
        data.draw(st.lists(st.integers(0, 2), min_size=len(reads.qual), max_size=len(reads.qual)))
    )
    expected = [0] * 60
    at = 0
    for cigar in cigars:
        position, base = 10, 0
        qualities = reads.qual[at : at + sum(n for n, op in cigar if op in (M, I, S))]
        at += len(qualities)
        for length, op in cigar:
            for k in range(length if op in (M, D) else 0):
                quality = qualities[base + k * (op == M) :][:1] or b"\xff"
                counts = (op == M or deletions) and quality[0] >= 1
                expected[position + k] += counts and position + k >= begin
            position += length * (op in (M, D, N))
            base += length * (op in (M, I, S))
    runs = counted(reads, mask_of(reads), deletions=deletions, min_quality=1, begin=begin)
    (one,) = settled([runs], begin, 60)
    assert one.depth.values().tolist() == expected[begin:]
