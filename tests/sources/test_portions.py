"""Records from portions of a stream, wherever these end; what workers guess of them; where BGZF blocks are."""

from array import array
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import hostile
import pytest
from bams3.bam.header import Header
from bams3.bam.records import find_records
from bams3.errors import SourceError
from bams3.sources.blocks import whole_blocks
from bams3.sources.stream import record_blocks
from hypothesis import example, given
from hypothesis import strategies as st


class Portions:
    """A reader of given portions."""

    name, truncated = "x.bam", False

    def __init__(self, portions: list[bytes]) -> None:
        self._portions = portions

    def portions(self, mapper: Any = map, made: Callable[[bytes], Any] = bytes) -> Iterator[Any]:
        return mapper(made, self._portions)


def cut(data: bytes, ends: list[int]) -> list[bytes]:
    borders = [0, *sorted(end % (len(data) + 1) for end in ends), len(data)]
    return [data[start:end] for start, end in pairwise(borders)]


def records(portions: list[bytes], references: int) -> bytes:
    header = Header(b"", [(f"c{number}", 1 << 30) for number in range(references)])
    blocks = record_blocks(Portions(portions), header)
    return b"".join(bytes(memoryview(block.data)[block.offsets[0] : block.offsets[-1]]) for block in blocks)


SORTED = [hostile.record(ref=0, pos=at, name=b"r%d" % at) for at in range(60)]


@given(st.lists(st.integers(0, 10_000), max_size=8))
@example([1])
def test_records_are_the_same_wherever_portions_end(ends: list[int]) -> None:
    data = b"".join(SORTED)
    assert records(cut(data, ends), 1) == data


@given(st.lists(st.integers(0, 10_000), max_size=8), st.integers(0, 59), st.sampled_from(["order", "length"]))
def test_faults_are_the_same_wherever_portions_end(ends: list[int], number: int, fault: str) -> None:
    wrong = list(SORTED)
    wrong[number] = {
        "order": hostile.record(ref=0, pos=-1 if number else 5, name=b"wrong"),
        "length": b"\x10\0\0\0" + SORTED[number][4:],
    }[fault]
    number = number if fault == "length" or number else 1
    with pytest.raises(SourceError, match=rf"^x.bam: .*record {number + 1}\b"):
        records(cut(b"".join(wrong), ends), 1)


@given(st.integers(0, 5000))
def test_the_guess_is_the_next_record(start: int) -> None:
    data = b"".join(SORTED)
    borders = [sum(map(len, SORTED[:count])) for count in range(len(SORTED) + 1)]
    start %= borders[-2]
    assert start + find_records(data[start:], 1) == min(border for border in borders if border >= start)


@given(st.binary(max_size=300))
def test_a_guess_of_any_bytes_is_among_them(data: bytes) -> None:
    assert -1 <= find_records(data, 3) < max(len(data), 1)


def test_blocks_are_found() -> None:
    one, other = hostile.bgzf_block(b"one"), hostile.bgzf_block(b"other")
    strange = one[:10] + b"\x07" + one[11:]
    sizes = [len(one), len(other)]
    cases = [
        (one + other, 0, 999, 999, 9, sizes),
        (one + other, len(one), 999, 999, 9, sizes[1:]),
        (one + other[:-1], 0, 999, 999, 9, sizes[:1]),  # the second is not whole
        (one + strange, 0, 999, 999, 9, sizes[:1]),
        (one + other, 0, len(one), 999, 9, sizes[:1]),
        (one + other, 0, 999, 3, 9, sizes[:1]),
        (one + other, 0, 999, 999, 1, sizes[:1]),
        (one, len(one), 999, 999, 9, []),
        (b"", 0, 0, 0, 0, []),
    ]
    for *arguments, expected in cases:
        found = whole_blocks(*arguments)
        assert list(found[::3]) == expected, arguments
    assert whole_blocks(one, 0, 999, 999, 9)[2] == 3


@given(st.binary(max_size=100), st.integers(0, 120))
def test_blocks_in_any_bytes(data: bytes, at: int) -> None:
    mixed = data + hostile.bgzf_block(data)[:-1]
    assert whole_blocks(mixed, at, 1 << 40, 1 << 40, 1 << 40) == array("I")
