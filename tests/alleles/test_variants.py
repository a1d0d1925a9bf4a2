"""Alleles of sites, from texts of any kind, and counts that do not belong to them."""

from array import array
from itertools import pairwise
from typing import Any

import pytest
from bams3.alleles.counts import SITE_WIDTH
from bams3.alleles.variants import Alleles, count_group
from hypothesis import given
from hypothesis import strategies as st
from piles import group

words = st.text("ACGTNacgt<>*.,[", max_size=12)


def alleles(*texts: str, position: int = 6) -> Alleles:
    """Those of sites at a position, from REF and ALT of each."""
    ends, joined = array("q"), b""
    for text in texts:
        joined += b".\t" + text.encode()
        ends.append(len(joined))
    return Alleles(array("q", [position]) * len(ends), joined, ends)


@given(st.lists(st.tuples(words, words) | st.tuples(words), max_size=5), st.sampled_from([0, 6, 2**31 - 9]))
def test_each_allele_has_a_count(texts: list[tuple[str, ...]], position: int) -> None:
    made = alleles(*map("\t".join, texts), position=position)
    numbers = [
        1 + (len(rest[0].split(",")) if rest and rest[0] not in ("", ".") else 0) for _, *rest in texts
    ]
    starts = list(made.starts())
    assert [end - start for start, end in pairwise(starts)] == numbers
    forward, reverse = made.depths(
        array("i", [7]) * SITE_WIDTH * len(texts), array("i", [7, 7]) * len(made), 0, len(texts)
    )
    assert len(forward) == len(reverse) == sum(numbers)
    assert {*forward, *reverse} <= {-1, 7}
    contigs, firsts, lasts = made.places(array("i", [3]) * len(texts))
    assert {*contigs} <= {3}
    assert all(position <= first <= last < position + 12 for first, last in zip(firsts, lasts, strict=True))


def test_positions_past_the_end_of_any_contig_are_not_counted() -> None:
    assert len(alleles("AC\tGT", position=2**31 - 2)) == 0
    assert len(alleles("AC\tGT", position=2**31 - 4)) == 2


SITES: dict[str, Any] = {
    "a text that ends before it begins": lambda: Alleles(array("q", [1, 1]), b".\tA\tC", array("q", [5, 3])),
    "a text past the end": lambda: Alleles(array("q", [1]), b".\tA\tC", array("q", [6])),
    "fewer texts": lambda: Alleles(array("q", [1, 2]), b".\tA\tC", array("q", [5])),
    "fewer contigs": lambda: alleles("A\tAC").places(array("i")),
    "fewer counts of sites": lambda: alleles("A\tAC").depths(array("i"), array("i", [0] * 4), 0, 1),
    "fewer counts of patterns": lambda: alleles("A\tAC").depths(
        array("i", [0] * SITE_WIDTH), array("i", [0] * 2), 0, 1
    ),
    "more sites": lambda: alleles("A\tC").depths(array("i", [0] * SITE_WIDTH), array("i"), 0, 2),
    "a pattern that is not there": lambda: count_group(
        group(), bytearray(2), alleles("A\tAC"), array("q", [2]), array("q", [6]), 0
    ),
    "no patterns": lambda: count_group(group(), bytearray(2), alleles("A\tAC"), array("q"), array("q"), 0),
    "fewer positions": lambda: count_group(
        group(), bytearray(2), alleles("A\tAC"), array("q", [0, 1]), array("q", [6]), 0
    ),
}


@pytest.mark.parametrize("what", SITES)
def test_what_does_not_belong_together_is_refused(what: str) -> None:
    with pytest.raises(ValueError, match=r"sites?\b|patterns?\b"):
        SITES[what]()
