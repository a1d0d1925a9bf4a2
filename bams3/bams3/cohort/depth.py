"""Depth of a sample and of its targets, from mosdepth's output, as columns of the QC table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bams3.cohort.columns import GENOME, TARGET, breadth
from bams3.cohort.regions import is_autosome
from bams3.errors import FormatError

Shares = dict[int, float]
"""Share of bases at or above each depth; the index is the depth, from 0."""

DECIMALS = 6
"""Number of digits to which shares of targets are rounded, so that the depths at which they are reached are exact."""


def of_genome(
    files: Mapping[str, str],
    thresholds: Sequence[int],
    sex_contigs: Sequence[str] | None,
    measured: Sequence[str],
    has_targets: bool,
) -> dict[str, Any]:
    """Mean depth and breadths of the genome, and the depth of the sex chromosomes relative to the autosomes.

    `files` has mosdepth's `summary`, and `dist`, which is its global distribution.
    """
    lines = _summary(files["summary"])
    contigs = {name: line for name, line in lines.items() if not name.endswith("_region") and name != "total"}
    known = [*contigs, *(name for name in measured if name not in contigs)]
    x, y = sex_contigs or (_named(known, "X"), _named(known, "Y"))
    autosomes = [contigs[name] for name in contigs if is_autosome(name, contigs) and name not in (x, y)]
    length, bases = (sum(numbers) for numbers in zip((0, 0), *(line[:2] for line in autosomes), strict=True))

    def ratio(name: str | None) -> float | None:
        if name is None or not bases:
            return None
        its_length, its_bases, _ = contigs.get(
            name, (1, 0, 0)
        )  # mosdepth does not list contigs without reads
        return round(its_bases / its_length / (bases / length), 4)

    prefix = GENOME if has_targets else ""
    found: dict[str, Any] = {
        f"{prefix}mean_coverage": lines["total"][2],
        "x_ratio": ratio(x),
        "y_ratio": ratio(y),
    }
    return found | _breadths(prefix, distribution(files["dist"]), thresholds)


def of_targets(files: Mapping[str, str], size: int, thresholds: Sequence[int]) -> dict[str, Any]:
    """Depth and evenness on targets of `size` bases, and the share of the reads and bases that are on target.

    `files` has mosdepth's `summary` of the genome, its `targets_summary` and `targets_dist`, and `targets_reads`.
    mosdepth does not list targets on contigs without reads; here they count with a depth of 0.
    """
    told, bases, _ = _summary(files["targets_summary"])["total_region"]
    part = told / size if size else 0.0
    shares = {
        depth: round(share * part, DECIMALS) for depth, share in distribution(files["targets_dist"]).items()
    }
    least = _reached(shares, 0.8)
    reads, on_target = _reads(files["targets_reads"])
    return {
        f"{TARGET}mean_coverage": rate(bases, size, 4),
        f"{TARGET}median_coverage": _reached(shares, 0.5),
        **_breadths(TARGET, shares, thresholds),
        "fold_80": rate(bases, size * least, 4),
        "on_target_read_rate": rate(on_target, reads),
        "on_target_base_rate": rate(bases, _summary(files["summary"])["total"][1]),
    }


def size_of(targets: str | Path) -> int:
    """Number of bases in a BED file whose intervals do not overlap."""
    with open(targets, "rb") as file:
        bounds = [line.split(b"\t", 3)[1:3] for line in file]
    return sum(int(end) - int(start) for start, end in bounds)


def distribution(path: str) -> Shares:
    """The `total` lines of mosdepth's distribution. (mosdepth omits depths above 300 that no base has.)"""
    told: Shares = {}
    last = 0
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            if line.startswith("total\t"):
                _, depth, share = line.split("\t")
                if int(depth) >= last:  # the lines so far belong to a contig named total
                    told = {}
                last = int(depth)
                told[last] = float(share)
    shares, least = {}, 0.0
    for level in range(max(told, default=-1), -1, -1):
        shares[level] = least = told.get(level, least)
    return shares


def rate(part: float, whole: float, digits: int = 6) -> float | None:
    """A quotient, rounded; None if the denominator is 0."""
    return round(part / whole, digits) if whole else None


def _breadths(prefix: str, shares: Shares, thresholds: Sequence[int]) -> dict[str, float]:
    return {prefix + breadth(depth): shares.get(depth, 0.0) for depth in sorted(thresholds)}


def _reached(shares: Shares, share: float) -> int:
    """The largest depth that at least this share of the bases reaches."""
    return max((depth for depth, found in shares.items() if found >= share), default=0)


def _summary(path: str) -> dict[str, tuple[int, int, float]]:
    """Length, bases and mean depth by name, from mosdepth's summary. If there are several lines named total, the last
    one counts."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.rstrip("\n").split("\t") for line in file][1:]
    return {name: (int(length), int(bases), float(mean)) for name, length, bases, mean, *_ in lines}


def _reads(path: str) -> tuple[int, int]:
    """Numbers of reads, and of reads on targets, as counted by the workflow."""
    try:
        reads, on_target = map(int, Path(path).read_text().split())
    except ValueError:
        raise FormatError(f"{path}: expected two numbers of reads; delete the file and run again") from None
    return reads, on_target


def _named(names: Sequence[str], letter: str) -> str | None:
    return next((name for name in names if name in (letter, f"chr{letter}")), None)
