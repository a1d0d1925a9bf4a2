# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Write the interactive page."""

from bams3.workflow.log import open_log

open_log(snakemake)

from bams3.cohort.about import About
from bams3.cohort.page import write_page

inputs, params = snakemake.input, snakemake.params
distributions = dict(zip(params.samples, inputs.dist, strict=True))
about = About(params.title, **params.links, **params.about)
identity = {"findings": inputs.findings, "pairs": inputs.pairs} if inputs.findings else None
write_page(snakemake.output[0], inputs.samples, inputs.genome, inputs.mean, distributions, about, identity)
