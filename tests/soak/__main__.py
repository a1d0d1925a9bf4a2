"""Serve and mount a dataset under load, and judge: see `--help`."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bams3.operations.convert import convert
from mounts import running
from served import serving

from soak import stream
from soak.kills import kills
from soak.load import Mount, Server, Truth
from soak.watch import Sample, sample, verdict

READS = Path(__file__).parents[1] / "data/illumina_wgs_NA12878.bam"


def main() -> int:
    """Returns the exit code: 1 if something grew, or an answer was wrong."""
    options = argparse.ArgumentParser(
        prog="python -m soak",
        description="Serve and mount a dataset under load: nothing may grow, or be wrong.",
    )
    options.add_argument("bam", nargs="?", type=Path, default=READS, help=f"reads to convert [{READS.name}]")
    options.add_argument("--minutes", type=float, default=60, help="how long [60]")
    options.add_argument("--clients", type=int, default=4, help="of the server, and as many of the mount [4]")
    options.add_argument(
        "--pause", type=float, default=0, help="seconds that a client rests after an answer [0]"
    )
    options.add_argument(
        "--memory", type=int, default=32, help="MiB for decoded records, as of `bams3 serve` [32]"
    )
    options.add_argument("--every", type=float, default=5, help="seconds between two samples [5]")
    options.add_argument(
        "--convert", type=int, metavar="READS", help="convert a stream of so many reads instead"
    )
    options.add_argument("--kills", type=int, metavar="N", help="kill -9 both so many times instead")
    options.add_argument("--seed", type=int, default=1, help="of the moments of kills [1]")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if given.kills:
            return kills(given.bam, given.kills, given.clients, given.seed, Path(name))
        return (
            stream.soak(given.bam, given.convert, given.every, Path(name))
            if given.convert
            else soak(given, Path(name))
        )


def soak(given: argparse.Namespace, folder: Path) -> int:
    dataset = folder / "soaked.bams3"
    convert(given.bam, dataset, workers=1)
    truth = Truth(dataset, folder)
    words = ("--memory", given.memory, "--workers", 2, dataset)
    waits = ("--", "sh", "-c", "echo; read line")
    with serving(*words) as server, running(*words, folder / "mnt", *waits) as (mount, _):
        jobs = {"serve": (server.process.pid, Server(server.url, truth).ask)}
        jobs["mount"] = (mount.pid, Mount(folder / "mnt", truth).ask)
        wrong, answers, samples = run(given, jobs)
        mount.communicate()
        server.stop()
    failed = bool(wrong)
    for what in wrong[:20]:
        print(f"WRONG: {what}")
    for job, taken in samples.items():
        flat, line = verdict(taken)
        failed |= not flat
        print(f"{job}: {'flat' if flat else 'GROWS'}: {answers[job]:,} answers; {line}")
    print(f"{sum(answers.values()):,} answers in {given.minutes:g} min, {len(wrong)} wrong")
    return failed


def run(
    given: argparse.Namespace, jobs: dict[str, tuple[int, Callable[[random.Random], None]]]
) -> tuple[list[str], dict[str, int], dict[str, list[Sample]]]:
    """Let clients ask for as long as it shall take. Returns wrong answers, numbers of answers, and samples."""
    started, end = time.monotonic(), time.monotonic() + 60 * given.minutes
    over, wrong = threading.Event(), list[str]()
    counts = {(job, number): 0 for job in jobs for number in range(given.clients)}

    def client(job: str, number: int) -> None:
        chance = random.Random(number)
        while not over.is_set():
            try:
                jobs[job][1](chance)
            except Exception as error:  # whatever it is, it is no right answer
                wrong.append(f"{job}: {error!r}")
            counts[job, number] += 1
            over.wait(given.pause)

    threads = [threading.Thread(target=client, args=key) for key in counts]
    samples: dict[str, list[Sample]] = {job: [] for job in jobs}
    for thread in threads:
        thread.start()
    told = 0.0
    while time.monotonic() < end:
        seconds = time.monotonic() - started
        for job, (process, _) in jobs.items():
            samples[job].append(sample(process, seconds))
        if seconds - told > 60:
            told = seconds
            print(f"{seconds / 60:.0f} min: {sum(counts.values()):,} answers, {len(wrong)} wrong", flush=True)
        over.wait(min(given.every, max(0, end - time.monotonic())))
    over.set()
    for thread in threads:
        thread.join()
    answers = {job: sum(count for (each, _), count in counts.items() if each == job) for job in jobs}
    return wrong, answers, samples


if __name__ == "__main__":
    sys.exit(main())
