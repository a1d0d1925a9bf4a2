"""Long reads, like those of a nanopore, made one by one."""

from __future__ import annotations

import functools
import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simulator.alignment import Cigars, cigar_of, edits_of
from simulator.genome import Donor, Genome
from simulator.records import (
    FIXED,
    REVERSE,
    SECONDARY,
    SUPPLEMENTARY,
    UNMAPPED,
    assemble,
    integer,
    pack,
    reg2bin,
    text,
)

NOWHERE = 1 << 30  # sorts after every contig


@dataclass
class Stretch:
    """An aligned part of a long read: its bases (codes) and their alignment."""

    codes: np.ndarray
    ref: np.ndarray
    inserted: np.ndarray
    contig: int
    pos: int


def long_stretch(rng: np.random.Generator, genome: Genome, donor: Donor, start: int, length: int) -> Stretch:
    """Return donor[start : start + length] with the errors of a nanopore: 2-3 % each of mismatches and indels."""
    skipped = rng.random(length) < 0.02
    skipped[1:] |= skipped[:-1] & (rng.random(length - 1) < 0.4)
    extra = np.where(rng.random(length) < 0.02, rng.geometric(0.6, length), 0)
    skipped[[0, -1]], extra[[0, -1]] = False, 0
    source = np.repeat(np.arange(length), extra + ~skipped)
    added = np.concatenate([[False], source[1:] == source[:-1]]) | skipped[source]
    codes = donor.codes[start + source]
    ref, inserted = donor.ref[start + source], donor.inserted[start + source] | added
    wrong = added | (rng.random(len(codes)) < 0.025)
    codes = np.where(wrong, rng.integers(0, 4, len(codes), np.uint8), codes)
    matched = np.flatnonzero(~inserted)
    inner = slice(matched[0], matched[-1] + 1)
    contig = int(np.searchsorted(genome.offsets, ref[matched[0]], "right")) - 1
    pos = int(ref[matched[0]] - genome.offsets[contig])
    return Stretch(codes[inner], ref[inner], inserted[inner], contig, pos)


def long_qualities(rng: np.random.Generator, length: int) -> np.ndarray:
    """Return random qualities, correlated along the read and mostly 5-30."""
    noise = np.convolve(rng.standard_normal(length + 4), [0.3, 0.5, 0.6, 0.5, 0.3], "valid")
    return np.clip(rng.normal(15, 2) + 6.5 * noise, 1, 50).astype(np.uint8)


def long_name(rng: np.random.Generator) -> bytes:
    digits = rng.bytes(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}\0".encode()


def long_record(
    genome: Genome,
    cigars: Cigars,
    name: bytes,
    flag: int,
    stretch: Stretch,
    codes: np.ndarray,
    quality: np.ndarray,
    left: int,
    right: int,
    group: bytes,
    split: bytes,
) -> tuple[int, int, bytes]:
    """Return (contig, pos, record) with the tags of minimap2.

    `left`, `right`: number of bases outside of the stretch.
    """
    clip = "H" if flag & SUPPLEMENTARY else "S"
    if clip == "H":
        codes, quality = codes[left : len(codes) - right], quality[left : len(quality) - right]
    if flag & SECONDARY:
        codes, quality = codes[:0], quality[:0]
    packed = cigars.packed[
        cigars.number([(left, clip), *cigar_of(stretch.ref, stretch.inserted), (right, clip)])
    ]
    nm, md = edits_of(stretch.codes, stretch.ref, stretch.inserted, genome)
    matches = int((~stretch.inserted).sum())
    tags = [
        integer(b"NM", nm),
        integer(b"ms", 2 * max(0, matches - 2 * nm)),
        integer(b"AS", 2 * max(0, matches - 2 * nm)),
    ]
    tags += [integer(b"nn", 0), b"tpA" + (b"S" if flag & SECONDARY else b"P"), integer(b"cm", matches // 12)]
    tags += [
        integer(b"s1", matches // 2),
        integer(b"s2", 0),
        b"def" + struct.pack("<f", nm / len(stretch.ref)),
    ]
    tags += [split, integer(b"rl", 0), text(b"MD", md), group]
    fixed = np.zeros(1, FIXED)
    end = stretch.pos + int(stretch.ref[-1] - stretch.ref[0]) + 1
    contig = stretch.contig + genome.first
    fixed["ref"], fixed["pos"], fixed["flag"], fixed["l_seq"] = contig, stretch.pos, flag, len(codes)
    fixed["mapq"] = 0 if flag & SECONDARY else 1 if genome.repeats[stretch.ref[0]] else 60
    fixed["l_name"], fixed["n_cigar"] = len(name), len(packed) // 4
    fixed["bin"] = reg2bin(np.array([stretch.pos]), np.array([end]))
    fixed["next_ref"] = fixed["next_pos"] = -1
    body = pack(codes[None]).tobytes() + quality.tobytes()
    return contig, stretch.pos, assemble(fixed, [name], [packed], [body], [b"".join(tags)])


def unplaced_record(
    name: bytes, codes: np.ndarray, quality: np.ndarray, group: bytes
) -> tuple[int, int, bytes]:
    fixed = np.zeros(1, FIXED)
    for column in ("ref", "pos", "next_ref", "next_pos"):
        fixed[column] = -1
    fixed["flag"], fixed["l_name"], fixed["l_seq"], fixed["bin"] = UNMAPPED, len(name), len(codes), 4680
    body = pack(codes[None]).tobytes() + quality.tobytes()
    return NOWHERE, -1, assemble(fixed, [name], [b""], [body], [integer(b"rl", 0) + group])


def place_text(genome: Genome, stretch: Stretch, flag: int, left: int, right: int) -> bytes:
    """Return an alignment for an SA tag. minimap2 shortens the CIGAR to clips, matches and the difference."""
    spanned, read = int(stretch.ref[-1] - stretch.ref[0]) + 1, len(stretch.ref)
    gap = f"{read - spanned}I" if read > spanned else f"{spanned - read}D" if spanned > read else ""
    cigar = f"{left}S{min(read, spanned)}M{gap}{right}S"
    return (
        f"{genome.names[stretch.contig]},{stretch.pos + 1},{'-+'[not flag & REVERSE]},{cigar},60,0;".encode()
    )


def long_read(
    rng: np.random.Generator,
    genome: Genome,
    donor: Donor,
    cigars: Cigars,
    start: int,
    length: int,
    group: bytes,
) -> list[tuple[int, int, bytes]]:
    """Return all records of one read: the primary one, and perhaps a supplementary (of a chimera) or secondary one."""
    name, flag = long_name(rng), REVERSE * int(rng.integers(2))
    kind = rng.random()
    head, tail = (rng.integers(0, 4, rng.integers(0, 80), np.uint8) for _ in range(2))
    first = long_stretch(rng, genome, donor, start, length)
    second = (
        long_stretch(rng, genome, donor, int(donor.place(rng, 1, length)[0]), length) if kind < 0.1 else None
    )
    codes = np.concatenate([head, first.codes, second.codes if second and kind < 0.05 else tail[:0], tail])
    quality = long_qualities(rng, len(codes))
    left, right = len(head), len(codes) - len(head) - len(first.codes)
    if kind > 0.98:
        return [unplaced_record(name, codes, quality, group)]
    make = functools.partial(long_record, genome, cigars, name, codes=codes, quality=quality, group=group)
    if second is None:
        return [make(flag, first, left=left, right=right, split=b"")]
    if kind >= 0.05:
        other = make(flag | SECONDARY, second, left=0, right=0, split=b"")
        return [make(flag, first, left=left, right=right, split=b""), other]
    after, rest = left + len(first.codes), len(tail)
    to_second = text(b"SA", place_text(genome, second, flag, after, rest))
    to_first = text(b"SA", place_text(genome, first, flag, left, right))
    return [
        make(flag, first, left=left, right=right, split=to_second),
        make(flag | SUPPLEMENTARY, second, left=after, right=rest, split=to_first),
    ]


def long_lengths(rng: np.random.Generator, count: int, mean: int, genome: Genome) -> np.ndarray:
    """Return log-normal lengths, from a tenth to five times the mean, and at most a quarter of the longest contig."""
    longest = min(5 * mean, max(genome.lengths()) // 4)
    lengths = rng.lognormal(np.log(mean) - 0.32, 0.8, count)
    return np.clip(lengths, min(mean // 10, longest), longest).astype(np.int64)


def long_records(
    rng: np.random.Generator, genome: Genome, donor: Donor, count: int, length: int, sample: str
) -> Iterator[tuple[bool, bytes]]:
    """Yield sorted records in batches: (whether they are placed, their bytes). `length`: mean length of the reads."""
    lengths = long_lengths(rng, count, length, genome)
    starts = donor.place(rng, count, lengths)
    group, records = text(b"RG", sample.encode()), []
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        records += long_read(rng, genome, donor, Cigars(), start, length, group)
    records.sort(key=lambda record: record[:2])
    for placed, group_of in itertools.groupby(records, key=lambda record: record[0] != NOWHERE):
        bodies = [record for _, _, record in group_of]
        for at in range(0, len(bodies), 1000):
            yield placed, b"".join(bodies[at : at + 1000])
