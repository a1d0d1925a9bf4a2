"""The table of quality: a row a sample, what samtools and mosdepth say of it, and how it differs from the others."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bams3.cohort.matrix import write_table
from bams3.cohort.profiles import read_profiles
from bams3.cohort.regions import is_autosome
from bams3.errors import FormatError

COMPARED = (
    "mean_coverage",
    "mapped_rate",
    "duplicate_rate",
    "mq0_rate",
    "insert_size_mean",
    "profile_distance",
)
"""The columns in which a sample that differs from the others is an outlier."""

OUTLYING = 3.5
"""Robust deviations from the median, as Iglewicz and Hoaglin advise."""

LEAST_DEVIATION = 0.01
"""Of the median: in a cohort of samples that are nearly equal, less than that is not a deviation."""

LEAST_SAMPLES = 8
"""In fewer, none is an outlier: the median says little."""

Limits = Mapping[str, Mapping[str, float]]


def write_qc(
    stem: str | Path,
    samples: Mapping[str, Mapping[str, str]],
    genome: str | Path,
    thresholds: Sequence[int],
    *,
    limits: Limits | None = None,
    sex_contigs: Sequence[str] | None = None,
    contigs: Sequence[str] = (),
) -> None:
    """Write `stem`.tsv and `stem`.parquet.

    `samples`: by name, the paths of each one's `flagstat`, `stats` (samtools'), `summary` and `dist` (mosdepth's).
    `genome`: the matrix of the genome's bins. `limits`: a `min` or a `max`, or both, of columns.
    `sex_contigs`: that which both sexes have, and the other; by default X and Y, as they are usually called.
    `contigs`: those that were measured, in case no sample has reads of one: mosdepth leaves out such.
    """
    profiles = read_profiles(genome)
    rows = []
    for sample, files in samples.items():
        flagstat, stats = _flagstat(files["flagstat"]), _samtools_stats(files["stats"])
        covered = _coverage(files["summary"], sex_contigs, contigs)
        breadth = breadths(files["dist"], thresholds)
        rows.append({"sample": sample} | flagstat | stats | covered | breadth)
    for row, distance, components in zip(rows, profiles.distance, profiles.components, strict=True):
        row["profile_distance"] = round(float(distance), 4)
        row |= {f"pc{i + 1}": round(float(value), 4) for i, value in enumerate(components)}
    _judge(rows, limits or {})
    write_table(Path(stem), pa.Table.from_pylist(rows, _schema(rows[0])))


def breadths(path: str, thresholds: Sequence[int]) -> dict[str, float]:
    """Share of the genome that has at least so many reads, of mosdepth's distribution."""
    shares = distribution(path)
    return {f"breadth_{depth}x": shares.get(depth, 0.0) for depth in sorted(thresholds)}


def distribution(path: str) -> dict[int, float]:
    """The lines `total` of mosdepth's distribution: depth → share of bases that are at least as deep."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.split("\t") for line in file if line.startswith("total\t")]
    return {int(depth): float(share) for _, depth, share in lines}


def _flagstat(path: str) -> dict[str, Any]:
    text = Path(path).read_text()
    found = {
        name: int(passed) + int(failed)
        for passed, failed, name in re.findall(r"^(\d+) \+ (\d+) ([a-z ]+?)(?: \(.*)?$", text, re.MULTILINE)
    }
    try:
        return {
            "reads": found["primary"],
            "mapped_rate": _rate(found["primary mapped"], found["primary"]),
            "properly_paired_rate": _rate(found["properly paired"], found["paired in sequencing"]),
            "duplicate_rate": _rate(found["primary duplicates"], found["primary"]),
        }
    except KeyError as error:
        raise FormatError(f"{path}: no line {error}; is it the text of samtools flagstat?") from None


def _samtools_stats(path: str) -> dict[str, Any]:
    numbers: dict[str, float] = {}
    qualities: dict[int, int] = {}
    with open(path) as file:
        for line in file:
            section, *cells = line.rstrip("\n").split("\t")
            if section == "SN":
                numbers[cells[0].rstrip(":")] = float(cells[1])
            elif section == "MAPQ":
                qualities[int(cells[0])] = int(cells[1])
    try:
        pairs = numbers["inward oriented pairs"] + numbers["outward oriented pairs"]
        return {
            "mq0_rate": _rate(numbers["reads MQ0"], numbers["reads mapped"]),
            "mapq30_rate": _rate(
                sum(n for mapq, n in qualities.items() if mapq >= 30), sum(qualities.values())
            ),
            "insert_size_mean": numbers["insert size average"] if pairs else None,
            "insert_size_sd": numbers["insert size standard deviation"] if pairs else None,
        }
    except KeyError as error:
        raise FormatError(f"{path}: no line {error}; is it the text of samtools stats?") from None


def _coverage(path: str, sex_contigs: Sequence[str] | None, measured: Sequence[str]) -> dict[str, Any]:
    """Mean depth of the genome, and of the sex chromosomes by that of the autosomes, of mosdepth's summary."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.rstrip("\n").split("\t") for line in file][1:]
    contigs = {name: (int(length), int(bases)) for name, length, bases, *_ in lines}
    known = [*contigs, *(name for name in measured if name not in contigs)]
    mean = next((float(line[3]) for line in reversed(lines) if line[0] == "total"), None)
    names = [name for name in contigs if not name.endswith("_region") and name != "total"]
    x, y = sex_contigs or (_named(known, "X"), _named(known, "Y"))
    autosomes = [contigs[name] for name in names if is_autosome(name, names) and name not in (x, y)]
    length, bases = (sum(numbers) for numbers in zip((0, 0), *autosomes, strict=True))

    def ratio(name: str | None) -> float | None:
        if name is None or not bases:
            return None
        its_length, its_bases = contigs.get(name, (1, 0))  # mosdepth says nothing of contigs without reads
        return round(its_bases / its_length / (bases / length), 4)

    return {"mean_coverage": mean, "x_ratio": ratio(x), "y_ratio": ratio(y)}


def _named(names: Sequence[str], letter: str) -> str | None:
    return next((name for name in names if name in (letter, f"chr{letter}")), None)


def _rate(part: float, whole: float) -> float | None:
    return round(part / whole, 6) if whole else None


def _judge(rows: list[dict[str, Any]], limits: Limits) -> None:
    """Give each row its `status` (fail: no reads, or not within a limit; outlier; pass) and the reasons."""
    deviations = {column: _deviations([row[column] for row in rows]) for column in COMPARED}
    for number, row in enumerate(rows):
        failed = [] if row["reads"] else ["no reads"]
        for column, bounds in limits.items():
            failed += _beyond(column, row.get(column), bounds)
        outlying = [
            f"{column} {values[number]:+.1f} deviations"
            for column, values in deviations.items()
            if abs(values[number]) > OUTLYING
        ]
        row["status"] = "fail" if failed else "outlier" if outlying else "pass"
        row["reasons"] = "; ".join(failed + outlying)


def _beyond(column: str, value: float | None, bounds: Mapping[str, float]) -> list[str]:
    """Why a value fails its limits; one that is missing can't be said to be within them."""
    if value is None:
        return [f"{column} is missing"]
    return [
        f"{column} {value:g} {'<' if bound == 'min' else '>'} {limit:g}"
        for bound, limit in bounds.items()
        if (value < limit if bound == "min" else value > limit)
    ]


def _deviations(values: Sequence[float | None]) -> np.ndarray:
    """Robust z-scores: from the median, in deviations estimated by the median absolute one; 0: missing."""
    numbers = np.array([math.nan if value is None else value for value in values], float)
    known = numbers[~np.isnan(numbers)]
    if len(known) < LEAST_SAMPLES:
        return np.zeros(len(numbers))
    median = np.median(known)
    deviation = max(1.4826 * np.median(np.abs(known - median)), LEAST_DEVIATION * abs(median))
    return np.nan_to_num((numbers - median) / deviation) if deviation else np.zeros(len(numbers))


def _schema(row: Mapping[str, Any]) -> pa.Schema:
    types = {"sample": pa.string(), "status": pa.string(), "reasons": pa.string(), "reads": pa.int64()}
    first = ("sample", "status", "reasons")
    names = [*first, *(name for name in row if name not in first)]
    return pa.schema([(name, types.get(name, pa.float64())) for name in names])
