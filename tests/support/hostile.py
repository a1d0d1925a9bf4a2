"""Odd but valid BAM files, made byte by byte without htslib (which would mend some of them).

`record`, `tag` and `bam` make bytes from fields; `records` and `bams` are hypothesis strategies of valid
files in coordinate order. All is 0-based.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

NIBBLES = {letter: code for code, letter in enumerate(b"=ACMGRSVTWYHKDBN")}
CONSUMES_QUERY, CONSUMES_REFERENCE = (0, 1, 4, 7, 8), (0, 2, 3, 7, 8)
NUMBERS = {"c": "b", "C": "B", "s": "h", "S": "H", "i": "i", "I": "I", "f": "f"}  # BAM type to struct format
LAST = 2**31 - 1
END_OF_FILE = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

Cigar = Sequence[tuple[int, int]]  # (length, operation 0-8)
Reference = tuple[str, int]  # name, length


# Bytes from fields


def tag(name: str, kind: str, value: Any) -> bytes:
    """A tag as BAM stores it. `kind` is A c C s S i I f Z H, or B and its element type (`Bc`); the value of
    A, Z and H is bytes, of B a sequence; f may also be given as 4 raw bytes, to choose among NaNs."""
    head = name.encode() + kind.encode()
    if kind in ("Z", "H"):
        return head + value + b"\0"
    if kind == "A" or isinstance(value, bytes):
        return head + value
    if kind[0] == "B":
        return head + struct.pack(f"<I{len(value)}{NUMBERS[kind[1]]}", len(value), *value)
    return head + struct.pack("<" + NUMBERS[kind], value)


def consumed(cigar: Cigar, operations: Sequence[int]) -> int:
    return sum(length for length, operation in cigar if operation in operations)


def region_bin(start: int, end: int) -> int:
    """The bin of [start, end), as the SAM specification computes it (truncated to its 16 bits)."""
    end -= 1
    for shift, first in ((14, 4681), (17, 585), (20, 73), (23, 9), (26, 1)):
        if start >> shift == end >> shift:
            return first + (start >> shift) & 0xFFFF
    return 0


def packed_cigar(cigar: Cigar) -> bytes:
    return struct.pack(f"<{len(cigar)}I", *(length << 4 | operation for length, operation in cigar))


def packed_sequence(sequence: bytes, pad: int) -> bytes:
    codes = [NIBBLES[letter] for letter in sequence]
    if len(codes) % 2:
        codes.append(pad)
    return bytes(high << 4 | low for high, low in zip(codes[::2], codes[1::2], strict=True))


def record(
    *,
    ref: int = -1,
    pos: int = -1,
    mapq: int = 0,
    bin: int | None = None,
    flag: int = 4,
    name: bytes = b"r",
    cigar: Cigar = (),
    sequence: bytes = b"",
    quality: bytes | None = None,
    next_ref: int = -1,
    next_pos: int = -1,
    tlen: int = 0,
    tags: Sequence[bytes] = (),
    pad: int = 0,
) -> bytes:
    """One record with its block_size. `bin` None: the right one; `quality` None: missing (0xff); `pad`: the
    unused half byte after an odd number of bases. Over 65,535 operations go to a CG tag behind the others."""
    span = consumed(cigar, CONSUMES_REFERENCE)
    if bin is None:
        bin = region_bin(pos, pos + (span or 1))
    tags = list(tags)
    if len(cigar) > 0xFFFF:
        tags.append(tag("CG", "BI", [length << 4 | operation for length, operation in cigar]))
        cigar = [(len(sequence), 4), (span, 3)]
    numbers = (ref, pos, len(name) + 1, mapq, bin, len(cigar), flag, len(sequence), next_ref, next_pos, tlen)
    fixed = struct.pack("<iiBBHHHiiii", *numbers)
    quality = b"\xff" * len(sequence) if quality is None else quality
    parts = [fixed, name, b"\0", packed_cigar(cigar), packed_sequence(sequence, pad), quality, *tags]
    body = b"".join(parts)
    return struct.pack("<I", len(body)) + body


def bgzf_block(data: bytes) -> bytes:
    """One BGZF block of at most 65,280 bytes."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    payload = deflate.compress(data) + deflate.flush()
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", len(payload) + 25)
    return head + payload + struct.pack("<II", zlib.crc32(data), len(data))


def bgzf(data: bytes, block: int = 65280) -> bytes:
    """`data` in blocks of `block` bytes, whatever records they cut, and the end-of-file marker."""
    return b"".join(bgzf_block(data[at : at + block]) for at in range(0, len(data), block)) + END_OF_FILE


def bam_header(text: bytes, references: Sequence[Reference]) -> bytes:
    """From the magic to the end of the reference list."""
    parts = [b"BAM\1", struct.pack("<i", len(text)), text, struct.pack("<i", len(references))]
    for name, length in references:
        data = name.encode("utf-8", "surrogateescape") + b"\0"
        parts.append(struct.pack("<i", len(data)) + data + struct.pack("<i", length))
    return b"".join(parts)


def bam(text: bytes, references: Sequence[Reference], records: Sequence[bytes], block: int = 65280) -> bytes:
    """A whole BAM file."""
    return bgzf(bam_header(text, references) + b"".join(records), block)


def coordinate(record: bytes) -> tuple[int, int]:
    """Sort key of coordinate order: unplaced records last, in any order among themselves."""
    ref, pos = struct.unpack_from("<ii", record, 4)
    return (ref, pos) if ref >= 0 else (LAST, 0)


# Valid files


class Bam(NamedTuple):
    """The parts of a BAM file; `data()` is the file."""

    text: bytes
    references: list[Reference]
    records: list[bytes]
    block: int

    def data(self) -> bytes:
        return bam(*self)


REFERENCE_NAMES = [
    "chr1",
    "HLA-A*01:01:01:01",
    "unmapped",
    "_unplaced",
    "../x",
    "a/b",
    "..",
    ".",
    "chr1%2F",
    "CHR1",
]
REFERENCE_NAMES += ["data", "~x|y;z", "n" * 200]
REFERENCE_LENGTHS = [1, 1000, 2**17, 300_000, 2**20 + 1, 5_000_000, 2**29 + 10, LAST]
LETTERS = bytes(NIBBLES)
FLAGS = st.sampled_from([0, 16, 4, 77, 141, 99, 147, 83, 163, 73, 133, 256, 272, 2048, 2064, 1024, 512])
FLAGS |= st.integers(0, 0xFFFF)
MAPQS = st.sampled_from([0, 1, 60, 254, 255])
BINS = st.sampled_from([None, None, 0, 4680, 0xFFFF])
TEMPLATE_LENGTHS = st.sampled_from([0, 1, -1, LAST, -LAST - 1]) | st.integers(-1000, 1000)
PADS = st.sampled_from([0, 0, 15, 5])
BORDERS = [-1, 0, 1, 2**14, 2**17 - 1, 2**17, 2**20 - 1, 2**20, 2**29, LAST - 200_000, LAST - 1]
COMMON_TAGS = ["NM", "MD", "AS", "XS", "RG", "MC", "MQ", "SA", "X0", "zz"]


@functools.cache  # as below: to build a strategy takes longer than to draw from it
def letters(alphabet: bytes, low: int, high: int) -> st.SearchStrategy[bytes]:
    size = len(alphabet)
    return st.binary(min_size=low, max_size=high).map(
        lambda raw: bytes(alphabet[byte % size] for byte in raw)
    )


names = letters(bytes(set(range(33, 127)) - {64}), 1, 12) | letters(b"*.:/", 1, 3) | st.just(b"n" * 254)


@functools.cache
def references() -> st.SearchStrategy[list[Reference]]:
    """0 to 5 contigs with hostile names and lengths up to 2^31 - 1."""
    pair = st.tuples(st.sampled_from(REFERENCE_NAMES), st.sampled_from(REFERENCE_LENGTHS))
    return st.lists(pair, max_size=5, unique_by=lambda reference: reference[0])


@st.composite
def texts(draw: st.DrawFn, contigs: Sequence[Reference]) -> bytes:
    """SAM headers: with and without @HD and @SQ, comments, unknown tags, no last newline, trailing NULs."""
    heads = ["@HD\tVN:1.6\tSO:coordinate\n", "@HD\tVN:1.4\tSO:unknown\tzz:x y\n", ""]
    lines = [draw(st.sampled_from(heads))]
    if draw(st.booleans()):
        extra = draw(st.sampled_from(["", "\tM5:d41d8cd98f00b204e9800998ecf8427e", "\tzz:?\tAH:*"]))
        lines += [f"@SQ\tSN:{name}\tLN:{length}{extra}\n" for name, length in contigs]
    others = [
        "@RG\tID:a\tSM:s\n",
        "@RG\tID:b\txx:y:z\n",
        "@PG\tID:p\tCL:a  b\n",
        "@CO\tÅ comment\twith tabs\n",
        "@CO\t\n",
    ]
    lines += draw(st.lists(st.sampled_from(others), max_size=3, unique=True))
    text = "".join(lines).encode()
    if draw(st.booleans()):
        text = text.removesuffix(b"\n")
    return text + b"\0" * draw(st.sampled_from([0, 0, 1, 7]))


@functools.cache
def tag_values() -> st.SearchStrategy[tuple[str, Any]]:
    """(type, value) of every tag type."""
    ranges = {"c": (-128, 127), "C": (0, 255), "s": (-(2**15), 2**15 - 1), "S": (0, 2**16 - 1)}
    ranges |= {"i": (-(2**31), LAST), "I": (0, 2**32 - 1)}
    numbers = {kind: st.sampled_from(ends) | st.integers(*ends) for kind, ends in ranges.items()}
    floats = st.floats(width=32)
    choices = [st.tuples(st.just(kind), number) for kind, number in numbers.items()]
    choices += [
        st.tuples(st.just("B" + kind), st.lists(number, max_size=6)) for kind, number in numbers.items()
    ]
    choices.append(st.tuples(st.just("Bf"), st.lists(floats, max_size=6)))
    quiet_and_signalling = st.sampled_from([b"\0\0\xc0\x7f", b"\1\0\x80\x7f", b"\xff" * 4, b"\0\0\x80\xff"])
    choices.append(st.tuples(st.just("f"), floats | quiet_and_signalling))
    choices.append(st.tuples(st.just("Z"), letters(bytes(range(32, 127)), 0, 40)))
    choices.append(st.tuples(st.just("H"), letters(b"0123456789ABCDEF", 0, 6).map(lambda digits: digits * 2)))
    choices.append(st.tuples(st.just("A"), letters(bytes(range(33, 127)), 1, 1)))
    return st.one_of(choices)


@functools.cache
def tag_lists() -> st.SearchStrategy[list[bytes]]:
    """Any order, any types for a name, the same name twice, names that SAM does not allow but htslib reads."""
    name = st.sampled_from(COMMON_TAGS) | st.sampled_from(["A!", "1X", "..", "\x01\x7f", ":Z"])
    return st.lists(st.builds(lambda name, pair: tag(name, *pair), name, tag_values()), max_size=5)


@functools.cache
def cigars() -> st.SearchStrategy[list[tuple[int, int]]]:
    """None, usual ones, and any operations of any length, zero too."""
    usual = st.sampled_from([[(50, 0)], [(5, 4), (45, 0)], [(20, 0), (90_000, 3), (30, 0)], [(51, 7)]])
    lengths = st.integers(0, 40) | st.sampled_from([0, 1, 16])
    return st.just([]) | usual | st.lists(st.tuples(lengths, st.integers(0, 8)), max_size=8)


@functools.cache
def bases_and_qualities(length: int) -> tuple[st.SearchStrategy[bytes], st.SearchStrategy[bytes | None]]:
    any_letters = letters(LETTERS, length, length) | letters(b"ACGT", length, length)
    constant = st.integers(0, 93).map(lambda value: bytes([value]) * length)
    return any_letters, st.none() | constant | letters(bytes(range(94)), length, length)


@st.composite
def sequences(draw: st.DrawFn, length: int) -> dict[str, Any]:
    """sequence, quality and pad of a read of `length` bases; any of them may be missing."""
    any_letters, qualities = bases_and_qualities(length)
    return {"sequence": draw(any_letters), "quality": draw(qualities), "pad": draw(PADS)}


@functools.cache
def positions(length: int) -> st.SearchStrategy[int]:
    return st.sampled_from(BORDERS) | st.integers(0, length - 1)


@functools.cache
def own_or_shared_names(pool: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    return st.sampled_from(pool) | names


@st.composite
def places(draw: st.DrawFn, contigs: Sequence[Reference]) -> tuple[int, int]:
    """(ref, pos): on a contig, often at a border of chunks or row groups; or nowhere; or only half placed."""
    if not contigs or draw(st.integers(0, 9)) == 0:
        return -1, draw(st.sampled_from([-1, -1, -1, 0, 1000]))
    ref = draw(st.integers(0, len(contigs) - 1))
    length = contigs[ref][1]
    return ref, min(draw(positions(length)), length - 1)


@st.composite
def records(draw: st.DrawFn, contigs: Sequence[Reference], pool: Sequence[bytes] = (b"r",)) -> bytes:
    """One valid record, with the name of `pool` or one of its own."""
    ref, pos = draw(places(contigs))
    next_ref, next_pos = draw(places(contigs))
    cigar = draw(cigars())
    if ref >= 0 and pos + consumed(cigar, CONSUMES_REFERENCE) > contigs[ref][1]:
        cigar = []
    flag = draw(FLAGS)
    query = consumed(cigar, CONSUMES_QUERY)
    length = draw(st.sampled_from([query, query, 0])) if cigar else draw(st.integers(0, 41))
    return record(
        ref=ref,
        pos=pos,
        mapq=draw(MAPQS),
        bin=draw(BINS),
        flag=flag,
        name=draw(own_or_shared_names(tuple(pool))),
        cigar=cigar,
        next_ref=next_ref,
        next_pos=next_pos,
        tlen=draw(TEMPLATE_LENGTHS),
        tags=draw(tag_lists()),
        **draw(sequences(length)),
    )


def long_records(ref: int, pos: int) -> st.SearchStrategy[bytes]:
    """Reads of more than 65,535 bases; one also has more than 65,535 CIGAR operations."""

    def make(bases: int, operations: int, tags: list[bytes]) -> bytes:
        each, rest = divmod(bases, operations)
        cigar = [(each, i % 2) for i in range(operations - 1)] + [(each + rest, 0)]
        quality = bytes(i % 40 for i in range(bases))
        sequence = (b"ACGTN" * (bases // 5 + 1))[:bases]
        fields: dict[str, Any] = {"cigar": cigar, "sequence": sequence, "quality": quality, "tags": tags}
        return record(ref=ref, pos=pos, flag=0, name=b"long", **fields)

    shapes = st.sampled_from([(65_535, 1), (65_536, 3), (70_001, 65_535), (70_001, 65_537)])
    return st.builds(lambda shape, tags: make(*shape, tags), shapes, tag_lists())


@st.composite
def bams(draw: st.DrawFn, max_records: int = 20) -> Bam:
    """A valid file in coordinate order: 0 to 5 contigs, some empty; names shared by records near, far and on
    other contigs; BGZF blocks that cut records, lengths and headers anywhere."""
    contigs = draw(references())
    pool = draw(st.lists(names, min_size=1, max_size=3))
    made = draw(st.lists(records(contigs, pool), max_size=max_records))
    roomy = [i for i, (_, length) in enumerate(contigs) if length >= 300_000]
    if roomy and draw(st.integers(0, 7)) == 7:
        made.append(draw(long_records(roomy[0], draw(st.integers(0, 100_000)))))
    block = draw(st.sampled_from([65280, 65280, 4096, 101]))
    if sum(map(len, made)) > 100_000:
        block = 65280
    return Bam(draw(texts(contigs)), contigs, sorted(made, key=coordinate), block)


TEXT = b"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:1000000\n@SQ\tSN:chr2\tLN:5000\n"
CONTIGS = [("chr1", 1_000_000), ("chr2", 5000)]
GOOD: dict[str, Any] = {"flag": 0, "cigar": [(50, 0)], "sequence": b"ACGTA" * 10, "quality": b"\x1e" * 50}


def good(ref: int = 0, pos: int = 100, **fields: Any) -> bytes:
    return record(ref=ref, pos=pos, **(GOOD | fields))
