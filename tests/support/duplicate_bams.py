"""BAMs of crowded reads of which many are duplicates, and what `samtools markdup` makes of them.

`crowds` is a hypothesis strategy. Names, qualities, clips and positions are few, so that keys and scores are often
equal; some positions are as far from each other as samtools' window reaches.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pysam
from bam_blocks import records_of
from bams3.duplicates.options import BARCODE_IN_NAME, Markdup
from bams3.duplicates.source import MarkedSource
from bams3.sources.bam import open_source
from hostile import Bam, coordinate, record, tag
from hypothesis import strategies as st

CONTIGS = [("one", 100_000), ("two", 5000)]
TEXT = (
    b"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:one\tLN:100000\n@SQ\tSN:two\tLN:5000\n@RG\tID:g\n@RG\tPL:x\tID:h\n"
)
POSITIONS = [*4 * list(range(1000, 1005)), *range(998, 1010), 1299, 1300, 1301, 1302, 1500, 700]
CIGARS = [[(4, 0)], [(4, 0)], [(1, 4), (3, 0)], [(3, 0), (1, 4)], [(2, 5), (4, 0), (1, 5)], [(2, 0), (300, 3), (2, 0)],
          [(1, 5), (1, 4), (1, 0), (1, 1), (1, 4)], [(4, 4)], [(4, 1)], [(2, 0), (1, 2), (1, 0), (1, 4)],
          [(310, 5), (4, 0)], [(4, 0), (310, 5)], []]  # fmt: skip
MATE_CIGARS = [
    b"4M",
    b"4M",
    b"1S3M",
    b"3M1S",
    b"2H1S3M",
    b"*",
    b"",
    b"M",
    b"4M2Q1S",
    b"2I2M",
    b"300S4M",
    b"2M298N2M",
]
FLAGS = [*3 * [99, 147, 83, 163], 67, 131, 115, 179, 65, 129, 113, 177, 0, 16, 73, 89, 1, 17]
ODD_FLAGS = [4, 5, 77, 141, 133, 256, 2048 + 99, 256 + 147, 1024 + 99, 1024 + 16, 1024, 1024 + 2048 + 99, 3]
NAMES = [
    b"a",
    b"b",
    b"ab",
    b"i:1:f:1:1:10:10:AA",
    b"i:1:f:1:1:12:10:AC",
    b"i:1:f:1:1:14:19:AC",
    b"i:1:f:1:2:10:10:AA",
]
SCORES = [("i", 60), ("C", 60), ("s", 30), ("c", -5), ("S", 90), ("I", 60)]


@st.composite
def reads(draw: st.DrawFn) -> bytes:
    flag = draw(st.sampled_from(FLAGS * 4 + ODD_FLAGS)) | draw(st.sampled_from([0] * 6 + [512]))
    ref, pos = draw(st.sampled_from([(0, at) for at in POSITIONS] + [(1, 1000), (1, 1001)]))
    if draw(st.integers(0, 19)) == 0:
        ref, pos = draw(st.sampled_from([(-1, -1), (-1, 5)]))
    next_ref, next_pos = draw(st.sampled_from([(0, at) for at in POSITIONS] + [(1, 1000), (-1, -1), (-1, 3)]))
    cigar = draw(st.sampled_from(CIGARS)) if ref >= 0 else []
    if cigar == CIGARS[-3] and draw(st.booleans()):
        pos += 310
    tags = [tag("RG", "Z", draw(st.sampled_from([b"g", b"h", b"x"])))] if draw(st.booleans()) else []
    tags += [tag("BC", *draw(st.sampled_from([("Z", b"A"), ("Z", b"C"), ("H", b"41"), ("i", 65)])))]
    tags += [tag("MC", "Z", draw(st.sampled_from(MATE_CIGARS)))]
    tags += [tag("ms", *draw(st.sampled_from(SCORES)))]
    tags += draw(st.sampled_from([[], [], [], [tag("SA", "Z", b"x")], [tag("XA", "Z", b"x")]]))
    tags += draw(
        st.sampled_from([[], [], [tag("do", "Z", b"a"), tag("zz", "i", 1)], [tag("dt", "Z", b"SQ")]])
    )
    tags += draw(st.sampled_from([[], [], [tag("dc", "i", 70_000)], [tag("dc", "C", 9), tag("zz", "i", 1)]]))
    quality = bytes(draw(st.lists(st.sampled_from([30, 30, 30, 14, 15, 31]), min_size=4, max_size=4)))
    return record(
        ref=ref, pos=pos, flag=flag, cigar=cigar, name=draw(st.sampled_from(NAMES)), sequence=b"ACGT", quality=quality,
        next_ref=next_ref, next_pos=next_pos, tags=tags,
    )  # fmt: skip


@st.composite
def crowds(draw: st.DrawFn, most: int = 14) -> Bam:
    """A file of such reads."""
    return Bam(TEXT, CONTIGS, sorted(draw(st.lists(reads(), max_size=most)), key=coordinate), 65280)


def on_one_strand(record: bytes) -> bool:
    """Whether a read and its mate have the same strand."""
    flag = struct.unpack_from("<H", record, 18)[0]
    return flag & 9 == 1 and flag & 0x30 in (0, 0x30)


def without_bins(records: bytes) -> bytes:
    """samtools computes them anew."""
    data, at = bytearray(records), 0
    while at < len(data):
        data[at + 14 : at + 16] = b"\0\0"
        at += 4 + struct.unpack_from("<I", data, at)[0]
    return bytes(data)


def marked_by_samtools(path: Path, *options: str) -> bytes | None:
    """The records, without their bins; None if samtools refuses the file."""
    out = f"{path}.marked"
    try:
        pysam.markdup("--no-PG", "-u", *options, str(path), out, catch_stdout=False)
    except pysam.SamtoolsError:
        return None
    with open_source(out) as source:
        return without_bins(records_of(source.blocks()))


def marked_here(path: Path, options: Markdup, mapper: Any = map, finished: Any = None) -> bytes:
    with MarkedSource(open_source(str(path)), options, finished) as source:
        return without_bins(records_of(source.blocks(mapper)))


COLONS = "([a-z]:1:[a-z]):1:[0-9]:([0-9]+):([0-9]+)|^a|^b"
BARE = "([0-9]*)[^0-9]*([0-9]*)"
OPTIONS: list[tuple[list[str], dict[str, Any]]] = [
    (["-m", "s"], {"mode": "s"}),
    (["-l", "0"], {"length": 0}),
    (["-l", "5"], {"length": 5}),
    (["-r"], {"remove": True}),
    (["-c"], {"clear": True}),
    (["--include-fails"], {"include_fails": True}),
    (["--use-read-groups"], {"read_groups": True}),
    (["--barcode-tag", "BC"], {"barcode_tag": "BC"}),
    (["--barcode-name"], {"barcode_pattern": BARCODE_IN_NAME}),
    (["--barcode-rgx", "^(a|ab)"], {"barcode_pattern": "^(a|ab)"}),
    (["--duplicate-count"], {"copies": True}),
    (["--no-multi-dup"], {"chains": False}),
    (["-t"], {"originals": True}),
    (["-d", "3"], {"optical_distance": 3}),
    (["-d", "9", "--read-coords", COLONS], {"optical_distance": 9, "coordinates": COLONS}),
    (
        ["-d", "9", "--read-coords", BARE, "--coords-order", "yx"],
        {"optical_distance": 9, "coordinates": BARE, "order": "yx"},
    ),
    (["-S"], {"supplementary": True}),
]
"""samtools' options, and ours."""
ALIKE = [{1, 2}, {7, 8, 9}, {13, 14, 15}]


def combined(chosen: list[int]) -> tuple[list[str], Markdup]:
    words, fields = [], {}
    for number in chosen:
        words += OPTIONS[number][0]
        fields |= OPTIONS[number][1]
    return words, Markdup(**fields)


choices = st.lists(st.integers(0, len(OPTIONS) - 1), max_size=4, unique=True).filter(
    lambda chosen: all(len(alike & set(chosen)) < 2 for alike in ALIKE)
)


def mate(pos: int, mate_pos: int, kind: int, name: bytes, ref: int = 0, clipped: int = 0) -> bytes:
    """A read of a pair, of one of three kinds, or a single one; its mate is so far behind. `clipped`: of its bases, the
    first ones; the next one is aligned to `pos`."""
    flag = [99, 83, 163, 0][kind]
    tags = [tag("MC", "Z", b"4M"), tag("ms", "C", pos % 3), tag("BC", "Z", name[:1])]
    cigar = [(clipped, 4), (4 - clipped, 0)] if clipped else [(4, 0)]
    return record(
        ref=ref, pos=pos, flag=flag, cigar=cigar, sequence=b"ACGT", quality=b"\x1e" * 4, name=name, next_ref=ref,
        next_pos=pos + mate_pos, tags=tags,
    )  # fmt: skip
