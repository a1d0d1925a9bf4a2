"""The batches of `bams3 markdup`: which windows one has, and which reads around them it looks at."""

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
"""Positions before a batch, at least: by the length of reads, much less would do, but row groups begin at 2^17."""
LENGTHS = 4
"""A read that begins before a batch can matter up to its length, its clips and the longest read behind its end."""
FURTHER = 16


def marking_of(reader: DatasetReader, options: Markdup) -> str:
    """What all batches must have in common: the source and the options, as a SHA-256."""
    compared = options._replace(statistics="", json=False, command="")._asdict()
    return digest_of([identity_of(reader), compared])


def row_groups_before(reader: DatasetReader, window: Window, reach: int) -> list[RowGroup]:
    """The row groups of a contig before a window, from the first one on whose reads end so near the window."""
    entries = [entry for entry in reader.chunks_of(window.reference_id) if entry.start < window.start]
    near = dropwhile(lambda entry: entry.max_end + reach <= window.start, entries)
    groups = (group for entry in near for group in reader.chunk(entry).stored_row_groups)
    return list(dropwhile(lambda group: group.zone.max_end + reach <= window.start, groups))


def row_groups_behind(reader: DatasetReader, window: Window) -> Iterator[RowGroup]:
    """The row groups of a contig behind a window."""
    for entry in reader.chunks_of(window.reference_id):
        if entry.start >= window.end:
            yield from reader.chunk(entry).stored_row_groups


def look_back(
    batch: Batch, reader: DatasetReader, window: Window, length: int, wanted: str, pool: Workers
) -> None:
    """Look at the reads before a batch's first window: so far back that its digest is the `wanted` one, of the batch
    before it, if that is known. `length`: of the longest read."""
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
    """Write the chunks of a batch; return its part."""
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
    """The digest with which a batch ended before this one; "" if it has not ended yet, or if there is none."""
    name = part_name(plan, (number - 1, of), None)
    try:
        marked = parts.read_part(storage, plan, f"{layout.PARTS}/{name}.json").marked
    except (FileNotFoundError, DatasetError):  # a part of another plan is written again
        return ""
    return marked.after if marked else ""
