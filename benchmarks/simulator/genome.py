"""The genome, and a sample of it.

Bases are codes 0-4 (A C G T N), and positions are 0-based. The contigs are concatenated in one array. The two
haplotypes of the sample are one array, too (`Donor`), with the reference position of each base.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BASES = b"ACGTN"


@dataclass
class Genome:
    """Concatenated contigs. `codes`: uint8; contig i is codes[offsets[i]:offsets[i + 1]]."""

    names: list[str]
    offsets: np.ndarray
    codes: np.ndarray
    repeats: np.ndarray  # bool: the base is in a copy of a repeat, so reads map there with low quality
    first: int = 0  # reference id of contig 0

    def lengths(self) -> list[int]:
        return np.diff(self.offsets).tolist()


def make_genome(rng: np.random.Generator, total: int, contigs: int, first: int = 0) -> Genome:
    """Make a genome of `total` bases in `contigs` contigs of decreasing length.

    Each contig begins with a gap of Ns. The genome has varying GC content, interspersed repeats and microsatellites.
    `first`: the reference id of contig 0.
    """
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
    return Genome([f"chr{first + i + 1}" for i in range(contigs)], offsets, codes, repeats, first)


@dataclass
class Donor:
    """The two concatenated haplotypes of a sample.

    Base i is at reference position `ref[i]` (of the concatenated contigs). An inserted base (`inserted[i]`) has the
    position of the base before it. `breaks[i]` is the number of places up to i where the haplotype is not colinear with
    the reference, so a slice without indels has the same number at both ends.
    """

    codes: np.ndarray
    ref: np.ndarray
    inserted: np.ndarray
    breaks: np.ndarray
    bounds: np.ndarray  # ends of the contigs of either haplotype, in this array

    def place(self, rng: np.random.Generator, count: int, length: int | np.ndarray) -> np.ndarray:
        """Return `count` random starts such that [start, start + length) is within one contig, outside of its gap."""
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


def make_donor(
    rng: np.random.Generator, genome: Genome, snv_every: int = 1000, indel_every: int = 8000
) -> Donor:
    """Make a sample with an SNV per `snv_every` bp and an indel per `indel_every` bp; two thirds are heterozygous."""
    total = len(genome.codes)
    sites = np.sort(rng.choice(total, total // snv_every, replace=False))
    snv_alt = (genome.codes[sites] + rng.integers(1, 4, len(sites))) % 4
    indel_sites = np.sort(rng.choice(total, total // indel_every, replace=False))
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


def snvs(genome: Genome, donor: Donor) -> Iterator[tuple[str, int, str, int]]:
    """Yield a sample's SNVs in order: contig, 0-based position, alternative base, number of haplotypes with it."""
    differ = np.flatnonzero(~donor.inserted & (donor.codes != genome.codes[donor.ref]))
    carriers = Counter(zip(donor.ref[differ].tolist(), donor.codes[differ].tolist(), strict=True))
    for (at, code), copies in sorted(carriers.items()):
        contig = int(np.searchsorted(genome.offsets, at, "right")) - 1
        yield genome.names[contig], at - int(genome.offsets[contig]), chr(BASES[code]), copies
