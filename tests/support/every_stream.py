"""Records whose row groups have every stream that docs/format.md names, and every choice within them.

A contig for each concern, so that each is a row group of its own. All is 0-based.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import hostile
from row_groups import aligned_reads, with_qualities

CODECS = {"raw", "constant", "zstd", "rans0", "rans1", "planes", "mixed"}
"""At level 9; others lack `mixed`."""

_SHORT = [
    "pos", "cigar", "cigar.count", "cigar.length", "cigar.gap", "rank", "border", "mate.ref", "mate.pos",
    "mate.tlen", "seq.length", "seq.mismatches", "seq.mismatch", "reference.other", "seq.literal.other",
    "tag.layout", "tag.SA:Z.length", "tag.SA:Z.gap", "tag.UR:Z.length", "tag.BC:Z.number",
]  # fmt: skip
_OTHERS = [
    "border.hash", "flag", "flag.next", "flag.values", "mapq", "mate", "bin", "cigar.op",
    "cigar.placeholder", "name", "name.pattern", "name.patterns", "reference", "reference.base",
    "seq.substitute", "seq.literal", "seq.literal.base", "seq.pad", "qual", "qual.values", "tag.layouts",
    "tag.aa:A", "tag.nc:c", "tag.nf:f", "tag.CO:Z", "tag.RG:Z", "tag.RG:Z.values", "tag.hh:H",
    "tag.CB:Z", "tag.CB:Z.like", "tag.CB:Z.place", "tag.CB:Z.letter", "tag.CB:Z.ending", "tag.UR:Z.like",
    "tag.bS:BS", "tag.bS:BS.count", "tag.SA:Z", "tag.SA:Z.op", "tag.XA:Z.op", "tag.OA:Z.op",
]  # fmt: skip
STREAMS = {*_SHORT, *(f"{name}.long" for name in _SHORT), *_OTHERS}
"""At every level."""
AT_LEVELS = {
    "tag.MM:Z.listed": range(4, 10), "qual.tables": range(4, 9), "qual.model": range(7, 9),
    "qual.contexts": range(9, 10), "tag.ip:BS.tables": range(4, 10), "tag.ip:BS.values": range(4, 10),
    "tag.ri:BC.tables": range(4, 10), "tag.ri:BC.values": range(4, 10), "tag.mv:Bc.stride": range(4, 10),
    "tag.mv:Bc.long": range(4, 10),
}  # fmt: skip

CONTIGS = [(f"c{number}", 5_000_000) for number in range(300)]
HEADER = b"@HD\tVN:1.6\tSO:coordinate\n" + b"".join(
    b"@SQ\tSN:%b\tLN:%d\n" % (n.encode(), m) for n, m in CONTIGS
)

LONG_CIGAR = b"300M400D2=1X3I5H"


def read(pos: int, cigar: hostile.Cigar = ((8, 0),), **fields: Any) -> dict[str, Any]:
    """Fields of a read, as `hostile.record` takes them; its bases are all A if none are given."""
    length = hostile.consumed(cigar, hostile.CONSUMES_QUERY)
    return {"pos": pos, "cigar": cigar, "flag": 0, "name": b"r", "sequence": b"A" * length} | fields


def cigars() -> list[dict[str, Any]]:
    """300 CIGARs, one again, one of 300 operations, and a placeholder."""
    many = [read(number, [(1, 0), (number, 2), (1, 0)], bin=7) for number in range(1, 300)]
    again = read(300, many[280]["cigar"])
    operations = read(301, [(1, 0), (1, 1)] * 150)
    real = hostile.tag("CG", "BI", [4 << 4, 3 << 4 | 2, 4 << 4])
    placeholder = read(302, [(8, 4), (11, 3)], tags=[real])
    return [*many, again, operations, placeholder]


def bases() -> list[dict[str, Any]]:
    """Mismatches and other bases that are many and far apart, paddings, reads that are not aligned."""
    whole = b"N" + b"ACGT" * 75 + b"N"
    other = b"A" + b"CGTA" * 75 + b"C"
    late = whole[:-2] + b"AR"
    clipped = [(302, 4), (1, 0)]
    return [
        *(read(10, [(302, 0)], sequence=sequence, quality=bytes(302)) for sequence in (whole, other, late)),
        *(read(11, clipped, sequence=whole + b"G", quality=None, pad=5) for _ in range(2)),
        read(12, [], flag=4, sequence=b"ACGTN" * 40),
        read(12, [], sequence=b""),
        read(13, [(4, 0), (2**22, 3), (4, 0)]),
    ]


def pairs() -> list[dict[str, Any]]:
    """Mates that are far apart in the row group or outside of it, and every rule for them."""
    far = {"flag": 99, "next_ref": 1, "next_pos": 9000}
    between = [
        read(100, name=b"x%d" % number, flag=65, next_ref=299, tlen=number * 1000) for number in range(300)
    ]
    linked = [
        ((65, 129), 30, 38), ((99, 147), 0, -8), ((81, 161), 30, 24), ((65, 129), 5, 0), ((99, 147), 7, 77),
    ]  # fmt: skip
    out = [read(90, name=b"first of two", **far), *between, read(101, name=b"second of two", **far)]
    for number, ((one, two), apart, length) in enumerate(linked):
        pos = 200 + 100 * number
        ms = hostile.tag("ms", "i", 8 * 20)
        shared = {"name": b"linked%d" % number, "next_ref": 1, "quality": b"\x14" * 8, "tags": [ms]}
        out.append(read(pos, flag=one, next_pos=pos + apart, tlen=length, **shared))
        out.append(read(pos + apart, flag=two, next_pos=pos, tlen=-length, **shared))
    out.append(read(900, name=b"first of two", flag=147, next_ref=1, next_pos=90, tlen=-818))
    waiting = [b"waits%d" % number for number in range(140)]
    out += [read(910, name=name, flag=65, next_ref=1, next_pos=920) for name in waiting]
    out += [read(920, name=name, flag=129, next_ref=1, next_pos=910) for name in reversed(waiting)]
    return [
        *out,
        read(950, flag=4 | 65, next_ref=1, next_pos=950, name=b"alone"),
        read(960, flag=3, name=b"none"),
    ]


def names() -> list[dict[str, Any]]:
    """Names with slots of every kind and columns of every coding, and names without; and mates by name alone."""
    chance = random.Random(1)
    lanes = [chance.randrange(10**9) for _ in range(70)]
    out, mapq = [], 0
    for number in range(600):
        umi = bytes(chance.choices(b"ACGT", k=9))
        lane = chance.choice(lanes)
        name = b"run:%d:%d:%d:%05d:%b" % (
            number * 1000, lane, chance.randrange(10**8), chance.randrange(10**5), umi,
        )  # fmt: skip
        mapq = (5 * mapq + chance.randrange(2)) % 60  # what comes next depends on what is before: order 1
        out.append(
            read(
                500, mapq=mapq, name=name if number % 40 else b"odd" + bytes(chance.choices(b"!#$%&()", k=9))
            )
        )
    return out


def mates_of_short_names() -> list[dict[str, Any]]:
    """So many that hashes of their names take more than the names."""
    return [read(number, flag=99, next_ref=3, next_pos=5000, name=b"q%d" % number) for number in range(100)]


def flags() -> list[dict[str, Any]]:
    return [read(0, flag=number & ~4) for number in range(600)]


def layouts() -> list[dict[str, Any]]:
    """300 lists of tags, one of them again."""
    every = [hostile.tag("X" + letter, "C", 7) for letter in "abcdefghi"]
    lists = [[tag for place, tag in enumerate(every) if number >> place & 1] for number in range(300)]
    return [read(number, tags=tags) for number, tags in enumerate([*lists, lists[290]])]


def values() -> list[dict[str, Any]]:
    """Tags of every type; texts that recur and others; texts that hold CIGARs, or list bases."""
    chance = random.Random(2)
    out = []
    for number in range(60):
        tags = [
            hostile.tag("aa", "A", b"q"),
            *(hostile.tag("n" + kind, kind, number) for kind in "cCsSiI"),
            hostile.tag("nf", "f", number / 3),
            *(hostile.tag("b" + kind, "B" + kind, range(number % 4)) for kind in "cCsSiI"),
            hostile.tag("bf", "Bf", [0.5] * (number % 3)),
            hostile.tag("RG", "Z", b"ab"[number % 2 : number % 2 + 1]),
            hostile.tag("CO", "Z", b"text %d" % number),
            hostile.tag("hh", "H", b"00FF"),
            *(
                hostile.tag(name, "Z", b"c1,%d,+,%b,60,3;" % (number, LONG_CIGAR))
                for name in ("SA", "XA", "OA")
            ),
            hostile.tag("MM", "Z", b"C+m?,%d;A+a,0;" % (number % 4)),
        ]
        sequence = bytes(chance.choices(b"ACGT", k=12)) + b"ACCCCC"
        out.append(
            read(10, [(18, 0)], sequence=sequence, flag=16 * (number % 2), tags=tags, quality=bytes(18))
        )
    return [
        each | {"sequence": turned(each["sequence"]) if each["flag"] else each["sequence"]} for each in out
    ]


def kinetics() -> list[dict[str, Any]]:
    """Arrays of numbers that follow from bases, in both directions, and one that is not as long as its read."""
    chance = random.Random(3)
    out = []
    for number in range(9):
        sequence = bytes(chance.choices(b"ACGT", k=200))
        tags = [
            hostile.tag("ip", "BS", numbers(sequence)[: 200 if number else 100]),
            hostile.tag("ri", "BC", numbers(turned(sequence))),
            hostile.tag("mv", "Bc", [5, 1, *[0] * 60 * number, 1]),
        ]
        out.append(read(10, [(200, 0)], sequence=sequence, tags=tags))
    return out


def barcodes() -> list[dict[str, Any]]:
    """Reads of 300 cells, several of each molecule, some with an error in the barcode or the UMI; long texts."""
    chance = random.Random(4)
    cells = [bytes(chance.choices(b"ACGT", k=16)) for _ in range(300)]
    samples = [bytes(chance.choices(range(33, 127), k=30)) for _ in range(300)]
    out = []
    for number in range(700):
        if number % 3 == 0:
            cell, umi = (
                cells[number if number < 300 else chance.randrange(300)],
                chance.choices(b"ACGT", k=12),
            )
        barcode = cell if number % 9 else cell[:5] + b"T" + cell[6:]
        texts = {
            "CR": barcode,
            "CB": cell + b"-1",
            "UR": bytes(umi),
            "UB": bytes(umi),
            "BC": chance.choice(samples),
        }
        if number % 50 == 0:
            texts |= {"CB": bytes(chance.choices(b"ACGT", k=18)), "UR": bytes(umi) * 30}
        tags = [hostile.tag(tag, "Z", text) for tag, text in texts.items()]
        out.append(read(10, name=b"b%d" % number, tags=tags))
    return out


def numbers(sequence: bytes) -> list[int]:
    """One for each base, which follows from it and from the fourth before."""
    return [sequence[k] ^ 2 * sequence[max(k - 4, 0)] for k in range(len(sequence))]


def turned(sequence: bytes) -> bytes:
    return sequence.translate(bytes.maketrans(b"ACGT", b"TGCA"))[::-1]


_CONCERNS: list[Callable[[], list[dict[str, Any]]]] = [
    cigars, pairs, bases, mates_of_short_names, names, flags, layouts, values, kinetics, barcodes,
]  # fmt: skip


def records() -> list[bytes]:
    """All of them, in coordinate order; those of reads that are aligned as real ones come last, short and long ones."""
    out = [hostile.record(ref=ref, **fields) for ref, concern in enumerate(_CONCERNS) for fields in concern()]
    for count, times in ((100, 1), (5, 40)):
        ref = (out[-1][4] + 1).to_bytes(4, "little")
        for each in with_qualities(aligned_reads(3, count, with_md=0.5, errors=0.08, times=times)):
            mate = each[24:28] if each[24] else ref
            out.append(each[:4] + ref + each[8:24] + mate + each[28:])
    return [
        *out,
        *(hostile.record(name=b"u%d" % number, sequence=b"ACGT", quality=b"\1\2\3\4") for number in range(9)),
    ]


def bam() -> bytes:
    return hostile.bam(HEADER, CONTIGS, records())
