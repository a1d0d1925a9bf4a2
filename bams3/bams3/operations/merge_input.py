"""The inputs of a merge, and the records of inputs that are datasets."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from bams3.bam.merged_header import Translation
from bams3.bam.records import RecordBlock
from bams3.chunk.row_group import RowGroup
from bams3.dataset.plan import Plan
from bams3.dataset.prefetch import plan_all
from bams3.dataset.reader import DatasetReader
from bams3.sources.inputs import Mapper, Source


class MergeInput(NamedTuple):
    """An input, and the translation of its ids to those of the merged header."""

    opened: "Source | DatasetReader"
    name: str
    translation: Translation
    changes: bool = True
    """Whether its records must get the ids of the merged header. Those of a dataset that grows already have them."""


def has_windows_of(each: MergeInput, dataset: DatasetReader, plan: Plan) -> bool:
    """Tell whether the windows of a dataset are those of the plan, so that its chunks may be copied."""
    manifest = dataset.manifest
    return (
        dataset.is_whole
        and manifest.sums is not None
        and manifest.joined is None
        and plan.joined is None
        and manifest.chunk_size == plan.chunk_size
        and each.translation.keeps_order
        and all(
            plan.lengths[new] == length
            for new, (_, length) in zip(each.translation.references, manifest.references, strict=True)
        )
    )


def decoded(dataset: DatasetReader, mapper: Mapper) -> Iterator[RecordBlock]:
    """Yield all records of a dataset, or of loose chunks."""
    jobs = dataset.fetched(zip(dataset.all_row_groups()), plan_all)
    return mapper(partial(block_of, references=len(dataset.references)), (group for (group,) in jobs))


def block_of(group: RowGroup, references: int) -> RecordBlock:
    """Return the records of a row group, checked against a header with this number of references."""
    block: RecordBlock = group.valid_block(references)
    group.spans.clear()  # release the fetched bytes
    return block
