"""The overhead of running a function or a command on every chunk."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.bench import Bench, has, same
from harness.data import Alignments
from harness.process import BAMS3, Command, measure, output, run, size
from harness.reading import INPROCESS
from harness.table import SIZE, Floor, Row

SPARK_PART = 0.05  # largest fraction of the dataset's bytes that may be read
# Least chunks per second for an empty function; most ms per chunk for an empty command.
CHUNKS, MILLISECONDS = 300, 10


def map_nothing(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure an empty function and an empty command on many small chunks. GNU parallel starts the command as often."""
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


def spark(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure a count by reference of the reads that pass a filter, in a session that has already started."""
    if not has("java"):
        return
    run(bench.conversion(alignments))
    dataset = bench.dataset(alignments)
    script = Path(__file__).with_name("spark_count.py")
    found = json.loads(output(sys.executable, script, dataset, alignments.bam))
    same(f"Spark, count by reference of {alignments.name}", found["spark"], found["pysam"])
    read, most = found["bytes"], SPARK_PART * size(dataset)
    floor = Floor(f"≤ {SPARK_PART:.0%}", read <= most)
    what = "bytes read by Spark, count by reference of mapq ≥ 30"
    yield Row(what, alignments.name, SIZE, read, "the whole dataset", size(dataset), floor=floor)
    ours, theirs = found["spark_seconds"], found["pysam_seconds"]
    floor = Floor("faster", ours < theirs)
    yield Row("that count, wall time", alignments.name, "s", ours, "pysam", theirs, floor=floor)
