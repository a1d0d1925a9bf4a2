"""A campaign of faults: see `--help`."""

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


def main() -> int:
    """Returns the exit code: 1 if something went wrong."""
    options = argparse.ArgumentParser(prog="python -m faults", description="Faults of every system call.")
    options.add_argument(
        "cases", nargs="*", default=list(CASES), metavar="CASE", help=f"[all: {' '.join(CASES)}]"
    )
    options.add_argument("--sample", type=int, metavar="N", help="only N faults, by chance")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--workers", type=int, default=os.cpu_count())
    options.add_argument("--cuts", type=int, default=0, metavar="N", help="N states after power cuts instead")
    given = options.parse_args()
    with new_folder() as folder:
        if shim.CONTROL not in os.environ:
            return shim.restart(Path(folder))
        return (cuts if given.cuts else campaign)(given, Path(folder))


def cuts(given: argparse.Namespace, folder: Path) -> int:
    """States that power cuts leave."""
    started = time.monotonic()
    names = [name for name in given.cases if name in MARKS]
    job = Campaign(folder, names)
    failures: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for name in names:
        case = Cuts(CASES[name], job.good[name], job.runner)
        found += case.run(
            given.cuts // len(names),
            given.cuts // len(names) // 50,
            given.seed,
            lambda what: failures.update([what]),
        )
        print(f"{name}: {len(case.entries)} changes")
    for failure, times in failures.items():
        print(f"FAILED {times} times: {failure}")
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(found.items()))
    print(
        f"{sum(found.values()) - found['run again']:,} states in {time.monotonic() - started:.0f} s: {outcomes}"
    )
    return bool(failures)


def campaign(given: argparse.Namespace, folder: Path) -> int:
    started = time.monotonic()
    job = Campaign(folder, given.cases)
    faults = job.faults()
    calls = sum(len(good.calls) for good in job.good.values())
    print(f"{len(job.good)} cases, {calls:,} calls, {len(faults):,} faults", flush=True)
    if given.sample is not None:
        faults = random.Random(given.seed).sample(faults, min(given.sample, len(faults)))
    failures: list[str] = []

    def failed(what: str) -> None:
        failures.append(what)
        print(f"FAILED {what}", flush=True)

    found = job.run(faults, given.workers, failed)
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(found.items()))
    print(f"{len(faults):,} runs in {time.monotonic() - started:.0f} s: {outcomes}")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
