"""The state of a run of the workflow: the jobs that are planned, running, done and failed, by rule."""

import json
from collections import Counter, defaultdict
from typing import Any, NamedTuple

from bams3.errors import DatasetError, FormatError
from bams3.storage import open_storage

FILE = "progress.json"
"""Name of the file in the folder of results."""


class Failure(NamedTuple):
    """A job that failed and has not been retried since. `logs`: its log files."""

    rule: str
    wildcards: dict[str, str]
    logs: list[str]


class _Running(NamedTuple):
    rule: str
    wildcards: dict[str, str]
    since: float


class Progress:
    """Records the events of jobs, and reports the progress of the run.

    Jobs have Snakemake's ids; times are in seconds.
    """

    def __init__(self, started: float) -> None:
        self.started = started
        self.planned: dict[str, int] = {}
        self._done: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)  # total time of those jobs
        self._running: dict[int, _Running] = {}
        self._failed: dict[int, Failure] = {}

    def plan(self, jobs: dict[str, int]) -> None:
        """Set the number of jobs to do, by rule."""
        self.planned = {rule: count for rule, count in jobs.items() if rule != "total"}

    def start(self, job: int, rule: str, wildcards: dict[str, str], now: float) -> None:
        """Record that a job was started, or submitted to a cluster, possibly again."""
        self._running[job] = _Running(rule, wildcards, now)
        self._failed.pop(job, None)

    def finish(self, job: int, now: float) -> None:
        """Record that a job is done."""
        if running := self._running.pop(job, None):
            self._done[running.rule] += 1
            self._seconds[running.rule] += now - running.since

    def fail(self, job: int, rule: str, logs: list[str]) -> None:
        """Record that a job has failed."""
        running = self._running.pop(job, None)
        self._failed[job] = Failure(rule, running.wildcards if running else {}, logs)

    def state(self, now: float, *, ended: bool = False) -> dict[str, Any]:
        """Return the whole state at a time, as a document for JSON."""
        running = Counter(job.rule for job in self._running.values())
        rules = {
            rule: {
                "jobs": count,
                "done": self._done[rule],
                "running": running[rule],
                "seconds": self._seconds[rule],
            }
            for rule, count in self.planned.items()
        }
        return {
            "started": self.started,
            "updated": now,
            "ended": ended,
            "jobs": sum(self.planned.values()),
            "done": self._done.total(),
            "running": len(self._running),
            "seconds_left": None if ended else self._left(now),
            "rules": rules,
            "failed": [failure._asdict() for failure in self._failed.values()],
        }

    def _left(self, now: float) -> float | None:
        """Return the estimated number of seconds until the end; None until a job has finished.

        It is the expected work of the remaining jobs, divided by the mean number of parallel jobs. The expected work of
        a job is the mean duration of finished jobs of its rule, or of all rules if none of its rule has finished.
        """
        if not self._done:
            return None
        worked = sum(self._seconds.values())
        usual = {rule: self._seconds[rule] / count for rule, count in self._done.items()}
        typical = worked / self._done.total()
        left = {rule: count - self._done[rule] for rule, count in self.planned.items()}
        work = sum(max(0, count) * usual.get(rule, typical) for rule, count in left.items())
        ages = [(usual.get(job.rule, typical), now - job.since) for job in self._running.values()]
        work -= sum(min(span, age) for span, age in ages)
        at_a_time = (worked + sum(age for _, age in ages)) / max(now - self.started, 1e-3)
        return max(0.0, work / max(at_a_time, 1e-3))


def line(state: dict[str, Any]) -> str:
    """Return the number of finished jobs, the rate and the time left, in one line of text."""
    jobs, done = state["jobs"], state["done"]
    words = [f"{done} of {jobs} jobs ({done / max(jobs, 1):.0%})"]
    elapsed = state["updated"] - state["started"]
    if done and elapsed > 0:
        words.append(f"{60 * done / elapsed:.3g} jobs/min")
    if state["failed"]:
        words.append(f"{len(state['failed'])} failed")
    if state["ended"]:
        words.append(f"ended after {duration(elapsed)}")
    else:
        words.append(f"{state['running']} running")
        if state["seconds_left"] is not None:
            words.append(f"about {duration(state['seconds_left'])} left")
    return ", ".join(words)


def duration(seconds: float) -> str:
    """Return a duration as text: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def read_state(results: str) -> dict[str, Any]:
    """Read the state of the last run from a folder of results, given as a path or URI.

    Raises DatasetError if there is none, and FormatError if it is invalid.
    """
    try:
        data = open_storage(results).get(FILE)
    except FileNotFoundError:
        raise DatasetError(
            f"{results}: no {FILE}; run the workflow with `--logger bams3`, as its profiles do, to write one"
        ) from None
    try:
        state: dict[str, Any] = json.loads(data)
        line(state)
        return state
    except (ValueError, KeyError, TypeError):
        raise FormatError(
            f"{results}/{FILE}: not a progress file; delete or rename it, so that the next run writes one"
        ) from None
