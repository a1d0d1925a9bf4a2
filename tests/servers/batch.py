"""An AWS with S3 and Batch on the loopback interface; its jobs run, and see no file of the submitter's."""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from servers import answering, free_port, process

IMAGE = "example.org/bams3:test"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "the-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class Batch(NamedTuple):
    """What a submitter is told: the URL of AWS, the queue's and the role's ARNs; and where the logs of the jobs are."""

    url: str
    queue: str
    role: str
    logs: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of the submitter."""
        return CREDENTIALS | {
            "AWS_ENDPOINT_URL": self.url,
            "SNAKEMAKE_AWS_BATCH_JOB_QUEUE": self.queue,
            "SNAKEMAKE_AWS_BATCH_JOB_ROLE": self.role,
        }

    def client(self, service: str) -> Any:
        """boto3's client of a service."""
        return _client(self.url, service)


@contextmanager
def batch(
    folder: Path, path: str, hide: list[Path], show: list[Path], environment: dict[str, str]
) -> Iterator[Batch]:
    """Start it. Of the jobs' image `path` is what PATH begins with, `show` what it contains; they don't see `hide`."""
    port, log, logs = free_port(), folder / "aws.log", folder / "jobs"
    logs.mkdir()
    url = f"http://127.0.0.1:{port}"
    image = {
        "name": IMAGE, "path": path, "hide": [*map(str, hide)], "show": [*map(str, show)], "environment": environment,
    }  # fmt: skip
    server = Path(__file__).with_name("batch_server.py")
    told = CREDENTIALS | {"AWS_ENDPOINT_URL": url, "BATCH_IMAGE": json.dumps(image), "BATCH_LOGS": str(logs)}
    command = ["env", *(f"{name}={value}" for name, value in told.items()), sys.executable, server]
    with ExitStack() as stack:
        child = stack.enter_context(process([*command, "-H", "127.0.0.1", "-p", port], log))
        stack.enter_context(answering(url, log, child))
        yield Batch(url, *_queue(url), logs)


@contextmanager
def batch_with_snakemake(folder: Path, jobs: dict[str, str]) -> Iterator[Batch]:
    """One whose image is as the Dockerfile makes it: with bams3 and Snakemake, and what that installs at a job's start.

    `jobs`: the environment of jobs on this machine, as `workflows.job_environment` makes it.
    """
    wheels = folder / "wheels"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels)]
    subprocess.run([*pip, "snakemake-storage-plugin-s3"], check=True)
    own, python, _ = jobs["PATH"].partition(f":{Path(sys.executable).parent}")
    packages = [*map(Path, jobs["PYTHONPATH"].split(":"))]
    show = [Path(sys.prefix), *packages, *map(Path, own.split(":")), wheels]
    environment = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_FIND_LINKS": str(wheels)}
    environment["PYTHONPATH"] = jobs["PYTHONPATH"]
    with batch(folder, own + python, [packages[0].parent], show, environment) as started:
        yield started


def _queue(url: str) -> tuple[str, str]:
    """A new queue's ARN, and that of a role for its jobs."""
    name = f"bams3-{uuid.uuid4().hex[:8]}"
    iam, client = _client(url, "iam"), _client(url, "batch")
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    service, role = (
        iam.create_role(RoleName=f"{name}-{kind}", AssumeRolePolicyDocument=policy)["Role"]["Arn"]
        for kind in ("service", "job")
    )
    place = client.create_compute_environment(
        computeEnvironmentName=name, type="UNMANAGED", state="ENABLED", serviceRole=service
    )["computeEnvironmentArn"]
    order = [{"order": 1, "computeEnvironment": place}]
    queue = client.create_job_queue(
        jobQueueName=name, state="ENABLED", priority=1, computeEnvironmentOrder=order
    )
    return queue["jobQueueArn"], role


def _client(url: str, service: str) -> Any:
    import boto3.session

    session = boto3.session.Session(
        CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
    )  # fmt: skip
    return session.client(service, endpoint_url=url)
