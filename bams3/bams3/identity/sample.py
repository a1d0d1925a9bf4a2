"""Measurements of a single sample: how many sites have a genotype, its sex, and its contamination."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bams3.identity.contamination import contamination
from bams3.identity.counts import Allele
from bams3.identity.genotypes import HET, HOM_ALT, HOM_REF, UNKNOWN, Calling, balance, genotypes
from bams3.identity.sites import AUTOSOME, SiteSet, X, Y

LEAST_KNOWN = 20
"""Least number of sites on X (with a genotype) or on Y from which sex is inferred."""
X_HETS = (0.2, 0.6)
"""Heterozygosity on X relative to the autosomes: greatest value of males, least value of females."""
X_DEPTH = (0.65, 0.8)
"""Depth on X relative to the autosomes: greatest value of males, least value of females."""
Y_DEPTH = (0.1, 0.25)
"""Depth on Y relative to the autosomes: greatest value of females, least value of males."""


class Sample(NamedTuple):
    """A row of the table of samples.

    All columns but those of X and Y refer to autosomes. Unknown values are NaN.

    Attributes
    ----------
    sites, known
        Numbers of sites, and of sites with a genotype.
    missing_rate
        Fraction of sites without a genotype.
    hom_ref, het, hom_alt
        Numbers of sites with these genotypes.
    het_rate, x_het_rate
        Fraction of heterozygous sites among those with a genotype.
    middling_rate
        Fraction of sites whose allele balance fits no genotype, among those with enough reads.
    mean_depth
        Mean number of reads at a site.
    contamination
        Fraction of reads from another person.
    x_ratio, y_ratio
        Mean depth relative to that of the autosomes.
    sex
        male, female or unknown.
    """

    sample: str
    sites: int
    known: int
    missing_rate: float
    hom_ref: int
    het: int
    hom_alt: int
    het_rate: float
    middling_rate: float
    mean_depth: float
    contamination: float
    x_sites: int
    x_known: int
    x_het_rate: float
    x_ratio: float
    y_sites: int
    y_ratio: float
    sex: str


def measure(name: str, counts: Allele, sites: SiteSet, calling: Calling) -> tuple[Sample, np.ndarray]:
    """Return the measurements of a sample, and its genotypes at the autosomal sites (int8, one per site)."""
    autosomal, on_x, on_y = (sites.kind == kind for kind in (AUTOSOME, X, Y))
    balances = balance(counts, calling.min_depth)
    every = genotypes(balances, calling.min_balance)
    own, of_x = every[autosomal], every[on_x]
    hom_ref, het, hom_alt = (int(np.count_nonzero(own == code)) for code in (HOM_REF, HET, HOM_ALT))
    known, x_known = hom_ref + het + hom_alt, int(np.count_nonzero(of_x != UNKNOWN))
    clear = int(np.count_nonzero(~np.isnan(balances[autosomal])))
    depth = _mean(counts.depth[autosomal])
    het_rate, x_het_rate = _ratio(het, known), _ratio(int(np.count_nonzero(of_x == HET)), x_known)
    x_ratio, y_ratio = (_ratio(_mean(counts.depth[which]), depth) for which in (on_x, on_y))
    y_sites = int(np.count_nonzero(on_y))
    signs = [
        _sign(_ratio(x_het_rate, het_rate), X_HETS) if x_known >= LEAST_KNOWN else "",
        _sign(x_ratio, X_DEPTH) if np.count_nonzero(on_x) >= LEAST_KNOWN else "",
        _sign(y_ratio, Y_DEPTH, least="female", most="male") if y_sites >= LEAST_KNOWN else "",
    ]
    told = {sign for sign in signs if sign}
    found = Sample(
        sample=name,
        sites=len(own),
        known=known,
        missing_rate=_ratio(len(own) - known, len(own)),
        hom_ref=hom_ref,
        het=het,
        hom_alt=hom_alt,
        het_rate=het_rate,
        middling_rate=_ratio(clear - known, clear),
        mean_depth=depth,
        contamination=contamination(
            Allele(*(column[autosomal] for column in counts)), sites.frequency[autosomal]
        ),
        x_sites=int(np.count_nonzero(on_x)),
        x_known=x_known,
        x_het_rate=x_het_rate,
        x_ratio=x_ratio,
        y_sites=y_sites,
        y_ratio=y_ratio,
        sex=told.pop() if len(told) == 1 else "unknown",
    )
    return found, own


def _sign(value: float, bounds: tuple[float, float], least: str = "male", most: str = "female") -> str:
    """Return the sex that a value indicates: `least` up to the first bound, `most` from the second; "" in between."""
    return least if value <= bounds[0] else most if value >= bounds[1] else ""


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
