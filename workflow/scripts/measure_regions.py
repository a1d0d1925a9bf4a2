# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Measure the regions of the cohort and the bins of the genome in one sample, keeping some of mosdepth's files."""

from bams3.workflow.log import open_log

log = open_log(snakemake)

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from bams3.cohort.depth import DECIMALS

# FLAG bits of unmapped reads, and of alignments that are not primary.
NOT_MAPPED_READS = 4 | 256 | 2048

params, regions, targets = snakemake.params, snakemake.input.regions, snakemake.input.targets
stem = snakemake.output[0].removesuffix("mean.bed.gz")
parts = ["--gather", *snakemake.input.parts] if snakemake.input.parts else []
runs = {
    "mean": ["--by", regions, "--thresholds", params.thresholds],  # all contigs, because of the thresholds
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


with TemporaryDirectory() as work:
    for name, words in runs.items():
        words = [*parts, "--no-per-base", *words, *params.options, "-o", f"{work}/{name}"]
        bams3("coverage", params.dataset, *words, **precision.get(name, {}))
    for name, path in kept.items():
        shutil.move(f"{work}/{name}", f"{stem}{path}")
    table = bams3("count", params.dataset, "--regions", regions, "-F", params.flag, *params.mapq)
    if targets:
        which = ["-F", params.flag | NOT_MAPPED_READS, *params.mapq]
        everywhere = [f"{{{params.chrom}}}"] if params.chrom else []
        reads = [
            bams3("query", "-c", params.dataset, *where, *which) for where in (everywhere, ["-L", targets])
        ]
        Path(f"{stem}targets_reads.txt").write_bytes(b"".join(reads))
# Replace the heading, which names the dataset's path, by one with the sample's name.
heading, rows = table.split(b"\n", 1)
places = heading.rpartition(b"\t")[0]
Path(f"{stem}reads.tsv").write_bytes(b"%s\t%s\n%s" % (places, snakemake.wildcards.sample.encode(), rows))
