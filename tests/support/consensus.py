"""The rules of `--qualities crumble-like` in docs/lossy.md, written again, slowly; and reads that they are about."""

from __future__ import annotations

import random
import struct
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import hostile

WINDOW = 1 << 16
QUERY, REFERENCE, BOTH = (0, 1, 4, 7, 8), (0, 2, 3, 7, 8), (0, 7, 8)
LETTERS = "=ACMGRSVTWYHKDBN"


class Read(NamedTuple):
    ref: int
    pos: int
    mapq: int
    flag: int
    next_ref: int
    next_pos: int
    cigar: list[tuple[int, int]]
    sequence: str
    qualities: bytes
    at: int
    """Where the qualities are in the record."""


def parsed(record: bytes) -> Read:
    ref, pos, name, mapq, _, count, flag, bases, next_ref, next_pos = struct.unpack_from(
        "<iiBBHHHiii", record, 4
    )
    at = 36 + name
    cigar = [(packed >> 4, packed & 15) for packed in struct.unpack_from(f"<{count}I", record, at)]
    at += 4 * count
    packed = record[at : at + (bases + 1) // 2]
    sequence = "".join(LETTERS[byte >> 4] + LETTERS[byte & 15] for byte in packed)[:bases]
    at += len(packed)
    return Read(ref, pos, mapq, flag, next_ref, next_pos, cigar, sequence, record[at : at + bases], at)


def is_used(read: Read) -> bool:
    span, bases = (hostile.consumed(read.cigar, operations) for operations in (REFERENCE, QUERY))
    if read.flag & 4 or read.ref < 0 or read.pos < 0 or not read.sequence or read.qualities[0] == 255:
        return False
    return bases == len(read.sequence) and 0 < span <= WINDOW - 128


def operations(read: Read) -> Iterator[tuple[int, int, int, int]]:
    """Operation, length, position, number of the base."""
    at, base = read.pos, 0
    for length, operation in read.cigar:
        yield operation, length, at, base
        at += length * (operation in REFERENCE)
        base += length * (operation in QUERY)


@dataclass
class Position:
    votes: Counter[str] = field(default_factory=Counter)
    dissent: Counter[str] = field(default_factory=Counter)
    depth: int = 0
    unsure: int = 0
    breaks: int = 0

    def consensus(self) -> str | None:
        if self.unsure * 4 > self.depth + self.unsure:
            return None
        best = max("ACGT", key=lambda base: self.votes[base])
        doubt = sum(self.dissent[base] for base in "ACGT" if base != best)
        return best if self.votes[best] - doubt >= 45 else None


def simplified(records: Sequence[bytes], most: int) -> list[bytes]:
    """The records that become of sorted ones; `most`: bytes that the records of a window may take."""
    reads = list(map(parsed, records))
    sizes: Counter[tuple[int, int]] = Counter()
    for record, read in zip(records, reads, strict=True):
        sizes[read.ref, max(read.pos, 0) // WINDOW] += len(record)
    crowded = {window for window, size in sizes.items() if size > most}
    positions = counted(reads)
    keep = set()
    for (ref, at), position in positions.items():
        if position.breaks >= 2 and 16 * position.breaks >= position.depth:
            keep.update((ref, near) for near in range(at - 32, at + 33))
    consensus = {place: position.consensus() for place, position in positions.items() if place not in keep}
    made = []
    for record, read in zip(records, reads, strict=True):
        out = bytearray(record)
        if is_used(read) and read.mapq >= 10 and (read.ref, read.pos // WINDOW) not in crowded:
            for operation, length, at, base in operations(read):
                for i in range(length if operation in BOTH else 0):
                    place = read.ref, at + i
                    known = not near_crowded(crowded, *place, read.pos // WINDOW)
                    if (
                        known
                        and consensus.get(place) == read.sequence[base + i]
                        and read.qualities[base + i] != 255
                    ):
                        out[read.at + base + i] = 40
        made.append(bytes(out))
    return made


def near_crowded(crowded: set[tuple[int, int]], ref: int, at: int, own: int) -> bool:
    """Whether reads of a crowded window beside a read's own may lie over a position, or 32 positions from it."""
    if (ref, own - 1) in crowded and at < own * WINDOW + WINDOW - 128 + 32:
        return True
    return (ref, own + 1) in crowded and at >= (own + 1) * WINDOW - 32


def counted(reads: Sequence[Read]) -> dict[tuple[int, int], Position]:
    positions: dict[tuple[int, int], Position] = defaultdict(Position)
    for read in reads:
        if not is_used(read) or read.flag & 0x700:
            continue
        if read.mapq < 10:
            for at in range(read.pos, read.pos + hostile.consumed(read.cigar, REFERENCE)):
                positions[read.ref, at].unsure += 1
            continue
        until = 1 << 31
        if read.flag & 1 and not read.flag & 8 and read.next_ref == read.ref:
            later = read.next_pos > read.pos or (read.next_pos == read.pos and read.flag & 0x40)
            until = read.next_pos if later else until
        for operation, length, at, base in operations(read):
            if at >= until:
                break
            if operation in (1, 2, 4):
                positions[read.ref, at].breaks += 1
                positions[read.ref, at + length].breaks += operation == 2
            for i in range(min(length, until - at) if operation in BOTH else 0):
                position, letter, quality = (
                    positions[read.ref, at + i],
                    read.sequence[base + i],
                    read.qualities[base + i],
                )
                position.depth += 1
                if quality != 255:
                    position.votes[letter] += (quality >= 5) + (quality >= 10) + (quality >= 20)
                    position.dissent[letter] += quality + 2
    return positions


CIGARS = [
    *10 * [[(60, 0)]], [(5, 4), (55, 0)], [(30, 7), (30, 8)], [(20, 0), (2, 1), (38, 0)], [(50, 0), (10, 4)],
    [(20, 0), (3, 2), (40, 0)], [(30, 0), (100, 3), (30, 0)], [(30, 0), (66_000, 3), (30, 0)], [(60, 4)],
    [(10, 0), (65_000, 3), (50, 0)], [(3, 5), (60, 0)], [], [(59, 0)], [(0, 0), (60, 0), (0, 2)],
]  # fmt: skip
FLAGS = [*5 * [0, 16, 99, 147], *3 * [1024], 256, 512, 2048, 4, 73, 0xFFFF]


def crowd(seed: int, reads: int = 110, border: int = WINDOW) -> list[bytes]:
    """Sorted records about a border of two windows: most agree, some have other bases, indels and no qualities."""
    chance = random.Random(seed)
    genome = random.Random(1)
    bases = {at: genome.choice("ACGT") for at in range(border - 500, border + 66_500)}
    starts = (border - 61, border, border + 64, border + chance.randrange(-236, 264), border + 65_536)
    errors, odd = chance.choice([0, 0.01, 0.1]), chance.choice([0, 0.05, 0.5])
    indel, carriers, place = (
        chance.choice([(2, 1), (3, 2)]),
        chance.choice([0, 0.05, 0.1]),
        border + chance.randrange(-46, 114),
    )
    made = []
    for _ in range(reads):
        rare = chance.random() < odd
        cigar = chance.choice(CIGARS) if rare else [(60, 0)]
        flag, ref = (chance.choice(FLAGS) if rare else 0), int(rare and chance.random() < 0.2)
        pos = -1 if rare and chance.random() < 0.05 else chance.choice(starts) + chance.randrange(-40, 40)
        if not rare and 0 < place - pos < 60 and chance.random() < carriers:
            cigar = [(place - pos, 0), indel, (60 - (place - pos), 0)]
            cigar = chance.choice([cigar, [(place - pos, 0), (60, 4)]])
        sequence, at = "", pos
        for length, operation in cigar:
            for i in range(length if operation in QUERY else 0):
                same = operation in BOTH and chance.random() >= errors
                sequence += bases.get(at + i, "A") if same else chance.choice("ACGT" if not rare else LETTERS)
            at += length * (operation in REFERENCE)
        quality = bytes(chance.choice([2, 12, 30, 37, 41, 93]) for _ in sequence)
        if rare and quality and chance.random() < 0.3:
            quality = chance.choice([b"\xff" * len(quality), quality[:-1] + b"\xff", bytes(len(quality))])
        mapq = chance.choice([0, 9, 10, 255]) if rare else 60
        mate = (
            {"next_ref": 0, "next_pos": max(pos + chance.choice([-30, 0, 0, 20, 500]), 0)} if flag & 1 else {}
        )
        made.append(
            hostile.record(ref=ref, pos=pos, mapq=mapq, flag=flag, cigar=cigar,
                           sequence=sequence.encode(), quality=quality, **mate)
        )  # fmt: skip
    made += [hostile.record(sequence=b"ACGT", quality=b"\5\6\7\x08")] * 2
    return sorted(made, key=hostile.coordinate)
