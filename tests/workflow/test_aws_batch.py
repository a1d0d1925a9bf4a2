"""The profile `aws-batch` through Snakemake's plugin, on an AWS Batch whose jobs run, with no shared file system."""

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

import pytest
from pages import taken_by
from peers import need
from servers.awaited import until
from servers.batch import CREDENTIALS, IMAGE, Batch, batch_with_snakemake
from workflows import CONFIG, COVERAGE, OF_THE_COHORT, PROCESS, below, checkout, run, waiting, write_sheet

EVERYTHING = CONFIG | {
    "query": {"regions": ["chr1:250000-270000"]},
    "coverage": COVERAGE,
    "process": PROCESS,
    **OF_THE_COHORT,
}
UNFINISHED = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
INPUTS = (
    "S1.bam", "S1.bam.bai", "reference.fa", "reference.fa.fai", "loci.tsv", "sites.vcf", "sites.tsv",
)  # fmt: skip


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that makes `bams3` wait in jobs."""
    return tmp_path_factory.mktemp("image") / "bin" / "held"


@pytest.fixture(scope="module")
def aws(commands: dict[str, str], held: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batch]:
    need("bwrap")
    image = waiting(held.parent, commands)
    with batch_with_snakemake(tmp_path_factory.mktemp("aws"), image) as started:
        yield started


@pytest.fixture
def lab(cohort: Path, aws: Batch, tmp_path: Path) -> Path:
    """A checkout of the workflow, whose samples are in s3://bucket."""
    named = {
        "samples": "s3://bucket/cohort/samples.tsv",
        "genotype": {"manifest": "s3://bucket/cohort/loci.tsv"},
    }
    folder = checkout(tmp_path / "lab", EVERYTHING | named)
    write_sheet(folder, ("S1", "S1.bam"))
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket")
    for name in INPUTS:
        s3.upload_file(str(cohort / name), "bucket", f"cohort/{name}")
    s3.upload_file(str(folder / "samples.tsv"), "bucket", "cohort/samples.tsv")
    return folder


def command(page: str, *arguments: str) -> list[str]:
    """Snakemake as a page has it, with the image of the tests; and arguments."""
    code = "".join(taken_by(__file__, page)).replace("\\\n", "")
    (line,) = re.findall("^snakemake --profile profiles/aws-batch.*", code, re.MULTILINE)
    variables = {"AWS_DEFAULT_REGION": CREDENTIALS["AWS_DEFAULT_REGION"], "BUCKET": "bucket", "IMAGE": IMAGE}
    words = shlex.split(Template(line).substitute(variables).replace(" IMAGE ", f" {IMAGE} "))
    return [sys.executable, "-m", *words, *arguments]


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
        command("docs/aws-batch.md"), cwd=lab, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in what a shell starts with &
    )  # fmt: skip
    try:
        running = until(
            lambda: jobs(aws, rule, "RUNNING"), lambda: child.poll() is None, lambda: child.communicate()[0]
        )
        yield child, running[0]
    finally:
        child.kill()
        child.wait()


def test_a_run_with_everything_that_may_happen_to_it(
    lab: Path,
    project: Path,
    aws: Batch,
    held: Path,
    commands: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Jobs that take too long, Ctrl-C, a lost job: in the end what a run on files gives, each batch converted once."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    environment = commands | aws.environment
    held.write_text("convert\n")
    short = command("README.md", "--aws-batch-task-timeout", "1", "--retries", "0")
    failed = subprocess.run(short, cwd=lab, env=environment, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "Job attempt duration exceeded timeout" in failed.stdout + failed.stderr
    assert not below("s3://bucket/cohort", "results/datasets")

    with started(lab, aws, environment, "convert_batch") as (child, _):
        child.send_signal(signal.SIGINT)
        said = child.communicate()[0]
        assert child.returncode == 1, said
    until(lambda: not jobs(aws, "", *UNFINISHED))  # a job ends soon after it has been told to
    assert jobs(aws, "convert_batch", "SUCCEEDED") == []

    with started(lab, aws, environment, "convert_batch") as (child, job):
        aws.client("batch").terminate_job(jobId=job, reason="Host EC2 (instance i-1) terminated.")
        held.unlink()
        said = child.communicate()[0]
        assert child.returncode == 0, said
    assert "Host EC2 (instance i-1) terminated." in said
    assert len(jobs(aws, "convert_batch", "SUCCEEDED")) == 2

    write_sheet(project, ("S1", "S1.bam"))
    run(project, commands, EVERYTHING)
    assert below("s3://bucket/cohort", "results") == below(str(project), "results")
