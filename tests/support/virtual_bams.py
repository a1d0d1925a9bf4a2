"""Virtual BAMs as files, and what clients read from a BAM."""

import random
from pathlib import Path
from typing import Any

import pysam
from bams3.bridge.virtual_bam import VirtualBam
from bams3.dataset.reader import DatasetReader

STEP = 1 << 17


def whole(bam: VirtualBam, step: int = STEP) -> bytes:
    """All of its bytes, read in order."""
    return b"".join(bam.read(at, step) for at in range(0, bam.size, step))


def written(dataset: Path, path: Path, kind: str) -> None:
    """Write the virtual BAM of a dataset and its index to a file and beside it."""
    bam = VirtualBam(DatasetReader(dataset))
    path.write_bytes(whole(bam))
    path.with_name(f"{path.name}.{kind}").write_bytes(bam.index(kind))


def places(path: Path, number: int, seed: int = 0) -> list[tuple[int, int, int]]:
    """Reference ids and intervals, 0-based half-open: whole contigs, and random ones of all sizes, most with reads."""
    chance = random.Random(seed)
    with pysam.AlignmentFile(str(path), check_sq=False) as file:
        lengths = file.lengths
        starts = [(read.reference_id, read.reference_start) for read in file if read.reference_id >= 0]
    found = [(ref, 0, length) for ref, length in enumerate(lengths[:100])]
    for _ in range(number if lengths else 0):
        ref = chance.randrange(len(lengths))
        ref, start = chance.choice(
            [*starts[:: max(len(starts) // 1000, 1)], (ref, chance.randrange(lengths[ref]))]
        )
        start = min(max(start + chance.randrange(-2000, 2000), 0), max(lengths[ref] - 1, 0))
        size = chance.choice([1, 100, 5_000, 100_000])
        found.append((ref, start, min(start + size, max(lengths[ref], start + 1))))
    return found


def fetched(path: Path, places: list[tuple[int, int, int]]) -> list[Any]:
    """Which records htslib finds at each place by the index: position, FLAG and name."""
    with pysam.AlignmentFile(str(path), check_sq=False) as file:
        return [
            [(read.pos, read.flag, read.query_name) for read in file.fetch(tid=ref, start=start, stop=stop)]
            for ref, start, stop in places
        ]


def index_counts(path: Path) -> tuple[list[tuple[int, int]], int]:
    """Mapped and unmapped records of each contig, and records with no position, according to the index."""
    with pysam.AlignmentFile(str(path), check_sq=False) as file:
        return [(each.mapped, each.unmapped) for each in file.get_index_statistics()], file.nocoordinate
