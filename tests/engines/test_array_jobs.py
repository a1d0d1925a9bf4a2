"""Coverage of a dataset by array jobs of SLURM and of AWS Batch (examples/), of which one task is killed once."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from bams3.storage import open_storage
from engines import begin, commands_of, coverage_files, killed_where, run_block
from peers import need
from servers.awaited import until
from servers.batch import IMAGE, Batch, batch
from servers.slurm import Slurm
from workflows import ROOT


def coverage_of(folder: Path) -> dict[str, bytes]:
    """The files of the page's dataset, by the names of those that one process made."""
    return {name.replace("NA12878", "S1"): data for name, data in coverage_files(folder).items()}


def test_slurm(
    slurm_cluster: Slurm, engine_dataset: Path, engine_coverage: dict[str, bytes], commands: dict[str, str],
    tmp_path: Path,
) -> None:  # fmt: skip
    killed_where('[ "${SLURM_ARRAY_TASK_ID:-}${SLURM_RESTART_COUNT:-}" = 3 ]', tmp_path / "bin", commands)
    path = {"PATH": f"{tmp_path / 'bin'}:{commands['PATH']}"}
    environment = commands | slurm_cluster.environment | path
    begin("slurm-arrays.md", tmp_path, engine_dataset, environment)
    (submit,) = commands_of("slurm-arrays.md")
    gather = re.search(r"gathered by (\d+)", run_block(submit, tmp_path, environment))[1]
    logs = tmp_path / "out/NA12878.parts"
    until(
        lambda: gather in slurm_cluster.finished(),
        said=lambda: slurm_cluster("squeue") + "".join(path.read_text() for path in logs.glob("*.log")),
    )
    assert slurm_cluster.finished()[gather]["JobState"] == "COMPLETED"
    assert coverage_of(tmp_path / "out") == engine_coverage
    runs = {path.stem: path.read_text().count("--batch array/4") for path in logs.glob("coverage-*.log")}
    assert runs == {f"coverage-{task}": 2 if task == 3 else 1 for task in (1, 2, 3, 4)}
    assert "Killed" in (logs / "coverage-3.log").read_text()


@pytest.fixture(scope="module")
def aws(commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batch]:
    need("bwrap")
    folder = tmp_path_factory.mktemp("aws")
    killed_where('[ "${AWS_BATCH_JOB_ARRAY_INDEX:-}$AWS_BATCH_JOB_ATTEMPT" = 21 ]', folder / "bin", commands)
    own = Path(commands["PATH"].partition(":")[0])
    show = [Path(sys.prefix), ROOT / "bams3", own, folder / "bin"]
    path = f"{folder / 'bin'}:{Path(sys.executable).parent}"
    with batch(folder, path, [ROOT], show, {"PYTHONPATH": str(ROOT / "bams3")}) as started:
        yield started


def test_aws_batch(
    aws: Batch, engine_dataset: Path, engine_coverage: dict[str, bytes], commands: dict[str, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    client, environment = aws.client("batch"), commands | aws.environment
    aws.client("s3").create_bucket(Bucket="bucket")
    begin("aws-batch-arrays.md", tmp_path, engine_dataset, environment)
    definition = tmp_path / "job-definition.json"
    text = definition.read_text().replace("arn:aws:iam::ACCOUNT:role/NAME", aws.role)
    definition.write_text(text.replace("ACCOUNT.dkr.ecr.REGION.amazonaws.com/bams3", IMAGE))
    (submit,) = commands_of("aws-batch-arrays.md")
    gather = run_block(submit.replace("my-queue", aws.queue), tmp_path, environment).split()[-1]

    def state() -> str:
        return client.describe_jobs(jobs=[gather])["jobs"][0]["status"]

    def said() -> dict[str, str]:
        return {path.stem: path.read_text() for path in aws.logs.iterdir()}

    until(lambda: state() in ("SUCCEEDED", "FAILED"), said=lambda: str(said()))
    assert state() == "SUCCEEDED", said()
    out = open_storage("s3://bucket/out")
    (tmp_path / "out").mkdir()
    for name in out.list():
        if "/" not in name:
            (tmp_path / "out" / name).write_bytes(out.get(name))
    assert coverage_of(tmp_path / "out") == engine_coverage
    tries = Counter(name.split("-")[1] for name in said() if name.startswith("coverage"))
    assert tries == {"0": 1, "1": 1, "2": 2, "3": 1}
