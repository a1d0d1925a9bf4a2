# ruff: noqa: F821 - Snakemake defines `snakemake`
"""Write the regions of the cohort, and the bins of its genome."""

from bams3.cohort.regions import write_bins, write_regions

write_regions(snakemake.output.regions, snakemake.params.by, snakemake.params.contigs)
write_bins(snakemake.output.genome, snakemake.params.contigs)
