"""Comparison of pairs of samples: identity by state at the sites where both have a genotype, and kinship.

Kinship is estimated as in KING-robust (Manichaikul et al. 2010, Bioinformatics 26:2867), in the form that somalier uses
(Pedersen et al. 2020, Genome Medicine 12:62): relative to the sample with fewer heterozygous sites, so that a tumour
that has lost heterozygosity still matches its normal sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from math import isnan
from typing import NamedTuple

import numpy as np

from bams3.parallel.workers import Workers, in_order

LEAST_SITES = 100
"""Least number of sites where both samples must have a genotype for a kinship."""
SAME, FIRST, SECOND, THIRD = (2 ** -(degree + 1.5) for degree in range(4))
"""Least kinships of samples of one person, and of relatives of the first to third degree: the thresholds of KING."""
PARENT_IBS0 = 0.005
"""First-degree relatives are parent and child if at most this fraction of their sites is IBS0, as in KING."""
ERRORS = 4
"""By how many standard errors a kinship must differ from an alternative. It is high, as cohorts have many pairs."""

_WORDS = 1 << 18
"""Approximate number of words of bits that are compared at a time."""


class Pairs(NamedTuple):
    """The comparison of one sample with some of those after it.

    All attributes but `first` are integer arrays of shape (pairs,).

    Attributes
    ----------
    first, second
        Numbers of the samples.
    sites
        Numbers of sites where both samples have a genotype.
    hets_first, hets_second, shared_hets
        Numbers of these sites where the first, the second, or both samples are heterozygous.
    ibs0, ibs2
        Numbers of these sites where the samples share no allele, or both alleles.
    """

    first: int
    second: np.ndarray
    sites: np.ndarray
    hets_first: np.ndarray
    hets_second: np.ndarray
    shared_hets: np.ndarray
    ibs0: np.ndarray
    ibs2: np.ndarray

    @property
    def kinship(self) -> np.ndarray:
        """Kinship of each pair; NaN if there are too few sites, or if one of the samples has no heterozygous sites."""
        return self._of_hets(self.shared_hets - 2.0 * self.ibs0)

    @property
    def error(self) -> np.ndarray:
        """Standard error of the kinship of unrelated people if sites are independent; NaN where the kinship is NaN."""
        return self._of_hets(np.sqrt(self.shared_hets + 4.0 * self.ibs0))

    @property
    def concordance(self) -> np.ndarray:
        """Fraction of sites with the same genotype; NaN without sites."""
        return np.where(self.sites > 0, self.ibs2 / np.maximum(self.sites, 1), np.nan)

    @property
    def ibs0_rate(self) -> np.ndarray:
        """Fraction of sites without a common allele; NaN without sites."""
        return np.where(self.sites > 0, self.ibs0 / np.maximum(self.sites, 1), np.nan)

    def _of_hets(self, value: np.ndarray) -> np.ndarray:
        fewer = np.minimum(self.hets_first, self.hets_second)
        told = (self.sites >= LEAST_SITES) & (fewer > 0)
        return np.where(told, value / (2.0 * np.maximum(fewer, 1)), np.nan)


def relation(kinship: float, error: float, ibs0_rate: float) -> str:
    """Return the relation that fits a kinship; `unknown` if its error is too large to tell relatives from strangers."""
    if isnan(kinship):
        return "unknown"
    if kinship < THIRD:
        return "unrelated" if kinship + ERRORS * error < FIRST else "unknown"
    if kinship < ERRORS * error:
        return "unknown"
    if kinship >= SAME:
        return "same"
    if kinship >= FIRST:
        return "parent-child" if ibs0_rate <= PARENT_IBS0 else "siblings"
    return "second-degree" if kinship >= SECOND else "third-degree"


def compare(bits: np.ndarray, workers: Workers) -> Iterator[Pairs]:
    """Compare each sample with those after it. `bits`: the results of `genotypes.bits`, uint64 (samples, 3, words)."""
    hom_ref, het, hom_alt = (np.ascontiguousarray(bits[:, plane]) for plane in range(3))
    known = hom_ref | het | hom_alt
    count, words = known.shape
    step = max(1, _WORDS // max(words, 1))

    def block(job: tuple[int, int]) -> Pairs:
        i, start = job
        others = slice(start, min(start + step, count))
        shared = _count(het[others] & het[i])
        return Pairs(
            i,
            np.arange(others.start, others.stop),
            _count(known[others] & known[i]),
            _count(known[others] & het[i]),
            _count(het[others] & known[i]),
            shared,
            _count((hom_ref[others] & hom_alt[i]) | (hom_alt[others] & hom_ref[i])),
            shared + _count((hom_ref[others] & hom_ref[i]) | (hom_alt[others] & hom_alt[i])),
        )

    jobs = chain.from_iterable(((i, start) for start in range(i + 1, count, step)) for i in range(count - 1))
    return in_order(block, jobs, workers)


def _count(words: np.ndarray) -> np.ndarray:
    """Return the number of set bits in each row."""
    return np.asarray(np.bitwise_count(words).sum(axis=1, dtype=np.int64))
