"""The numbers of merged records, and what a batch of `bams3 merge` says of them in its part.

Records of datasets are counted only if something in them changes: manifests say what all of them are.
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
    """The counts and sums of some records. Reference ids are those of the merged header."""

    counts: Counts
    sums: Sums

    @classmethod
    def zero(cls) -> RecordTotals:
        """Of no records."""
        return cls(Counts.zero(), Sums.zero())

    @classmethod
    def of_block(cls, block: Any) -> RecordTotals:
        """Of the records of a sorted RecordBlock, of any contigs."""
        total = cls.zero()
        unplaced = find_start(block, UNPLACED, -1 << 31)
        for part, reference_id in ((block[:unplaced], None), (block[unplaced:], UNPLACED)):
            if len(part):
                total.counts.add(Counts.of_block(part, reference_id))
        total.sums.add(Sums.of_block(block))
        return total

    @classmethod
    def together(cls, several: Iterable[RecordTotals]) -> RecordTotals:
        """Of all of these records."""
        total = cls.zero()
        for totals in several:
            total.add(totals)
        return total

    def add(self, other: RecordTotals) -> None:
        """Add other records."""
        self.counts.add(other.counts)
        self.sums.add(other.sums)

    def without(self, other: RecordTotals) -> RecordTotals:
        """Of these records without those of `other`. Raises ValueError unless those can be some of them."""
        counts, sums = self.counts.without(other.counts), self.sums.without(other.sums)
        summed = (row[0] for rows in sums.groups.values() for row in rows)
        if min(chain(counts.passed, counts.failed, *counts.by_reference.values(), summed)) < 0:
            raise ValueError("more records than there are")
        return RecordTotals(counts, sums)

    def check(self, references: int) -> None:
        """Raise ValueError unless it is valid for records with a header of so many references."""
        self.counts.check(references)
        self.sums.check(self.counts.passed[1], self.counts.failed[1])

    def to_json(self) -> list[Any]:
        """As in a part."""
        return [self.counts.to_json(), self.sums.to_json()]

    @classmethod
    def from_json(cls, document: list[Any]) -> RecordTotals:
        """The inverse of `to_json`. Raises ValueError or TypeError."""
        counts, sums = document
        return cls(Counts.from_json(counts), Sums.from_json(sums))


class Merged(NamedTuple):
    """`datasets`: in the first batch, the records of all datasets of which chunks may be copied; in others none.
    `changed`: those of them, as they were, that the batch has changed. `merging`: that of the plan, which another one
    may have replaced since."""

    datasets: RecordTotals
    changed: RecordTotals
    merging: str

    def check(self, merging: str, references: int) -> None:
        """Raise ValueError for values that are invalid, or of another plan than the one with this `merging`."""
        if self.merging != merging:
            raise ValueError("its inputs or options are not those of the plan")
        self.datasets.check(references)
        self.changed.check(references)


def merged_to_json(merged: Merged | None) -> dict[str, Any]:
    """As a key of a part; none if it is not of `bams3 merge`."""
    if merged is None:
        return {}
    document = {"datasets": merged.datasets.to_json(), "changed": merged.changed.to_json()}
    return {"merge": document | {"merging": merged.merging}}


def merged_of(document: dict[str, Any]) -> Merged | None:
    """The inverse of `merged_to_json`, whose values are not checked. Raises ValueError or TypeError."""
    if "merge" not in document:
        return None
    of_batch = document["merge"]
    datasets, changed = (of_batch.pop(name) for name in ("datasets", "changed"))
    return Merged(RecordTotals.from_json(datasets), RecordTotals.from_json(changed), **of_batch)


def kept_by(place: str, batches: Iterable[Merged]) -> RecordTotals:
    """The records of datasets that no batch has changed. Raises DatasetError if there is no such number of them."""
    said = list(batches)
    changed = RecordTotals.together(batch.changed for batch in said)
    try:
        return RecordTotals.together(batch.datasets for batch in said).without(changed)
    except ValueError:
        raise DatasetError(
            f"{place}: the batches have changed more records of some dataset than its manifest counts; "
            "run bams3 verify on the inputs, and merge again with --overwrite"
        ) from None
