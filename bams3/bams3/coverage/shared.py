"""Sums over the reads of short contigs. A row group that they share is read once, not once for each contig."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from bams3.bam.regions import LAST
from bams3.coverage.contig_sums import sums_of_contigs
from bams3.coverage.pileup import PileupOptions, masked
from bams3.parallel.workers import Workers, in_order

if TYPE_CHECKING:
    from bams3.chunk.row_group import RowGroup
    from bams3.dataset.reader import DatasetReader


class ContigSums(NamedTuple):
    """The sums that `sums_of_contigs` returns for a contig."""

    reads: int = 0
    mapq: int = 0
    quality: int = 0
    bases: int = 0
    aligned: int = 0
    covered: int = 0
    depth: int = 0
    deepest: int = 0


def parted(dataset: DatasetReader) -> tuple[frozenset[int], list[int]]:
    """Divide the contigs with reads into those that have all reads in one shared row group, and the others, ascending.

    Returns reference ids. If the dataset is not whole, all contigs are among the others.
    """
    if not dataset.is_whole:
        return frozenset(), [*range(len(dataset.references))]
    row_groups = Counter(chain.from_iterable(entry.contigs for entry in dataset.whole))
    others = {entry.reference_id for entry in dataset.whole if not entry.contigs and entry.reference_id >= 0}
    others.update(contig for contig, number in row_groups.items() if number > 1)
    return frozenset(row_groups.keys() - others), sorted(others)


def sums_within(
    dataset: DatasetReader,
    contigs: Collection[int],
    stops: array[int],
    options: PileupOptions,
    workers: Workers,
    *,
    qualities: bool = False,
) -> Iterator[tuple[int, ContigSums]]:
    """Yield the reference ids and sums of contigs that have all reads in one shared row group.

    Contigs without reads that count may be missing. `options` must be those of a pileup; `stops` and `qualities` are as
    in `sums_of_contigs`. Raises FormatError if the dataset is damaged.
    """
    everywhere = array("q", [-1]), array("q", [LAST])

    def jobs() -> Iterator[tuple[RowGroup, tuple[array[int], array[int]]]]:
        for entry in dataset.whole:
            for group in dataset.chunk(entry).stored_row_groups if entry.contigs else ():
                if options.record_filter.verdict(group) is not False:
                    yield group, everywhere

    def sums(job: tuple[RowGroup, bytearray]) -> list[tuple[int, ContigSums]]:
        found = sums_of_contigs(
            *job, stops, extents=options.extents, min_quality=options.min_quality, qualities=qualities
        )
        return [(contig, ContigSums(*values)) for contig, *values in found if contig in contigs]

    columns = ("flag", "reference_ids", *(("qual", "mapq") if qualities else ()))
    for found in in_order(sums, masked(dataset, jobs(), options, workers, columns), workers):
        yield from found
