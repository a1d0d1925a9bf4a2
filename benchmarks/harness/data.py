"""The BAMs to measure on: simulated ones, kept in benchmarks/data, and those in $BAMS3_TEST_DATA."""

from __future__ import annotations

import os
import random
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.process import output

BENCHMARKS = Path(__file__).parent.parent
DATA = BENCHMARKS / "data"
BASES_PER_READ = 5  # of the genome: 30x with reads of 150 bp


@dataclass(frozen=True)
class Alignments:
    """A BAM and what the table calls it."""

    name: str
    bam: Path


def simulated(profile: str, reads: int) -> Alignments:
    """30x of a genome with `reads` reads. It is made once: the index, written last, says that it is whole."""
    bam = DATA / f"{profile}-{reads}.bam"
    if not Path(f"{bam}.bai").exists():
        print(f"simulating {bam.name}", file=sys.stderr)
        DATA.mkdir(exist_ok=True)
        genome = str(reads * BASES_PER_READ)
        arguments = ("--reads", str(reads), "--genome", genome, "--profile", profile)
        output(sys.executable, BENCHMARKS / "simulate.py", bam, *arguments)
    return Alignments(f"{profile}, {number(reads)} reads", bam)


def given() -> list[Alignments]:
    """The BAMs in $BAMS3_TEST_DATA, if it is set. They need no index."""
    folder = os.environ.get("BAMS3_TEST_DATA")
    return [Alignments(bam.stem, bam) for bam in sorted(Path(folder).glob("*.bam"))] if folder else []


def random_region(alignments: Alignments, seed: int, length: int = 1000) -> str:
    """Some `length` bp of a contig of a simulated genome; the same for the same seed."""
    contigs = []
    for line in alignments.bam.with_suffix(".fa.fai").read_text().splitlines():
        name, bases = line.split("\t")[:2]
        contigs.append((name, int(bases)))
    chance = random.Random(seed)
    name, bases = chance.choices(contigs, [bases for _, bases in contigs])[0]
    start = chance.randrange(1, bases - length)
    return f"{name}:{start}-{start + length - 1}"


def number(value: int) -> str:
    """2,400,000 as `2.4 M`; 600,000 as `600 k`."""
    return f"{value / 1e6:g} M" if value >= 1_000_000 else f"{value / 1e3:g} k"
