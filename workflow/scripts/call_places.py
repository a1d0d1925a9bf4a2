# ruff: noqa: F821 - Snakemake defines `snakemake`
"""Call variants of some places jointly."""

import sys
from pathlib import Path

from bams3.errors import Bams3Error
from bams3.operations.call import call_jointly
from bams3.operations.targets import read_targets
from bams3.shown import shown

given = snakemake.params
paths = list(snakemake.input.get("targets", []))  # a file of targets, or none
with open(snakemake.log[0], "w") as log:
    try:
        targets = read_targets(Path(paths[0]).read_bytes(), paths[0]) if paths else given.get("targets")
        call_jointly(
            given.datasets, given.places, snakemake.input.reference[0], snakemake.output[0], log,
            targets=targets, mpileup=given.mpileup, call=given.call,
            files=dict(zip(given.files, snakemake.input.files, strict=True)),
        )  # fmt: skip
    except (Bams3Error, OSError) as error:
        print(shown(error), file=log)
        contig, start, _ = given.places[0]
        sys.exit(shown(f"{snakemake.rule}: from {contig}:{start + 1} on it failed; see {snakemake.log[0]}"))
