"""Genotypes by allele balance, and as bits.

The method is somalier's (Pedersen et al. 2020, Genome Medicine 12:62): a genotype is called of the share of reads with
ALT alone, so that samples can be compared that were never called together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bams3.identity.counts import Allele

UNKNOWN, HOM_REF, HET, HOM_ALT = -1, 0, 1, 2
HOMOZYGOUS = 0.07
"""Of the reads with REF or ALT, the share with the other allele up to which a site is homozygous."""
MOST_OTHER = 0.04
"""Of all reads at a site, the share with a third base up to which it has a genotype."""


class Calling(NamedTuple):
    """Which sites have a genotype: the least number of reads, and the least share of the rarer allele of a
    heterozygous site."""

    min_depth: int = 7
    min_balance: float = 0.2


def balance(counts: Allele, min_depth: int) -> np.ndarray:
    """The share of ALT among reads with REF or ALT, float64; NaN where too few of them are, or too many others."""
    both = counts.ref + counts.alt
    clear = (both >= max(min_depth, 1)) & (counts.other <= MOST_OTHER * counts.depth)
    return np.where(clear, counts.alt / np.maximum(both, 1), np.nan)


def genotypes(balances: np.ndarray, min_balance: float) -> np.ndarray:
    """UNKNOWN, HOM_REF, HET or HOM_ALT of each site, int8."""
    found = np.full(len(balances), UNKNOWN, np.int8)
    found[balances <= HOMOZYGOUS] = HOM_REF
    found[balances >= 1 - HOMOZYGOUS] = HOM_ALT
    found[(balances >= min_balance) & (balances <= 1 - min_balance)] = HET
    return found


def bits(found: np.ndarray) -> np.ndarray:
    """The genotypes of a sample as bits, uint64 (3, words): homozygous for REF, heterozygous, homozygous for ALT."""
    octets = np.packbits(np.stack([found == code for code in (HOM_REF, HET, HOM_ALT)]), axis=1)
    return np.ascontiguousarray(np.pad(octets, ((0, 0), (0, -octets.shape[1] % 8)))).view(np.uint64)
