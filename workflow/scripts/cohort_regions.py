# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Write the regions of the cohort, and the bins of its genome."""

from bams3.workflow.log import open_log

open_log(snakemake)

from bams3.cohort.regions import write_bins, write_regions

write_regions(snakemake.output.regions, snakemake.params.by, snakemake.params.contigs)
write_bins(snakemake.output.genome, snakemake.params.contigs)
