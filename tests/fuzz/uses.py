"""Chunks whose streams are changed, with right lengths and checksums: what is computed from their columns.

`targets` decodes columns and records; here, what uses them: counts, depth, the pileup, alleles at sites.
"""

from __future__ import annotations

import io
import random
from array import array
from collections.abc import Callable, Iterator
from typing import Any

from bams3.alleles.known import Sites, count_sites
from bams3.alleles.pileup import PileOptions, symbol_counts
from bams3.alleles.reference import Recalibration
from bams3.bam.regions import LAST, Region
from bams3.chunk.reader import open_chunk
from bams3.coverage import CoverageOptions, depth_of
from bams3.coverage.pileup import PileupOptions
from bams3.coverage.shared import sums_within
from bams3.dataset.loose import LooseChunks
from bams3.operations.coverage_table import write_table
from bams3.operations.depth import write_depth
from bams3.operations.pileup import TextOptions, write_pileup
from bams3.parallel.workers import Workers
from bams3.select.query import RecordFilter, count, count_each

from fuzz.mutate import with_streams
from fuzz.seeds import Seeds
from fuzz.targets import Target, each_of, with_changes

SPAN = 5000  # positions that are looked at: a long deletion has a line for each of its positions
SITES = 40
ANY = {"min_mapq": 0, "max_mapq": 255, "flags_any": 0xFFFF, "flags_all": 0}


def changed_chunk(seeds: Seeds, chance: random.Random) -> bytes:
    """A chunk with changed streams. Its zone maps are right for the streams before, or let nothing be skipped."""
    chunk = seeds.chunk(chance)
    groups = [with_changes(group.raw, seeds, chance) for group in chunk.row_groups]
    return with_streams(chunk.data, groups, any_read if chance.random() < 0.5 else lambda _: None)


def any_read(footer: Any) -> None:
    """Let zone maps be those of reads of any kind that reach far."""
    for group in footer["row_groups"]:
        group.update(ANY, max_end=max(group["max_end"], min(group["max_pos"] + (1 << 20), LAST)))


class Cycle:
    """A reference genome of which any part can be read."""

    def lengths(self, contigs: Any) -> dict[int, int]:
        return {number: length for number, (_, length) in enumerate(contigs)}

    def bases(self, _contig: str, start: int, stop: int) -> bytes:
        return b"ACGTN" * (min(max(stop - start, 0), 1 << 22) // 5)


def uses(dataset: LooseChunks, region: Region) -> Iterator[Callable[[], object]]:
    """What is computed from columns."""
    alone, reference = Workers(1), Cycle()
    places = Sites.of(
        (dataset.references[region.reference_id][0], max(region.start, 0) + 7 * k) for k in range(SITES)
    )
    yield lambda: count(dataset, [region], RecordFilter(1, 4, 3))
    yield lambda: count_each(dataset, [region, region._replace(end=region.start + 9)], RecordFilter())
    for options in (CoverageOptions(), CoverageOptions(fast_mode=True), CoverageOptions(fragment_mode=True)):
        yield lambda options=options: depth_of(dataset.depth_row_groups(*region), *region, options)
    for pile in (
        PileupOptions(exclude=0, deletions=True, once=True, min_quality=3, pileup=True),
        PileupOptions(min_length=5, soft_clips=True, extents=True),
    ):
        yield lambda pile=pile: write_depth(io.BytesIO(), [dataset], pile, alone, region=region)
    yield lambda: write_table(
        io.BytesIO(), dataset, PileupOptions(pileup=True, min_quality=9), alone, region=region
    )
    contigs = range(len(dataset.references))
    stops = array("q", (length for _, length in dataset.references))
    for pile in (PileupOptions(pileup=True, min_quality=9), PileupOptions(extents=True)):
        yield lambda pile=pile: list(sums_within(dataset, contigs, stops, pile, alone, qualities=True))
    for reads in (PileOptions(0, orphans=True, max_depth=3), PileOptions(orphans=True, max_depth=0)):
        for least in (0, 20):
            yield lambda reads=reads, least=least: write_pileup(
                io.BytesIO(), dataset, reads, TextOptions(least, mapq=True, places=True, reverse_del=True), alone,
                regions=[region], reference=reference if least else None,
                recalibrate=Recalibration(reference, dataset.references, redo=True) if least else None,
            )  # fmt: skip
            yield lambda reads=reads, least=least: symbol_counts(dataset, region, reads, least, alone)
            yield lambda reads=reads, least=least: count_sites(dataset, places, reads, least, alone)


def read_chunk(data: bytes) -> None:
    """Each use answers, or raises a Bams3Error."""
    dataset = LooseChunks([open_chunk(data)])
    entry = dataset.index[0]
    if entry.reference_id < 0:
        return
    start = entry.row_groups[0].min_pos
    each_of(uses(dataset, Region(entry.reference_id, max(start - 10, 0), min(start + SPAN, LAST))))


TARGET = Target(0.1, changed_chunk, read_chunk)
