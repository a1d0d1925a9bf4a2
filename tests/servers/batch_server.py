"""moto's server with an AWS Batch whose jobs run: as local processes, not in Docker as moto would have it.

A job sees what a container on another machine would: its image, an empty working directory, and the environment of its
definition. The image is a Python environment of this machine (BATCH_IMAGE, JSON: `name`; `path`, what PATH begins with;
`hide` and `show`, directories that are empty and those that are there all the same; `environment`).
Arguments: those of moto's server.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from moto.batch.models import Job
from moto.server import main

AT_ONCE = 2
# What a job's role and the network give it on AWS.
OF_ROLE = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL")
KILLED = 137

IMAGE = json.loads(os.environ["BATCH_IMAGE"])
LOGS = Path(os.environ["BATCH_LOGS"])
_places = threading.BoundedSemaphore(AT_ONCE)


def run(job: Any) -> None:
    """Take a job, or a child of an array job, from PENDING to SUCCEEDED or FAILED; moto runs this in a thread."""
    try:
        job.status = "PENDING"
        if not all(succeeded(job, parent["jobId"]) for parent in job.depends_on or ()):
            return end(job, 1, "Dependent Job failed")
        job.status = "RUNNABLE"
        while not _places.acquire(timeout=0.1):
            if job.stop:
                return end(job, KILLED, job.job_stopped_reason)
        try:
            tries = (job.job_definition.retry_strategy or {}).get("attempts", 1)
            for number in range(1, tries + 1):
                code, reason = executed(job, number)
                if code == 0 or job.stop:
                    break
            end(job, code, reason)
        finally:
            _places.release()
    except Exception as error:  # of this server: must not look like a job that runs
        end(job, 1, repr(error))


def succeeded(job: Any, other: str) -> bool:
    """Wait for another job, or for all children of an array job."""
    awaited = job.all_jobs[other]
    while not job.stop:
        states = {each.status for each in awaited._child_jobs or [awaited]}
        if states <= {"SUCCEEDED", "FAILED"}:
            return states == {"SUCCEEDED"}
        time.sleep(0.1)
    return False


def of_array(job: Any) -> dict[str, str]:
    """What Batch tells a child of an array job."""
    if "index" not in job.array_properties:
        return {}
    children = job.all_jobs[job.job_id.rpartition(":")[0]].array_properties["size"]
    index = str(job.array_properties["index"])
    return {"AWS_BATCH_JOB_ARRAY_INDEX": index, "AWS_BATCH_JOB_ARRAY_SIZE": str(children)}


def executed(job: Any, attempt: int) -> tuple[int, str]:
    """Run the container's command; its exit code and the reason for its end."""
    properties = job.job_definition.container_properties
    if properties["image"] != IMAGE["name"]:
        return 1, f"CannotPullContainerError: {properties['image']}"
    job.job_started_at = datetime.now()
    job.status = "RUNNING"
    job._start_attempt()
    folder = tempfile.mkdtemp(prefix="batch-")
    given = {item["name"]: item["value"] for item in job._get_container_property("environment", [])}
    told = of_array(job) | {"AWS_BATCH_JOB_ATTEMPT": str(attempt)}
    environment = {
        "PATH": f"{IMAGE['path']}:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", **IMAGE["environment"],
        **{name: os.environ[name] for name in OF_ROLE if name in os.environ}, **given, **told,
    }  # fmt: skip
    seconds = job._get_attempt_duration()
    deadline = time.monotonic() + seconds if seconds else float("inf")
    try:
        name = "-".join([job.job_name, *told.values()])
        with (LOGS / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(
                [*box(folder), *job._get_container_property("command", [])],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            while child.poll() is None:
                if job.stop or time.monotonic() > deadline:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
                    return KILLED, job.job_stopped_reason or "Job attempt duration exceeded timeout"
                time.sleep(0.1)
        code = child.returncode
        return (code if code >= 0 else 128 - code), "Essential container in task exited"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def box(folder: str) -> list[str]:
    """The command that runs another as if in a container, in an empty directory."""
    words = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    for path in IMAGE["hide"]:
        words += ["--tmpfs", path]
    for path in IMAGE["show"]:
        words += ["--ro-bind", path, path]
    return [
        *words,
        "--bind",
        folder,
        "/tmp/job",
        "--chdir",
        "/tmp/job",
        "--unshare-pid",
        "--die-with-parent",
        "--",
    ]


def end(job: Any, code: int, reason: str) -> None:
    """Note how a job ended."""
    job.exit_code, job.job_stopped_reason = code, reason
    job._mark_stopped(success=code == 0)


if __name__ == "__main__":
    Job.run = run
    main()
