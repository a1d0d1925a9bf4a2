"""Checks, before a dataset is committed, that its chunks hold the records that were written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bams3.chunk.footer import Identity
from bams3.chunk.reader import ChunkReader
from bams3.chunk.tiles import tiles_of
from bams3.dataset.manifest import Counts
from bams3.dataset.sums import Sums, checked_block
from bams3.errors import DatasetError, FormatError

if TYPE_CHECKING:
    from bams3.chunk.entry import ChunkEntry
    from bams3.dataset.parts import Part
    from bams3.dataset.plan import Plan
    from bams3.parallel.workers import Workers
    from bams3.storage import Storage


def tallied(chunk: ChunkReader, reference_id: int | None) -> tuple[Counts, Sums, list[Sequence[int]]]:
    """Read, check, count and sum the records of a chunk, and list the tiles of its row groups.

    `reference_id`: the reference id of all its records; None if they have different ones. Raises FormatError if the
    records differ from those that were converted.
    """
    counts, sums, tiles = Counts.zero(), Sums.zero(), list[Sequence[int]]()
    for group in chunk.stored_row_groups:
        block = checked_block(group)
        group.spans.clear()  # release the fetched bytes
        counts.add(Counts.of_block(block, reference_id))
        sums.add(Sums.of_block(block))
        contigs = len(group.entry.contigs)
        tiles += [()] * contigs or [tiles_of(block)]
    return counts, sums, tiles


def reread(storage: Storage, plan: Plan, part: Part, workers: Workers) -> None:
    """Read all chunks of a part, and compare the checksums, counts and sums of their records with those of the part.

    Raises DatasetError if they differ.
    """

    references = [(name, length) for name, length in plan.references]

    def read(entry: ChunkEntry) -> tuple[Counts, Sums, list[Sequence[int]]]:
        identity = Identity(plan.header_id, entry.reference_id, entry.start, entry.end, plan.level)
        chunk = ChunkReader(
            storage, entry.path, size=entry.size, footer_bytes=entry.footer_bytes, footer_crc32=entry.footer_crc32,
            zones=entry.zones, identity=identity, references=references, contigs=entry.contigs,
        )  # fmt: skip
        return tallied(chunk, None if entry.contigs else entry.reference_id)

    counts, sums = Counts.zero(), Sums.zero()
    try:
        for counted, summed, _ in workers.map(read, part.chunks):
            counts.add(counted)
            sums.add(summed)
    except FormatError as error:
        raise DatasetError(
            f"{error} (found when the new chunks were read back; the dataset is not complete)"
        ) from error
    if (counts, sums) != (part.counts, part.sums):
        raise DatasetError(
            f"{storage.root}: its records differ from those of the source; convert again with --overwrite"
        )
