"""The number of this task of an array job, as schedulers tell it."""

import os
from typing import NamedTuple

from bams3.errors import UsageError


class _Scheduler(NamedTuple):
    """Environment variables: `number` of the task, `size` of the array. `first`: the array's first number, or a
    variable; `alone`: the number of a job that is not of an array."""

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
    """Which task of an array job of `tasks` this process runs in, from 1.

    Raises UsageError where it runs in none, or where the array has not that many: a task that is submitted again
    alone must not be taken for the first.
    """
    for scheduler in _SCHEDULERS:
        given = os.environ.get(scheduler.number, "")
        if given not in ("", scheduler.alone):
            return _number(scheduler, given, tasks)
    names = ", ".join(scheduler.number for scheduler in _SCHEDULERS)
    raise UsageError(f"array/{tasks}: not a task of an array job (none of {names} is set); give i/{tasks}")


def _number(scheduler: _Scheduler, given: str, tasks: int) -> int:
    name = scheduler.name
    size = os.environ.get(scheduler.size, "")
    if size and size != str(tasks):
        raise UsageError(
            f"array/{tasks}: {name}'s array has {size} tasks; submit {tasks}, or give i/{tasks} for one alone"
        )
    first = os.environ.get(scheduler.first, scheduler.first)
    if not (given.isdecimal() and first.isdecimal() and 0 <= int(given) - int(first) < tasks):
        raise UsageError(f"array/{tasks}: {scheduler.number} is {given}, not one of {tasks} from {first} on")
    return int(given) - int(first) + 1
