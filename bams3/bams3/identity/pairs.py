"""What pairs of samples share: identity by state at the sites that both know, and their kinship.

Kinship is the estimator of KING-robust (Manichaikul et al. 2010, Bioinformatics 26:2867), as somalier has it (Pedersen
et al. 2020, Genome Medicine 12:62): relative to the sample with fewer heterozygous sites, so that a tumour which has
lost heterozygosity is still the same as its normal.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from math import isnan
from typing import NamedTuple

import numpy as np

from bams3.parallel.workers import Workers, in_order

LEAST_SITES = 100
"""Sites that both must know, for a kinship."""
SAME, FIRST, SECOND, THIRD = (2 ** -(degree + 1.5) for degree in range(4))
"""The least kinship of one person, and of relatives of the first to the third degree: the bounds of KING."""
PARENT_IBS0 = 0.005
"""The share of IBS0 sites up to which relatives of the first degree are parent and child, as in KING."""
ERRORS = 4
"""Standard errors by which a kinship must differ from what it is told from: a cohort has thousands of pairs."""

_WORDS = 1 << 18
"""Words of bits that are compared at a time, about."""


class Pairs(NamedTuple):
    """A sample, `first`, with each of those after it: `second`. All columns but `first` are arrays of numbers.

    `sites`: known in both. `hets_first`, `hets_second`, `shared_hets`: of these, those where the first, the second, or
    both are heterozygous. `ibs0`, `ibs2`: sites where they share no allele, and both.
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
        """NaN where it cannot be told: too few sites, or no heterozygous one in one of both."""
        return self._of_hets(self.shared_hets - 2.0 * self.ibs0)

    @property
    def error(self) -> np.ndarray:
        """The standard error of the kinship of two who are not related, if sites are independent; NaN likewise."""
        return self._of_hets(np.sqrt(self.shared_hets + 4.0 * self.ibs0))

    @property
    def concordance(self) -> np.ndarray:
        """The share of sites with equal genotypes; NaN without sites."""
        return np.where(self.sites > 0, self.ibs2 / np.maximum(self.sites, 1), np.nan)

    @property
    def ibs0_rate(self) -> np.ndarray:
        """The share of sites without a common allele; NaN without sites."""
        return np.where(self.sites > 0, self.ibs0 / np.maximum(self.sites, 1), np.nan)

    def _of_hets(self, value: np.ndarray) -> np.ndarray:
        fewer = np.minimum(self.hets_first, self.hets_second)
        told = (self.sites >= LEAST_SITES) & (fewer > 0)
        return np.where(told, value / (2.0 * np.maximum(fewer, 1)), np.nan)


def relation(kinship: float, error: float, ibs0_rate: float) -> str:
    """The relation that a kinship is nearest to; `unknown` if its error does not allow to tell it from none."""
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
    """Compare each sample with those after it; `bits`: uint64 (samples, 3, words), of `genotypes.bits`."""
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
    """The number of bits in each row."""
    return np.asarray(np.bitwise_count(words).sum(axis=1, dtype=np.int64))
