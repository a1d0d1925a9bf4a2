"""Totals of merged records, and the totals that a batch of `bams3 merge` stores in its part.

Records of datasets are counted only if they change, because the manifests have the totals of all records.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any, NamedTuple

from bams3.bam.records import find_start
from bams3.dataset.layout import UNPLACED
from bams3.dataset.manifest import Counts
from bams3.dataset.sums import Sums
from bams3.errors import DatasetError


class RecordTotals(NamedTuple):
    """The counts and sums of some records, with the reference ids of the merged header."""

    counts: Counts
    sums: Sums

    @classmethod
    def zero(cls) -> RecordTotals:
        """Return the totals of an empty set of records."""
        return cls(Counts.zero(), Sums.zero())

    @classmethod
    def of_block(cls, block: Any) -> RecordTotals:
        """Return the totals of a sorted RecordBlock, whose records may be on any contigs."""
        total = cls.zero()
        unplaced = find_start(block, UNPLACED, -1 << 31)
        for part, reference_id in ((block[:unplaced], None), (block[unplaced:], UNPLACED)):
            if len(part):
                total.counts.add(Counts.of_block(part, reference_id))
        total.sums.add(Sums.of_block(block))
        return total

    @classmethod
    def together(cls, several: Iterable[RecordTotals]) -> RecordTotals:
        """Return the sum of several totals."""
        total = cls.zero()
        for totals in several:
            total.add(totals)
        return total

    def add(self, other: RecordTotals) -> None:
        """Add the totals of other records."""
        self.counts.add(other.counts)
        self.sums.add(other.sums)

    def without(self, other: RecordTotals) -> RecordTotals:
        """Return the totals of these records without those in `other`.

        Raises ValueError unless these can be among them.
        """
        counts, sums = self.counts.without(other.counts), self.sums.without(other.sums)
        summed = (row[0] for rows in sums.groups.values() for row in rows)
        if min(chain(counts.passed, counts.failed, *counts.by_reference.values(), summed)) < 0:
            raise ValueError("more records than there are")
        return RecordTotals(counts, sums)

    def check(self, references: int) -> None:
        """Raise ValueError unless the totals are possible for records whose header has this number of references."""
        self.counts.check(references)
        self.sums.check(self.counts.passed[1], self.counts.failed[1])

    def to_json(self) -> list[Any]:
        """Return the totals as they are stored in a part."""
        return [self.counts.to_json(), self.sums.to_json()]

    @classmethod
    def from_json(cls, document: list[Any]) -> RecordTotals:
        """Parse the result of `to_json`. Raises ValueError or TypeError if it is invalid."""
        counts, sums = document
        return cls(Counts.from_json(counts), Sums.from_json(sums))


class Merged(NamedTuple):
    """The totals of a batch.

    Attributes
    ----------
    datasets
        In the first batch, the totals of all datasets whose chunks may be copied; in other batches, zero.
    changed
        The totals of those of their records that this batch has changed, before the change.
    merging
        `merging` of the plan by which the batch was written. Another plan may have replaced that plan since.
    """

    datasets: RecordTotals
    changed: RecordTotals
    merging: str

    def check(self, merging: str, references: int) -> None:
        """Raise ValueError for values that are invalid, or if the plan has another `merging`."""
        if self.merging != merging:
            raise ValueError("its inputs or options are not those of the plan")
        self.datasets.check(references)
        self.changed.check(references)


def merged_to_json(merged: Merged | None) -> dict[str, Any]:
    """Return the totals as a key of a part; no key if `bams3 merge` did not write the part."""
    if merged is None:
        return {}
    document = {"datasets": merged.datasets.to_json(), "changed": merged.changed.to_json()}
    return {"merge": document | {"merging": merged.merging}}


def merged_of(document: dict[str, Any]) -> Merged | None:
    """Parse the result of `merged_to_json`, without checking the numbers. Raises ValueError or TypeError."""
    if "merge" not in document:
        return None
    of_batch = document["merge"]
    datasets, changed = (of_batch.pop(name) for name in ("datasets", "changed"))
    return Merged(RecordTotals.from_json(datasets), RecordTotals.from_json(changed), **of_batch)


def kept_by(place: str, batches: Iterable[Merged]) -> RecordTotals:
    """Return the totals of records in datasets that no batch has changed.

    Raises DatasetError if they would be negative.
    """
    said = list(batches)
    changed = RecordTotals.together(batch.changed for batch in said)
    try:
        return RecordTotals.together(batch.datasets for batch in said).without(changed)
    except ValueError:
        raise DatasetError(
            f"{place}: the batches have changed more records of some dataset than its manifest counts; "
            "run bams3 verify on the inputs, and merge again with --overwrite"
        ) from None
