"""The workflow on a SLURM cluster: results of a cohort, and what runs again when jobs, nodes and Snakemake die."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import taken_by
from servers.awaited import until
from servers.slurm import Slurm
from workflows import (
    CONFIG,
    OF_THE_COHORT,
    ROOT,
    WINDOWS,
    configure,
    planned,
    run,
    waiting,
    write_sheet,
)

import bams3

# On one chunk of one sample: more memory than its first job has, and less than its second one. While there is a file
# `once`, a job keeps that memory until it is killed.
GREEDY = """\
if [ {sample} = S1 ] && [ {region} = chr2:1-250000 ]; then
    keep=
    if rm once 2> /dev/null; then keep="signal.pause()"; fi
    python -c "import signal; held = bytearray(600 << 20); $keep"
fi
bams3 inspect {chunk} > {output}
"""
# Jobs of shell commands and of scripts. tests/workflow/test_aws_batch.py has every rule in a job of its own.
STAGES = CONFIG | {
    "convert": WINDOWS | {"chunks_per_batch": 4},
    "process": {"command": GREEDY, "suffix": ".txt"},
    "alleles": OF_THE_COHORT["alleles"],
}
MEMORY = "process_batch:mem_mb=500 * attempt"
CONVERTS = {f"convert_batch/S{sample}_00000{batch}-of-000002" for sample in (1, 2) for batch in (1, 2)}
MERGES = {"merge_parts/S1", "merge_parts/S2"}
FIRST = ("S1", "S1.bam")
# The commands of the page; that of README.md is one of them.
DRY_RUN, RUN, CANCEL, UNLOCK, AGAIN = (
    [sys.executable, "-m", *words] if words[0] == "snakemake" else words
    for code in taken_by(__file__, "docs/slurm.md")
    for words in (line.partition("#")[0].split() for line in code.splitlines())
)
assert RUN == AGAIN
assert " ".join(["\nsnakemake", *RUN[3:], "# or:\n"]) in "".join(taken_by(__file__, "README.md"))


class Cohort:
    """Snakemake in a directory, its jobs on a cluster. Commands whose words match the pattern in `held` wait."""

    def __init__(self, directory: Path, cluster: Slurm, environment: dict[str, str]) -> None:
        self.directory = directory
        self.cluster = cluster
        self._log = directory / "snakemake.log"
        self._logs = directory / "logs" / "slurm"
        for part in ("workflow", "profiles"):
            (directory / part).symlink_to(ROOT / part)
        folder = directory / "bin"
        self.held = folder / "held"
        self.environment = waiting(folder, environment) | cluster.environment

    def start(self, config: dict[str, Any], *arguments: str) -> None:
        """Begins a run. It looks at its jobs every second; their logs are kept, since they tell which job was which."""
        configure(self.directory, config)
        command = [
            *RUN,
            "--slurm-init-seconds-before-status-checks",
            "1",
            "--slurm-keep-successful-logs",
            *arguments,
        ]
        with self._log.open("wb") as log:
            self.child = subprocess.Popen(
                command, cwd=self.directory, env=self.environment, stdout=log, stderr=log,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's & ignores it
            )  # fmt: skip

    def plan(self) -> str:
        """What Snakemake prints of a dry run."""
        done = subprocess.run(
            DRY_RUN, cwd=self.directory, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def kill(self) -> str:
        """Kills Snakemake, not its jobs; their name."""
        os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        return re.search("SLURM run ID: (.+)", self._log.read_text())[1]

    def interrupt(self) -> None:
        """Ctrl-C: Snakemake ends, in its own time."""
        self.child.send_signal(signal.SIGINT)
        self._ends_with(1)

    def unlock(self) -> None:
        subprocess.run(UNLOCK, cwd=self.directory, check=True, capture_output=True)

    def succeeds(self) -> None:
        self._ends_with(0)

    def _ends_with(self, code: int) -> None:
        """The limit is for a run that hangs: a busy machine takes minutes."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(900)
        assert self.child.poll() == code, self._log.read_text()

    def wait_until(self, reached: Callable[[], bool], code: int | None = None) -> None:
        """Waits while Snakemake runs, or for what follows its end with a code."""
        until(reached, lambda: self.child.poll() == code, self._log.read_text)

    def jobs(self) -> dict[str, str]:
        """`rule/wildcards` of every job of this directory, by its id in order of submission."""
        logs = sorted(self._logs.rglob("*.log"), key=lambda log: int(log.stem))
        return {log.stem: str(log.parent.relative_to(self._logs)).removeprefix("rule_") for log in logs}

    def ended(self, key: str = "JobState") -> dict[str, list[str]]:
        """What SLURM logged of the jobs that ended, by `rule/wildcards`, in order of submission."""
        finished = self.cluster.finished()
        found: dict[str, list[str]] = {}
        for number, name in self.jobs().items():
            if number in finished:
                found.setdefault(name, []).append(finished[number][key])
        return found

    def running(self) -> dict[str, tuple[str, str]]:
        """(id, node) of the jobs that run, by `rule/wildcards`."""
        rows = [line.split() for line in self.cluster("squeue", "-h", "-t", "R", "-o", "%i %N").splitlines()]
        names = self.jobs()
        return {names[number]: (number, node) for number, node in rows if number in names}


@pytest.fixture
def on_slurm(project: Path, slurm_cluster: Slurm, commands: dict[str, str]) -> Iterator[Cohort]:
    """Two samples of two batches, to be run on a cluster, whose jobs and nodes are as before afterwards."""
    cohort = Cohort(project, slurm_cluster, commands)
    yield cohort
    if cohort.child.poll() is None:
        cohort.kill()
    slurm_cluster.clear()


@pytest.fixture(scope="module")
def results(
    cohort: Path, commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """Results of the first sample on this machine."""
    directory = Path(shutil.copytree(cohort, tmp_path_factory.mktemp("local") / "project"))
    write_sheet(directory, FIRST)
    run(directory, commands, STAGES)
    return contents(directory)


def contents(directory: Path) -> dict[str, bytes]:
    """The files of results, by path; but those that hold times."""
    found = {str(path.relative_to(directory / "results")): path for path in directory.glob("results/**/*")}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if path.is_file()
        and not name.startswith(("benchmarks/", "multiqc/"))
        and path.name not in (".snakemake_timestamp", "progress.json")
    }


@pytest.fixture(scope="module")
def datasets(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The datasets of both samples, as one process writes them."""
    directory = tmp_path_factory.mktemp("datasets")
    for sample in ("S1", "S2"):
        target = directory / "results" / "datasets" / f"{sample}.bams3"
        target.parent.mkdir(parents=True, exist_ok=True)
        bams3.convert(cohort / f"{sample}.bam", target, chunk_size=WINDOWS["chunk_size"])
    return contents(directory)


def test_jobs_of_every_kind(on_slurm: Cohort, results: dict[str, bytes]):
    """Each job runs once, on the partition and with the memory that it should; one that takes too much has more."""
    write_sheet(on_slurm.directory, FIRST)
    jobs = planned(on_slurm.directory, STAGES)
    said = on_slurm.plan()
    (on_slurm.directory / "once").touch()
    assert all(re.search(rf"^{rule} +{count}$", said, re.MULTILINE) for rule, count in jobs.items())
    on_slurm.start(
        STAGES, "--set-resources", MEMORY, "merge_parts:slurm_partition=short", "merge_parts:runtime=10"
    )
    on_slurm.succeeds()
    assert contents(on_slurm.directory) == results
    ended = on_slurm.ended()
    assert Counter(name.partition("/")[0] for name in ended) == jobs
    assert ended.pop("process_batch/S1_000001-of-000001") == ["FAILED", "COMPLETED"]
    assert set(map(tuple, ended.values())) == {("COMPLETED",)}
    for job, partition, minutes in (
        ("merge_parts/S1", "short", "10"),
        ("convert_batch/S1_000001-of-000001", "main", "60"),
    ):
        assert on_slurm.ended("Partition")[job] == [partition]
        assert on_slurm.ended("TimeLimit")[job] == [minutes]
    memory = [
        re.search(r"mem=(\d+)M", tres)[1]
        for tres in on_slurm.ended("Tres")["process_batch/S1_000001-of-000001"]
    ]
    assert memory == ["500", "1000"]


def test_jobs_and_nodes_that_are_lost(on_slurm: Cohort, datasets: dict[str, bytes]):
    """A job that was cancelled and those of a node that failed run again, elsewhere; a drained node's go on."""
    on_slurm.held.write_text("convert\n")
    on_slurm.start(CONFIG)
    on_slurm.wait_until(lambda: set(on_slurm.running()) == CONVERTS)
    nodes: dict[str, list[str]] = {}
    for name, (_, node) in sorted(on_slurm.running().items()):
        nodes.setdefault(node, []).append(name)
    (drained, (kept, cancelled)), (failed, lost) = nodes.items()
    on_slurm.cluster("scontrol", "update", f"nodename={drained}", "state=drain", "reason=test")
    on_slurm.cluster("scontrol", "update", f"nodename={failed}", "state=down", "reason=test")
    on_slurm.cluster("scancel", on_slurm.running()[cancelled][0])
    on_slurm.held.unlink()
    on_slurm.succeeds()
    assert contents(on_slurm.directory) == datasets
    expected = {name: ["COMPLETED"] for name in (kept, *MERGES)}
    expected |= {cancelled: ["CANCELLED", "COMPLETED"]} | {name: ["NODE_FAIL", "COMPLETED"] for name in lost}
    assert on_slurm.ended() == expected
    used = on_slurm.ended("NodeList")
    assert used.pop(kept) == [drained]
    assert drained not in {where[-1] for where in used.values()}


def test_snakemake_is_interrupted_and_killed(on_slurm: Cohort, datasets: dict[str, bytes]):
    """Ctrl-C cancels its jobs; killed, it leaves them behind, to be cancelled. What had ended does not run again."""
    on_slurm.held.write_text("convert\n")
    on_slurm.start(CONFIG)
    on_slurm.wait_until(lambda: set(on_slurm.running()) == CONVERTS)
    on_slurm.interrupt()
    on_slurm.wait_until(lambda: not on_slurm.cluster("squeue", "-h", "-t", "PENDING,RUNNING"), code=1)

    on_slurm.held.write_text("convert.*S2\n")
    on_slurm.start(CONFIG)
    done = {"convert_batch/S1_000001-of-000002", "convert_batch/S1_000002-of-000002", "merge_parts/S1"}
    on_slurm.wait_until(lambda: all(on_slurm.ended().get(name, [])[-1:] == ["COMPLETED"] for name in done))
    on_slurm.wait_until(lambda: set(on_slurm.running()) == CONVERTS - done)
    name = on_slurm.kill()
    on_slurm.cluster(*(name if word == "bams3_…" else word for word in CANCEL))
    assert name.startswith("bams3_")
    on_slurm.held.unlink()
    on_slurm.unlock()
    on_slurm.start(CONFIG)
    on_slurm.succeeds()
    assert contents(on_slurm.directory) == datasets
    expected = {name: ["CANCELLED"] * (1 + (name not in done)) + ["COMPLETED"] for name in CONVERTS}
    assert on_slurm.ended() == expected | {name: ["COMPLETED"] for name in MERGES}
