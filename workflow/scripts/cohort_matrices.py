# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Join the measurements of all samples into matrices."""

from bams3.workflow.log import open_log

open_log(snakemake)

from pathlib import Path

from bams3.cohort.matrix import Measure, measures, write_matrices

number = len(snakemake.params.samples)
columns = [snakemake.input.files[i : i + number] for i in range(0, len(snakemake.input.files), number)]
names = ("mean", "median", "thresholds", "reads", "genome")
files = {
    sample: dict(zip(names, paths, strict=True))
    for sample, *paths in zip(snakemake.params.samples, *columns, strict=True)
}
folder = Path(snakemake.output[0]).parent
write_matrices(folder, snakemake.input.regions, files, measures(snakemake.params.thresholds))
write_matrices(folder, snakemake.input.genome, files, {"genome": Measure("genome")})
