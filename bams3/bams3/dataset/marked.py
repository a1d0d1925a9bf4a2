"""What a batch of `bams3 markdup` says in its part: how it joins its neighbours, and its numbers of reads."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from bams3.dataset.manifest import is_count, is_hex
from bams3.duplicates.statistics import KINDS
from bams3.errors import DatasetError


class Marked(NamedTuple):
    """`number`, `of`: the batch. `before`, `after`: see `duplicates.batch.Batch`. `numbers`: of reads of each kind
    (`duplicates.statistics.KINDS`), for those without a read group and for each read group that is told apart.
    `marking`: that of the plan, which another one may have replaced since."""

    number: int
    of: int
    before: str
    after: str
    numbers: list[list[int]]
    marking: str

    def check(self, marking: str) -> None:
        """Raise ValueError for values that are invalid, or of another plan than the one with this `marking`."""
        if self.marking != marking:
            raise ValueError("its source or options are not those of the plan")
        if not (is_count(self.number) and is_count(self.of) and 1 <= self.number <= self.of):
            raise ValueError("invalid number of a batch")
        if not all(value == "" or is_hex(value, 64) for value in (self.before, self.after)):
            raise ValueError("invalid digests")
        if not self.numbers or not all(
            len(row) == len(KINDS) and all(map(is_count, row)) for row in self.numbers
        ):
            raise ValueError("invalid numbers of reads")


def marked_to_json(marked: Marked | None) -> dict[str, Any]:
    """As a key of a part; none if it is not of `bams3 markdup`."""
    return {} if marked is None else {"markdup": marked._asdict()}


def marked_of(document: dict[str, Any]) -> Marked | None:
    """The inverse of `marked_to_json`, whose values are not checked. Raises TypeError."""
    return Marked(**document["markdup"]) if "markdup" in document else None


def check_borders(place: str, batches: Iterable[Marked]) -> None:
    """Raise DatasetError unless each batch began with what the one before it knew at its end."""
    for left, right in pairwise(sorted(batches)):
        if left.after != right.before:
            raise DatasetError(
                f"{place}: batch {right.number} did not look back far enough to know all reads of batch {left.number} "
                f"that matter to it; repeat it (bams3 markdup --overwrite --batch {right.number}/{right.of}), and "
                "merge again"
            )


def summed(batches: Iterable[Marked]) -> list[list[int]]:
    """The numbers of reads of all batches."""
    rows = [batch.numbers for batch in batches]
    return [list(map(sum, zip(*of_group, strict=True))) for of_group in zip(*rows, strict=False)]
