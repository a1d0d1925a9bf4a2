"""Simulated alignments: a random genome, a diploid sample of it, and coordinate-sorted, indexed BAMs.

    python benchmarks/simulate.py OUT.bam --reads 2400000 --genome 12M --profile hiseq
    python benchmarks/simulate.py cohort DIR --samples 3 --genome 3M --depth 5

Beside OUT.bam appear OUT.bam.bai and the reference OUT.fa, OUT.fa.fai and OUT.dict. The same arguments give
the same bytes. Bases are codes 0-4 (A C G T N); positions are 0-based; contigs lie back to back in one array.

The sample's two haplotypes are one array too (`Donor`): each base knows the reference position it stands on,
so an alignment is a slice of that array, and its CIGAR, NM and MD follow from the slice. Short reads are made
a matrix (reads x cycles) at a time, and only those with an indel one by one.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pysam
from numpy.lib.stride_tricks import sliding_window_view

BASES = b"ACGTN"
NIBBLES = np.array([1, 2, 4, 8, 15], np.uint8)
PAIRED, PROPER, UNMAPPED, MATE_UNMAPPED, REVERSE, MATE_REVERSE = 1, 2, 4, 8, 16, 32
READ1, READ2, SECONDARY, DUPLICATE, SUPPLEMENTARY = 64, 128, 256, 1024, 2048
FIXED_FIELDS = {"block_size": "<i4", "ref": "<i4", "pos": "<i4", "l_name": "u1", "mapq": "u1", "bin": "<u2"}
FIXED_FIELDS |= {
    "n_cigar": "<u2",
    "flag": "<u2",
    "l_seq": "<i4",
    "next_ref": "<i4",
    "next_pos": "<i4",
    "tlen": "<i4",
}
FIXED = np.dtype(list(FIXED_FIELDS.items()))
BATCH = 50_000
ERROR = (10.0 ** (-np.arange(64) / 10)).astype(np.float32)
MACHINES = {"hiseq": "K00188:42:HFKWNBBXX", "novaseq": "A00297:158:HT275DSXX"}
PLATFORMS = {"hiseq": "ILLUMINA", "novaseq": "ILLUMINA", "long": "ONT"}


# The genome and the sample


@dataclass
class Genome:
    """Contigs back to back: `codes` uint8; contig i is codes[offsets[i]:offsets[i + 1]]."""

    names: list[str]
    offsets: np.ndarray
    codes: np.ndarray
    repeats: np.ndarray  # bool: the base lies in a copy of a repeat, so reads map there with low quality

    def lengths(self) -> list[int]:
        return np.diff(self.offsets).tolist()


def make_genome(rng: np.random.Generator, total: int, contigs: int) -> Genome:
    """`total` bases in `contigs` contigs of falling length, with a gap of Ns at each start, GC content that
    varies, interspersed repeats and microsatellites."""
    weights = np.arange(contigs, 0, -1)
    offsets = np.concatenate([[0], np.cumsum(total * weights // weights.sum())]).astype(np.int64)
    total = int(offsets[-1])
    gc = np.repeat(rng.normal(0.41, 0.06, total // 1000 + 1), 1000)[:total]
    strong, coin = rng.random(total) < gc, rng.integers(0, 2, total, np.uint8)
    codes = np.where(strong, coin + 1, coin * 3).astype(np.uint8)
    repeats = np.zeros(total, bool)
    families = [rng.integers(0, 4, size, np.uint8) for size in rng.integers(300, 6000, 20)]
    for at in rng.integers(0, total, total // 40_000).tolist():
        element = families[rng.integers(len(families))][: total - at]
        diverged = rng.random(len(element)) < 0.05
        codes[at : at + len(element)] = np.where(diverged, rng.integers(0, 4, len(element)), element)
        repeats[at : at + len(element)] = True
    for at in rng.integers(0, total, total // 5000).tolist():
        unit = rng.integers(0, 4, rng.integers(1, 5), np.uint8)
        satellite = np.tile(unit, rng.integers(6, 20))[: total - at]
        codes[at : at + len(satellite)] = satellite
    for start, end in itertools.pairwise(offsets.tolist()):
        codes[start : start + min(10_000, (end - start) // 100)] = 4
    return Genome([f"chr{i + 1}" for i in range(contigs)], offsets, codes, repeats)


@dataclass
class Donor:
    """Both haplotypes of a sample, back to back. Base i stands on reference position `ref[i]` (of the
    concatenated contigs); an inserted base (`inserted[i]`) on that of the base before it. `breaks[i]` counts
    the places up to i where the haplotype is not colinear with the reference: a slice without indels has the
    same count at both ends."""

    codes: np.ndarray
    ref: np.ndarray
    inserted: np.ndarray
    breaks: np.ndarray
    bounds: np.ndarray  # ends of the contigs of either haplotype, in this array

    def place(self, rng: np.random.Generator, count: int, length: int | np.ndarray) -> np.ndarray:
        """`count` starts such that [start, start + length) lies within one contig, outside its gap."""
        lengths = np.broadcast_to(length, count)
        starts = np.zeros(count, np.int64)
        todo = np.arange(count)
        for _ in range(1000):
            start = rng.integers(0, len(self.codes), len(todo))
            end = start + lengths[todo]
            fits = (end <= self.bounds[-1]) & (self.codes[start] < 4)
            fits &= np.searchsorted(self.bounds, start, "right") == np.searchsorted(
                self.bounds, end - 1, "right"
            )
            starts[todo[fits]] = start[fits]
            todo = todo[~fits]
            if not len(todo):
                return starts
        raise SystemExit("simulate: the contigs are too short for these reads; give a larger --genome")


def make_donor(rng: np.random.Generator, genome: Genome) -> Donor:
    """A sample with an SNV every 1,000 bp and an indel every 8,000; two of three are heterozygous."""
    total = len(genome.codes)
    sites = np.sort(rng.choice(total, total // 1000, replace=False))
    snv_alt = (genome.codes[sites] + rng.integers(1, 4, len(sites))) % 4
    indel_sites = np.sort(rng.choice(total, total // 8000, replace=False))
    sizes = np.minimum(rng.geometric(0.35, len(indel_sites)), 20) * rng.choice([-1, 1], len(indel_sites))
    carriers = [
        rng.integers(1, 4, len(sites)),
        rng.integers(1, 4, len(indel_sites)),
    ]  # bit h: haplotype h has it
    parts, bounds = [], []
    for haplotype in (0, 1):
        codes = genome.codes.copy()
        has = (carriers[0] >> haplotype & 1 == 1) & (genome.codes[sites] < 4)
        codes[sites[has]] = snv_alt[has]
        copies = np.ones(total, np.int32)
        has = carriers[1] >> haplotype & 1 == 1
        for site, size in zip(indel_sites[has].tolist(), sizes[has].tolist(), strict=True):
            copies[site : site + max(-size, 1)] = max(0, 1 + size)
        copies[genome.codes == 4] = 1
        ref = np.repeat(np.arange(total, dtype=np.int32), copies)
        inserted = np.concatenate([[False], ref[1:] == ref[:-1]])
        bases = np.where(inserted, rng.integers(0, 4, len(ref), np.uint8), codes[ref])
        bounds.append(np.searchsorted(ref, genome.offsets[1:]) + sum(len(part[1]) for part in parts))
        parts.append((bases.astype(np.uint8), ref, inserted))
    codes, ref, inserted = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    colinear = (np.diff(ref) == 1) & ~inserted[1:] & ~inserted[:-1]
    breaks = np.concatenate([[0], np.cumsum(~colinear)]).astype(np.int32)
    return Donor(codes, ref, inserted, breaks, np.concatenate(bounds))


# From a slice of the donor to CIGAR, NM and MD


def deletions(ref: np.ndarray, inserted: np.ndarray) -> np.ndarray:
    """For each base of a read: how many reference bases are deleted just before it (0 on inserted bases)."""
    gaps = np.zeros(len(ref), np.int64)
    matched = np.flatnonzero(~inserted)
    gaps[matched[1:]] = np.diff(ref[matched]) - 1
    return gaps


def cigar_of(ref: np.ndarray, inserted: np.ndarray) -> list[tuple[int, str]]:
    """Operations of an aligned stretch that begins and ends with a match."""
    gaps = deletions(ref, inserted)
    turns = np.flatnonzero((inserted[1:] != inserted[:-1]) | (gaps[1:] > 0)) + 1
    starts = np.concatenate([[0], turns])
    sizes = np.diff(np.concatenate([starts, [len(ref)]]))
    operations = []
    for gap, size, is_insert in zip(
        gaps[starts].tolist(), sizes.tolist(), inserted[starts].tolist(), strict=True
    ):
        if gap:
            operations.append((gap, "D"))
        operations.append((size, "I" if is_insert else "M"))
    return operations


def edits_of(codes: np.ndarray, ref: np.ndarray, inserted: np.ndarray, genome: Genome) -> tuple[int, bytes]:
    """NM and MD of an aligned stretch that begins and ends with a match."""
    gaps = deletions(ref, inserted)[~inserted]
    stood_on = ref[~inserted]
    reference = genome.codes[stood_on]
    mismatch = codes[~inserted] != reference
    text, done = [], 0
    for at in np.flatnonzero(mismatch | (gaps > 0)).tolist():
        run = at - done
        if gaps[at]:
            deleted = genome.codes[stood_on[at] - gaps[at] : stood_on[at]]
            text.append(b"%d^%b" % (run, bytes(BASES[code] for code in deleted)))
            run, done = 0, at
        if mismatch[at]:
            text.append(b"%d%c" % (run, BASES[reference[at]]))
            done = at + 1
    text.append(b"%d" % (len(reference) - done))
    return int(mismatch.sum() + inserted.sum() + gaps.sum()), b"".join(text)


@dataclass
class Cigars:
    """Each distinct CIGAR once: its text and its packed form, by number; number 0 is `*`."""

    texts: list[bytes] = field(default_factory=lambda: [b"*"])
    packed: list[bytes] = field(default_factory=lambda: [b""])
    numbers: dict[bytes, int] = field(default_factory=dict)

    def number(self, operations: Sequence[tuple[int, str]]) -> int:
        operations = [(size, op) for size, op in operations if size]
        text = b"".join(b"%d%c" % (size, ord(op)) for size, op in operations)
        if text not in self.numbers:
            self.numbers[text] = len(self.texts)
            self.texts.append(text)
            self.packed.append(
                b"".join(struct.pack("<I", size << 4 | "MIDNSH".index(op)) for size, op in operations)
            )
        return self.numbers[text]


# Records


def reg2bin(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The BAI bin of each [start, end), as the SAM specification computes it."""
    bins = np.zeros(len(start), np.int64)
    for shift, first in ((26, 1), (23, 9), (20, 73), (17, 585), (14, 4681)):
        same = start >> shift == (end - 1) >> shift
        bins[same] = first + (start[same] >> shift)
    return bins


@functools.cache
def integer(tag: bytes, value: int) -> bytes:
    """An integer tag in the smallest type that htslib would choose."""
    kind, layout = next(
        k for k in ((b"C", "<B"), (b"S", "<H"), (b"I", "<I")) if value < 256 ** struct.calcsize(k[1])
    )
    return tag + kind + struct.pack(layout, value)


def text(tag: bytes, value: bytes) -> bytes:
    return tag + b"Z" + value + b"\0"


def pack(codes: np.ndarray) -> np.ndarray:
    """4-bit bases, two a byte, of a matrix (reads x bases)."""
    nibbles = NIBBLES[codes]
    if nibbles.shape[1] % 2:
        nibbles = np.pad(nibbles, ((0, 0), (0, 1)))
    return nibbles[:, ::2] << 4 | nibbles[:, 1::2]


def rows_of(matrix: np.ndarray) -> list[bytes]:
    """Each row of a matrix (or element of a structured array) as bytes."""
    matrix = np.ascontiguousarray(matrix)
    width = matrix.nbytes // len(matrix)
    return matrix.reshape(len(matrix), -1).view(np.dtype((np.void, width))).ravel().tolist()


def assemble(fixed: np.ndarray, *columns: list[bytes]) -> bytes:
    """Whole records from their fixed parts (dtype FIXED; sets block_size) and names, CIGARs, … tags."""
    sizes = [np.fromiter(map(len, column), np.int64, len(fixed)) for column in columns]
    fixed["block_size"] = FIXED.itemsize - 4 + sum(sizes)
    return b"".join(itertools.chain.from_iterable(zip(rows_of(fixed), *columns, strict=True)))


# Short paired reads


@dataclass
class Reads:
    """Columns of all records. Rows 2p and 2p + 1 are the ends of pair p; supplementary and secondary rows
    follow and point at their `owner`. Cycles [left, length - right) are aligned, at donor[start + left : …];
    the clipped bases come from donor[foreign : …]."""

    start: np.ndarray
    left: np.ndarray
    right: np.ndarray
    foreign: np.ndarray
    flag: np.ndarray
    owner: np.ndarray
    contig: np.ndarray = field(init=False)
    pos: np.ndarray = field(init=False)
    end: np.ndarray = field(init=False)
    mapq: np.ndarray = field(init=False)
    cigar: np.ndarray = field(init=False)
    simple: np.ndarray = field(init=False)

    def extend(
        self, rows: np.ndarray, start: np.ndarray, left: np.ndarray, right: np.ndarray, flag: int
    ) -> Reads:
        """These reads and, for each of `rows`, a further alignment of it."""
        more = [start, left, right, start, (self.flag[rows] | flag) & ~PROPER, rows]
        columns = [self.start, self.left, self.right, self.foreign, self.flag, self.owner]
        return Reads(*(np.concatenate(pair) for pair in zip(columns, more, strict=True)))


def draw_pairs(rng: np.random.Generator, donor: Donor, count: int, length: int) -> Reads:
    """Both ends of `count` fragments: some overlap, some are shorter than the read, some are duplicates, some
    mates lie elsewhere or nowhere, some ends are clipped."""
    insert = np.maximum(rng.normal(400, 90, count), 0.4 * length + 10).astype(np.int64)
    start = donor.place(rng, count, 2 * length + int(insert.max())) + length
    copies = rng.random(count) < 0.06
    source = rng.integers(0, count, copies.sum())
    start[copies], insert[copies] = start[source], insert[source]
    through = np.maximum(0, length - insert)
    starts = np.stack([start, start + insert - length], 1)
    left, right = np.stack([0 * through, through], 1), np.stack([through, 0 * through], 1)

    fate = rng.random(count)
    apart, half, lost = fate < 0.01, (fate > 0.01) & (fate < 0.015), (fate > 0.015) & (fate < 0.02)
    starts[apart, 1] = donor.place(rng, int(apart.sum()), length)
    flag = np.full((count, 2), PAIRED) | np.where(
        rng.random(count)[:, None] < 0.5, [READ1, READ2], [READ2, READ1]
    )
    flag |= np.array([0, REVERSE])
    flag[~(apart | half | lost)] |= PROPER
    flag[copies & ~(apart | half | lost)] |= DUPLICATE
    flag[half, rng.integers(0, 2, half.sum())] |= UNMAPPED
    flag[lost] |= UNMAPPED
    flag[flag & UNMAPPED > 0] &= ~REVERSE

    clip = np.where(rng.random((count, 2)) < 0.02, rng.integers(5, length // 2, (count, 2)), 0)
    clip[through > 0] = 0
    at_left = rng.random((count, 2)) < 0.5
    left, right = left + clip * at_left, right + clip * ~at_left
    foreign = donor.place(rng, 2 * count, length)
    columns = [starts.ravel(), left.ravel(), right.ravel(), foreign, flag.ravel(), np.arange(2 * count)]
    return Reads(*columns)


def add_further_alignments(rng: np.random.Generator, donor: Donor, reads: Reads, length: int) -> Reads:
    """Supplementary alignments of long clips, and secondary alignments (which have no sequence)."""
    mapped = (reads.flag & UNMAPPED == 0) & (reads.flag & DUPLICATE == 0)
    clipped = reads.left + reads.right
    chimeric = np.flatnonzero(mapped & (clipped >= 30) & (np.minimum(reads.left, reads.right) == 0))
    left = np.where(reads.left[chimeric] > 0, 0, length - clipped[chimeric])
    right = length - clipped[chimeric] - left
    also = np.flatnonzero(mapped & (clipped == 0) & (rng.random(len(mapped)) < 0.003))
    reads = reads.extend(chimeric, reads.foreign[chimeric], left, right, SUPPLEMENTARY)
    return reads.extend(also, donor.place(rng, len(also), length), 0 * also, 0 * also, SECONDARY)


def align(
    rng: np.random.Generator, genome: Genome, donor: Donor, reads: Reads, length: int, cigars: Cigars
) -> None:
    """Fills in contig, pos, end, mapq, cigar and simple (no indel) of `reads`, and the mate's flags."""
    first, last = reads.start + reads.left, reads.start + length - reads.right - 1
    while (inside := donor.inserted[first]).any():
        first += inside
    while (inside := donor.inserted[last]).any():
        last -= inside
    reads.left, reads.right = first - reads.start, reads.start + length - 1 - last
    reads.contig = np.searchsorted(genome.offsets, donor.ref[first], "right") - 1
    reads.pos, reads.end = (x - genome.offsets[reads.contig] for x in (donor.ref[first], donor.ref[last] + 1))
    reads.simple = donor.breaks[first] == donor.breaks[last]
    hard = reads.flag & SUPPLEMENTARY > 0
    keys, inverse = np.unique((reads.left << 20 | reads.right) << 1 | hard, return_inverse=True)
    numbers = []
    for key in keys.tolist():
        left, right, clip = key >> 21, key >> 1 & 0xFFFFF, "SH"[key & 1]
        numbers.append(cigars.number([(left, clip), (length - left - right, "M"), (right, clip)]))
    reads.cigar = np.array(numbers)[inverse]
    for row in np.flatnonzero(~reads.simple).tolist():
        stretch, clip = slice(first[row], last[row] + 1), "SH"[int(hard[row])]
        middle = cigar_of(donor.ref[stretch], donor.inserted[stretch])
        reads.cigar[row] = cigars.number(
            [(int(reads.left[row]), clip), *middle, (int(reads.right[row]), clip)]
        )
    unsure = np.where(genome.repeats[donor.ref[first]], 0.7, 0.06) > rng.random(len(first))
    reads.mapq = np.where(unsure, rng.choice([0, 0, 0, *range(1, 60)], len(first)), 60)
    reads.mapq[reads.flag & SECONDARY > 0] = 0


def place_unmapped(reads: Reads) -> None:
    """An unmapped end goes where its mate is; a pair with no mapped end, nowhere. Sets the mates' flags."""
    unmapped = reads.flag & UNMAPPED > 0
    mate = reads.owner ^ 1
    reads.flag |= MATE_UNMAPPED * unmapped[mate] | MATE_REVERSE * (reads.flag[mate] & REVERSE > 0)
    reads.cigar[unmapped] = 0
    reads.mapq[unmapped] = 0
    reads.left[unmapped] = reads.right[unmapped] = 0
    reads.pos[unmapped], reads.contig[unmapped] = reads.pos[mate[unmapped]], reads.contig[mate[unmapped]]
    reads.end[unmapped] = reads.pos[unmapped] + 1
    lost = unmapped & unmapped[mate]
    reads.pos[lost], reads.contig[lost], reads.end[lost] = -1, -1, 0


def template_lengths(reads: Reads) -> np.ndarray:
    """TLEN as bwa reckons it: from 5' end to 5' end."""
    five = np.where(reads.flag & REVERSE > 0, reads.end - 1, reads.pos)
    mate = reads.owner ^ 1
    span = five[mate] - five
    paired = (reads.contig == reads.contig[mate]) & (reads.contig >= 0)
    paired &= reads.flag & (UNMAPPED | MATE_UNMAPPED) == 0
    return np.where(paired, span + np.sign(span), 0)


def pair_names(rng: np.random.Generator, count: int, machine: str) -> list[bytes]:
    """Distinct Illumina names in no order: machine:run:flowcell:lane:tile:x:y."""
    sites = np.unique(rng.integers(0, 4 * 2 * 678 << 30, count + count // 100 + 100))
    sites = rng.permutation(sites)[:count]
    lane, tile = sites >> 30 & 3, sites >> 32
    tile = (tile % 2 + 1) * 1000 + (tile // 2 % 6 + 1) * 100 + tile // 12 % 78 + 1
    x, y = 1000 + (sites & 0x7FFF), 1000 + (sites >> 15 & 0x7FFF)
    fields = zip((lane + 1).tolist(), tile.tolist(), x.tolist(), y.tolist(), strict=True)
    return [f"{machine}:{a}:{b}:{c}:{d}\0".encode() for a, b, c, d in fields]


def short_qualities(rng: np.random.Generator, count: int, length: int, profile: str) -> np.ndarray:
    """uint8 (count, length), first cycle first. A read's badness is its own level plus noise correlated along
    the read; hiseq turns it into some 40 values that fall with the cycle, novaseq into four."""
    noise = rng.standard_normal((length, count), np.float32)
    for cycle in range(1, length):
        noise[cycle] = 0.55 * noise[cycle - 1] + 0.83 * noise[cycle]
    level = 0.5 * rng.standard_normal(count, np.float32)
    decay = np.linspace(0, 1, length, dtype=np.float32)[:, None] ** 2
    if profile == "novaseq":
        badness = noise + level + 0.4 * decay
        values = np.array([37, 25, 11, 2], np.uint8)[np.digitize(badness, [1.75, 2.45, 4.3])]
    else:
        values = 41.9 - (1.0 + 3.5 * decay) * np.exp(0.75 * noise + level)
        values = np.clip(values, 2, 41).astype(np.uint8)
    return np.ascontiguousarray(values.T)


def mismatch_texts(
    mismatch: np.ndarray, reference: np.ndarray, left: np.ndarray, right: np.ndarray
) -> list[bytes]:
    """MD of reads without indels, from a matrix of mismatches (reads x cycles, false in clips)."""
    length = mismatch.shape[1]
    done, texts = left.tolist(), [b""] * len(left)
    rows, columns = np.nonzero(mismatch)
    bases = reference[rows, columns].tolist()
    for row, column, base in zip(rows.tolist(), columns.tolist(), bases, strict=True):
        texts[row] += b"%d%c" % (column - done[row], BASES[base])
        done[row] = column + 1
    return [
        head + b"%d" % (end - at)
        for head, end, at in zip(texts, (length - right).tolist(), done, strict=True)
    ]


class ShortBatch:
    """Sequences, qualities and edits of some rows of `reads`, as matrices (rows x cycles)."""

    def __init__(
        self,
        rng: np.random.Generator,
        genome: Genome,
        donor: Donor,
        reads: Reads,
        rows: np.ndarray,
        length: int,
        profile: str,
    ):
        windows = sliding_window_view(donor.codes, length)
        left, right = reads.left[rows], reads.right[rows]
        cycle = np.arange(length)
        self.clipped = (cycle < left[:, None]) | (cycle >= (length - right)[:, None])
        codes = windows[reads.start[rows]]
        odd = np.flatnonzero(left + right)
        codes[odd] = np.where(self.clipped[odd], windows[reads.foreign[rows[odd]]], codes[odd])
        unmapped = np.flatnonzero(reads.flag[rows] & UNMAPPED)
        codes[unmapped] = rng.integers(0, 4, (len(unmapped), length), np.uint8)
        quality = short_qualities(rng, len(rows), length, profile)
        backwards = reads.flag[rows] & REVERSE > 0
        quality[backwards] = quality[backwards, ::-1]
        wrong = rng.random(codes.shape, np.float32) < ERROR[quality]
        codes[wrong] = (codes[wrong] + rng.integers(1, 4, wrong.sum(), np.uint8)) & 3
        unread = quality == 2
        unread[unread] = rng.random(unread.sum()) < 0.3
        codes[unread] = 4
        self.codes, self.quality = codes, quality
        self._edits(genome, donor, reads, rows, left, right, length)

    def _edits(
        self,
        genome: Genome,
        donor: Donor,
        reads: Reads,
        rows: np.ndarray,
        left: np.ndarray,
        right: np.ndarray,
        length: int,
    ) -> None:
        first = donor.ref[reads.start[rows] + left] - left
        first = np.clip(first, 0, len(genome.codes) - length)
        reference = sliding_window_view(genome.codes, length)[first]
        mismatch = (self.codes != reference) & ~self.clipped
        self.md = mismatch_texts(mismatch, reference, left, right)
        self.nm = mismatch.sum(1)
        self.score = length - left - right - 5 * self.nm
        for i in np.flatnonzero(~reads.simple[rows] & (reads.flag[rows] & UNMAPPED == 0)).tolist():
            inner = slice(left[i], length - right[i])
            place = slice(reads.start[rows[i]] + left[i], reads.start[rows[i]] + length - right[i])
            edits = edits_of(self.codes[i, inner], donor.ref[place], donor.inserted[place], genome)
            self.nm[i], self.md[i] = edits
            self.score[i] = length - left[i] - right[i] - 3 * edits[0] - 6
        self.score = np.maximum(self.score, 0)


def bodies(reads: Reads, rows: np.ndarray, batch: ShortBatch, length: int) -> tuple[list[bytes], np.ndarray]:
    """SEQ and QUAL as bytes, and l_seq: without the hard-clipped part; nothing for secondary alignments."""
    result = rows_of(np.concatenate([pack(batch.codes), batch.quality], 1))
    sizes = np.full(len(rows), length)
    for i in np.flatnonzero(reads.flag[rows] & (SUPPLEMENTARY | SECONDARY)).tolist():
        row = rows[i]
        inner = slice(reads.left[row], length - reads.right[row])
        if reads.flag[row] & SECONDARY:
            inner = slice(0, 0)
        result[i] = pack(batch.codes[i : i + 1, inner]).tobytes() + batch.quality[i, inner].tobytes()
        sizes[i] = inner.stop - inner.start
    return result, sizes


def split_alignments(genome: Genome, reads: Reads, cigars: Cigars) -> dict[int, bytes]:
    """SA of each record whose read is aligned in two parts, by row."""
    tags = {}
    for row in np.flatnonzero(reads.flag & SUPPLEMENTARY).tolist():
        for to, other in ((row, int(reads.owner[row])), (int(reads.owner[row]), row)):
            name, strand = genome.names[reads.contig[other]], "-+"[not reads.flag[other] & REVERSE]
            cigar = cigars.texts[reads.cigar[other]].decode().replace("H", "S")
            place = f"{name},{reads.pos[other] + 1},{strand},{cigar},{reads.mapq[other]},0;"
            tags[to] = text(b"SA", place.encode())
    return tags


def short_tags(
    reads: Reads, rows: np.ndarray, batch: ShortBatch, cigars: Cigars, group: bytes, split: dict[int, bytes]
) -> list[bytes]:
    """NM MD AS XS RG SA MC MQ, as bwa mem and samblaster write them."""
    mate = reads.owner[rows] ^ 1
    second = np.where(batch.nm * 7 + reads.pos[rows] & 3, 0, 19 + (reads.pos[rows] >> 2 & 15))
    second = np.where(reads.mapq[rows] == 0, batch.score, second)
    columns = [rows, reads.cigar[rows], batch.nm, batch.score, second, reads.cigar[mate], reads.mapq[mate]]
    result = []
    for md, (row, cigar, nm, score, other, mate_cigar, mate_mapq) in zip(
        batch.md, zip(*(column.tolist() for column in columns), strict=True), strict=True
    ):
        mates = text(b"MC", cigars.texts[mate_cigar]) + integer(b"MQ", mate_mapq) if mate_cigar else b""
        edits = integer(b"NM", nm) + text(b"MD", md) if cigar else b""
        scores = integer(b"AS", score if cigar else 0) + integer(b"XS", other if cigar else 0)
        result.append(edits + scores + group + split.get(row, b"") + mates)
    return result


def short_records(
    rng: np.random.Generator, genome: Genome, donor: Donor, count: int, length: int, profile: str, sample: str
) -> Iterator[bytes]:
    """Sorted records, a batch at a time."""
    reads = draw_pairs(rng, donor, count // 2, length)
    reads = add_further_alignments(rng, donor, reads, length)
    cigars = Cigars()
    align(rng, genome, donor, reads, length, cigars)
    place_unmapped(reads)
    tlen, split = template_lengths(reads), split_alignments(genome, reads, cigars)
    names = pair_names(rng, count // 2, MACHINES[profile])
    group = text(b"RG", sample.encode())
    order = np.lexsort((reads.pos, reads.contig & 0x7FFFFFFF))
    for at in range(0, len(order), BATCH):
        rows = order[at : at + BATCH]
        batch = ShortBatch(rng, genome, donor, reads, rows, length, profile)
        name = [names[pair] for pair in (reads.owner[rows] >> 1).tolist()]
        cigar = [cigars.packed[number] for number in reads.cigar[rows].tolist()]
        body, sizes = bodies(reads, rows, batch, length)
        mate = reads.owner[rows] ^ 1
        fixed = np.zeros(len(rows), FIXED)
        fixed["ref"], fixed["pos"], fixed["tlen"] = reads.contig[rows], reads.pos[rows], tlen[rows]
        fixed["next_ref"], fixed["next_pos"] = reads.contig[mate], reads.pos[mate]
        fixed["flag"], fixed["mapq"], fixed["l_seq"] = reads.flag[rows], reads.mapq[rows], sizes
        fixed["bin"] = reg2bin(reads.pos[rows], reads.end[rows])
        fixed["l_name"] = [len(x) for x in name]
        fixed["n_cigar"] = [len(x) // 4 for x in cigar]
        yield assemble(fixed, name, cigar, body, short_tags(reads, rows, batch, cigars, group, split))


# Long reads


@dataclass
class Stretch:
    """An aligned part of a long read: its bases (codes), qualities, and the alignment."""

    codes: np.ndarray
    ref: np.ndarray
    inserted: np.ndarray
    contig: int
    pos: int


def long_stretch(rng: np.random.Generator, genome: Genome, donor: Donor, start: int, length: int) -> Stretch:
    """donor[start : start + length] as a nanopore reads it: 2-3 % each of mismatches and indels."""
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
    """Correlated along the read, mostly 5-30."""
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
    """(contig, pos, record) with minimap2's tags; `left` and `right` bases lie outside the stretch."""
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
    fixed["ref"], fixed["pos"], fixed["flag"], fixed["l_seq"] = stretch.contig, stretch.pos, flag, len(codes)
    fixed["mapq"] = 0 if flag & SECONDARY else 1 if genome.repeats[stretch.ref[0]] else 60
    fixed["l_name"], fixed["n_cigar"] = len(name), len(packed) // 4
    fixed["bin"] = reg2bin(np.array([stretch.pos]), np.array([end]))
    fixed["next_ref"] = fixed["next_pos"] = -1
    body = pack(codes[None]).tobytes() + quality.tobytes()
    return stretch.contig, stretch.pos, assemble(fixed, [name], [packed], [body], [b"".join(tags)])


def unplaced_record(
    name: bytes, codes: np.ndarray, quality: np.ndarray, group: bytes
) -> tuple[int, int, bytes]:
    fixed = np.zeros(1, FIXED)
    for column in ("ref", "pos", "next_ref", "next_pos"):
        fixed[column] = -1
    fixed["flag"], fixed["l_name"], fixed["l_seq"], fixed["bin"] = UNMAPPED, len(name), len(codes), 4680
    body = pack(codes[None]).tobytes() + quality.tobytes()
    return 1 << 30, -1, assemble(fixed, [name], [b""], [body], [integer(b"rl", 0) + group])


def place_text(genome: Genome, stretch: Stretch, flag: int, left: int, right: int) -> bytes:
    """An alignment in an SA tag; minimap2 shortens the CIGAR to clips, matches and the difference."""
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
    """All records of one read: its primary, perhaps a supplementary one (a chimera) or a secondary one."""
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


def long_lengths(rng: np.random.Generator, count: int, genome: Genome) -> np.ndarray:
    """1-50 kb, log-normal about 8 kb; never more than a quarter of the longest contig."""
    longest = min(50_000, max(genome.lengths()) // 4)
    return np.clip(rng.lognormal(9.0, 0.8, count), min(1000, longest), longest).astype(np.int64)


def long_records(
    rng: np.random.Generator, genome: Genome, donor: Donor, count: int, sample: str
) -> Iterator[bytes]:
    """Sorted records, a batch at a time."""
    lengths = long_lengths(rng, count, genome)
    starts = donor.place(rng, count, lengths)
    group, records = text(b"RG", sample.encode()), []
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        records += long_read(rng, genome, donor, Cigars(), start, length, group)
    records.sort(key=lambda record: record[:2])
    for at in range(0, len(records), 1000):
        yield b"".join(record for _, _, record in records[at : at + 1000])


# Files


def header(genome: Genome, sample: str, profile: str) -> bytes:
    """The BAM header, from its magic to the end of the reference list."""
    references = list(zip(genome.names, genome.lengths(), strict=True))
    lines = ["@HD\tVN:1.6\tSO:coordinate"]
    lines += [f"@SQ\tSN:{name}\tLN:{length}" for name, length in references]
    lines.append(f"@RG\tID:{sample}\tSM:{sample}\tLB:{sample}\tPL:{PLATFORMS[profile]}")
    lines.append(f"@PG\tID:simulate\tPN:simulate\tVN:1\tDS:{profile}")
    body = "".join(line + "\n" for line in lines).encode()
    parts = [b"BAM\1", struct.pack("<i", len(body)), body, struct.pack("<i", len(references))]
    for name, length in references:
        parts.append(struct.pack("<i", len(name) + 1) + name.encode() + b"\0" + struct.pack("<i", length))
    return b"".join(parts)


def write_reference(genome: Genome, path: Path) -> None:
    """`path` (FASTA, 60 bases a line), its .fai and its .dict."""
    with path.open("wb") as fasta, path.with_suffix(".dict").open("w") as dictionary:
        dictionary.write("@HD\tVN:1.6\n")
        for name, (start, end) in zip(genome.names, itertools.pairwise(genome.offsets.tolist()), strict=True):
            letters = np.frombuffer(BASES, np.uint8)[genome.codes[start:end]].tobytes()
            fasta.write(f">{name}\n".encode())
            fasta.writelines(letters[at : at + 60] + b"\n" for at in range(0, len(letters), 60))
            dictionary.write(f"@SQ\tSN:{name}\tLN:{end - start}\n")
    pysam.faidx(str(path))


def write_sample(
    path: Path, genome: Genome, seed: int, sample: str, profile: str, reads: int, read_length: int
) -> None:
    """One sample's BAM and its index; another sample name is another person."""
    rng = np.random.default_rng([seed, zlib.crc32(sample.encode())])
    donor = make_donor(rng, genome)
    if profile == "long":
        records = long_records(rng, genome, donor, reads, sample)
    else:
        records = short_records(rng, genome, donor, reads, read_length, profile, sample)
    with pysam.BGZFile(str(path), "wb") as out:
        out.write(header(genome, sample, profile))
        for batch in records:
            out.write(batch)
    pysam.index(str(path))


def read_count(genome: int, depth: float, read_length: int, profile: str) -> int:
    mean = 11_000 if profile == "long" else read_length
    return max(2, int(genome * depth / mean))


def simulate(
    path: str | Path,
    *,
    reads: int | None = None,
    depth: float = 30,
    genome: int = 5_000_000,
    contigs: int = 3,
    read_length: int = 150,
    profile: str = "hiseq",
    seed: int = 1,
    sample: str = "SIM1",
) -> Path:
    """Writes `path` (BAM), its .bai, and the reference beside it (.fa, .fa.fai, .dict); returns the FASTA.
    `reads` takes precedence over `depth`; further alignments of a read come on top."""
    path = Path(path)
    made = make_genome(np.random.default_rng(seed), genome, contigs)
    write_reference(made, path.with_suffix(".fa"))
    reads = reads or read_count(genome, depth, read_length, profile)
    write_sample(path, made, seed, sample, profile, reads, read_length)
    return path.with_suffix(".fa")


def cohort(
    directory: str | Path,
    *,
    samples: int = 3,
    depth: float = 5,
    genome: int = 3_000_000,
    contigs: int = 3,
    read_length: int = 150,
    profile: str = "novaseq",
    seed: int = 1,
) -> Path:
    """`directory`/reference.fa, S1.bam, S2.bam … with indexes, and samples.tsv (its path is returned)."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    made = make_genome(np.random.default_rng(seed), genome, contigs)
    write_reference(made, directory / "reference.fa")
    reads = read_count(genome, depth, read_length, profile)
    lines = ["sample\talignments"]
    for sample in (f"S{i + 1}" for i in range(samples)):
        write_sample(directory / f"{sample}.bam", made, seed, sample, profile, reads, read_length)
        lines.append(f"{sample}\t{directory / sample}.bam")
    sheet = directory / "samples.tsv"
    sheet.write_text("".join(line + "\n" for line in lines))
    return sheet


def bases(value: str) -> int:
    """`5M` is 5,000,000; so k and G."""
    scale = {"k": 10**3, "M": 10**6, "G": 10**9}.get(value[-1:], 1)
    return int(float(value.rstrip("kMG")) * scale)


def parser(command: str, depth: float, genome: str, profile: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog=f"simulate.py{command}", description="Simulated, sorted and indexed BAM files."
    )
    made.add_argument("path", type=Path, metavar="DIR" if command else "OUT.bam")
    made.add_argument("--depth", type=float, default=depth)
    made.add_argument("--genome", type=bases, default=bases(genome), help=f"bases in all contigs [{genome}]")
    made.add_argument("--contigs", type=int, default=3)
    made.add_argument("--read-length", type=int, default=150)
    made.add_argument("--profile", choices=sorted(PLATFORMS), default=profile)
    made.add_argument("--seed", type=int, default=1)
    return made


def main(arguments: Sequence[str]) -> None:
    if arguments[:1] == ["cohort"]:
        options = parser(" cohort", 5, "3M", "novaseq")
        options.add_argument("--samples", type=int, default=3)
        given = vars(options.parse_args(arguments[1:]))
        print(cohort(given.pop("path"), **given))
    else:
        options = parser("", 30, "5M", "hiseq")
        options.add_argument("--reads", type=int, help="instead of --depth")
        options.add_argument("--sample", default="SIM1")
        given = vars(options.parse_args(arguments))
        print(simulate(given.pop("path"), **given))


if __name__ == "__main__":
    main(sys.argv[1:])
