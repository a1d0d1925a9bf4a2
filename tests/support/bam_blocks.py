"""BAM files whose blocks have their borders anywhere, and pipes that give a few bytes at a time."""

import os
import random
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hostile
from bams3.bam.header import Header
from bams3.bam.records import RecordBlock, walk
from bams3.sources.bam import open_source
from isal import isal_zlib

CONTIGS = [("chr1", 600_000), ("chr2", 600_000)]
UNEVEN = [("a", 1000), ("b", 5_000_000), ("c", 0)]
HEADS = [0, 100, 3000, 5000, 70_000, 300_000]
"""Bytes of a header's text."""


def raw_bam(head: int = 100, records: int = 2000) -> bytes:
    """A BAM of two contigs and none, without its compression; 500 bytes of a record hardly compress."""
    chance = random.Random(head)
    text = b"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:600000\n@SQ\tSN:chr2\tLN:600000\n"
    text += b"@CO\t" + bytes(chance.choices(b"ACGT", k=head)) + b"\n"
    made = []
    for number in range(records):
        ref, pos = (number % 2, 250 * number) if number < records * 9 // 10 else (-1, -1)
        noise = [hostile.tag("XX", "Z", bytes(chance.choices(range(33, 127), k=450)))]
        placed = {"ref": ref, "pos": pos, "flag": 0, "cigar": [(4, 0)]} if ref >= 0 else {}
        quality = b"\x1e" * 4
        made.append(
            hostile.record(name=b"%d" % number, sequence=b"ACGT", quality=quality, tags=noise, **placed)
        )
    return hostile.bam_header(text, CONTIGS) + b"".join(sorted(made, key=hostile.coordinate))


def deflated(data: bytes, compressor: str, level: int) -> bytes:
    if compressor == "isal" and len(data):
        return isal_zlib.compress(data, min(level, 3), -15)
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15)
    return deflate.compress(data) + deflate.flush()


def bgzf_block(data: bytes, compressor: str = "zlib", level: int = 1, extra: bytes = b"") -> bytes:
    """A block, with subfields of a gzip header before its own."""
    payload = deflated(data, compressor, level)
    if len(payload) + len(extra) > 65_500:
        payload = deflated(data, "zlib", 0)
    fields = len(extra) + 6
    size = 12 + fields + len(payload) + 8
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + fields.to_bytes(2, "little") + extra
    head += b"BC\x02\0" + (size - 1).to_bytes(2, "little")
    return head + payload + zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")


def header_bytes(raw: bytes) -> int:
    with open_source_of(raw) as source:
        return len(source.header.to_bam())


@contextmanager
def open_source_of(data: bytes, *cuts: int) -> Iterator[Any]:
    with piped(data, *cuts) as path, open_source(path) as source:
        yield source


@contextmanager
def piped(data: bytes, *cuts: int) -> Iterator[str]:
    """The path of a pipe that gives some bytes, written in portions that end at `cuts`."""
    readable, writable = os.pipe()

    def write() -> None:
        with open(writable, "wb", buffering=0) as pipe:
            try:
                for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
                    pipe.write(data[start:end])
            except BrokenPipeError:
                pass

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield f"/dev/fd/{readable}"
    finally:
        os.close(readable)
        writer.join()


def content(source: Any) -> bytes:
    """Header and records, as uncompressed BAM."""
    return source.header.to_bam() + records_of(source.blocks())


def records_of(blocks: Iterable[RecordBlock]) -> bytes:
    return b"".join(bytes(memoryview(b.data)[b.offsets[0] : b.offsets[len(b)]]) for b in blocks)


class Records:
    """A source of some records, in blocks of so many."""

    truncated = False
    path = "x.bam"

    def __init__(
        self, made: Sequence[bytes], contigs: Sequence[tuple[str, int]] = UNEVEN, block: int = 3, once: bool = True
    ) -> None:  # fmt: skip
        self.header, self.once = Header(b"", tuple(contigs)), once
        pieces = [b"".join(made[at : at + block]) for at in range(0, len(made), block)]
        self.given = [walk(piece, len(contigs))[0] for piece in pieces]

    def blocks(self, mapper: Any = map, *, ordered: bool = True) -> Iterator[RecordBlock]:
        assert not ordered
        return iter(self.given)
