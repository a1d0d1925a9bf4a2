"""Writing of merged records: their chunks, and the part that lists the chunks."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from bams3.dataset.manifest import Counts
from bams3.dataset.merged import RecordTotals
from bams3.dataset.reader import DatasetReader
from bams3.dataset.sums import Sums
from bams3.operations.convert import Conversion
from bams3.operations.copying import copied

if TYPE_CHECKING:
    from bams3.dataset.parts import Part
    from bams3.dataset.plan import Plan
    from bams3.operations.merging import MergedRecords
    from bams3.sources.inputs import Source


class Merging(Conversion):
    """A conversion of merged records. It does not count them, because `MergedRecords` does."""

    def tallied(self, block: Any, reference_id: int) -> tuple[Counts, Sums]:
        """Count nothing."""
        return Counts.zero(), Sums.zero()


def written(job: Conversion, records: MergedRecords) -> Part:
    """Write the chunks of merged records, and copy those that stay; return the part.

    The part lacks its windows, and the counts of records of datasets that have not changed.
    """
    part = job.run(records.blocks())
    part.chunks += job.write(records.copied())
    for dataset, entries in records.same:
        part.chunks += copied(dataset, entries, job)
    part.counts, part.sums = records.new()
    part.chunks.sort(key=attrgetter("order"))
    return part


def completed(part: Part, plan: Plan, records: MergedRecords) -> Part:
    """Add the windows and the missing counts to a part that has all chunks of a dataset; return it."""
    assert part.sums is not None
    RecordTotals(part.counts, part.sums).add(records.kept())
    part.windows = list(plan.grid.runs())
    return part


def is_truncated(opened: Source | DatasetReader) -> bool:
    """Tell whether an input lacked its end-of-file marker."""
    return opened.manifest.truncated if isinstance(opened, DatasetReader) else opened.truncated
