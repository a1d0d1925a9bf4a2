"""Comparison of many samples, which are hard links of one, so that all must be the same."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

import pysam

from harness.bench import Bench, same
from harness.data import Alignments
from harness.process import BAMS3, Command, output, remove, run
from harness.table import Floor, Row

SAMPLES, SITES = 100, 17_000
SECONDS = 60  # most seconds of wall time, on two cores


def samples(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Count reads of the samples at common sites, and compare all pairs."""
    dataset, folder = bench.dataset(alignments), bench.scratch / "copies"
    remove(folder)
    folder.mkdir()
    copies = [folder / f"{number}.bams3" for number in range(SAMPLES)]
    for copy in copies:
        output("cp", "-al", dataset, copy)
    sites = folder / "sites.vcf"
    count = write_sites(sites, alignments.bam)
    command = [BAMS3, "relate", "--workers", "2", "--sites", sites, "-o", folder / "who", *copies]
    usage = run(Command(command, folder / "who.pairs.tsv"))  # once, since it takes a minute of CPU time
    with (folder / "who.pairs.tsv").open() as file:
        found = [row["concordance"] for row in csv.DictReader(file, delimiter="\t")]
    same("relate", found, ["1.0000"] * (SAMPLES * (SAMPLES - 1) // 2))
    remove(folder)
    what = f"relate {SAMPLES} samples at {count:,} sites, 2 workers, wall"
    floor = Floor(f"≤ {SECONDS} s", usage.wall <= SECONDS)
    yield Row(what, alignments.name, "s", usage.wall, usages=(usage,), floor=floor)


def write_sites(path: Path, bam: Path) -> int:
    """Write random positions of a BAM's contigs as a VCF, with alleles from its FASTA; return their number."""
    chance, count = random.Random(1), 0
    with pysam.FastaFile(str(bam.with_suffix(".fa"))) as fasta, path.open("w") as sites:
        sites.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for contig, length in zip(fasta.references, fasta.lengths, strict=True):
            bases = fasta.fetch(contig)
            for position in sorted(chance.sample(range(length), SITES * length // sum(fasta.lengths))):
                ref = bases[position]
                alt = chance.choice("ACGT".replace(ref, ""))
                sites.write(f"{contig}\t{position + 1}\t.\t{ref}\t{alt}\t.\t.\tAF=0.4\n")
                count += 1
    return count
