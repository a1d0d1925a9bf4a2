"""Short paired reads, made as matrices (reads x cycles). Only reads with an indel are made one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from simulator.alignment import Cigars, cigar_of, edits_of
from simulator.genome import BASES, Donor, Genome
from simulator.instruments import INSTRUMENTS, pair_names, qualities
from simulator.records import (
    DUPLICATE,
    FIXED,
    MATE_REVERSE,
    MATE_UNMAPPED,
    PAIRED,
    PROPER,
    READ1,
    READ2,
    REVERSE,
    SECONDARY,
    SUPPLEMENTARY,
    UNMAPPED,
    assemble,
    int32,
    integer,
    pack,
    reg2bin,
    rows_of,
    text,
)

BATCH = 50_000
ERROR = (0.5 * 10.0 ** (-np.arange(64) / 10)).astype(
    np.float32
)  # half of the error rate that Q states, because instruments understate quality


@dataclass
class Reads:
    """Columns of all records.

    Rows 2p and 2p + 1 are the ends of pair p. Supplementary and secondary rows follow; `owner` is the row of their
    read. Cycles [left, length - right) are aligned, at donor[start + left : …]; clipped bases come from donor[foreign :
    …].
    """

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
        """Return these reads and, for each of `rows`, a further alignment."""
        more = [start, left, right, start, (self.flag[rows] | flag) & ~PROPER, rows]
        columns = [self.start, self.left, self.right, self.foreign, self.flag, self.owner]
        return Reads(*(np.concatenate(pair) for pair in zip(columns, more, strict=True)))


def draw_pairs(rng: np.random.Generator, donor: Donor, count: int, length: int) -> Reads:
    """Make both ends of `count` fragments.

    Some ends overlap, some fragments are shorter than the read, some are duplicates, some mates are elsewhere or
    unmapped, and some ends are clipped.
    """
    insert = np.maximum(rng.normal(400, 90, count), 0.4 * length + 10).astype(np.int64)
    start = donor.place(rng, count, 2 * length + int(insert.max())) + length
    copies = rng.random(count) < 0.06
    source = rng.integers(0, count, copies.sum())
    start[copies], insert[copies] = start[source], insert[source]
    through = np.maximum(0, length - insert)
    starts = np.stack([start, start + insert - length], 1)
    left, right = np.stack([0 * through, through], 1), np.stack([through, 0 * through], 1)

    fate = rng.random(count)
    apart, half, lost = fate < 0.01, (fate > 0.01) & (fate < 0.012), (fate > 0.012) & (fate < 0.015)
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

    clip = np.minimum(4 + rng.geometric(1 / 18, (count, 2)), length // 2)
    clip[rng.random((count, 2)) >= 0.02] = 0
    clip[through > 0] = 0
    at_left = rng.random((count, 2)) < 0.5
    left, right = left + clip * at_left, right + clip * ~at_left
    foreign = donor.place(rng, 2 * count, length)
    columns = [starts.ravel(), left.ravel(), right.ravel(), foreign, flag.ravel(), np.arange(2 * count)]
    return Reads(*columns)


def add_further_alignments(rng: np.random.Generator, donor: Donor, reads: Reads, length: int) -> Reads:
    """Add supplementary alignments of long clips, and secondary alignments (which have no sequence)."""
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
    """Fill in contig, pos, end, mapq, cigar and simple (no indel) of `reads`."""
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
    """Place an unmapped end where its mate is, and a pair without a mapped end nowhere. Set the flags for mates."""
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
    """Return TLEN as bwa computes it: from 5' end to 5' end."""
    five = np.where(reads.flag & REVERSE > 0, reads.end - 1, reads.pos)
    mate = reads.owner ^ 1
    span = five[mate] - five
    paired = (reads.contig == reads.contig[mate]) & (reads.contig >= 0)
    paired &= reads.flag & (UNMAPPED | MATE_UNMAPPED) == 0
    return np.where(paired, span + np.sign(span), 0)


def mismatch_texts(
    mismatch: np.ndarray, reference: np.ndarray, left: np.ndarray, right: np.ndarray
) -> list[bytes]:
    """Return the MD of reads without indels, from a matrix of mismatches (reads x cycles, False in clips)."""
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
        quality: np.ndarray,
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
    """Return SEQ and QUAL as bytes, and l_seq: without hard-clipped bases; empty for secondary alignments."""
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
    """Return the SA of each record whose read is aligned in two parts, by row."""
    tags = {}
    for row in np.flatnonzero(reads.flag & SUPPLEMENTARY).tolist():
        for to, other in ((row, int(reads.owner[row])), (int(reads.owner[row]), row)):
            name, strand = genome.names[reads.contig[other]], "-+"[not reads.flag[other] & REVERSE]
            cigar = cigars.texts[reads.cigar[other]].decode().replace("H", "S")
            place = f"{name},{reads.pos[other] + 1},{strand},{cigar},{reads.mapq[other]},0;"
            tags[to] = text(b"SA", place.encode())
    return tags


def short_tags(
    reads: Reads, rows: np.ndarray, batch: ShortBatch, cigars: Cigars, group: bytes, split: dict[int, bytes],
    mate_score: np.ndarray,
) -> list[bytes]:  # fmt: skip
    """Return the tags NM MD AS XS RG SA, as bwa mem writes them, and MQ MC ms, as samtools fixmate -m writes them."""
    mate = reads.owner[rows] ^ 1
    second = np.where(batch.nm * 7 + reads.pos[rows] & 3, 0, 19 + (reads.pos[rows] >> 2 & 15))
    second = np.where(reads.mapq[rows] == 0, batch.score, second)
    columns = [
        rows,
        reads.cigar[rows],
        batch.nm,
        batch.score,
        second,
        reads.cigar[mate],
        reads.mapq[mate],
        mate_score,
    ]
    result = []
    for md, (row, cigar, nm, score, other, mate_cigar, mate_mapq, sum_of_mate) in zip(
        batch.md, zip(*(column.tolist() for column in columns), strict=True), strict=True
    ):
        mates = int32(b"MQ", mate_mapq) + text(b"MC", cigars.texts[mate_cigar]) if mate_cigar else b""
        edits = integer(b"NM", nm) + text(b"MD", md) if cigar else b""
        scores = integer(b"AS", score if cigar else 0) + integer(b"XS", other if cigar else 0)
        result.append(edits + scores + group + split.get(row, b"") + mates + int32(b"ms", sum_of_mate))
    return result


def short_records(
    rng: np.random.Generator, genome: Genome, donor: Donor, count: int, length: int, profile: str, sample: str
) -> Iterator[tuple[bool, bytes]]:
    """Yield sorted records in batches: (whether they are placed, their bytes)."""
    instrument = INSTRUMENTS[profile]
    reads = draw_pairs(rng, donor, count // 2, length)
    reads = add_further_alignments(rng, donor, reads, length)
    cigars = Cigars()
    align(rng, genome, donor, reads, length, cigars)
    place_unmapped(reads)
    tlen, split = template_lengths(reads), split_alignments(genome, reads, cigars)
    names = pair_names(rng, count // 2, instrument, run=42 + genome.first)
    group = text(b"RG", sample.encode())
    contig = np.where(reads.contig < 0, -1, reads.contig + genome.first)
    order = np.lexsort((reads.pos, contig & 0x7FFFFFFF))
    places = [(True, order[contig[order] >= 0]), (False, order[contig[order] < 0])]
    batches = [
        (placed, part[at : at + BATCH]) for placed, part in places for at in range(0, len(part), BATCH)
    ]
    # Qualities are drawn twice, because a record has the sum of its mate's qualities, and the mate may come later.
    seed, score = int(rng.integers(1 << 32)), np.zeros(len(order), np.int64)
    for number, (_, rows) in enumerate(batches):
        quality = qualities(np.random.default_rng([seed, number]), len(rows), length, instrument)
        score[rows] = np.where(quality >= 15, quality, 0).sum(1, dtype=np.int64)
    for number, (placed, rows) in enumerate(batches):
        quality = qualities(np.random.default_rng([seed, number]), len(rows), length, instrument)
        batch = ShortBatch(rng, genome, donor, reads, rows, length, quality)
        name = [names[pair] for pair in (reads.owner[rows] >> 1).tolist()]
        cigar = [cigars.packed[number] for number in reads.cigar[rows].tolist()]
        body, sizes = bodies(reads, rows, batch, length)
        mate = reads.owner[rows] ^ 1
        fixed = np.zeros(len(rows), FIXED)
        fixed["ref"], fixed["pos"], fixed["tlen"] = contig[rows], reads.pos[rows], tlen[rows]
        fixed["next_ref"], fixed["next_pos"] = contig[mate], reads.pos[mate]
        fixed["flag"], fixed["mapq"], fixed["l_seq"] = reads.flag[rows], reads.mapq[rows], sizes
        fixed["bin"] = reg2bin(reads.pos[rows], reads.end[rows])
        fixed["l_name"] = [len(x) for x in name]
        fixed["n_cigar"] = [len(x) // 4 for x in cigar]
        tags = short_tags(reads, rows, batch, cigars, group, split, score[mate])
        yield placed, assemble(fixed, name, cigar, body, tags)
