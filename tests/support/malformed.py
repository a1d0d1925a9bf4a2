"""Broken BAM files, which a reader must refuse."""

from __future__ import annotations

import struct

from hostile import CONTIGS, LAST, TEXT, bam, bam_header, bgzf, bgzf_block, good, record

# Broken files


def malformed() -> list[tuple[str, bytes]]:
    """(what is wrong, file) of files that a reader must refuse, though samtools lets some of them pass: those
    are `LENIENT` in test_hostile.py. No two share a name."""
    return _broken_containers() + _broken_headers() + _broken_records() + _broken_tags() + _unsorted()


def with_record(broken: bytes) -> bytes:
    """A file whose second record is `broken`."""
    return bam(TEXT, CONTIGS, [good(), broken, good(pos=500)])


def patched(layout: str, offset: int, value: int) -> bytes:
    """A good record with one field (offset counted from block_size) overwritten."""
    changed = bytearray(good(pos=200))
    struct.pack_into("<" + layout, changed, offset, value)
    return with_record(bytes(changed))


def _broken_containers() -> list[tuple[str, bytes]]:
    many = [good(pos=10 * i, name=b"read%d" % i) for i in range(2000)]
    raw = bam_header(TEXT, CONTIGS) + b"".join(many)
    whole = bgzf(raw)
    first = bgzf_block(raw[:65280])
    crc, size, payload = len(first) - 8, len(first) - 4, 40

    def flipped(at: int) -> bytes:
        return whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]

    return [
        ("empty file", b""),
        ("text, not BAM", b"chr1\t100\t200\n" * 10),
        ("BGZF of something else", bgzf(b"##fileformat=VCFv4.2\n")),
        ("truncated in the first block", whole[:200]),
        ("truncated in a block's header", whole[: len(first) + 9]),
        ("truncated in a later block", whole[: len(first) + 500]),
        ("truncated between blocks, within a record", first),
        ("last record cut, file ended properly", bgzf(raw[:-20])),
        ("block_size cut, file ended properly", bgzf(raw + b"\1\0")),
        ("bad CRC", flipped(crc)),
        ("bad uncompressed size", flipped(size)),
        ("bad compressed data", flipped(payload)),
        ("bad magic of a block", flipped(len(first))),
    ]


def _broken_headers() -> list[tuple[str, bytes]]:
    def header(at: int, value: int) -> bytes:
        changed = bytearray(bam_header(b"", CONTIGS))
        struct.pack_into("<i", changed, at, value)
        return bgzf(bytes(changed) + good())

    return [
        ("header: bad magic", header(0, 0x024D4142)),
        ("header: negative text length", header(4, -1)),
        ("header: text length past the end", header(4, 1 << 30)),
        ("header: negative number of references", header(8, -1)),
        ("header: too many references", header(8, LAST)),
        ("header: reference name of length 0", header(12, 0)),
        ("header: reference name past the end", header(12, 1 << 30)),
        ("header: negative reference length", header(21, -1)),
        ("header: cut in the reference list", bgzf(bam_header(TEXT, CONTIGS)[:-6])),
        ("header: reference name without NUL", bgzf(bam_header(b"", CONTIGS).replace(b"chr1\0", b"chr1x"))),
    ]


def _broken_records() -> list[tuple[str, bytes]]:
    operations = [(f"CIGAR operation {code}", patched("I", 38, 50 << 4 | code)) for code in (9, 15)]
    return [
        *operations,
        ("block_size 0", patched("I", 0, 0)),
        ("block_size 31", patched("I", 0, 31)),
        ("block_size 2^31 - 1", patched("I", 0, LAST)),
        ("block_size 2^32 - 1", patched("I", 0, 2**32 - 1)),
        ("block_size too small for the fields", patched("I", 0, 60)),
        ("name length 0", patched("B", 12, 0)),
        (
            "name length past the record",
            with_record(record(ref=0, pos=150, name=b"x")[:12] + b"\xff" + bytes(25)),
        ),
        ("name without NUL", patched("B", 37, ord("x"))),
        ("NUL inside the name", with_record(good(pos=200, name=b"a\0b"))),
        ("too many CIGAR operations", patched("H", 16, 0xFFFF)),
        ("l_seq too large", patched("i", 20, LAST)),
        ("l_seq larger than the record by a little", patched("i", 20, 51)),
        ("l_seq negative", patched("i", 20, -1)),
        ("CIGAR and sequence differ in length", with_record(good(pos=200, cigar=[(49, 0)]))),
        ("refID past the list", patched("i", 4, 2)),
        ("refID -2", patched("i", 4, -2)),
        ("pos -2", patched("i", 8, -2)),
        ("next refID past the list", patched("i", 24, 2)),
        ("next refID -2", patched("i", 24, -2)),
    ]


def _broken_tags() -> list[tuple[str, bytes]]:
    tags = {
        "unknown type": b"XXq\0\0\0\0",
        "NUL type": b"XX\0\0",
        "only a name": b"XX",
        "a lone byte": b"X",
        "no value": b"XXi",
        "value cut": b"XXi\0\0\0",
        "Z without NUL": b"XXZabc",
        "H without NUL": b"XXHABCD",
        "B without a count": b"XXBc\0\0",
        "B of an unknown type": b"XXBZ\1\0\0\0a",
        "B count too big": b"XXBi" + struct.pack("<I", 3) + bytes(8),
        "B count 2^32 - 1": b"XXBi" + struct.pack("<I", 2**32 - 1) + bytes(8),
        "B count that overflows 32 bits": b"XXBi" + struct.pack("<I", 2**30 + 2) + bytes(8),
    }
    return [(f"tag: {what}", with_record(good(pos=200, tags=[raw]))) for what, raw in tags.items()]


def _unsorted() -> list[tuple[str, bytes]]:
    orders = {
        "positions fall": [good(pos=300), good(pos=299)],
        "contigs fall": [good(1), good(0)],
        "placed after unplaced": [good(), record(name=b"u"), good()],
        "no position after a position": [good(), good(pos=-1)],
    }
    return [(f"order: {what}", bam(TEXT, CONTIGS, order)) for what, order in orders.items()]
