# ruff: noqa: F821 - Snakemake defines `snakemake`
"""Write the interactive page."""

from bams3.cohort.page import write_page

given = snakemake.input
distributions = dict(zip(snakemake.params.samples, given.dist, strict=True))
write_page(snakemake.output[0], given.samples, given.genome, given.mean, distributions)
