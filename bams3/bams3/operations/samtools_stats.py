"""The sections SN, IS and MAPQ of `samtools stats`: FLAGs, mapping qualities and insert sizes.

Sequences and base qualities are not read, so numbers that need them are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from bams3.bam.flags import (
    DUP,
    MREVERSE,
    MUNMAP,
    PAIRED,
    PROPER_PAIR,
    QCFAIL,
    READ1,
    READ2,
    REVERSE,
    SECONDARY,
    SUPPLEMENTARY,
    UNMAP,
)
from bams3.operations.stats import quotient
from bams3.parallel.workers import in_order, watched
from bams3.select.query import Intervals, RecordFilter, matches, row_group_jobs, streams_plan

if TYPE_CHECKING:
    from bams3.bam.regions import Region
    from bams3.chunk.row_group import RowGroup
    from bams3.dataset.reader import DatasetReader


# Limits of samtools: larger inserts are counted as LARGEST_INSERT; mean and deviation are taken over the MAIN_BULK of
# pairs.
LARGEST_INSERT = 8000
MAIN_BULK = float(np.float32(0.99))

_COLUMNS = ("tlen", "l_seq")  # columns needed besides the hot ones

# Comments that samtools writes on lines of SN.
_REMARKS = {
    "raw total sequences": "excluding supplementary and secondary reads",
    "is sorted": "sorted by coordinate",
    "reads mapped and paired": "paired-end technology bit set + both mates mapped",
    "reads properly paired": "proper-pair bit set",
    "reads paired": "paired-end technology bit set",
    "reads duplicated": "PCR or optical duplicate bit set",
    "reads MQ0": "mapped and MQ=0",
}


def samtools_stats(
    dataset: DatasetReader,
    regions: Iterable[Region] | None = None,
    workers: int = 1,
    progress: Callable[[int], Any] | None = None,
) -> str:
    """Return the text for all records, or for those that overlap `regions`. Each record counts once.

    `workers` threads count row groups, and `progress` is called with the number of records of each.
    """

    def count(job: tuple[RowGroup, Intervals]) -> tuple[dict[str, int], np.ndarray, np.ndarray]:
        mask = matches(*job, RecordFilter(), dataset)
        return _count(job[0], slice(None) if mask is None else np.frombuffer(mask, np.bool_))

    counts: dict[str, int] = dict.fromkeys(_count_flags(*[np.empty(0, np.int64)] * 4), 0)
    mapping_qualities = np.zeros(256, np.int64)
    inserts = np.zeros((3, LARGEST_INSERT + 1), np.int64)
    jobs = dataset.fetched(row_group_jobs(dataset, regions, RecordFilter()), streams_plan(_COLUMNS))
    jobs = watched(jobs, lambda job: job[0].records, progress)
    for found, qualities, sizes in in_order(count, jobs, workers):
        for name, number in found.items():
            counts[name] += number
        mapping_qualities += qualities
        inserts += sizes
    return _text(counts, mapping_qualities, inserts // 2)  # both reads of each pair were counted


def _count(group: RowGroup, chosen: Any) -> tuple[dict[str, int], np.ndarray, np.ndarray]:
    """Count the `chosen` records of a row group (a slice or a mask).

    Returns the numbers by their name in SN, the reads by mapping quality (shape (256,)), and the reads by orientation
    and insert size (see `_inserts`).
    """
    flag, mapq = np.asarray(group.flag, np.int64)[chosen], np.asarray(group.mapq, np.int64)[chosen]
    has_bases = np.asarray(group.l_seq)[chosen] > 0
    elsewhere = np.asarray(group.next_ref)[chosen] != group.reference_id
    tlen = np.asarray(group.tlen, np.int64)[chosen]
    distance = np.asarray(group.next_pos, np.int64)[chosen] - np.asarray(group.pos, np.int64)[chosen]
    counted = has_bases & (flag & (UNMAP | SECONDARY | SUPPLEMENTARY | QCFAIL | DUP) == 0)
    qualities = np.bincount(mapq[counted], minlength=256)
    return (
        _count_flags(flag, mapq, has_bases, elsewhere),
        qualities,
        _inserts(flag, has_bases, elsewhere, tlen, distance),
    )


def _count_flags(
    flag: np.ndarray, mapq: np.ndarray, has_bases: np.ndarray, elsewhere: np.ndarray
) -> dict[str, int]:
    """Return the numbers by name in SN, without those that are derived from others."""
    has_bases, elsewhere = has_bases.astype(bool), elsewhere.astype(bool)
    secondary = flag & SECONDARY != 0
    read = has_bases & (flag & (SECONDARY | SUPPLEMENTARY) == 0)
    mapped = read & (flag & UNMAP == 0)
    both = mapped & (flag & (PAIRED | MUNMAP) == PAIRED)
    end = np.where(flag & PAIRED, flag & (READ1 | READ2), READ1)
    chosen = {
        "sequences": read,
        "1st fragments": read & (end == READ1),
        "last fragments": read & (end == READ2),
        "reads mapped": mapped,
        "reads mapped and paired": both,
        "reads unmapped": read & (flag & UNMAP != 0),
        "reads properly paired": both & (flag & PROPER_PAIR != 0),
        "reads paired": read & (flag & PAIRED != 0),
        "reads duplicated": has_bases & ~secondary & (flag & DUP != 0),
        "reads MQ0": mapped & (mapq == 0),
        "reads QC failed": read & (flag & QCFAIL != 0),
        "non-primary alignments": secondary,
        "supplementary alignments": ~secondary & (flag & SUPPLEMENTARY != 0),
        "pairs on different chromosomes": both & elsewhere,
    }
    return {name: int(np.count_nonzero(mask)) for name, mask in chosen.items()}


def _inserts(
    flag: np.ndarray, has_bases: np.ndarray, elsewhere: np.ndarray, tlen: np.ndarray, distance: np.ndarray
) -> np.ndarray:
    """Count reads of pairs by orientation (inward, outward, other) and insert size: shape (3, LARGEST_INSERT + 1).

    `distance`: distance in bp from the start of each read to the start of its mate.
    """
    unwanted = SECONDARY | SUPPLEMENTARY | UNMAP | MUNMAP
    size = np.minimum(np.abs(tlen), LARGEST_INSERT)
    chosen = has_bases & (flag & (unwanted | PAIRED) == PAIRED) & ((size > 0) | ~elsewhere)
    flag, size = flag[chosen], size[chosen]
    ahead = np.sign(distance)[chosen]
    forward = np.where(flag & REVERSE, -1, 1)
    mate_forward = np.where(flag & MREVERSE, -1, 1)
    # If both start at the same base, read 1 is taken to be ahead, as in samtools before 1.22.
    ahead = np.where(ahead, ahead, np.where(flag & READ1, 1, -1))
    outward = ahead * forward < 0
    orientation = np.where(forward == mate_forward, 2, outward)
    cells = np.bincount(orientation * (LARGEST_INSERT + 1) + size, minlength=3 * (LARGEST_INSERT + 1))
    return cells.reshape(3, -1)


def _text(counts: dict[str, int], mapping_qualities: np.ndarray, inserts: np.ndarray) -> str:
    pairs = inserts.sum(0)
    bulk, mean, deviation = _main_bulk(pairs)
    inward, outward, other = (int(number) for number in inserts.sum(1))
    sequences = counts["sequences"]
    divided = counts.pop("pairs on different chromosomes") // 2
    proper = quotient(100 * counts["reads properly paired"], sequences) if sequences else 0
    lines: dict[str, int | str] = {
        "raw total sequences": sequences,
        "filtered sequences": 0,
        "sequences": sequences,
        "is sorted": 1,
        **counts,
        "insert size average": f"{mean:.1f}",
        "insert size standard deviation": f"{deviation:.1f}",
        "inward oriented pairs": inward,
        "outward oriented pairs": outward,
        "pairs with other orientation": other,
        "pairs on different chromosomes": divided,
        "percentage of properly paired reads (%)": f"{proper:.1f}",
    }
    # MultiQC recognizes a file by "This file was produced by samtools stats".
    text = ["# This file was produced by samtools stats' definitions in bams3 stats --samtools-stats\n"]
    for name, value in lines.items():
        remark = f"\t# {_REMARKS[name]}" if name in _REMARKS else ""
        text.append(f"SN\t{name}:\t{value}{remark}\n")
    for size in range(bulk):
        text.append("IS\t" + "\t".join(map(str, (size, pairs[size], *inserts[:, size]))) + "\n")
    for quality in np.flatnonzero(mapping_qualities):
        text.append(f"MAPQ\t{quality}\t{mapping_qualities[quality]}\n")
    return "".join(text)


def _main_bulk(pairs: np.ndarray) -> tuple[int, float, float]:
    """Return the number of insert sizes, from 0, that hold the main bulk of the pairs, and their mean and deviation."""
    total = int(pairs.sum())
    if not total:
        return 0, 0.0, 0.0
    reached = np.cumsum(pairs)
    # The first size at which the cumulative share exceeds MAIN_BULK.
    bulk = int(np.argmax(reached / total > MAIN_BULK)) + 1
    number = int(reached[bulk - 1])
    sizes = np.arange(bulk)
    mean = float((sizes * pairs[:bulk]).sum()) / number
    spread = (pairs[1:bulk] * (sizes[1:] - mean) ** 2).sum() / number
    return bulk, mean, math.sqrt(spread)
