"""`bams3 relate`: comparison of samples, to find relatives, swaps and contamination."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from bams3.dataset.opening import open_reader
from bams3.errors import UsageError
from bams3.identity.counts import SUFFIX, Allele, Quality, count, name_of, read_counts, write_counts
from bams3.identity.findings import GRAVE, Finding, Relatives, by_severity, of_sample
from bams3.identity.genotypes import Calling, bits
from bams3.identity.pairs import Pairs, compare, relation
from bams3.identity.people import People
from bams3.identity.sample import Sample, measure
from bams3.identity.sites import SiteSet
from bams3.output.files import all_or_none, open_output
from bams3.parallel.workers import Workers
from bams3.shown import field

PAIR_COLUMNS = (
    "sample_a", "sample_b", "sites", "kinship", "error", "relation", "expected_kinship", "concordance", "ibs0", "ibs2",
    "shared_hets", "hets_a", "hets_b",
)  # fmt: skip
SAMPLE_COLUMNS = (*Sample._fields, "subject", "expected_sex")
FINDING_COLUMNS = ("kind", "severity", "sample_a", "sample_b", "text")


def count_sample(path: str, output: str, sites: SiteSet, quality: Quality, workers: Workers) -> None:
    """Write the counts of a dataset at sites, as input for `relate`."""
    counts = count(open_reader([path]), sites, quality, workers)
    with open_output(output) as file:
        write_counts(file, counts, sites, quality)


def sample_name(path: str) -> str:
    """Return the name of a sample, which is that of its dataset or of the file of its counts."""
    return name_of(path.rstrip("/").removesuffix(".bams3"))


def relate(
    prefix: str, paths: Sequence[str], sites: SiteSet, people: People, workers: Workers, *, quality: Quality,
    calling: Calling, inputs: Iterable[str] = (),
) -> list[Finding]:  # fmt: skip
    """Compare samples, and return the findings, the most severe first.

    Writes either all or none of pairs.tsv, samples.tsv and findings.tsv, with `prefix` before their names.

    Parameters
    ----------
    paths
        Datasets, or files of counts; one for each sample.
    people
        The subjects and families that are expected.
    quality, calling
        Which reads and bases count, and how genotypes are called.
    inputs
        Other input files of the command, which are never overwritten.

    Raises
    ------
    UsageError
        If two samples have the same name, and as `count` and `read_counts` do.
    """
    names = [sample_name(path) for path in paths]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two samples have the name {name}; names of datasets and of counts must differ")
    with all_or_none(prefix, (*paths, *inputs)) as create:
        files = [create(f"{table}.tsv") for table in ("pairs", "samples", "findings")]
        samples, planes = [], []
        for name, path in zip(names, paths, strict=True):
            sample, genotypes = measure(name, _counts(path, sites, quality, workers), sites, calling)
            samples.append(sample)
            planes.append(bits(genotypes))
        findings = [finding for sample in samples for finding in of_sample(sample, people)]
        relatives = Relatives(samples, people)
        _write(files[0], PAIR_COLUMNS, _pair_rows(planes, names, relatives, findings, workers))
        _write(files[1], SAMPLE_COLUMNS, ((*sample, *_said(sample, people)) for sample in samples))
        findings = by_severity(findings)
        rows = ((kind, "high" if kind in GRAVE else "low", *rest) for kind, *rest in findings)
        _write(files[2], FINDING_COLUMNS, rows)
    return findings


def _counts(path: str, sites: SiteSet, quality: Quality, workers: Workers) -> Allele:
    if path.partition("?")[0].endswith(SUFFIX):
        return read_counts(path, sites, quality)
    return count(open_reader([path]), sites, quality, workers)


def _pair_rows(
    planes: Sequence[np.ndarray], names: Sequence[str], relatives: Relatives, findings: list[Finding], workers: Workers
) -> Iterator[Sequence[Any]]:  # fmt: skip
    """Yield the rows of all pairs, and add what is found to `findings`. `planes`: the `bits` of each sample."""
    for pairs in compare(np.stack(planes), workers):
        findings += relatives.of(pairs)
        yield from _rows(pairs, names, relatives)


def _rows(pairs: Pairs, names: Sequence[str], relatives: Relatives) -> Iterator[Sequence[Any]]:
    columns = (
        pairs.second, pairs.sites, pairs.kinship, pairs.error, pairs.ibs0_rate, pairs.concordance, pairs.ibs0,
        pairs.ibs2, pairs.shared_hets, pairs.hets_first, pairs.hets_second,
    )  # fmt: skip
    first = names[pairs.first]
    for row in zip(*(column.tolist() for column in columns), strict=True):
        second, sites, kinship, error, ibs0_rate, concordance, *counts = row
        expected = relatives.expected(pairs.first, second)
        told = relation(kinship, error, ibs0_rate)
        yield first, names[second], sites, kinship, error, told, expected, concordance, *counts


def _said(sample: Sample, people: People) -> tuple[str, str]:
    subject = people.of[sample.sample]
    return subject.name, subject.sex


def _write(file: BinaryIO, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    file.write(("\t".join(columns) + "\n").encode())
    for row in rows:
        file.write(("\t".join(map(_cell, row)) + "\n").encode("utf-8", "surrogateescape"))


def _cell(value: Any) -> str:
    """Return the text of a cell: a fraction with four decimals, "" if it is unknown (NaN)."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4f}"
    return field(value) if isinstance(value, str) else str(value)


def report(findings: Sequence[Finding], samples: int, sites: int, tell: Callable[[str], Any]) -> None:
    """Print each finding on a line, and then a summary, with the function `tell`."""
    for finding in findings:
        tell(str(finding))
    found = _number(len(findings), "finding") if findings else "no findings"
    tell(f"{_number(samples, 'sample')} at {_number(sites, 'site')}: {found}")


def _number(count: int, of: str) -> str:
    return f"{count} {of}{'' if count == 1 else 's'}"
