# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Concatenate the batches of a query, which are in order, into one BAM file, and index it."""

from bams3.workflow.log import open_log

open_log(snakemake)

import pysam
from bams3.errors import Bams3Error

reads, index = str(snakemake.output.reads), str(snakemake.output.index)
try:
    pysam.cat("--no-PG", "-o", reads, *snakemake.input)
    pysam.index("-c" if index.endswith(".csi") else "-b", "-o", index, reads)
except pysam.SamtoolsError as error:
    raise Bams3Error(f"{reads}: {error}") from None
