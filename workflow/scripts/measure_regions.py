# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Measure the regions of the cohort, and the bins of its genome, in one sample: what is kept of mosdepth's files."""

from bams3.workflow.log import open_log

log = open_log(snakemake)

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

given = snakemake.params
means, medians, thresholds, reads, genome = snakemake.output
parts = ["--gather", *snakemake.input.parts] if snakemake.input.parts else []
runs = {
    "mean": ["--by", snakemake.input.regions, "--thresholds", given.thresholds],
    "median": ["--by", snakemake.input.regions, "--use-median"],
    "genome": ["--by", snakemake.input.genome],
}
kept = {
    "mean.regions": means,
    "median.regions": medians,
    "mean.thresholds": thresholds,
    "genome.regions": genome,
}
with TemporaryDirectory() as work:
    for name, words in runs.items():
        command = ["bams3", "coverage", given.dataset, *parts, "--no-per-base", *words, *given.options]
        subprocess.run([*map(str, command), "-o", f"{work}/{name}"], stderr=log, check=True)
    for name, path in kept.items():
        shutil.move(f"{work}/{name}.bed.gz", path)
    command = ["bams3", "count", given.dataset, "--regions", snakemake.input.regions, *given.reads]
    table = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=log, check=True).stdout
# Its heading names the dataset; the sample is the same wherever that is.
heading, rows = table.split(b"\n", 1)
places = heading.rpartition(b"\t")[0]
Path(reads).write_bytes(b"%s\t%s\n%s" % (places, snakemake.wildcards.sample.encode(), rows))
