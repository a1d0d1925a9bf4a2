"""A campaign, or the replay of a failure that one saved: see `--help`."""

from __future__ import annotations

import argparse
import logging
import os
import pickle
import sys
import tempfile
import time
from pathlib import Path

import bams3
from fuzz.campaign import Campaign, attempt
from fuzz.commands import Commands
from fuzz.forged import Forged
from fuzz.in_process import TARGETS
from fuzz.seeds import Seeds

FAILURES = Path(__file__).parents[2] / "build/fuzz"


def main() -> int:
    """Returns the exit code: 1 if an input made something fail."""
    options = argparse.ArgumentParser(prog="python -m fuzz", description="Mutations of all that bams3 reads.")
    options.add_argument("--inputs", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--workers", type=int, default=os.cpu_count())
    options.add_argument("--hostile-bams", type=int, default=200, help="files made for seeds [200]")
    options.add_argument("--failures", type=Path, default=FAILURES, help=f"folder for them [{FAILURES}]")
    options.add_argument("--replay", type=Path, help="a file of that folder: read its input again")
    given = options.parse_args()
    logging.disable(logging.WARNING)  # of regions past the end of a contig
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / name for name in ("commands", "forged")]
        for place in places:
            place.mkdir()
        targets = TARGETS | {
            "commands": Commands(places[0]).target,
            "forged": Forged(places[1]).target,
        }
        if given.replay:
            failure = pickle.loads(given.replay.read_bytes())
            print(failure.kind)
            _, what = attempt(targets[failure.target].read, failure.made)
            print(what or "no failure")
            return bool(what)
        return campaign(given, targets)


def campaign(given: argparse.Namespace, targets: dict) -> int:
    started = time.monotonic()
    seeds = Seeds(given.hostile_bams)
    print(f"{len(seeds.seeds)} files; kernels of {Path(bams3.__file__).parent}", flush=True)
    job = Campaign(
        targets, seeds, given.seed, given.workers, folder=given.failures,
        progress=lambda line: print(line, flush=True),
    )  # fmt: skip
    for name, done in job.run(given.inputs).items():
        print(
            f"{name:10} {done.inputs:>12,} inputs, {done.refused:>12,} refused, {done.seconds:>10,.1f} CPU-s"
        )
    for kind, count in job.failures.most_common():
        print(f"FAILED {count:,} times: {kind}")
    if job.blocks:
        print(f"{job.blocks.contents.value:,} blocks of the kernels ran")
    print(f"{given.inputs:,} inputs in {time.monotonic() - started:.0f} s, {job.failures.total():,} failures")
    return bool(job.failures)


if __name__ == "__main__":
    sys.exit(main())
