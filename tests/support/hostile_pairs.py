"""BAMs of few, short, crowded reads: mates that overlap in every way, names used often, odd CIGARs.

`crowds` is a hypothesis strategy. What htslib reads outside of a record's bytes is left out: reads whose only operation
is a deletion or a skip, and pairs without bases.
"""

from __future__ import annotations

from typing import Any

from hostile import CONSUMES_QUERY, LETTERS, Bam, consumed, coordinate, letters, record
from hypothesis import strategies as st

CONTIGS = [("one", 150), ("two", 90), ("empty", 30), ("three", 60)]
LONG_CONTIGS = [(name, 270_000) for name, _ in CONTIGS]
FLAGS = [99, 147, 83, 163, 3, 19, 2, 67, 131]  # of proper pairs, mostly
ODD_FLAGS = [0, 16, 1, 17, 11, 2051, 2067, 1027, 259, 4, 65, 129, 515]
OPERATIONS = [0, 0, 0, 7, 8, 1, 2, 3, 4, 5, 6]

_operations = st.tuples(st.sampled_from([1, 1, 2, 3, 5, 0, 9]), st.sampled_from(OPERATIONS))
_cigars = st.sampled_from(
    [[(8, 0)], [(20, 0)], [(4, 0), (2, 2), (6, 0)], [(3, 4), (9, 0)], [(5, 0), (2, 1), (5, 0)]]
)
cigars = (_cigars | st.lists(_operations, max_size=7)).filter(
    lambda cigar: len(cigar) != 1 or cigar[0][1] not in (2, 3)
)


@st.composite
def crowded_records(draw: st.DrawFn, start: int) -> bytes:
    """A record near a position of a contig, with one of three names."""
    cigar = draw(cigars)
    flag = draw(st.sampled_from(FLAGS + FLAGS + ODD_FLAGS))
    ref, pos = draw(st.sampled_from([0, 0, 0, 1, 3])), start + draw(st.integers(0, 14))
    length = consumed(cigar, CONSUMES_QUERY)
    if not flag & 2 and draw(st.booleans()):
        length = 0
    alphabet = draw(st.sampled_from([b"A", b"AC", LETTERS]))
    qualities = draw(st.sampled_from([bytes([30]), bytes(range(60)), bytes([0, 12, 13, 93, 120]), b"\xff"]))
    fields: dict[str, Any] = {
        "next_ref": draw(st.sampled_from([ref, ref, ref, -1, 1])),
        "next_pos": draw(st.sampled_from([pos, pos + 3, start, -1, start + 14, start + 100])),
        "tlen": draw(st.sampled_from([0, 10, -10, 1000, -1000])),
    }
    return record(
        ref=ref, pos=pos, flag=flag, cigar=cigar, mapq=draw(st.sampled_from([0, 20, 60, 94, 255])),
        name=draw(st.sampled_from([b"a", b"b", b"longer.name:3"])), sequence=draw(letters(alphabet, length, length)),
        quality=draw(letters(qualities, length, length)), **fields,
    )  # fmt: skip


@st.composite
def crowds(draw: st.DrawFn, start: int = 0) -> Bam:
    """A file of such records; if `start` is not 0, on long contigs."""
    made = draw(st.lists(crowded_records(start), max_size=14))
    contigs = LONG_CONTIGS if start else CONTIGS
    text = "@HD\tVN:1.6\tSO:coordinate\n" + "".join(f"@SQ\tSN:{name}\tLN:{end}\n" for name, end in contigs)
    return Bam(text.encode(), contigs, sorted(made, key=coordinate), 65280)
