# ruff: noqa: F821 - Snakemake defines `snakemake`
"""Join what was measured in each sample."""

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
