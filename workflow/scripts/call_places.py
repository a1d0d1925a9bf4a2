# ruff: noqa: F821 - Snakemake defines `snakemake`
"""Call variants of some places jointly."""

import sys

from bams3.errors import Bams3Error
from bams3.operations.call import call_jointly
from bams3.shown import shown

given = snakemake.params
with open(snakemake.log[0], "w") as log:
    try:
        call_jointly(
            given.datasets, given.places, snakemake.input.reference[0], snakemake.output[0], log,
            mpileup=given.mpileup, call=given.call,
        )  # fmt: skip
    except (Bams3Error, OSError) as error:
        print(shown(error), file=log)
        contig, start, _ = given.places[0]
        sys.exit(shown(f"{snakemake.rule}: from {contig}:{start + 1} on it failed; see {snakemake.log[0]}"))
