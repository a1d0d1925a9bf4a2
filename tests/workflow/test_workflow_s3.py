"""The Snakemake workflow with its sample sheet, samples, datasets and results in object storage."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bams3.storage import open_storage
from pages import taken_by
from servers.awaited import until
from workflows import (
    CONFIG,
    CONVERTS,
    COVERAGE,
    PROCESS,
    QUERY,
    ROOT,
    SNAKEFILE,
    aws,
    below,
    run,
    snakemake,
    waiting,
    write_sheet,
)

# Of a cohort, tests/workflow/test_aws_batch.py has every rule.
EVERYTHING = CONFIG | {
    "query": {"bed": "beds/query.bed", "exclude_flags": 1024, "filter": QUERY["filter"]},
    "coverage": COVERAGE | {"by": "beds/coverage.bed"},
    "process": PROCESS,
}
JOBS = CONVERTS | {
    "query_batch": 4, "gather_query": 2, "coverage_batch": 4, "gather_coverage": 2, "process_batch": 4,
    "write_bigwig": 2,
}  # fmt: skip


PAGE = "".join(taken_by(__file__, "docs/object-storage.md"))


def in_storage(prefix: str) -> list[str]:
    """The options of the page for all in object storage: those after the profile, with another prefix."""
    command = PAGE.partition("snakemake --profile profiles/local ")[2].replace("s3://bucket/cohort", prefix)
    return [word for word in shlex.split(command) if word.strip()]


@pytest.fixture
def inputs(cohort: Path, tmp_path: Path) -> Path:
    """What a cohort's user has: alignments, one index not beside them, BED files, a sheet."""
    folder = tmp_path / "inputs"
    (folder / "beds").mkdir(parents=True)
    for name in ("S1.bam", "S1.bam.bai", "S2.bam"):
        (folder / name).write_bytes((cohort / name).read_bytes())
    (folder / "S2.index").write_bytes((cohort / "S2.bam.bai").read_bytes())
    (folder / "beds/query.bed").write_text("chr1\t249999\t270000\nchr2\t0\t200000\n")
    (folder / "beds/coverage.bed").write_text("chr1\t0\t5000\tstart\nchr2\t100\t200000\tmiddle\n")
    write_sheet(folder, ("S1", "S1.bam", ""), ("S2", "S2.bam", "S2.index"), columns="sample alignments index")
    return folder


@pytest.fixture
def stored(inputs: Path, bucket: str) -> str:
    """The same in a bucket: the prefix."""
    for path in inputs.rglob("*"):
        if path.is_file():
            open_storage(f"{bucket}/cohort").put(str(path.relative_to(inputs)), path.read_bytes())
    return f"{bucket}/cohort"


def planned(
    directory: Path, environment: dict[str, str], config: dict[str, Any], *options: str
) -> dict[str, int]:
    """How many jobs of each rule a run with these options would have; targets are left out."""
    dry = snakemake(directory, environment, EVERYTHING, "--dry-run", *options)
    assert dry.returncode == 0, dry.stdout + dry.stderr
    table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\n\n", dry.stdout + dry.stderr, re.DOTALL)
    jobs = {} if table is None else {name: int(count) for name, count in map(str.split, table[1].split("\n"))}
    return {name: count for name, count in jobs.items() if "_" in name}


def test_everything_in_object_storage(
    inputs: Path,
    stored: str,
    commands: dict[str, str],
    tmp_path: Path,
) -> None:
    """Killed, gone on with, and in the end what the same run on files gives; nothing of a dataset is on disk."""
    environment = commands | aws()
    here = tmp_path / "here"
    (here / "config").mkdir(parents=True)
    assert planned(here, environment, EVERYTHING, *in_storage(stored)) == JOBS

    kill_when_converted(here, environment, stored)
    assert not any("coverage/S1.mosdepth" in path for path in below(stored, "results"))
    run(here, environment, EVERYTHING, *in_storage(stored), "--unlock")
    copied = run(here, environment, EVERYTHING, *in_storage(stored))
    assert f"Storing in storage: {stored}/results/query/S1.bam\n" in copied
    assert not re.search(r" storage: \S+(\.bams3/|cohort/S\d\.bam)", copied)
    assert planned(here, environment, EVERYTHING, *in_storage(stored)) == {}

    run(inputs, commands, EVERYTHING)
    assert below(stored, "results") == below(str(inputs), "results")
    assert len(below(stored, "results/datasets")) == 2 * (4 + 3)

    open_storage(stored).put("S2.bam", (inputs / "S2.bam").read_bytes())
    again = planned(here, environment, EVERYTHING, *in_storage(stored))
    assert again == {name: count // 2 for name, count in JOBS.items()}


def test_regions_of_a_cohort(inputs: Path, stored: str, commands: dict[str, str], tmp_path: Path) -> None:
    config = CONFIG | {"coverage": {}, "cohort": {"regions": "beds/coverage.bed", "thresholds": "1,5"}}
    run(tmp_path, commands | aws(), config, *in_storage(stored), "--until", "cohort_regions")
    run(inputs, commands, config, "--until", "cohort_regions")
    made = below(stored, "results/cohort")
    assert made.keys() == {"genome.bed", "regions.bed", "targets.bed"}
    assert made == below(str(inputs), "results/cohort")


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ("samples.tsv", "{}/samples.tsv: no such object; `samples` in the config names the sheet"),
        ("S1.bam", "sample S1: {}/S1.bam: no such object"),
        ("beds/query.bed", "beds/query.bed: no such file; check config: query: bed"),
    ],
)
def test_what_is_missing_is_one_clear_line(
    stored: str,
    commands: dict[str, str],
    tmp_path: Path,
    removed: str,
    message: str,
) -> None:
    open_storage(stored).delete(removed)
    failed = snakemake(tmp_path, commands | aws(), EVERYTHING, "--dry-run", *in_storage(stored))
    shown = (failed.stdout + failed.stderr).splitlines()
    assert failed.returncode != 0
    assert any(message.format(stored) in line for line in shown), shown
    assert not any("Traceback" in line for line in shown)


def kill_when_converted(here: Path, environment: dict[str, str], prefix: str) -> None:
    """Start the workflow, and kill it with all its jobs when there are parts that are not merged."""
    environment = waiting(here / "bin", environment)
    (here / "bin" / "held").write_text("^merge\n")
    command = [sys.executable, "-m", "snakemake", "-s", SNAKEFILE, "--profile", ROOT / "profiles" / "local"]
    with (here / "killed.log").open("wb") as log:
        child = subprocess.Popen(
            [*map(str, command), *in_storage(prefix)], cwd=here, env=environment, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    storage = open_storage(prefix)
    until(
        lambda: any("/_parts/0" in name for name in storage.list("results")),
        lambda: child.poll() is None,
        (here / "killed.log").read_text,
    )
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
