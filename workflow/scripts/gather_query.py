# ruff: noqa: F821 - Snakemake defines `snakemake`
"""Put the batches of a query, which are in order, into one BAM file, and index it."""

import pysam

reads, index = str(snakemake.output.reads), str(snakemake.output.index)
with open(snakemake.log[0], "w") as log:
    try:
        pysam.cat("--no-PG", "-o", reads, *snakemake.input)
        pysam.index("-c" if index.endswith(".csi") else "-b", "-o", index, reads)
    except pysam.SamtoolsError as error:
        log.write(f"{error}\n")
        raise
