# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Count the alleles of a sample's reads at the sites of a file."""

from bams3.workflow.log import open_log

open_log(snakemake)

from bams3.workflow.alleles import write_counts

write_counts(
    snakemake.output[0], snakemake.params.dataset, snakemake.wildcards.sample, snakemake.input.sites,
    snakemake.params.options, snakemake.threads,
)  # fmt: skip
