"""Row groups whose columns contradict each other are refused before a read is made of them."""

from array import array
from typing import Any

import pytest
from bams3.alleles.piles import Piles
from bams3.errors import FormatError
from piles import group

CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "fewer positions": {"pos": array("i", [5])},
    "more flags": {"flag": array("H", [0, 0, 0])},
    "a negative length": {"l_seq": array("i", [4, -4])},
    "a CIGAR past the pool": {"cigar_count": array("I", [1, 2])},
    "a CIGAR far past the pool": {"cigar_start": array("I", [0, 2**32 - 1])},
    "fewer qualities": {"qual": bytearray(7)},
    "fewer bases": {"seq": b"\x12\x48\x12"},
    "lengths that are too long": {"l_seq": array("i", [4, 2**31 - 1])},
    "a later name before": {"previous": array("i", [1, -1])},
    "no record before": {"previous": array("i", [-2, -1])},
    "names past their end": {"names": (b"aa", array("q", [0, 1, 3]))},
    "names that overlap": {"names": (b"aa", array("q", [0, 2, 1]))},
    "fewer names": {"names": (b"aa", array("q", [0, 1]))},
    "fewer mates": {"next_pos": array("i", [6])},
    "positions that fall": {"pos": array("i", [6, 5])},
    "a position before the first": {"pos": array("i", [-2, 5])},
}


def test_columns_that_agree_make_piles() -> None:
    piles = Piles(8000, True)
    (pile,) = piles.push(group(), bytearray(b"\1\1"))
    assert (len(pile), pile.start, pile.stop, piles.finish().end) == (2, 0, 6, 10)


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({}, [2, 0]),
        ({"names": (b"ab", array("q", [0, 1, 2])), "previous": array("i", [-1, -1])}, [1, 1]),
        ({"flag": array("H", [99, 16]), "previous": array("i", [-1, -1])}, [1, 1]),
        ({"tlen": array("i", [99, -5]), "next_pos": array("i", [50, 5])}, [2, 0]),
    ],
    ids=["mates", "a mate that is yet to come", "another read of the name", "a mate that is too far"],
)
def test_of_reads_that_are_given_once_only_those_stay_that_wait(
    changed: dict[str, Any], counts: list[int]
) -> None:
    piles = Piles(8000, True, once=True)
    (pile,) = piles.push(group(**changed), bytearray(b"\1\1"))
    assert [len(pile), len(piles.finish())] == counts
    (first, second) = piles.push(group(reference_id=1), bytearray(b"\1\1"))
    assert [len(first), len(second)] == [counts[1], 2]


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_columns_that_contradict_each_other_are_refused(case: str) -> None:
    with pytest.raises(FormatError, match="the chunk is damaged"):
        Piles(8000, True).push(group(**CONTRADICTIONS[case]), bytearray(b"\1\1"))


def test_positions_that_fall_from_one_row_group_to_the_next_are_refused() -> None:
    piles = Piles(8000, True)
    piles.push(group(), bytearray(b"\1\1"))
    piles.push(group(pos=array("i", [6, 7])), bytearray(b"\1\1"))
    with pytest.raises(FormatError, match="positions do not ascend"):
        piles.push(group(), bytearray(b"\1\1"))


def test_cuts_cover_everything() -> None:
    (pile,) = Piles(8000, False).push(
        group(pos=array("i", [5, 600]), end=array("i", [9, 604])), bytearray(b"\1\1")
    )
    for most in (1, 30, 1000, 10**6):
        cuts = pile.cuts(0, 600, 2, most).tolist()
        assert (cuts[0], cuts[-1]) == (0, 600)
        assert cuts == sorted(set(cuts))
    assert len(pile.cuts(0, 600, 2, 30)) > 300
    assert len(pile.cuts(0, 600, 2, 10**6)) == 2
