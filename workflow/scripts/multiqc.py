# ruff: noqa: F821 - Snakemake defines `snakemake`
"""Run MultiQC on the samples' files, which are too many for a command line."""

import subprocess
from pathlib import Path
from tempfile import NamedTemporaryFile

report = Path(snakemake.output[0])
with open(snakemake.log[0], "w") as log, NamedTemporaryFile("w", suffix=".txt") as names:
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
