# ruff: noqa: F821 - Snakemake defines `snakemake`
"""Make a dataset incomplete before its chunks are written, or written again."""

from bams3.operations.convert import reopen

reopen(snakemake.params.dataset)
