"""The BAMs for benchmarks: simulated ones, which are kept in benchmarks/data, and those in $BAMS3_TEST_DATA."""

from __future__ import annotations

import os
import random
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.process import output

BENCHMARKS = Path(__file__).parent.parent
DATA = BENCHMARKS / "data"
DEPTH, LENGTH, CONTIGS = 30, 150, 3
ART = ("art_illumina", "bwa", "samtools")


@dataclass(frozen=True)
class Alignments:
    """A BAM, and its name in the table. `short`: whether its reads are short, so that the floors for speed apply."""

    name: str
    bam: Path
    short: bool = False


def simulated(
    profile: str, reads: int, depth: int = DEPTH, length: int = LENGTH, contigs: int = CONTIGS
) -> Alignments:
    """Return a simulated BAM with `reads` reads, which is made only once.

    The index is written last, so its existence shows that the BAM is complete. `contigs`: number of contigs for every 3
    million reads.
    """
    usual = (depth, length) == (DEPTH, LENGTH)
    name = f"{profile}-{reads}" if usual else f"{profile}-{reads}-{depth}x-{length}"
    bam = DATA / f"{name}{f'-{contigs}' * (contigs != CONTIGS)}.bam"
    if not Path(f"{bam}.bai").exists():
        print(f"simulating {bam.name}", file=sys.stderr)
        DATA.mkdir(exist_ok=True)
        genome = reads * length // depth
        options = {
            "reads": reads, "genome": genome, "profile": profile, "read-length": length, "contigs": contigs,
        }  # fmt: skip
        arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        output(sys.executable, BENCHMARKS / "simulate.py", bam, *arguments)
    name = f"{profile}, {number(reads)} reads"
    return Alignments(name if usual else f"{name}, {depth}x, {length:,} bp", bam, profile != "long")


def art(bases: int = 1_000_000) -> Alignments | None:
    """Return 30x of a genome, simulated by ART (not our simulator) and aligned by bwa; None if one is missing."""
    if not all(map(shutil.which, ART)):
        return None
    bam = DATA / "art.bam"
    if not Path(f"{bam}.bai").exists():
        print(f"simulating {bam.name}", file=sys.stderr)
        DATA.mkdir(exist_ok=True)
        output(sys.executable, BENCHMARKS / "simulate.py", bam, "--reads", "2", "--genome", str(bases))
        fasta, reads = bam.with_suffix(".fa"), DATA / "art"
        sizes = ["-l", str(LENGTH), "-f", str(DEPTH), "-m", "400", "-s", "90"]
        output("art_illumina", "-ss", "HSXn", "-i", fasta, "-p", *sizes, "-rs", "1", "-na", "-q", "-o", reads)
        output("bwa", "index", fasta)
        steps = [
            f"bwa mem -K 100000000 -R '@RG\\tID:a\\tSM:a' '{fasta}' '{reads}1.fq' '{reads}2.fq'",
            "samtools fixmate -m -u - -",
            "samtools sort -u",
            f"samtools markdup - '{bam}'",
        ]
        output("sh", "-c", " | ".join(steps))
        output("samtools", "index", bam)
    return Alignments("ART + bwa, 200 k reads", bam, short=True)


def given() -> list[Alignments]:
    """Return the BAMs in $BAMS3_TEST_DATA, if it is set. They need no index."""
    folder = os.environ.get("BAMS3_TEST_DATA")
    return [Alignments(bam.stem, bam) for bam in sorted(Path(folder).glob("*.bam"))] if folder else []


def random_region(alignments: Alignments, seed: int, length: int = 1000) -> str:
    """Return a random region of `length` bp on a contig of a simulated genome. It depends only on the seed."""
    contigs = []
    for line in alignments.bam.with_suffix(".fa.fai").read_text().splitlines():
        name, bases = line.split("\t")[:2]
        contigs.append((name, int(bases)))
    chance = random.Random(seed)
    name, bases = chance.choices(contigs, [bases for _, bases in contigs])[0]
    length = min(length, bases // 2)
    start = chance.randrange(1, bases - length)
    return f"{name}:{start}-{start + length - 1}"


def number(value: int) -> str:
    """Format a number: 2,400,000 as `2.4 M`, 600,000 as `600 k`."""
    return f"{value / 1e6:g} M" if value >= 1_000_000 else f"{value / 1e3:g} k"
