"""Row groups in memory: records to streams and back with nothing in between, and reads that agree with each other."""

from __future__ import annotations

import itertools
import random
from array import array
from collections.abc import Sequence
from typing import Any

import hostile
from bams3.bam.records import RecordBlock
from bams3.codec import encoder
from bams3.errors import FormatError
from reader.bases import Sequences
from reader.columns import cigars, partners
from reader.tags import Derived, tags

from bams3 import codec


class Streams(dict):
    """Streams of a row group; b"" for those that it has not."""

    def __missing__(self, name: str) -> bytes:
        return b""


def block_of(records: Sequence[bytes]) -> RecordBlock:
    offsets = array("q", [0])
    for record in records:
        offsets.append(offsets[-1] + len(record))
    return RecordBlock(b"".join(records), offsets)


def encode(records: Sequence[bytes], reference_id: int = 0, level: int = 5) -> dict[str, bytes]:
    """The streams of a row group: those that are not empty."""
    streams = encoder.encode(block_of(records), reference_id, level)[0]
    return {name: bytes(stream) for name, stream in streams.items()}


def columns(streams: dict[str, bytes], records: Sequence[bytes], reference_id: int = 0) -> codec.Columns:
    group = codec.Columns(Streams(streams), len(records), sum(map(len, records)))
    group.reference_id = reference_id
    return group


def decoded(streams: dict[str, bytes], records: Sequence[bytes]) -> bytes:
    return bytes(columns(streams, records).block().data)


def by_the_document(streams: dict[str, bytes], records: list[bytes]) -> list[bytes]:
    """The tags of the records, as a decoder that follows docs/format.md has them."""
    group, cigar = columns(streams, records), cigars(streams)
    sequences, flag = Sequences(streams, list(group.pos), cigar), list(group.flag)
    derived = Derived(sequences, bytes(group.mapq), [], partners([-1] * len(flag), flag))
    return tags(streams, cigar, derived, flag)


def refusals(records: Sequence[bytes], names: Sequence[str], times: int) -> int:
    """How often damaged streams of records are refused: one of the names, cut short or with a byte replaced.

    No other error may come of it.
    """
    chance = random.Random(1)
    streams, refused = encode(records), 0
    for _ in range(times):
        name = chance.choice(names)
        damaged = bytearray(streams[name])
        if chance.random() < 0.3:
            damaged = damaged[: chance.randrange(len(damaged))]
        else:
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            assert decoded(streams | {name: bytes(damaged)}, records) is not None
        except FormatError:
            refused += 1
    return refused


def derived(streams: dict[str, bytes]) -> set[str]:
    """Names of the tags that some record has without storing them."""
    layouts, at, names = streams.get("tag.layouts", b""), 0, set()
    while at < len(layouts):
        entries = int.from_bytes(layouts[at : at + 2], "little")
        for entry in range(at + 2, at + 2 + 4 * entries, 4):
            if layouts[entry + 2] & 0x80:
                names.add(layouts[entry : entry + 2].decode())
        at += 2 + 4 * entries
    return names


def md(genome: str, pos: int, cigar: hostile.Cigar, sequence: str) -> tuple[str, int]:
    """MD and NM of an aligned read, letter by letter: SAM's optional fields, section 1.1."""
    text, same, at, base, edits = "", 0, pos, 0, 0
    for length, operation in cigar:
        if operation in (0, 7, 8):
            for _ in range(length):
                if genome[at] == sequence[base]:
                    same += 1
                else:
                    text, same, edits = f"{text}{same}{genome[at]}", 0, edits + 1
                at, base = at + 1, base + 1
        elif operation == 2:
            text, same, edits = f"{text}{same}^{genome[at : at + length]}", 0, edits + length
            at += length
        elif operation == 3:
            at += length
        elif operation in (1, 4):
            base += length
            edits += length if operation == 1 else 0
    return f"{text}{same}", edits


CIGARS: list[hostile.Cigar] = [
    *([(30, 0)], [(30, 0)], [(30, 0)], [(5, 4), (20, 0), (5, 4)], [(3, 5), (30, 0), (2, 6)]),
    *([(10, 0), (2, 1), (18, 0)], [(12, 0), (3, 2), (18, 0)], [(10, 0), (200, 3), (20, 0)]),
    *([(10, 7), (1, 8), (19, 7)], [(8, 0), (1, 2), (1, 1), (21, 0)]),
]


def aligned_reads(
    seed: int, count: int, *, with_md: float = 1.0, errors: float = 0.02, times: int = 1
) -> list[bytes]:
    """Reads of one genome in coordinate order, in pairs where it happens, with the tags that aligners write. They have
    some 30 bases, times `times`."""
    chance = random.Random(seed)
    genome = "".join(chance.choice("ACGT" * 12 + "N") for _ in range(3000 * times))
    reads: list[dict[str, Any]] = []
    for start in sorted(chance.randrange(100, 2500) for _ in range(count)):
        cigar = [(length * times, operation) for length, operation in chance.choice(CIGARS)]
        bases, at = [], start
        for length, operation in cigar:
            if operation in (0, 7, 8):
                bases += [
                    chance.choice("ACGTN") if chance.random() < errors else base
                    for base in genome[at : at + length]
                ]
            elif operation in (1, 4):
                bases += chance.choices("ACGT", k=length)
            if operation in (0, 2, 3, 7, 8):
                at += length
        quality = bytes(chance.choices(range(2, 40), k=len(bases)))
        reads.append({"pos": start, "cigar": cigar, "sequence": "".join(bases), "quality": quality})
    order = list(range(count))
    chance.shuffle(order)
    mates = {
        a: b for one, two in zip(order[::2], order[1::2], strict=False) for a, b in ((one, two), (two, one))
    }
    records = []
    for number, read in enumerate(reads):
        mate = reads[mates[number]] if number in mates else None
        text, edits = md(genome, read["pos"], read["cigar"], read["sequence"])
        tags = [
            hostile.tag("NM", chance.choice("cCsSiI" if edits < 128 else "sSiI"), edits),
            hostile.tag("RG", "Z", chance.choice([b"a", b"b"])),
        ]
        if chance.random() < with_md:
            tags.insert(1, hostile.tag("MD", "Z", text.encode()))
        flag, name = 0, b"single%d" % number
        if mate is not None:
            flag = 0x41 if number < mates[number] else 0x81
            name = b"pair%d" % min(number, mates[number])
            cigar_text = "".join(f"{length}{'MIDNSHP=X'[operation]}" for length, operation in mate["cigar"])
            tags += [
                hostile.tag("MC", "Z", cigar_text.encode()),
                hostile.tag("MQ", "i", 60),
                hostile.tag("ms", "i", sum(quality for quality in mate["quality"] if quality >= 15)),
            ]
        records.append(
            hostile.record(
                ref=0,
                pos=read["pos"],
                mapq=60,
                flag=flag,
                name=name,
                cigar=read["cigar"],
                sequence=read["sequence"].encode(),
                quality=read["quality"],
                tags=tags,
                next_ref=0 if mate else -1,
                next_pos=mate["pos"] if mate else -1,
            )
        )
    return records


def with_qualities(records: list[bytes]) -> list[bytes]:
    """Records whose qualities follow from their bases; every third is reversed."""
    out = []
    for number, record in enumerate(records):
        length = int.from_bytes(record[20:24], "little")
        at = 36 + record[12] + 4 * int.from_bytes(record[16:18], "little")
        sequence = record[at : at + (length + 1) // 2]
        codes = [code for byte in sequence for code in (byte >> 4, byte & 15)][:length]
        at += len(sequence)
        quality = bytes(
            10 + min(code, 8) + 2 * (code == before) + 9 * (cycle > 15)
            for cycle, (before, code) in enumerate(itertools.pairwise([0, *codes]))
        )
        flag = bytes([record[18] | 16 * (number % 3 == 0)])
        out.append(record[:18] + flag + record[19:at] + quality + record[at + length :])
    return out
