"""Reads that count as samtools counts them: kernels on columns that contradict each other, and on hostile CIGARs."""

from array import array
from types import SimpleNamespace
from typing import Any

import pytest
from bams3.coverage.mates import MateEnds
from bams3.coverage.pileup import pieces
from bams3.coverage.runs import counted, keep_long
from bams3.errors import FormatError
from hypothesis import given
from hypothesis import strategies as st

M, I, D, N, S = range(5)  # noqa: E741


def group(*cigars: list[tuple[int, int]], pos: int = 10, quality: int = 30) -> Any:
    """Reads at a position, with these CIGARs."""
    n = len(cigars)
    lengths = [sum(length for length, op in cigar if op in (M, I, S)) for cigar in cigars]
    spans = [sum(length for length, op in cigar if op in (M, D, N)) for cigar in cigars]
    counts = [len(cigar) for cigar in cigars]
    return SimpleNamespace(
        records=n, reference_id=0, pos=array("i", [pos] * n), end=array("i", [pos + (span or 1) for span in spans]),
        flag=array("H", [1] * n), mapq=array("B", [60] * n), l_seq=array("i", lengths),
        qual=bytes([quality]) * sum(lengths), cigar_start=array("I", [sum(counts[:i]) for i in range(n)]),
        cigar_count=array("I", counts), cigar_pool=array("I", [n << 4 | op for cigar in cigars for n, op in cigar]),
        previous=array("i", [-1] * n), next_ref=array("i", [0] * n), next_pos=array("i", [pos] * n),
        names=(b"a" * n, array("q", range(n + 1))),
    )  # fmt: skip


def mask_of(reads: Any) -> bytearray:
    return bytearray(b"\1") * reads.records


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
    (piece,) = pieces([runs], begin, 60)
    assert piece.depth.values().tolist() == expected[begin:]
