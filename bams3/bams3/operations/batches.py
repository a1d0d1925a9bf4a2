"""What the batches of `bams3 markdup` and `bams3 merge` have in common: how datasets are told apart and shared out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bams3.dataset.layout import UNPLACED

if TYPE_CHECKING:
    from bams3.dataset.plan import Plan
    from bams3.dataset.reader import DatasetReader


def digest_of(document: Any) -> str:
    """The SHA-256 of what all batches must have in common, which JSON can express."""
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()


def identity_of(dataset: DatasetReader) -> list[Any]:
    """What tells a dataset, or some chunks, from others: the header, and the checksums of all footers."""
    chunks = [(*entry.window, entry.size, entry.footer_crc32) for entry in dataset.objects]
    return [dataset.manifest.header_id, chunks]


def sizes_of_chunks(
    dataset: DatasetReader, plan: Plan, references: Sequence[int] | None = None
) -> Counter[int]:
    """How many bytes of a dataset are in each window of a plan, by its index in the grid; about that if the dataset has
    larger windows. `references`: the ids in the plan of its contigs, if those are others."""
    sizes: Counter[int] = Counter()
    for entry in dataset.index:
        reference_id, start = entry.window
        if reference_id != UNPLACED:
            reference_id = references[reference_id] if references is not None else reference_id
            start = plan.window_start(reference_id, start)
        place = plan.grid.index_of(reference_id, start)
        assert place is not None
        sizes[place] += entry.size
    return sizes
