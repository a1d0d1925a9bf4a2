"""Coverage of a dataset by array jobs of SLURM and of AWS Batch (examples/), of which one task is killed once."""

import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import need
from engines import COVERAGE, coverage_files
from servers.batch import IMAGE, Batch, batch
from servers.slurm import Slurm
from workflows import ROOT

from bams3.storage import open_storage

SLURM, BATCH = ROOT / "examples/slurm-array", ROOT / "examples/aws-batch-array"
TASKS = 4

# A bams3 that says what it runs, and where the condition holds is killed in the midst of it.
_KILLED = """\
#!/bin/bash
printf '%s\\n' "$*"
if {condition}; then
    {bams3} "$@" &
    sleep 0.15
    kill -KILL $! $$
fi
exec {bams3} "$@"
"""


def killed_where(condition: str, folder: Path, commands: dict[str, str]) -> None:
    """Make that bams3 in a folder."""
    folder.mkdir()
    bams3 = Path(commands["PATH"].partition(":")[0]) / "bams3"
    program = folder / "bams3"
    program.write_text(_KILLED.format(condition=condition, bams3=bams3))
    program.chmod(0o755)


def waited(done: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


def test_slurm(
    slurm_cluster: Slurm, engine_dataset: Path, engine_coverage: dict[str, bytes], commands: dict[str, str],
    tmp_path: Path,
) -> None:  # fmt: skip
    killed_where('[ "${SLURM_ARRAY_TASK_ID:-}${SLURM_RESTART_COUNT:-}" = 3 ]', tmp_path / "bin", commands)
    path = {"PATH": f"{tmp_path / 'bin'}:{commands['PATH']}"}
    environment = commands | slurm_cluster.environment | path
    command = [SLURM / "submit.sh", engine_dataset, "out/S1", str(TASKS), *COVERAGE]
    done = subprocess.run([*map(str, command)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    gather = re.search(r"gathered by (\d+)", done.stdout)[1]
    logs = tmp_path / "out/S1.parts"
    waited(
        lambda: gather in slurm_cluster.finished(),
        lambda: slurm_cluster("squeue") + "".join(path.read_text() for path in logs.glob("*.log")),
    )
    assert slurm_cluster.finished()[gather]["JobState"] == "COMPLETED"
    assert coverage_files(tmp_path / "out") == engine_coverage
    runs = {path.stem: path.read_text().count("--batch array/4") for path in logs.glob("coverage-*.log")}
    assert runs == {f"coverage-{task}": 2 if task == 3 else 1 for task in range(1, TASKS + 1)}
    assert "Killed" in (logs / "coverage-3.log").read_text()


@pytest.fixture(scope="module")
def aws(commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batch]:
    need("bwrap")
    folder = tmp_path_factory.mktemp("aws")
    killed_where('[ "${AWS_BATCH_JOB_ARRAY_INDEX:-}$AWS_BATCH_JOB_ATTEMPT" = 21 ]', folder / "bin", commands)
    own = Path(commands["PATH"].partition(":")[0])
    show = [Path(sys.prefix), ROOT / "bams3", own, folder / "bin"]
    path = f"{folder / 'bin'}:{Path(sys.executable).parent}"
    with batch(folder, path, [ROOT], show, {"PYTHONPATH": str(ROOT)}) as started:
        yield started


def test_aws_batch(
    aws: Batch, engine_dataset: Path, engine_coverage: dict[str, bytes], commands: dict[str, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    s3, client = aws.client("s3"), aws.client("batch")
    s3.create_bucket(Bucket="lab")
    for file in filter(Path.is_file, engine_dataset.rglob("*")):
        s3.upload_file(str(file), "lab", f"S1.bams3/{file.relative_to(engine_dataset)}")
    definition = tmp_path / "job-definition.json"
    text = (BATCH / definition.name).read_text().replace("arn:aws:iam::ACCOUNT:role/NAME", aws.role)
    definition.write_text(text.replace("ACCOUNT.dkr.ecr.REGION.amazonaws.com/bams3", IMAGE))
    arguments = [aws.queue, definition, "s3://lab/S1.bams3", "s3://lab/out/S1", TASKS, *COVERAGE]
    command = [sys.executable, BATCH / "submit.py", *arguments]
    submitted = subprocess.run(
        [*map(str, command)], env=commands | aws.environment, capture_output=True, text=True
    )
    assert submitted.returncode == 0, submitted.stderr
    gather = submitted.stdout.split()[-1]

    def state() -> str:
        return client.describe_jobs(jobs=[gather])["jobs"][0]["status"]

    def said() -> dict[str, str]:
        return {path.stem: path.read_text() for path in aws.logs.iterdir()}

    waited(lambda: state() in ("SUCCEEDED", "FAILED"), lambda: str(said()))
    assert state() == "SUCCEEDED", said()
    out = open_storage("s3://lab/out")
    for name in out.list():
        if "/" not in name:
            (tmp_path / name).write_bytes(out.get(name))
    assert coverage_files(tmp_path) == engine_coverage
    tries = Counter(name.split("-")[1] for name in said() if name.startswith("coverage"))
    assert tries == {"0": 1, "1": 1, "2": 2, "3": 1}
