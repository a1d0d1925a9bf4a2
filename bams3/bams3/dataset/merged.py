"""What a batch of `bams3 merge` says in its part: the records that it has read, beside those that it has encoded.

Copied chunks are not counted. So what they have is what all datasets among the inputs have, according to their
manifests, without what all batches have read of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any, NamedTuple

from bams3.dataset.manifest import Counts
from bams3.dataset.sums import Sums
from bams3.errors import DatasetError


class Tally(NamedTuple):
    """The counts and sums of some records. Reference ids are those of the merged header."""

    counts: Counts
    sums: Sums

    @classmethod
    def zero(cls) -> Tally:
        """Of no records."""
        return cls(Counts.zero(), Sums.zero())

    def add(self, other: Tally) -> None:
        """Add other records."""
        self.counts.add(other.counts)
        self.sums.add(other.sums)

    def without(self, other: Tally) -> Tally:
        """Of these records without those of `other`. Raises ValueError unless those can be some of them."""
        counts = self.counts.without(other.counts)
        if min(chain(counts.passed, counts.failed, *counts.by_reference.values())) < 0:
            raise ValueError("more records than there are")
        return Tally(counts, self.sums.without(other.sums))

    def check(self, references: int) -> None:
        """Raise ValueError unless it is valid for records with a header of so many references."""
        self.counts.check(references)
        self.sums.check(self.counts.passed[1], self.counts.failed[1])

    def to_json(self) -> list[Any]:
        """As in a part."""
        return [self.counts.to_json(), self.sums.to_json()]

    @classmethod
    def from_json(cls, document: list[Any]) -> Tally:
        """The inverse of `to_json`. Raises ValueError or TypeError."""
        counts, sums = document
        return cls(Counts.from_json(counts), Sums.from_json(sums))


class Merged(NamedTuple):
    """`datasets`: in the first batch, the records of all datasets of which chunks may be copied; in others none.
    `decoded`: those of them that the batch has read. `merging`: that of the plan, which another one may have replaced
    since."""

    datasets: Tally
    decoded: Tally
    merging: str

    def check(self, merging: str, references: int) -> None:
        """Raise ValueError for values that are invalid, or of another plan than the one with this `merging`."""
        if self.merging != merging:
            raise ValueError("its inputs or options are not those of the plan")
        self.datasets.check(references)
        self.decoded.check(references)


def merged_to_json(merged: Merged | None) -> dict[str, Any]:
    """As a key of a part; none if it is not of `bams3 merge`."""
    if merged is None:
        return {}
    document = {"datasets": merged.datasets.to_json(), "decoded": merged.decoded.to_json()}
    return {"merge": document | {"merging": merged.merging}}


def merged_of(document: dict[str, Any]) -> Merged | None:
    """The inverse of `merged_to_json`, whose values are not checked. Raises ValueError or TypeError."""
    if "merge" not in document:
        return None
    of_batch = document["merge"]
    datasets, decoded = (of_batch.pop(name) for name in ("datasets", "decoded"))
    return Merged(Tally.from_json(datasets), Tally.from_json(decoded), **of_batch)


def copied_by(place: str, batches: Iterable[Merged]) -> Tally:
    """The records that all batches have copied. Raises DatasetError if there is no such number of them."""
    datasets, decoded = Tally.zero(), Tally.zero()
    for batch in batches:
        datasets.add(batch.datasets)
        decoded.add(batch.decoded)
    try:
        return datasets.without(decoded)
    except ValueError:
        raise DatasetError(
            f"{place}: the batches have read more records of some dataset than its manifest counts; "
            "run bams3 verify on the inputs, and merge again with --overwrite"
        ) from None
