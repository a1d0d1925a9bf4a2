"""Estimates of the requests and bytes of an operation on a remote dataset, computed from its index.

Chunks are not read, except for their footers if a filter needs names, tags, bases or qualities.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bams3.bam.regions import Region
from bams3.dataset.prefetch import Plan, plan_all, plan_hot
from bams3.dataset.reader import DatasetReader
from bams3.select.query import (
    RecordFilter,
    count_plan,
    inside,
    record_jobs,
    shared_jobs,
    shared_regions,
    streams_plan,
)
from bams3.select.schema import HEADER_FIELDS

PER_MILLION_REQUESTS = 0.40  # USD per million GETs: S3 Standard in us-east-1, 2026
PER_GB = 0.09  # USD per 10^9 bytes that leave AWS; within a region they are free


@dataclass
class Cost:
    """Requests and bytes received, without retries and without the savings of a cache (BAMS3_CACHE)."""

    requests: int
    bytes: int

    def usd(self, per_million_requests: float, per_gb: float) -> float:
        """Return the price in USD."""
        return self.requests * per_million_requests / 1e6 + self.bytes * per_gb / 1e9


def query_cost(dataset: DatasetReader, regions: Iterable[Region] | None, record_filter: RecordFilter) -> Cost:
    """Return the cost of `query` for these regions (None: all records)."""
    return _cost(dataset, record_jobs(dataset, regions, record_filter), [plan_all], header=True)


def count_cost(dataset: DatasetReader, regions: Iterable[Region] | None, record_filter: RecordFilter) -> Cost:
    """Return the cost of `count` for these regions (None: all records)."""
    jobs, plan = record_jobs(dataset, regions, record_filter), count_plan(record_filter, inside)
    return _count_cost(dataset, jobs, plan, record_filter)


def count_each_cost(dataset: DatasetReader, regions: Sequence[Region], record_filter: RecordFilter) -> Cost:
    """Return the cost of `count_each` for these regions."""
    jobs = shared_jobs(dataset, shared_regions(dataset, regions), record_filter)
    plan = count_plan(record_filter, lambda group, overlaps: overlaps.alike(group))
    return _count_cost(dataset, jobs, plan, record_filter)


def coverage_cost(dataset: DatasetReader, reference_ids: Iterable[int]) -> Cost:
    """Return the cost of the depth of whole contigs."""
    entries = (entry for reference_id in reference_ids for entry in dataset.chunks_of(reference_id))
    jobs = ((group,) for entry in entries for group in dataset.chunk(entry).row_groups)
    return _cost(dataset, jobs, [plan_hot])


def _count_cost(
    dataset: DatasetReader, jobs: Iterable[tuple[Any, ...]], plan: Plan[Any], record_filter: RecordFilter
) -> Cost:
    fields = record_filter.fields
    return _cost(dataset, jobs, [plan, streams_plan(fields)], header=not HEADER_FIELDS.isdisjoint(fields))


def _cost(
    dataset: DatasetReader, jobs: Iterable[tuple[Any, ...]], plans: Sequence[Plan[Any]], header: bool = False
) -> Cost:
    """Return the cost of opening the dataset and of fetching the spans that each plan needs for the jobs."""
    opening = dataset.opening(header)
    cost = Cost(len(opening), sum(opening))
    for chunk, of_chunk in groupby(jobs, key=lambda job: job[0].chunk):
        together = list(of_chunk)
        for plan in plans:
            spans = plan(together)
            cost.requests += len(spans)
            cost.bytes += sum(span.length for span in spans)
            chunk.footer_spans.clear()  # the next plan needs a separate request for the footer
    return cost
