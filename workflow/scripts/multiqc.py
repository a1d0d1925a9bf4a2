# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Run MultiQC on the samples' files, which may be too many for a command line."""

import os
import sys

if (
    python := os.environ.pop("BAMS3_PYTHON", sys.executable)
) != sys.executable:  # that of a conda environment
    os.execv(python, [python, *sys.argv])

from bams3.workflow.log import open_log

log = open_log(snakemake)

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

# Sample names and file types for MultiQC: by default it would trim names that end like other tools' files, and
# detect types from a file's contents or from the middle of its name.
SAMTOOLS = ("flagstat", "idxstats", "stats")
MOSDEPTH = (r"mosdepth\.summary\.txt", r"mosdepth\.(global|region)\.dist\.txt")
SETTINGS = {
    "run_modules": ["custom_content", "samtools", "mosdepth"],
    "sp": {f"samtools/{kind}": {"fn_re": rf".*\.{kind}$"} for kind in SAMTOOLS}
    | {"custom_content": {"fn": "identity_mqc.tsv"}},
    "fn_clean_exts": [{"type": "regex", "pattern": rf"\.({'|'.join(SAMTOOLS + MOSDEPTH)})$"}],
    "fn_clean_trim": [],
    "fn_clean_sample_names": True,
    "prepend_dirs": False,
    "sample_names_replace": None,
    "table_sample_merge": None,
    "log_filesize_limit": 1 << 40,
}

report = Path(snakemake.output[0])
with TemporaryDirectory() as work:
    Path(work, "files.txt").write_text("".join(f"{path}\n" for path in snakemake.input))
    Path(work, "settings.yaml").write_text(json.dumps(SETTINGS))
    command = [
        "multiqc", "--force", "--config", f"{work}/settings.yaml", "--outdir", report.parent, "--filename", report.name,
        "--file-list", f"{work}/files.txt",
    ]  # fmt: skip
    subprocess.run(list(map(str, command)), stdout=log, stderr=log, check=True)
