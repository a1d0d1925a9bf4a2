# ruff: noqa: F821 - Snakemake defines `snakemake`
"""Measure the regions of the cohort, and the bins of its genome, in one sample: what is kept of mosdepth's files."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from bams3.cohort.depth import DECIMALS

# FLAG of reads that are not mapped, and of alignments that are not a read's primary one.
NOT_MAPPED_READS = 4 | 256 | 2048

given, regions, targets = snakemake.params, snakemake.input.regions, snakemake.input.targets
stem = snakemake.output[0].removesuffix("mean.bed.gz")
parts = ["--gather", *snakemake.input.parts] if snakemake.input.parts else []
runs = {
    "mean": ["--by", regions, "--thresholds", given.thresholds],  # all contigs, for the sake of thresholds
    "median": ["--by", regions, "--use-median"],
    "genome": ["--by", snakemake.input.genome],
}
kept = {
    "mean.regions.bed.gz": "mean.bed.gz",
    "median.regions.bed.gz": "median.bed.gz",
    "mean.thresholds.bed.gz": "thresholds.bed.gz",
    "genome.regions.bed.gz": "genome.bed.gz",
    "mean.mosdepth.summary.txt": "summary.txt",
    "mean.mosdepth.global.dist.txt": "dist.txt",
}
precision = {}
if targets:
    runs["targets"] = ["--by", targets]
    kept["targets.mosdepth.summary.txt"] = "targets_summary.txt"
    kept["targets.mosdepth.region.dist.txt"] = "targets_dist.txt"
    precision["targets"] = {"MOSDEPTH_PRECISION": str(DECIMALS)}


def bams3(*words, **environment):
    command = ["bams3", *map(str, words)]
    environment = os.environ | environment
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=log, check=True)
    return done.stdout


with open(snakemake.log[0], "w") as log, TemporaryDirectory() as work:
    for name, words in runs.items():
        words = [*parts, "--no-per-base", *words, *given.options, "-o", f"{work}/{name}"]
        bams3("coverage", given.dataset, *words, **precision.get(name, {}))
    for name, path in kept.items():
        shutil.move(f"{work}/{name}", f"{stem}{path}")
    table = bams3("count", given.dataset, "--regions", regions, "-F", given.flag, *given.mapq)
    if targets:
        which = ["-F", given.flag | NOT_MAPPED_READS, *given.mapq]
        everywhere = [f"{{{given.chrom}}}"] if given.chrom else []
        reads = [
            bams3("query", "-c", given.dataset, *where, *which) for where in (everywhere, ["-L", targets])
        ]
        Path(f"{stem}targets_reads.txt").write_bytes(b"".join(reads))
# Its heading names the dataset; the sample is the same wherever that is.
heading, rows = table.split(b"\n", 1)
places = heading.rpartition(b"\t")[0]
Path(f"{stem}reads.tsv").write_bytes(b"%s\t%s\n%s" % (places, snakemake.wildcards.sample.encode(), rows))
