"""A campaign of faults and power cuts: see `--help`."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

from faults import shim
from faults.campaign import Campaign, new_folder
from faults.cases import CASES
from faults.cuts import MARKS, Cuts
from faults.systems import SYSTEMS, judged

AGAIN = 50
"""Of so many states after power cuts, the command is run again in one."""


def main() -> int:
    """Returns the exit code: 1 if something went wrong."""
    options = argparse.ArgumentParser(
        prog="python -m faults", description="Each system call of each command fails; and power cuts."
    )
    options.add_argument(
        "cases", nargs="*", default=list(CASES), metavar="CASE", help=f"[all: {' '.join(CASES)}]"
    )
    options.add_argument(
        "--kills", action="store_true", help="only kill -9, before each call that changes something"
    )
    options.add_argument(
        "--systems", action="store_true", help="only file systems that do less than a local one"
    )
    options.add_argument(
        "--sample",
        type=int,
        metavar="N",
        help="only N of the faults, and N of the runs on file systems, by chance",
    )
    options.add_argument(
        "--after",
        type=int,
        default=0,
        metavar="N",
        help="leave out the first N faults in the order of the seed [0]",
    )
    options.add_argument(
        "--cuts", type=int, default=100_000, metavar="N", help="states after power cuts [100000]"
    )
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--workers", type=int, default=os.cpu_count())
    given = options.parse_args()
    with new_folder() as folder:
        if shim.CONTROL not in os.environ:
            return shim.restart(Path(folder))
        job = Campaign(Path(folder), given.cases)
        systems = _systems(given, job)
        if given.systems:
            return bool(systems)
        faults, cuts = systems + _faults(given, job), _cuts(given, job)
    for failure, times in Counter(cuts).items():
        print(f"FAILED {times} times: {failure}")
    return bool(faults or cuts)


def _systems(given: argparse.Namespace, job: Campaign) -> list[str]:
    """Run every case on every file system; returns what went wrong."""
    started = time.monotonic()
    failures, found = [], Counter[str]()
    runs = [(case, name) for case in given.cases for name in SYSTEMS]
    random.Random(given.seed).shuffle(runs)
    for case, name in runs[: given.sample]:
        outcome, wrong = judged(CASES[case], job.good[case], name, job.runner)
        found[outcome] += 1
        if wrong:
            failures.append(wrong)
            print(f"FAILED: {wrong}", flush=True)
    _report(f"runs on {len(SYSTEMS)} file systems", found.total(), started, found)
    return failures


def _faults(given: argparse.Namespace, job: Campaign) -> list[str]:
    """Let faults happen; returns what went wrong."""
    started = time.monotonic()
    faults = [fault for fault in job.faults() if fault.error == shim.KILL or not given.kills]
    calls = sum(len(good.calls) for good in job.good.values())
    print(f"{len(job.good)} cases, {calls:,} calls, {len(faults):,} faults", flush=True)
    random.Random(given.seed).shuffle(faults)
    faults = faults[given.after :][: given.sample]
    failures: list[str] = []

    def failed(what: str) -> None:
        failures.append(what)
        print(f"FAILED: {what}", flush=True)

    found = job.run(faults, given.workers, failed)
    _report("runs", len(faults), started, found)
    return failures


def _cuts(given: argparse.Namespace, job: Campaign) -> list[str]:
    """Let power cuts happen; returns what went wrong."""
    started = time.monotonic()
    names = [name for name in given.cases if name in MARKS]
    found: Counter[str] = Counter()
    failures: list[str] = []
    for name in names:
        states = given.cuts // len(names)
        case = Cuts(CASES[name], job.good[name], job.runner)
        found += case.run(states, states // AGAIN, given.seed, failures.append)
    again = found.pop("run again", 0)
    _report("states after power cuts", found.total(), started, found)
    if again:
        print(f"in {again:,} of them the command was run again, or the dataset verified")
    return failures


def _report(what: str, number: int, started: float, found: Counter[str]) -> None:
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(found.items()))
    print(f"{number:,} {what} in {time.monotonic() - started:.0f} s: {outcomes}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
