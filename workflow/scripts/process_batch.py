# ruff: noqa: F821 - Snakemake defines `snakemake`
"""Run the command of the config on each chunk of a batch.

In the command {chunk} is the chunk's path, {region} its window (`chr1:1-1048576`; `_unplaced`), {sample} the
sample's name and {output} the file to write, each quoted for the shell. Other braces stay as they are.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from bams3.dataset.layout import parse_fraction
from bams3.dataset.reader import DatasetReader


def fill(command: str, values: dict[str, str]) -> str:
    return re.sub(r"\{(chunk|region|sample|output)\}", lambda found: shlex.quote(values[found[1]]), command)


dataset = DatasetReader(snakemake.params.dataset)
directory = Path(snakemake.output[0])
directory.mkdir(parents=True, exist_ok=True)
with open(snakemake.log[0], "w") as log:
    for chunk in dataset.batch(*parse_fraction(snakemake.params.batch)).index:
        stem = "-".join(Path(chunk.path).with_suffix("").parts[1:])
        values = {
            "chunk": f"{dataset.uri}/{chunk.path}",
            "region": dataset.region(chunk),
            "sample": snakemake.wildcards.sample,
            "output": str(directory / f"{stem}{snakemake.params.suffix}"),
        }
        command = fill(snakemake.params.command, values)
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], stdout=log, stderr=log)
        if done.returncode:
            why = f"exit code {done.returncode}; see {snakemake.log[0]}"
            sys.exit(f"process: the command failed on {values['chunk']} ({why})")
