"""What running something on every chunk costs beyond the work itself."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator

from harness.bench import Bench, has
from harness.data import Alignments
from harness.process import BAMS3, Command, measure, output, run
from harness.reading import INPROCESS
from harness.table import Floor, Row

CHUNKS, MILLISECONDS = 300, 10  # a second, by a function of nothing; a chunk, by a command of nothing


def map_nothing(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """On many small chunks: a function in process, and a command, which GNU parallel starts as often."""
    run(bench.conversion(alignments, 1, "--chunk-size", "256K"))
    dataset = bench.dataset(alignments)
    speeds = [
        json.loads(output(sys.executable, INPROCESS, "map", dataset))["speed"] for _ in range(bench.rounds)
    ]
    speed = statistics.median(speeds)
    floor = Floor(f"≥ {CHUNKS} a second", speed >= CHUNKS)
    yield Row("map of a function of nothing, in process", alignments.name, "chunks/s", speed, floor=floor)

    chunks = output(BAMS3, "chunks", "--format", "uri", dataset).splitlines()
    argv = {
        "map": [BAMS3, "map", "--parallel", "1", dataset, "--", "true"],
        "start-up": [BAMS3, "chunks", dataset],
        "own": ["bash", "-c", "for i in $0; do bash -c true; done", " ".join(chunks)],
    }
    if has("parallel"):
        argv["parallel"] = ["parallel", "-j", "1", "true", ":::", *chunks]
    usages = measure(lambda _: [Command(words) for words in argv.values()], bench.rounds)
    spent = {name: 1000 * usage.wall / len(chunks) for name, usage in zip(argv, usages, strict=True)}
    ours = spent["map"] - spent["start-up"] - spent["own"]
    theirs = spent["parallel"] - spent["own"] if "parallel" in spent else None
    floor = Floor(f"≤ {MILLISECONDS} ms", ours <= MILLISECONDS)
    what = "map -- true, a chunk, over the command's own start"
    yield Row(what, alignments.name, "ms", ours, "GNU parallel" if theirs else None, theirs, floor=floor)
