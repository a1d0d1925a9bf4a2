"""Templates as aligners print them, and as they should not: reads of one name, side by side."""

from functools import cache
from typing import Any

import hostile
from hypothesis import strategies as st

CONTIGS = [("a", 1000), ("b", 60), ("c", 300_000_000)]
NEAR_ENDS = [[-1, 0, 900, 950, 990, 999, 1000, 2000], [-1, 0, 1, 10, 30, 59, 60], [-1, 0, 5, 100], [-1, 0, 5]]
FLAGS = st.sampled_from([0, 4, 16, 65, 129, 77, 141, 83, 163, 99, 147, 73, 133, 256, 2048, 2113, 2193, 385])
TAGS = ["MQ", "MC", "ms", "NM", "MD", "SM", "RG", "zz"]


@cache
def tags() -> st.SearchStrategy[list[bytes]]:
    """Those that are written anew, with any type, and often twice."""
    usual = st.sampled_from(
        [("MQ", "C", 60), ("MQ", "i", 7), ("MC", "Z", b"9M"), ("ms", "S", 400), ("CG", "Z", b"")]
    )
    odd = st.builds(lambda name, pair: (name, *pair), st.sampled_from(TAGS), hostile.tag_values())
    return st.lists((usual | odd).map(lambda given: hostile.tag(*given)), max_size=5)


@cache
def cigars() -> st.SearchStrategy[list[tuple[int, int]]]:
    """None, usual ones, equal operations side by side, operations without length, and very long ones."""
    usual = [
        [(50, 0)],
        [(5, 4), (45, 0)],
        [(40, 0), (2, 2), (10, 0), (3, 5)],
        [(10, 0), (20, 3), (10, 0), (9, 4)],
    ]
    long = [[(2**28 - 1, 3), (10, 3), (5, 0)], [(5, 0), (2**28 - 1, 3), (2**28 - 1, 3), (5, 0)]]
    lengths = st.sampled_from([0, 1, 5, 20, 50, 100])
    odd = st.lists(st.tuples(lengths, st.integers(0, 8)), max_size=6)
    return st.just([]) | st.sampled_from(usual) | odd | st.sampled_from(long)


@st.composite
def reads(draw: st.DrawFn, name: bytes) -> bytes:
    """One read, near the end of its reference, behind it, or without a place; sometimes its CIGAR is in the tag CG."""
    ref = draw(st.integers(-1, len(CONTIGS) - 1))
    cigar = draw(cigars())
    query = hostile.consumed(cigar, hostile.CONSUMES_QUERY)
    length = draw(st.sampled_from([query, query, 0])) if cigar else draw(st.integers(0, 41))
    made = draw(tags())
    if cigar and draw(st.integers(0, 9)) == 0:
        operations = [each << 4 | operation for each, operation in cigar] + draw(
            st.sampled_from([[], [], [16]])
        )
        cg = hostile.tag("CG", "BI", operations)
        made.append(draw(st.sampled_from([cg, cg[:3] + b"i" + cg[4:], cg[:3] + b"f" + cg[4:]])))
        cigar = draw(st.sampled_from([[(length, 4), (9, 3)], [(length, 4)], cigar]))
    return hostile.record(
        ref=ref, pos=draw(st.sampled_from(NEAR_ENDS[ref])), mapq=draw(hostile.MAPQS), bin=draw(hostile.BINS),
        flag=draw(FLAGS | st.integers(0, 0xFFFF)), name=name, cigar=cigar, next_ref=draw(st.integers(-1, 2)),
        next_pos=draw(st.integers(-1, 50)), tlen=draw(hostile.TEMPLATE_LENGTHS), tags=made,
        **draw(hostile.sequences(length)),
    )  # fmt: skip


@st.composite
def templates(draw: st.DrawFn) -> list[bytes]:
    made = []
    for name in draw(st.lists(hostile.names, min_size=1, max_size=6)):
        made += draw(st.lists(reads(name), min_size=1, max_size=5))
    return made


MADE_BEFORE = [
    hostile.tag("ms", "C", 9), hostile.tag("NM", "C", 1), hostile.tag("MQ", "Z", b"x"), hostile.tag("MC", "A", b"*"),
    hostile.tag("MQ", "i", 9), hostile.tag("zz", "BS", [1, 2]), hostile.tag("MQ", "C", 9), hostile.tag("ms", "f", 0.5),
]  # fmt: skip
UNMAPPED: dict[str, Any] = {"flag": 77, "ref": -1, "pos": -1, "cigar": []}
MANY = [(1, 0), (1, 1)] * 35_000
LONG: dict[str, Any] = {"cigar": MANY, "sequence": b"AC" * 35_000, "quality": b"\x14" * 70_000, "ref": 2}
AT_END: dict[str, Any] = {"flag": 99, "pos": 970}  # 20 bases beyond the end of its reference

CASES: dict[str, list[dict[str, Any]]] = {
    "a pair": [{"flag": 99}, {"flag": 147, "pos": 300}],
    "not a proper pair any more": [{"flag": 67}, {"flag": 131, "pos": 300}],
    "the reverse read before": [{"flag": 83, "pos": 300}, {"flag": 163}],
    "on two references": [{"flag": 99}, {"flag": 147, "ref": 2}],
    "a mate without a place": [{"flag": 99, "pos": 7}, UNMAPPED | {"flag": 141}],
    "an unmapped read elsewhere": [{"flag": 5, "ref": 1, "pos": 9, "mapq": 7}, {"flag": 16}],
    "both unmapped": [UNMAPPED, UNMAPPED | {"flag": 141}],
    "its mate was unmapped": [{"flag": 73}, {"flag": 147, "pos": 300}],
    "alone": [{"flag": 99, "next_ref": 1, "next_pos": 5, "tlen": 9}],
    "not paired": [{"flag": 0}, {"flag": 16}],
    "three primary reads": [{"flag": 99}, {"flag": 147, "pos": 300}, {"flag": 147, "pos": 400, "mapq": 3}],
    "tags from before": [{"flag": 99, "tags": MADE_BEFORE}, {"flag": 147, "tags": MADE_BEFORE}],
    "tags from before, three reads": [{"flag": 99, "tags": MADE_BEFORE}] + 3 * [{"flag": 147, "mapq": 5}],
    "only secondary": [{"flag": 256}, {"flag": 2048}],
    "supplementary before primary": [{"flag": 2113}, {"flag": 2177}, {"flag": 2048}, {"flag": 83}, {"flag": 163}],
    "supplementary of a lone read's mate": [{"flag": 2193, "tags": MADE_BEFORE}, {"flag": 67, "pos": 9}],
    "secondary and supplementary": [{"flag": 2369}, {"flag": 65}, {"flag": 129}],
    "no bases": [{"flag": 99, "sequence": b"", "quality": b""}, {"flag": 147, "sequence": b"", "quality": b""}],
    "no qualities": [{"flag": 99, "quality": None}, {"flag": 147, "quality": b"\x0f" * 25 + b"\x0e" * 25}],
    "a long name": [{"flag": 99, "name": b"n" * 254}, {"flag": 147, "name": b"n" * 254}],
    "no CIGAR": [{"flag": 99, "cigar": []}, {"flag": 147}],
    "clipped at the end": [AT_END, {"flag": 147}],
    "clips behind the end": [AT_END | {"cigar": [(9, 4), (36, 0), (5, 4), (3, 5)]}, {"flag": 147}],
    "an insertion behind the end": [AT_END | {"cigar": [(35, 0), (5, 1), (10, 0)]}, {"flag": 147}],
    "a deletion at the end": [AT_END | {"cigar": [(30, 0), (5, 2), (20, 0)]}, {"flag": 147}],
    "no bases, a deletion over the end": [
        AT_END | {"cigar": [(20, 0), (90, 2), (20, 0)], "sequence": b"", "quality": b""}
    ],
    "behind the end": [{"flag": 99, "pos": 1000}, {"flag": 147}],
    "no position": [{"flag": 99, "pos": -1}, {"flag": 147}],
    "no reference": [{"flag": 99, "ref": -1, "pos": 5}, {"flag": 147}],
    "equal operations": [{"flag": 99, "cigar": [(20, 0), (0, 2), (20, 0), (5, 4), (5, 4)]}, {"flag": 147}],
    "only clips": [{"flag": 99, "cigar": [(25, 4), (25, 4)], "tags": [hostile.tag("CG", "BI", [50 << 4])]}],
    "a long CIGAR": [LONG | {"flag": 99}, {"flag": 147}],
    "a long CIGAR, unmapped": [LONG | {"flag": 69}, {"flag": 137}],
    "a long CIGAR, and another CG": [LONG | {"flag": 99, "tags": [hostile.tag("CG", "BI", [70_000 << 4, 0])]}],
    "a CIGAR in CG that fits its field": [
        {"flag": 99, "cigar": [(50, 4), (9, 3)], "tags": [hostile.tag("CG", "BI", [40 << 4, 10 << 4 | 4])]},
        {"flag": 147},
    ],
}  # fmt: skip
"""Reads of one name: 50 bp that match, unless a field says otherwise."""


def case(name: str) -> list[bytes]:
    return [hostile.good(**{"name": name.replace(" ", "_").encode()} | fields) for fields in CASES[name]]
