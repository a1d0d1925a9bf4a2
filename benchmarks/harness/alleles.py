"""Counts at known sites, compared with bcftools, which must find the same depths."""

from __future__ import annotations

import csv
import hashlib
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pysam

from harness.bench import Bench, has, same
from harness.data import Alignments
from harness.process import BAMS3, Command, measure, output, size
from harness.table import SIZE, Floor, Row, cpu_row

SHARES = {1200: 4, 12: 10}
"""For one site in so many positions, how many times less CPU time than bcftools must be needed."""
READ = 0.25  # largest fraction of the dataset's bytes that may be read


def known_sites(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure few sites and many sites, without base qualities, and the bytes that are read."""
    if not has("bcftools"):
        return
    dataset, sites = bench.dataset(alignments), bench.scratch / "sites.tsv"
    ours, theirs = bench.scratch / "ours.tsv", bench.scratch / "theirs.bcf"
    command = [BAMS3, "alleles", "--workers", "1", "--sites", sites, "-o", ours, dataset]
    options = ["-B", "-I", "-a", "AD,DP", "-Q", "0", "-d", "1000000", "-f", alignments.bam.with_suffix(".fa")]
    peer = ["bcftools", "mpileup", "-T", sites, *options, "-Ou", "-o", theirs, alignments.bam]
    for one_in, times_less in SHARES.items():
        count = write_sites(sites, alignments.bam, one_in)
        commands = [Command(command, ours), Command(peer, theirs)]
        usage, others = measure(lambda _, commands=commands: commands, bench.rounds)
        same("alleles", depths_of_table(ours), depths_of_vcf(theirs))
        what = f"alleles at {count:,} sites"
        yield cpu_row(what, alignments.name, usage, "bcftools mpileup -T -B -I", others, times_less)
    counter = Path(__file__).with_name("bytes_read.py")
    ours.unlink()
    read = int(output(sys.executable, counter, *command[1:]))
    floor = Floor(f"≤ {READ:.0%}", read <= READ * size(dataset))
    name = "the whole dataset"
    yield Row("bytes read by alleles", alignments.name, SIZE, read, name, size(dataset), floor=floor)


def write_sites(path: Path, bam: Path, one_in: int) -> int:
    """Write sorted random positions of a BAM's contigs; return their number."""
    chance, count = random.Random(1), 0
    with pysam.AlignmentFile(str(bam)) as file, path.open("w") as sites:
        for contig, length in zip(file.references, file.lengths, strict=True):
            chosen = sorted(chance.sample(range(1, length + 1), length // one_in))
            sites.writelines(f"{contig}\t{position}\n" for position in chosen)
            count += len(chosen)
    return count


def depths_of_table(path: Path) -> str:
    """Return the SHA-256 of lines with contig, position and depth, of the sites that have bases."""
    with path.open() as file:
        rows = csv.DictReader(file, delimiter="\t")
        return digest(
            f"{row['contig']}\t{row['pos']}\t{row['depth']}\n" for row in rows if row["depth"] != "0"
        )


def depths_of_vcf(path: Path) -> str:
    """Return the same from the records of bcftools."""
    query = ["bcftools", "query", "-i", "FMT/DP > 0", "-f", "%CHROM\t%POS[\t%DP]\n", path]
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        return digest(child.stdout)


def digest(lines: Iterable[str]) -> str:
    """Return the SHA-256 of lines, which do not stay in memory: this process stays small (see `process`)."""
    found = hashlib.sha256()
    for line in lines:
        found.update(line.encode())
    return found.hexdigest()
