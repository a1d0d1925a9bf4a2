"""Genotypes from the allele balance, and their representation as bits.

The method is that of somalier (Pedersen et al. 2020, Genome Medicine 12:62): a genotype is called only from the
fraction of reads with ALT, so that samples can be compared that were not called jointly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bams3.identity.counts import Allele

UNKNOWN, HOM_REF, HET, HOM_ALT = -1, 0, 1, 2
HOMOZYGOUS = 0.07
"""A site is homozygous if at most this fraction of the reads with REF or ALT has the other allele."""
MOST_OTHER = 0.04
"""A site has a genotype only if at most this fraction of its reads has a third base."""


class Calling(NamedTuple):
    """Which sites have a genotype.

    `min_depth`: least number of reads. `min_balance`: least fraction of reads with the rarer allele at a heterozygous
    site.
    """

    min_depth: int = 7
    min_balance: float = 0.2


def balance(counts: Allele, min_depth: int) -> np.ndarray:
    """Return the fraction of ALT among the reads with REF or ALT, float64 of shape (sites,).

    It is NaN at sites with too few of these reads or too many others.
    """
    both = counts.ref + counts.alt
    clear = (both >= max(min_depth, 1)) & (counts.other <= MOST_OTHER * counts.depth)
    return np.where(clear, counts.alt / np.maximum(both, 1), np.nan)


def genotypes(balances: np.ndarray, min_balance: float) -> np.ndarray:
    """Return the genotype of each site (UNKNOWN, HOM_REF, HET or HOM_ALT), int8 of shape (sites,)."""
    found = np.full(len(balances), UNKNOWN, np.int8)
    found[balances <= HOMOZYGOUS] = HOM_REF
    found[balances >= 1 - HOMOZYGOUS] = HOM_ALT
    found[(balances >= min_balance) & (balances <= 1 - min_balance)] = HET
    return found


def bits(found: np.ndarray) -> np.ndarray:
    """Return genotypes as bits, uint64 of shape (3, words): homozygous for REF, heterozygous, homozygous for ALT."""
    octets = np.packbits(np.stack([found == code for code in (HOM_REF, HET, HOM_ALT)]), axis=1)
    return np.ascontiguousarray(np.pad(octets, ((0, 0), (0, -octets.shape[1] % 8)))).view(np.uint64)
