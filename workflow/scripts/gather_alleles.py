# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Join the counts of all samples at the sites of a file into one table."""

from bams3.workflow.log import open_log

open_log(snakemake)

from bams3.workflow.alleles import join_counts

join_counts(snakemake.output[0], list(snakemake.input))
