# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Concatenate the calls of all windows, which are in order, into one VCF, and index it."""

import os
import sys

if (
    python := os.environ.pop("BAMS3_PYTHON", sys.executable)
) != sys.executable:  # that of a conda environment
    os.execv(python, [python, *sys.argv])

from bams3.workflow.log import open_log

log = open_log(snakemake)

import subprocess
from tempfile import NamedTemporaryFile

calls = snakemake.output.calls
kind = "-t" if snakemake.output.index.endswith(".tbi") else "-c"
with NamedTemporaryFile("w") as names:
    names.write("".join(f"{path}\n" for path in snakemake.input))
    names.flush()
    for command in (
        ["concat", "--no-version", "--file-list", names.name, "-Oz", "-o", calls],
        ["index", kind, calls],
    ):
        subprocess.run(["bcftools", *command], stderr=log, check=True)
