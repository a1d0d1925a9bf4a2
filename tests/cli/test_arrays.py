"""`array/N`: the number of a task of an array job, as schedulers tell it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from engines import run_bams3

SECOND_OF_FOUR = {
    "AWS Batch": {"AWS_BATCH_JOB_ARRAY_INDEX": "1", "AWS_BATCH_JOB_ARRAY_SIZE": "4"},
    "SLURM": {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "4"},
    "SLURM from 0": {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "4"},
    "PBS": {"PBS_ARRAY_INDEX": "2"},
    "LSF": {"LSB_JOBINDEX": "2", "LSB_JOBINDEX_END": "4"},
    "Grid Engine": {"SGE_TASK_ID": "2", "SGE_TASK_LAST": "4"},
    "SLURM below others": {"LSB_JOBINDEX": "0", "SGE_TASK_ID": "undefined", "PBS_ARRAY_INDEX": "2"},
}
NO_TASK = {
    "no array": ({}, "this is not an array job"),
    "jobs that are no arrays": ({"LSB_JOBINDEX": "0", "SGE_TASK_ID": "undefined"}, "not an array job"),
    "another size": ({"AWS_BATCH_JOB_ARRAY_INDEX": "1", "AWS_BATCH_JOB_ARRAY_SIZE": "8"}, "the AWS Batch array has 8"),
    "one task again": (
        {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_MIN": "2", "SLURM_ARRAY_TASK_COUNT": "1"}, "has 1 tasks",
    ),
    "steps": (
        {"SLURM_ARRAY_TASK_ID": "6", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "4"},
        "is 6, but must be one of 4",
    ),
    "past the end": ({"PBS_ARRAY_INDEX": "5"}, "is 5, but must be one of 4 numbers from 1"),
    "before the first": ({"PBS_ARRAY_INDEX": "0"}, "is 0, but must be one of 4 numbers from 1"),
    "no first": ({"SLURM_ARRAY_TASK_ID": "2"}, "SLURM_ARRAY_TASK_ID is 2"),
    "no number": ({"PBS_ARRAY_INDEX": "x"}, "is x"),
}  # fmt: skip


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Sets the environment of a task, and nothing of the scheduler that these tests may run under."""
    known = {name for variables in SECOND_OF_FOUR.values() for name in variables}
    for name in known:
        monkeypatch.delenv(name, raising=False)
    return lambda variables: [monkeypatch.setenv(*item) for item in variables.items()] and None


@pytest.mark.parametrize("variables", SECOND_OF_FOUR.values(), ids=SECOND_OF_FOUR)
def test_task_of_an_array(
    engine_dataset: Path, scheduler: Callable[..., None], variables: dict[str, str]
) -> None:
    scheduler(variables)
    for words in (["chunks", "--shard"], ["query", "--batch"]):
        found, second = (run_bams3(*words, share, engine_dataset) for share in ("array/4", "2/4"))
        assert (found.returncode, found.stdout, found.stderr) == (0, second.stdout, "")
        assert found.stdout


@pytest.mark.parametrize(("variables", "message"), NO_TASK.values(), ids=NO_TASK)
def test_no_task_of_an_array(
    engine_dataset: Path, scheduler: Callable[..., None], variables: dict[str, str], message: str
) -> None:
    scheduler(variables)
    done = run_bams3("chunks", "--shard", "array/4", engine_dataset)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("bams3 chunks: array/4: ")
    assert message in done.stderr
