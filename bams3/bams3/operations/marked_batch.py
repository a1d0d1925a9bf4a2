"""The batches of `bams3 markdup`: the windows of each batch, and the reads around them that it must examine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import dropwhile
from typing import TYPE_CHECKING

from bams3.dataset import layout, parts
from bams3.dataset.marked import Marked
from bams3.duplicates.batch import Batch
from bams3.errors import DatasetError
from bams3.operations.batches import digest_of, identity_of, sizes_of_chunks
from bams3.operations.marking import blocks_of
from bams3.operations.windows import part_name

if TYPE_CHECKING:
    from bams3.bam.records import RecordBlock
    from bams3.chunk.row_group import RowGroup
    from bams3.dataset.layout import Grid, Window
    from bams3.dataset.plan import Plan
    from bams3.dataset.reader import DatasetReader
    from bams3.duplicates.options import Markdup
    from bams3.duplicates.source import Marking
    from bams3.operations.convert import Conversion
    from bams3.parallel.workers import Workers
    from bams3.storage import Storage

LOOK_BACK = 1 << 16
"""Least number of positions before a batch that are examined. For short reads, far fewer would be enough, but row
groups begin every 2^17 positions anyway."""
LENGTHS = 4
"""Multiple of the longest read's length that is examined before a batch: a read can affect others as far from its end
as its own length, its clips and the length of the longest read reach."""
FURTHER = 16


def marking_of(reader: DatasetReader, options: Markdup) -> str:
    """Return a SHA-256 of what must be the same in all batches: the source and the options."""
    compared = options._replace(statistics="", json=False, command="")._asdict()
    return digest_of([identity_of(reader), compared])


def row_groups_before(reader: DatasetReader, window: Window, reach: int) -> list[RowGroup]:
    """Return the row groups of a contig before a window, from the first one with a read that ends within `reach`."""
    entries = [entry for entry in reader.chunks_of(window.reference_id) if entry.start < window.start]
    near = dropwhile(lambda entry: entry.max_end + reach <= window.start, entries)
    groups = (group for entry in near for group in reader.chunk(entry).stored_row_groups)
    return list(dropwhile(lambda group: group.zone.max_end + reach <= window.start, groups))


def row_groups_behind(reader: DatasetReader, window: Window) -> Iterator[RowGroup]:
    """Yield the row groups of a contig after a window."""
    for entry in reader.chunks_of(window.reference_id):
        if entry.start >= window.end:
            yield from reader.chunk(entry).stored_row_groups


def look_back(
    batch: Batch, reader: DatasetReader, window: Window, length: int, wanted: str, pool: Workers
) -> None:
    """Examine the reads before the first window of a batch.

    If the digest of the batch before it (`wanted`) is known, go back until the digest here is the same. `length`:
    length of the longest read.
    """
    reach = max(LOOK_BACK, LENGTHS * length)
    while True:
        groups = row_groups_before(reader, window, reach)
        found = batch.begin(blocks_of(reader, groups, pool.map), window.reference_id, pool.map)
        if found == wanted or not wanted or reach > window.start:
            return
        reach *= FURTHER


def marked_part(
    job: Conversion, marking: Marking, reader: DatasetReader, options: Markdup, number: int, of: int,
    progress: Callable[[int], None] | None,
) -> parts.Part:  # fmt: skip
    """Write the chunks of a batch, and return its part."""
    plan, pool = job.plan, job.workers
    windows: Grid = layout.batch(plan.grid, sizes_of_chunks(reader, plan), number, of)  # type: ignore[assignment]
    runs = list(windows.runs())
    batch, contig = Batch(marking), None
    behind: Iterator[RecordBlock] = iter(())
    if runs and runs[0].start > 0:
        wanted = known_before(job.uploads.storage, plan, number, of)
        look_back(batch, reader, runs[0], options.length, wanted, pool)
    if (
        runs
        and runs[-1].reference_id != layout.UNPLACED
        and runs[-1].end < plan.lengths[runs[-1].reference_id]
    ):
        contig = runs[-1].reference_id
        behind = blocks_of(reader, row_groups_behind(reader, runs[-1]), map)
    own = reader.only(entry for entry in reader.index if windows.index_of(*entry.window) is not None)
    blocks = blocks_of(reader, own.all_row_groups(), pool.map, progress)
    part = job.run(batch.marked(blocks, behind, contig, pool.map))
    part.windows, part.marked = runs, Marked(
        number, of, batch.before, batch.after, batch.numbers(), plan.marking
    )  # fmt: skip
    return part


def known_before(storage: Storage, plan: Plan, number: int, of: int) -> str:
    """Return the digest at the end of the batch before this one; "" if that batch has not ended or does not exist."""
    name = part_name(plan, (number - 1, of), None)
    try:
        marked = parts.read_part(storage, plan, f"{layout.PARTS}/{name}.json").marked
    except (FileNotFoundError, DatasetError):  # a part of another plan is written again
        return ""
    return marked.after if marked else ""
