# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Write the interactive page."""

from bams3.workflow.log import open_log

open_log(snakemake)

from bams3.cohort.page import write_page

given = snakemake.input
distributions = dict(zip(snakemake.params.samples, given.dist, strict=True))
write_page(snakemake.output[0], given.samples, given.genome, given.mean, distributions)
