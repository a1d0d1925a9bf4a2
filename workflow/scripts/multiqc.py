# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Run MultiQC on the samples' files, which are too many for a command line."""

from bams3.workflow.log import open_log

log = open_log(snakemake)

import subprocess
from pathlib import Path
from tempfile import NamedTemporaryFile

report = Path(snakemake.output[0])
with NamedTemporaryFile("w", suffix=".txt") as names:
    names.write("".join(f"{path}\n" for path in snakemake.input))
    names.flush()
    command = [
        "multiqc",
        "--force",
        "--outdir",
        report.parent,
        "--filename",
        report.name,
        "--file-list",
        names.name,
    ]
    subprocess.run(list(map(str, command)), stdout=log, stderr=log, check=True)
