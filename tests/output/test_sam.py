"""SAM text against `samtools view`: real files, and records that are odd but valid."""

import random
import struct
import subprocess
from array import array

import hostile
import pytest
from bams3.bam.records import RecordBlock, walk
from bams3.errors import FormatError
from bams3.output.sam import ReferenceNames, format_sam
from bams3.sources.process import SAMTOOLS
from hostile import tag
from hypothesis import given, settings
from sam_files import REAL, read_bam, samtools

HEADER = (
    b"@SQ\tSN:c1\tLN:1000000\n@SQ\tSN:HLA-A*01:01\tLN:2147483647\n",
    [("c1", 1000000), ("HLA-A*01:01", 2147483647)],
)


def read(**fields) -> bytes:
    """A record on the first reference, mapped or not."""
    return hostile.record(**({"ref": 0, "pos": 10, "flag": 0} | fields))


def as_sam(records: list[bytes], references) -> bytes:
    block, _ = walk(b"".join(records), len(references))
    return bytes(format_sam(block, ReferenceNames(name for name, _ in references)))


def printed(bam: bytes) -> bytes:
    """What the samtools in pysam prints; 1.16 rounds numbers in arrays in another way."""
    return subprocess.run([*SAMTOOLS, "view", "-"], input=bam, check=True, capture_output=True).stdout


def check_against_samtools(records: list[bytes]) -> None:
    expected = printed(hostile.bam(*HEADER, records)).splitlines()
    assert len(expected) == len(records)
    assert as_sam(records, HEADER[1]).splitlines() == expected


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_files_as_samtools_prints_them(path):
    header, block = read_bam(path)
    text = format_sam(block, ReferenceNames(name for name, _ in header.references))
    assert bytes(text) == samtools("view", path)


EXTREMES = {"c": (-128, 127), "C": (0, 255), "s": (-(2**15), 2**15 - 1), "S": (0, 2**16 - 1)}
EXTREMES |= {"i": (-(2**31), 2**31 - 1), "I": (0, 2**32 - 1)}
INTEGERS = [
    tag("X" + kind, kind, value) for kind, values in EXTREMES.items() for value in (*values, 9, 99, 100)
]
ARRAYS = [tag("Y" + kind, "B" + kind, [*values, 9, 99, 100]) for kind, values in EXTREMES.items()]
TEXTS = [tag("Xa", "Z", b""), tag("Xb", "Z", b" a~"), tag("Xc", "H", b""), tag("Xd", "H", b"1AE301")]
ODD = {
    "nothing": read(),
    "no name": read(name=b"*", ref=-1, pos=-1, flag=4),
    "long name": read(name=b"n" * 254),
    "POS 0": read(pos=-1),
    "last POS": read(ref=1, pos=2**31 - 2, next_ref=1, next_pos=2**31 - 2, tlen=-(2**31)),
    "mate on another": read(next_ref=1, next_pos=5, tlen=2**31 - 1),
    "mate on the same": read(next_ref=0, next_pos=5, tlen=-7),
    "placed mate of unplaced": read(ref=-1, pos=-1, next_ref=0, next_pos=0),
    "every operation": read(cigar=[(i, i) for i in range(9)]),
    "longest operation": read(cigar=[(2**28 - 1, 3)]),
    "every base": read(sequence=b"=ACMGRSVTWYHKDBN" * 12, quality=bytes(range(94)) * 2 + b"abcd"),
    "odd length": read(sequence=b"ACG", quality=b"\x00\x01\x5d"),
    "pad nibble set": read(sequence=b"ACG", pad=15),
    "0xff within quality": read(sequence=b"AC", quality=b"\x00\xff"),
    "one base": read(sequence=b"A", quality=b"\x09"),
    "highest flag": read(flag=65535, mapq=255),
    "integers": read(tags=INTEGERS),
    "powers of ten": read(tags=[tag("Yp", "BI", [10**k - less for k in range(10) for less in (0, 1)])]),
    "texts": read(tags=[*TEXTS, tag("Xe", "A", b"!"), *TEXTS]),
    "arrays": read(tags=ARRAYS),
    "empty arrays": read(tags=[tag("Y" + kind, "B" + kind, []) for kind in "cCsSiIf"]),
    "widest array": read(tags=[tag("Yc", "Bc", [-128] * 9999)]),
}


def test_odd_records():
    check_against_samtools(list(ODD.values()))


def test_each_length():
    """Bases, qualities and texts are written 16 bytes at a time; the last ones overlap those before."""
    bases, scores = b"ACGTNRY=" * 9, bytes(range(72))
    check_against_samtools(
        [
            read(
                sequence=bases[:length], quality=scores[:length], pad=length % 2 * 15,
                tags=[tag("XZ", "Z", bases[:length]), tag("XH", "H", b"1A" * (length // 2)), *last],
            )
            for length in range(1, 72)
            for last in ([], [tag("XC", "C", length)])
        ],
    )  # fmt: skip


NM = tag("NM", "C", 7)
CG = tag("CG", "BI", [1 << 4, 2 << 4 | 2, 3 << 4])
LONG = {
    "moved": {"tags": [CG]},
    "between others": {"tags": [NM, CG, NM]},
    "signed": {"tags": [tag("CG", "Bi", [1 << 4, 3 << 4])]},
    "only the first": {"tags": [CG, CG]},
    "text": {"tags": [tag("CG", "Z", b"1M2D3M")]},
    "text before it": {"tags": [tag("CG", "Z", b"1M2D3M"), CG]},
    "16 bits": {"tags": [tag("CG", "BS", [16, 16])]},
    "shorter than the stand-in": {"tags": [tag("CG", "BI", [16])]},
    "as long": {"tags": [tag("CG", "BI", [16, 16])]},
    "no position": {"tags": [CG], "pos": -1},
    "no reference": {"tags": [CG], "ref": -1},
    "no CIGAR": {"tags": [CG], "cigar": []},
    "another clip": {"tags": [CG], "cigar": [(5, 4), (90, 3)]},
    "not clipped": {"tags": [CG], "cigar": [(4, 0), (90, 3)]},
    "longest operations": {"tags": [NM, tag("CG", "BI", [2**32 - 16, 3] * 35000), NM]},
}


def test_long_cigars():
    """The stand-in for a CIGAR in the CG tag clips all 4 bases and skips the reference."""
    base = {"sequence": b"ACGT", "cigar": [(4, 4), (90, 3)], "flag": 4}  # unmapped: lengths need not agree
    check_against_samtools([read(**(base | case)) for case in LONG.values()])


FLOATS = [
    *(0.0, -0.0, 1.0, -1.5, 0.1, 1e-4, 9.9999e-5, 0.00099999994, 0.0999999, 0.99999994, 9.9999999, 99999.95),
    *(100000.5, 100001.5, -100001.5, 12345.25, 12345.75, 1234.125, 123.4375, 99.99995, 999998.5, 999999.0),
    *(999999.5, 1e6, 1234567.0, 16777216.0, 3.4028235e38, 1e-45, 0.5, 0.25, 1 / 3, 2.5e-4),
    *(float("inf"), float("-inf"), float("nan"), -float("nan")),
]


def test_floats_as_htslib_prints_them():
    """As C rounds them: ties to the even digit, in arrays, too."""
    rng = random.Random(1)
    bits = [struct.pack("<I", rng.getrandbits(32)) for _ in range(1000)]
    near = [struct.pack("<f", rng.uniform(-1, 1) * 10 ** rng.randint(-5, 7)) for _ in range(3000)]
    ties = [
        struct.pack("<f", (rng.randrange(10**5, 10**6) + 0.5) / 2**k) for k in range(7) for _ in range(200)
    ]
    floats = [struct.pack("<f", value) for value in FLOATS] + bits + near + ties
    records = [read(tags=[tag("XX", "f", value)]) for value in floats]
    records.append(read(tags=[tag("XY", "Bf", struct.pack("<I", len(floats)) + b"".join(floats))]))
    check_against_samtools(records)


@given(hostile.bams())
@settings(max_examples=60, deadline=None)
def test_hostile_files_as_samtools_prints_them(made):
    expected = printed(made.data())
    assert as_sam(made.records, made.references) == expected


def test_output_is_appended_to_a_buffer():
    data = ODD["integers"]
    names = ReferenceNames(["c1"])
    block = RecordBlock(data, walk(data, 1)[0].offsets)
    out = format_sam(block, names)
    once = bytes(out)
    assert format_sam(block, names, out) is out
    assert bytes(out) == 2 * once
    assert bytes(format_sam(block[1:], names)) == b""


def patched(data: bytes, at: int, kind: str, value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(kind, changed, at, value)
    return bytes(changed)


PLAIN = read(cigar=[(4, 0)], sequence=b"ACGT", tags=[tag("XX", "i", 0)])
BROKEN = {
    "block_size too large": patched(PLAIN, 0, "<i", 2**31 - 1),
    "block_size too small": patched(PLAIN, 0, "<i", 31),
    "no name": patched(PLAIN, 12, "B", 0),
    "name beyond the end": patched(PLAIN, 12, "B", 255),
    "CIGAR beyond the end": patched(PLAIN, 16, "<H", 65535),
    "negative l_seq": patched(PLAIN, 20, "<i", -1),
    "l_seq beyond the end": patched(PLAIN, 20, "<i", 2**31 - 1),
    "unknown reference": patched(PLAIN, 4, "<i", 2),
    "negative reference": patched(PLAIN, 4, "<i", -2),
    "unknown mate reference": patched(PLAIN, 24, "<i", 2**31 - 1),
    "unknown tag type": read(tags=[b"XXq\0\0\0\0"]),
    "unterminated text": read(tags=[b"XXZabc"]),
    "tag beyond the end": read(tags=[b"XXi\0\0\0"]),
    "part of a tag": read(tags=[b"XX"]),
    "array beyond the end": read(tags=[b"XXBi\xff\xff\xff\xff\0\0\0\0"]),
    "array without a count": read(tags=[b"XXBi\0"]),
    "unknown array type": read(tags=[b"XXBZ\0\0\0\0"]),
}


@pytest.mark.parametrize("length", range(36))
def test_a_text_does_not_end_in_the_next_record(length):
    broken = read(tags=[b"XXZ" + b"a" * length])
    block = RecordBlock(broken + PLAIN, array("q", [0, len(broken), len(broken) + len(PLAIN)]))
    with pytest.raises(FormatError, match="record 1 of 2"):
        format_sam(block, ReferenceNames(["c1"]))


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_invalid_records_are_refused(broken):
    data = PLAIN + broken
    block = RecordBlock(data, array("q", [0, len(PLAIN), len(data)]))
    with pytest.raises(FormatError, match="record 2 of 2"):
        format_sam(block, ReferenceNames(["c1", "c2"]))


def test_offsets_beyond_the_data_are_refused():
    with pytest.raises(FormatError, match="record 1 of 1"):
        format_sam(RecordBlock(PLAIN, array("q", [0, len(PLAIN) + 1])), ReferenceNames(["c1"]))
