# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Call variants jointly in some intervals of the genome."""

import os
import sys

if (
    python := os.environ.pop("BAMS3_PYTHON", sys.executable)
) != sys.executable:  # that of a conda environment
    os.execv(python, [python, *sys.argv])

from bams3.workflow.log import open_log

log = open_log(snakemake)

from pathlib import Path

from bams3.errors import Bams3Error
from bams3.operations.call import call_jointly
from bams3.operations.targets import read_targets

params = snakemake.params
paths = list(snakemake.input.get("targets", []))  # a file of targets, or none
try:
    targets = read_targets(Path(paths[0]).read_bytes(), paths[0]) if paths else params.get("targets")
    call_jointly(
        params.datasets, params.intervals, snakemake.input.reference[0], snakemake.output[0], log,
        targets=targets, **params.options,
        files=dict(zip(params.files, snakemake.input.files, strict=True)),
    )  # fmt: skip
except (Bams3Error, OSError) as error:
    contig, start, _ = params.intervals[0]
    raise Bams3Error(
        f"calling failed from {contig}:{start + 1} on: {error}; see {snakemake.log[0]}"
    ) from None
