"""Templates as aligners print them, and as they should not: reads of one name, side by side."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import hostile
from hypothesis import strategies as st

CONTIGS = [("a", 1000), ("b", 60), ("c", 300_000_000)]
FLAGS = st.sampled_from([0, 4, 16, 65, 129, 77, 141, 83, 163, 99, 147, 73, 133, 256, 2048, 2113, 2193, 385])
TAGS = ["MQ", "MC", "ms", "NM", "MD", "SM", "RG", "zz"]
ENDS = {"a": [0, 900, 950, 990, 999, 1000, 2000], "b": [0, 1, 10, 30, 59, 60]}


@cache
def tags() -> st.SearchStrategy[list[bytes]]:
    """Those that are written anew with any type, also twice."""
    usual = st.sampled_from(
        [("MQ", "C", 60), ("MQ", "i", 7), ("MC", "Z", b"9M"), ("ms", "S", 400), ("CG", "Z", b"")]
    )
    any_ = st.builds(lambda name, pair: hostile.tag(name, *pair), st.sampled_from(TAGS), hostile.tag_values())
    return st.lists(usual.map(lambda given: hostile.tag(*given)) | any_, max_size=5)


@cache
def cigars() -> st.SearchStrategy[list[tuple[int, int]]]:
    """None, usual ones, and equal operations side by side, too long ones and some without length."""
    lengths = st.sampled_from([0, 1, 5, 20, 50, 100])
    odd = st.lists(st.tuples(lengths, st.integers(0, 8)), max_size=6)
    usual = [
        [(50, 0)],
        [(5, 4), (45, 0)],
        [(40, 0), (2, 2), (10, 0), (3, 5)],
        [(10, 0), (20, 3), (10, 0), (9, 4)],
    ]
    huge = [[(2**28 - 1, 3), (10, 3), (5, 0)], [(5, 0), (2**28 - 1, 3), (2**28 - 1, 3), (5, 0)]]
    return st.just([]) | st.sampled_from(usual) | odd | st.sampled_from(huge)


@st.composite
def reads(draw: st.DrawFn, name: bytes) -> bytes:
    """One read of a template, anywhere: near the end of its reference, behind it, or without a place."""
    ref = draw(st.integers(-1, len(CONTIGS) - 1))
    pos = draw(st.sampled_from([-1, *ENDS.get(CONTIGS[ref][0] if ref >= 0 else "", [0, 5, 100])]))
    cigar = draw(cigars())
    query = hostile.consumed(cigar, hostile.CONSUMES_QUERY)
    length = draw(st.sampled_from([query, query, 0])) if cigar else draw(st.integers(0, 41))
    extra = draw(tags())
    if cigar and draw(st.integers(0, 9)) == 0:
        numbers = [each << 4 | operation for each, operation in cigar] + draw(st.sampled_from([[], [16]]))
        made = hostile.tag("CG", "BI", numbers)
        extra.append(draw(st.sampled_from([made, made[:3] + b"i" + made[4:], made[:3] + b"f" + made[4:]])))
        cigar = draw(st.sampled_from([[(length, 4), (9, 3)], [(length, 4)], cigar]))
    return hostile.record(
        ref=ref, pos=pos, mapq=draw(hostile.MAPQS), bin=draw(hostile.BINS), flag=draw(FLAGS | st.integers(0, 0xFFFF)),
        name=name, cigar=cigar, next_ref=draw(st.integers(-1, 2)), next_pos=draw(st.integers(-1, 50)),
        tlen=draw(hostile.TEMPLATE_LENGTHS), tags=extra, **draw(hostile.sequences(length)),
    )  # fmt: skip


@st.composite
def templates(draw: st.DrawFn) -> list[bytes]:
    """Some templates of one to five reads, or of more."""
    made = []
    for name in draw(st.lists(hostile.names, min_size=1, max_size=4)):
        made += draw(st.lists(reads(name), min_size=1, max_size=5))
    return made


def pair(*reads: dict[str, Any], name: bytes = b"t", also: Sequence[bytes] = ()) -> list[bytes]:
    """Reads of one name: 50 bp that match, unless a field says otherwise."""
    return [*(hostile.good(**{"name": name} | read) for read in reads), *also]
