"""Functions for the batches of `bams3 markdup` and `bams3 merge`: datasets are identified, and divided by bytes."""

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
    """Return the SHA-256 of a document, in JSON, of the settings that must be the same in all batches."""
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()


def identity_of(dataset: DatasetReader) -> list[Any]:
    """Return what identifies a dataset, or some chunks: the header, and the windows, sizes and footer checksums."""
    chunks = [(*entry.window, entry.size, entry.footer_crc32) for entry in dataset.objects]
    return [dataset.manifest.header_id, chunks]


def sizes_of_chunks(
    dataset: DatasetReader, plan: Plan, references: Sequence[int] | None = None
) -> Counter[int]:
    """Return how many bytes of a dataset are in each window of a plan, by the window's index in the grid.

    The numbers are approximate if the windows of the dataset are larger than those of the plan. `references`: for
    each contig of the dataset, its reference id in the plan, if the ids differ.
    """
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
