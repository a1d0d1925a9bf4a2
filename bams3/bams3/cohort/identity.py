"""Who is who, for the QC table, the page and MultiQC. It is read from the tables of `bams3 relate`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bams3.errors import FormatError
from bams3.output.files import open_output

STRANGERS = ("unrelated", "unknown")
"""Relations that mean unrelated or unknown."""
_SHOWN = {
    "sex": "Sex from X and Y; unknown if these disagree or have too few sites",
    "known": "Sites with a genotype",
    "het_rate": "Share of these that are heterozygous",
    "mean_depth": "Mean depth at the sites",
    "contamination": "Share of reads that come from another person",
}
"""Columns of the table of samples that MultiQC shows, with descriptions."""


class FindingRow(NamedTuple):
    """A row of the table of findings."""

    kind: str
    severity: str
    sample_a: str
    sample_b: str
    text: str


class Kinships(NamedTuple):
    """The kinships of all pairs of samples as a matrix, NaN where unknown; and which samples are related, and how."""

    samples: Sequence[str]
    matrix: np.ndarray
    related: Sequence[tuple[int, int, str]]


def read_findings(path: str | Path) -> list[FindingRow]:
    """Read the findings, in their order."""
    return [
        FindingRow(*(row[column] for column in FindingRow._fields)) for row in _rows(path, FindingRow._fields)
    ]


def reasons(findings: Sequence[FindingRow]) -> Mapping[str, list[tuple[bool, str]]]:
    """For each sample, its findings: whether the sample fails because of it, and the text for this sample."""
    found: dict[str, list[tuple[bool, str]]] = {}
    for kind, severity, one, other, text in findings:
        for sample, second in ((one, other), (other, one)) if other else ((one, ""),):
            told = f"{kind} {second}: {text}" if second else f"{kind}: {text}"
            found.setdefault(sample, []).append((severity == "high", told))
    return found


def read_kinships(path: str | Path, samples: Sequence[str]) -> Kinships:
    """Read kinships from a table of pairs. Relatives come first, next to each other; all others keep their order."""
    columns = ("sample_a", "sample_b", "kinship", "relation")
    number = {sample: i for i, sample in enumerate(samples)}
    matrix = np.full((len(samples), len(samples)), np.nan)
    np.fill_diagonal(matrix, 0.5)
    related = []
    for row in _rows(path, columns):
        try:
            pair = number[row["sample_a"]], number[row["sample_b"]]
            matrix[pair] = matrix[pair[::-1]] = float(row["kinship"] or "nan")
        except (KeyError, ValueError):
            raise FormatError(
                f"{path}: not a pair of this cohort: {row['sample_a']}, {row['sample_b']}"
            ) from None
        if row["relation"] not in STRANGERS:
            related.append((*pair, row["relation"]))
    order = _together(len(samples), related)
    place = {old: new for new, old in enumerate(order)}
    moved = [(min(place[i], place[j]), max(place[i], place[j]), what) for i, j, what in related]
    return Kinships([samples[i] for i in order], matrix[np.ix_(order, order)], sorted(moved))


def write_multiqc(path: str, samples: str | Path, findings: str | Path) -> None:
    """Write the table of all samples for MultiQC. It is custom content, which MultiQC recognizes by the end of its
    name, `_mqc.tsv`."""
    told = reasons(read_findings(findings))
    headers = {
        name: {"title": name.replace("_", " ").capitalize(), "description": what}
        for name, what in _SHOWN.items()
    }
    settings: dict[str, Any] = {
        "id": "bams3_identity",
        "section_name": "Who is who",
        "description": "Identity of the samples, from common sites (bams3 relate).",
        "plot_type": "table",
        "pconfig": {"id": "bams3_identity_table", "title": "Who is who", "namespace": "bams3"},
        "headers": {
            "findings": {"title": "Findings", "description": "Where samples and sheet disagree"},
            **headers,
        },
    }
    with open_output(path) as file:
        for key, value in settings.items():
            file.write(f"# {key}: {json.dumps(value)}\n".encode())
        file.write(("\t".join(("Sample", "findings", *_SHOWN)) + "\n").encode())
        for row in _rows(samples, ("sample", *_SHOWN)):
            of_sample = "; ".join(text for _, text in told.get(row["sample"], ())) or "none"
            cells = (row["sample"], of_sample, *(row[column] for column in _SHOWN))
            file.write(("\t".join(cells) + "\n").encode("utf-8", "surrogateescape"))


def _rows(path: str | Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of a table. Raises FormatError if it lacks a column."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        heading = file.readline().rstrip("\n").split("\t")
        for column in columns:
            if column not in heading:
                raise FormatError(
                    f"{path}: not a table of bams3 relate: it has no column {column}; delete the file and run again"
                )
        for line in file:
            cells = line.rstrip("\n").split("\t")
            if len(cells) != len(heading):
                raise FormatError(f"{path}: a line of {len(cells)} cells instead of {len(heading)}")
            yield dict(zip(heading, cells, strict=True))


def _together(count: int, related: Sequence[tuple[int, int, str]]) -> list[int]:
    """The numbers of all samples: first each group of relatives, then all others."""
    group = list(range(count))
    for i, j, _ in related:
        one, other = _top(group, i), _top(group, j)
        group[max(one, other)] = min(one, other)
    members: dict[int, list[int]] = {}
    for number in range(count):
        members.setdefault(_top(group, number), []).append(number)
    groups = sorted(members.values(), key=lambda numbers: len(numbers) == 1)
    return [number for numbers in groups for number in numbers]


def _top(group: list[int], number: int) -> int:
    while group[number] != number:
        group[number] = number = group[group[number]]
    return number
