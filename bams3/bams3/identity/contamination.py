"""Contamination of a sample with reads of another person, estimated from its reads and allele frequencies.

The likelihood is that of VerifyBamID (Jun et al. 2012, American Journal of Human Genetics 91:839): a fraction of the
reads at a site comes from a second person of the same population, and the genotypes of both persons are in
Hardy-Weinberg proportions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bams3.identity.counts import Allele

LEAST_SITES = 100
"""Least number of sites with reads and a known frequency that an estimate needs."""
_SHARES = (0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.25, 0.35, 0.5)
"""Fractions at which the likelihood is computed first."""
_STEPS = 8
"""How often the interval around the best of these is narrowed."""
_LEAST_ERROR = 5e-4
_GOLDEN = (5**0.5 - 1) / 2


def contamination(counts: Allele, frequency: np.ndarray) -> float:
    """Return the most likely fraction of reads of another person, 0 to 0.5; NaN if there are too few sites.

    `frequency`: frequency of ALT at each site, shape (sites,), NaN where it is unknown.
    """
    told = (counts.ref + counts.alt > 0) & ~np.isnan(frequency)
    if np.count_nonzero(told) < LEAST_SITES:
        return float("nan")
    ref, alt, f = counts.ref[told], counts.alt[told], frequency[told]
    # Two of the three wrong bases are counted as `other`, so the rate for each wrong base is half of theirs.
    error = max(_LEAST_ERROR, float(counts.other[told].sum() / 2 / counts.depth[told].sum()))
    one = np.log(np.stack([(1 - f) ** 2, 2 * f * (1 - f), f**2]))
    prior = (one[:, None] + one[None, :]).reshape(9, -1)
    doses = np.arange(3) / 2 * (1 - 2 * error) + error  # the fraction of reads with ALT for each genotype

    def likelihood(share: float) -> float:
        expected = ((1 - share) * doses[:, None] + share * doses[None, :]).reshape(9, 1)
        terms = prior + alt * np.log(expected) + ref * np.log1p(-expected)
        top = terms.max(axis=0)
        return float((top + np.log(np.exp(terms - top).sum(axis=0))).sum())

    found = [likelihood(share) for share in _SHARES]
    best = int(np.argmax(found))
    near = _narrowed(likelihood, _SHARES[max(best - 1, 0)], _SHARES[min(best + 1, len(_SHARES) - 1)])
    return near if likelihood(near) > found[best] else _SHARES[best]


def _narrowed(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function has its only maximum between two numbers, by golden-section search."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    of_left, of_right = function(left), function(right)
    for _ in range(_STEPS):
        if of_left < of_right:
            low, left, of_left = left, right, of_right
            right = low + _GOLDEN * (high - low)
            of_right = function(right)
        else:
            high, right, of_right = right, left, of_left
            left = high - _GOLDEN * (high - low)
            of_left = function(left)
    return (low + high) / 2
