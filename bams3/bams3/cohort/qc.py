"""The QC table: a row for each sample, with numbers from samtools and mosdepth, and how it differs from other
samples."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bams3.cohort import columns
from bams3.cohort.depth import of_genome, of_targets, rate, size_of
from bams3.cohort.identity import read_findings, reasons
from bams3.cohort.matrix import write_table
from bams3.cohort.profiles import read_profiles
from bams3.errors import FormatError

COMPARED = (
    "mean_coverage",
    "mapped_rate",
    "duplicate_rate",
    "mq0_rate",
    "insert_size_mean",
    "profile_distance",
)
"""Columns that can make a sample an outlier. Depth is that of the targets, if there are any."""

OUTLYING = 3.5
"""Threshold in robust deviations from the median, as recommended by Iglewicz and Hoaglin."""

LEAST_DEVIATION = 0.01
"""Smaller differences, relative to the median, are not deviations, even if the samples are nearly equal."""

LEAST_SAMPLES = 8
"""In smaller cohorts, no sample is an outlier, because the median means little."""

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
    targets: str | Path | None = None,
    own: Mapping[str, Sequence[str | None]] | None = None,
    findings: str | Path | None = None,
) -> None:
    """Write the QC table to `stem`.tsv and `stem`.parquet.

    Parameters
    ----------
    stem
        Path without the ending.
    samples
        By name, the paths of each sample's `flagstat` and `stats` (samtools), `summary` and `dist` (mosdepth), and with
        targets also `targets_summary`, `targets_dist` (mosdepth) and `targets_reads`.
    genome
        The matrix of the genome's bins.
    thresholds
        Depths for which the share of bases at or above them is reported.
    limits
        A `min`, a `max` or both for each column that has limits.
    sex_contigs
        The contig that both sexes have, then the other one; by default X and Y under their usual names.
    contigs
        The measured contigs. mosdepth does not list contigs without reads, so they cannot be taken from its files.
    targets
        A BED file of intervals that do not overlap.
    own
        Columns of the sheet, with a cell for each sample.
    findings
        The table of what `bams3 relate` found.
    """
    own, has_targets = own or {}, targets is not None
    size = size_of(targets) if targets is not None else 0
    profiles = read_profiles(genome)
    rows = []
    for number, (sample, files) in enumerate(samples.items()):
        row: dict[str, Any] = {"sample": sample} | {name: cells[number] for name, cells in own.items()}
        row |= _flagstat(files["flagstat"]) | _samtools_stats(files["stats"])
        row |= of_genome(files, thresholds, sex_contigs, contigs, has_targets)
        rows.append(row | (of_targets(files, size, thresholds) if has_targets else {}))
    components = [f"pc{number + 1}" for number in range(profiles.components.shape[1])]
    for row, distance, scores in zip(rows, profiles.distance, profiles.components, strict=True):
        row["profile_distance"] = round(float(distance), 4)
        row |= {name: round(float(score), 4) for name, score in zip(components, scores, strict=True)}
    _judge(rows, limits or {}, has_targets, reasons(read_findings(findings)) if findings else {})
    texts = [*columns.FIRST, *own]
    measured = [*columns.numbers(thresholds, has_targets), *components]
    types = [(name, pa.string()) for name in texts] + [(name, _type(name)) for name in measured]
    write_table(Path(stem), pa.Table.from_pylist(rows, pa.schema(types)))


def _type(column: str) -> pa.DataType:
    return pa.int64() if column == "reads" else pa.float64()


def _flagstat(path: str) -> dict[str, Any]:
    text = Path(path).read_text()
    found = {
        name: int(passed) + int(failed)
        for passed, failed, name in re.findall(r"^(\d+) \+ (\d+) ([a-z ]+?)(?: \(.*)?$", text, re.MULTILINE)
    }
    try:
        return {
            "reads": found["primary"],
            "mapped_rate": rate(found["primary mapped"], found["primary"]),
            "properly_paired_rate": rate(found["properly paired"], found["paired in sequencing"]),
            "duplicate_rate": rate(found["primary duplicates"], found["primary"]),
        }
    except KeyError as error:
        raise FormatError(f"{path}: no line {error}; is it the text output of samtools flagstat?") from None


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
            "mq0_rate": rate(numbers["reads MQ0"], numbers["reads mapped"]),
            "mapq30_rate": rate(
                sum(n for mapq, n in qualities.items() if mapq >= 30), sum(qualities.values())
            ),
            "insert_size_mean": numbers["insert size average"] if pairs else None,
            "insert_size_sd": numbers["insert size standard deviation"] if pairs else None,
        }
    except KeyError as error:
        raise FormatError(f"{path}: no line {error}; is it the text output of samtools stats?") from None


def _judge(
    rows: list[dict[str, Any]], limits: Limits, has_targets: bool, found: Mapping[str, list[tuple[bool, str]]]
) -> None:
    """Set each row's `status` and the reasons. A sample fails if it has no reads, is outside a limit, or is not who it
    should be; otherwise, it is an outlier or passes.

    `found` has, for each sample, its findings: whether the sample fails because of it, and its text.
    """
    compared = [columns.meant(name, has_targets) for name in COMPARED]
    deviations = {column: _deviations([row[column] for row in rows]) for column in compared}
    for number, row in enumerate(rows):
        failed = [] if row["reads"] else ["no reads"]
        for name, bounds in limits.items():
            column = columns.meant(name, has_targets)
            failed += _beyond(column, row[column], bounds)
        of_sample = found.get(row["sample"], [])
        failed = [text for is_grave, text in of_sample if is_grave] + failed
        outlying = [text for is_grave, text in of_sample if not is_grave] + [
            f"{column} {values[number]:+.1f} deviations"
            for column, values in deviations.items()
            if abs(values[number]) > OUTLYING
        ]
        row["status"] = "fail" if failed else "outlier" if outlying else "pass"
        row["reasons"] = "; ".join(failed + outlying)


def _beyond(column: str, value: float | None, bounds: Mapping[str, float]) -> list[str]:
    """The reasons why a value is not within its limits. A missing value never is."""
    if value is None:
        return [f"{column} is missing"]
    return [
        f"{column} {value:g} {'<' if bound == 'min' else '>'} {limit:g}"
        for bound, limit in bounds.items()
        if (value < limit if bound == "min" else value > limit)
    ]


def _deviations(values: Sequence[float | None]) -> np.ndarray:
    """Robust z-scores: distance from the median, in units estimated from the median absolute deviation; 0 if
    missing."""
    numbers = np.array([math.nan if value is None else value for value in values], float)
    known = numbers[~np.isnan(numbers)]
    if len(known) < LEAST_SAMPLES:
        return np.zeros(len(numbers))
    median = np.median(known)
    deviation = max(1.4826 * np.median(np.abs(known - median)), LEAST_DEVIATION * abs(median))
    return np.nan_to_num((numbers - median) / deviation) if deviation else np.zeros(len(numbers))
