"""The number of the current task in a scheduler's array job, read from the environment."""

import os
from typing import NamedTuple

from bams3.errors import UsageError


class _Scheduler(NamedTuple):
    """Environment variables that a scheduler sets in array jobs.

    `number` has the number of the task, and `size` the number of tasks. `first` is the first number of the array, or
    the variable that has it. `alone` is the value of `number` in a job that is not part of an array.
    """

    name: str
    number: str
    first: str
    size: str = ""
    alone: str = ""


_SCHEDULERS = (
    _Scheduler("AWS Batch", "AWS_BATCH_JOB_ARRAY_INDEX", "0", "AWS_BATCH_JOB_ARRAY_SIZE"),
    _Scheduler("SLURM", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT"),
    _Scheduler("PBS", "PBS_ARRAY_INDEX", "1"),
    _Scheduler("LSF", "LSB_JOBINDEX", "1", "LSB_JOBINDEX_END", alone="0"),
    _Scheduler("Grid Engine", "SGE_TASK_ID", "1", "SGE_TASK_LAST", alone="undefined"),
)


def task_number(tasks: int) -> int:
    """Return the 1-based number of the task in which this process runs, in an array job of `tasks` tasks.

    Raises UsageError outside of an array job, and if the array has another number of tasks, because a task that is
    resubmitted alone must not be mistaken for the first one.
    """
    for scheduler in _SCHEDULERS:
        given = os.environ.get(scheduler.number, "")
        if given not in ("", scheduler.alone):
            return _number(scheduler, given, tasks)
    names = ", ".join(scheduler.number for scheduler in _SCHEDULERS)
    raise UsageError(f"array/{tasks}: this is not an array job (none of {names} is set); give i/{tasks}")


def _number(scheduler: _Scheduler, given: str, tasks: int) -> int:
    name = scheduler.name
    size = os.environ.get(scheduler.size, "")
    if size and size != str(tasks):
        raise UsageError(
            f"array/{tasks}: the {name} array has {size} tasks; submit {tasks}, or give i/{tasks} to run one task"
        )
    first = os.environ.get(scheduler.first, scheduler.first)
    if not (given.isdecimal() and first.isdecimal() and 0 <= int(given) - int(first) < tasks):
        raise UsageError(
            f"array/{tasks}: {scheduler.number} is {given}, but must be one of {tasks} numbers from {first}"
        )
    return int(given) - int(first) + 1
