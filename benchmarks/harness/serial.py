"""The work that more workers can't speed up: that of the main thread, and that under Python's lock."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.bench import Bench
from harness.data import Alignments, random_region
from harness.process import output, turns
from harness.table import Floor, Row

WORKERS = (1, 2, 4, 8)
SIMULATED = (1, 2, 4, 8, 16, 32, 64)
CLOSE = 0.1  # the largest error of a prediction
MANY = 32
SPEED_UP = 25  # by 32 workers, of commands that write
SAMPLED, REPLAY = (Path(__file__).with_name(name) for name in ("sampled.py", "replay.py"))


def shares(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure both, by number of workers.

    With one, everything is in the main thread, so only the lock is informative.
    """
    dataset = bench.dataset(alignments)
    region = random_region(alignments, seed=1, length=1_000_000)
    commands = {
        "convert": ["convert", "--overwrite", alignments.bam, bench.scratch / "serial.bams3"],
        "to-bam, level 1": ["to-bam", "--level", "1", "--overwrite", dataset, bench.scratch / "serial.bam"],
        "query": ["query", "-o", bench.scratch / "serial.sam", dataset, region],
        "coverage": ["coverage", "-o", bench.scratch / "serial", dataset],
    }
    for name, words in commands.items():
        floor = SPEED_UP if name.split(",")[0] in ("convert", "to-bam") else None
        for workers in WORKERS if name != "coverage" else (1,):
            options = ["--workers", str(workers)] if name != "coverage" else []
            runs = [sampled(words[0], *options, *words[1:]) for _ in turns(bench.rounds)]
            what = f"{name}, {workers} worker{'s' * (workers > 1)}"
            yield from _rows(what, alignments.name, runs, floor if workers > 1 else None)


def replayed(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Predict a conversion with many workers, by a simulation with the measured times of tasks."""
    words = [str(alignments.bam), str(bench.scratch / "serial.bams3"), *map(str, SIMULATED)]
    runs = [json.loads(output(sys.executable, REPLAY, *words).splitlines()[-1]) for _ in turns(bench.rounds)]

    def wall(workers: int) -> float:
        return statistics.median(run["wall"][str(workers)] for run in runs)

    measured = statistics.median(run["measured"] for run in runs)
    close = Floor(f"within {CLOSE:.0%}", abs(wall(2) / measured - 1) <= CLOSE)
    what = "convert, 2 workers: wall time by simulation, and measured"
    yield Row(what, alignments.name, "s", wall(2), "a real run", measured, floor=close)
    for workers in SIMULATED[2:]:
        gain = wall(1) / wall(workers)
        yield Row(f"convert, {workers} workers: times faster than 1 (simulated)", alignments.name, "x", gain)


def sampled(*words: str | Path) -> dict[str, float]:
    """Return the output of `sampled.py` for a command."""
    return json.loads(output(sys.executable, SAMPLED, *words).splitlines()[-1])


def _rows(what: str, data: str, runs: list[dict[str, float]], floor: int | None) -> Iterator[Row]:
    main, locked, shared = (
        statistics.median(run[key] for run in runs) for key in ("main", "locked", "shared")
    )
    yield Row(f"{what}: CPU time of the main thread", data, "%", 100 * main)
    yield Row(f"{what}: CPU time under Python's lock", data, "%", 100 * locked)
    if floor is not None:
        gain = speed_up(shared, MANY)
        reached = Floor(f"≥ {floor} x", gain >= floor)
        yield Row(f"{what}: speed-up by {MANY} workers (Amdahl)", data, "x", gain, floor=reached)


def speed_up(shared: float, workers: int) -> float:
    """Return the speed-up by Amdahl's law if only one worker at a time can do the fraction `shared` of the work."""
    return 1 / (shared + (1 - shared) / workers)
