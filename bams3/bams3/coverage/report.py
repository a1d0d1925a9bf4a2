"""mosdepth's two text reports: the summary for each contig and the distribution of depth."""

from __future__ import annotations

from bams3.coverage.measure import Histogram

SUMMARY_HEADER = "chrom\tlength\tbases\tmean\tmin\tmax\n"

ALWAYS_SHOWN = 300
"""Depths up to this one have a line even if no position has them."""

LEAST_SHOWN = 8e-5
"""Proportions below this one have no line."""


class Totals:
    """Sums over contigs or regions. ``least``, the minimum depth, may be None before the first position.

    Its default is 0, because mosdepth 0.3.3 starts its totals of the genome, and those of the first contig's regions,
    with a minimum of 0.
    """

    __slots__ = ("bases", "least", "most", "positions")

    def __init__(self, least: int | None = 0) -> None:
        self.positions, self.bases, self.least, self.most = 0, 0, least, 0

    def add(self, positions: int, bases: int, least: int | None, most: int) -> None:
        """Add a result of `Depth.summary`."""
        self.positions += positions
        self.bases += bases
        if least is not None:
            self.least = least if self.least is None else min(self.least, least)
        self.most = max(self.most, most)

    def merge(self, other: Totals) -> None:
        """Add other totals."""
        self.add(other.positions, other.bases, other.least, other.most)

    def line(self, name: str, decimals: int) -> str:
        """Return a line of the summary."""
        mean = self.bases / self.positions if self.positions else 0.0
        return (
            f"{name}\t{self.positions}\t{self.bases}\t{mean:#.{decimals}f}\t{self.least or 0}\t{self.most}\n"
        )


def distribution(name: str, histogram: Histogram, decimals: int) -> str:
    """Return the lines of a distribution, deepest first: name, depth, proportion of positions with at least it."""
    counts = histogram.to_list()
    positions = sum(counts)
    lines = []
    proportion = 0.0
    for depth in range(len(counts) - 1, -1, -1) if positions else ():
        count = counts[depth]
        if depth > ALWAYS_SHOWN and not count:
            continue
        proportion += count / positions
        if proportion >= LEAST_SHOWN:
            lines.append(f"{name}\t{depth}\t{proportion:#.{decimals}f}\n")
    return "".join(lines)
