"""A campaign of faults: see `--help`."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from pathlib import Path

from faults import shim
from faults.campaign import Campaign, new_folder
from faults.cases import CASES


def main() -> int:
    """Returns the exit code: 1 if something went wrong."""
    options = argparse.ArgumentParser(prog="python -m faults", description="Faults of every system call.")
    options.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE", help=f"[all: {' '.join(CASES)}]")
    options.add_argument("--sample", type=int, metavar="N", help="only N faults, by chance")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--workers", type=int, default=os.cpu_count())
    given = options.parse_args()
    with new_folder() as folder:
        if shim.CONTROL not in os.environ:
            return shim.restart(Path(folder))
        return campaign(given, Path(folder))


def campaign(given: argparse.Namespace, folder: Path) -> int:
    started = time.monotonic()
    job = Campaign(folder, given.cases)
    faults = job.faults()
    print(f"{len(job.good)} cases, {sum(len(good.calls) for good in job.good.values()):,} calls, {len(faults):,} faults")
    if given.sample is not None:
        faults = random.Random(given.seed).sample(faults, min(given.sample, len(faults)))
    failures: list[str] = []
    found = job.run(faults, given.workers, failures.append)
    for failure in sorted(failures):
        print(f"FAILED {failure}")
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(found.items()))
    print(f"{len(faults):,} runs in {time.monotonic() - started:.0f} s: {outcomes}")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
