# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Write the regions of the cohort, and the bins of the genome."""

from bams3.workflow.log import open_log

open_log(snakemake)

from bams3.cohort.regions import write_bins, write_regions, write_targets

made, contigs = snakemake.output, snakemake.params.contigs
write_regions(made.regions, snakemake.params.by, contigs)
write_bins(made.genome, contigs)
if made.targets:
    write_targets(made.targets, made.regions, contigs)
