"""The profile `aws-batch` through Snakemake's plugin, on an AWS Batch whose jobs run, with no shared file system."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from conftest import need
from servers.batch import IMAGE, Batch, batch
from workflows import CONFIG, COVERAGE, OF_THE_COHORT, PROCESS, ROOT, below, run, write_sheet

EVERYTHING = CONFIG | {
    "query": {"regions": ["chr1:250000-270000"]},
    "coverage": COVERAGE,
    "process": PROCESS,
    **OF_THE_COHORT,
}
INPUTS = ("S1.bam", "S1.bam.bai", "reference.fa", "reference.fa.fai", "loci.tsv")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image has for Snakemake to install at a job's start: see the Dockerfile."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*pip, "snakemake-storage-plugin-s3"], check=True)
    return folder


@pytest.fixture(scope="module")
def aws(commands: dict[str, str], wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batch]:
    need("bwrap")
    own, environment_of_python = (Path(part) for part in commands["PATH"].split(":")[:2])
    show = [Path(sys.prefix), ROOT / "bams3", own, wheels]
    environment = {
        "PYTHONPATH": str(ROOT), "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_FIND_LINKS": str(wheels),
    }  # fmt: skip
    path = f"{own}:{environment_of_python}"
    with batch(tmp_path_factory.mktemp("aws"), path, [ROOT], show, environment) as started:
        yield started


@pytest.fixture
def lab(cohort: Path, aws: Batch, tmp_path: Path) -> Path:
    """A checkout of the workflow, whose samples are in s3://lab."""
    folder = tmp_path / "lab"
    for part in ("workflow", "profiles"):
        shutil.copytree(ROOT / part, folder / part)
    (folder / "config").mkdir()
    write_sheet(folder, ("S1", "S1.bam"))
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="lab")
    for name in INPUTS:
        s3.upload_file(str(cohort / name), "lab", f"cohort/{name}")
    s3.upload_file(str(folder / "samples.tsv"), "lab", "cohort/samples.tsv")
    named = {"samples": "s3://lab/cohort/samples.tsv", "genotype": {"manifest": "s3://lab/cohort/loci.tsv"}}
    config = EVERYTHING | named
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    for words in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def command(*arguments: str) -> list[str]:
    """Snakemake as docs/aws-batch.md has it."""
    return [
        sys.executable, "-m", "snakemake", "--profile", "profiles/aws-batch", "--container-image", IMAGE,
        "--default-storage-prefix", "s3://lab/cohort", *arguments,
    ]  # fmt: skip


def jobs(aws: Batch, rule: str, *statuses: str) -> list[str]:
    """Ids of the jobs of a rule that are in one of these states."""
    client = aws.client("batch")
    found = [
        job
        for status in statuses
        for job in client.list_jobs(jobQueue=aws.queue, jobStatus=status)["jobSummaryList"]
    ]
    return [job["jobId"] for job in found if job["jobName"].startswith(f"snakejob-{rule}")]


@contextmanager
def started(
    lab: Path, aws: Batch, environment: dict[str, str], rule: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A run, and the id of a job of a rule that runs by now."""
    child = subprocess.Popen(
        command(), cwd=lab, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in what a shell starts with &
    )  # fmt: skip
    try:
        while not (running := jobs(aws, rule, "RUNNING")):
            assert child.poll() is None, child.communicate()[0]
            time.sleep(0.05)
        yield child, running[0]
    finally:
        child.kill()
        child.wait()


def test_a_run_with_everything_that_may_happen_to_it(
    lab: Path, project: Path, aws: Batch, commands: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs that take too long, Ctrl-C, a lost job: in the end what a run on files gives, each batch converted once."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    environment = commands | aws.environment
    short = command("--aws-batch-task-timeout", "1", "--retries", "0")
    failed = subprocess.run(short, cwd=lab, env=environment, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "Job attempt duration exceeded timeout" in failed.stdout + failed.stderr
    assert set(below("s3://lab/cohort", "results")) == {"datasets/S1.begun"}

    with started(lab, aws, environment, "convert_batch") as (child, _):
        child.send_signal(signal.SIGINT)
        said = child.communicate()[0]
        assert child.returncode == 1, said
    assert jobs(aws, "", "SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING") == []

    with started(lab, aws, environment, "convert_batch") as (child, job):
        aws.client("batch").terminate_job(jobId=job, reason="Host EC2 (instance i-1) terminated.")
        said = child.communicate()[0]
        assert child.returncode == 0, said
    assert "Host EC2 (instance i-1) terminated." in said
    assert len(jobs(aws, "convert_batch", "SUCCEEDED")) == 2

    write_sheet(project, ("S1", "S1.bam"))
    run(project, commands, EVERYTHING)
    assert below("s3://lab/cohort", "results") == below(str(project), "results")
