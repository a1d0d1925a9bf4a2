"""What programs need to read a mounted dataset, including the mounting, compared with the BAM."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from harness.bench import Bench, has, same
from harness.data import Alignments, random_region
from harness.process import BAMS3, Command, measure, output
from harness.reading import INPROCESS
from harness.table import Floor, Row

CPU, WALL = 1.5, 1.0  # largest multiples of what the program needs for the BAM, with a thread that inflates
SPEED = 400  # least MB of uncompressed BAM per CPU second
INDEX = 0.3  # most seconds for the index of a genome
SUMS = 10  # most % of the CPU time of convert

Words = list[str | Path]

CLIENTS = {
    "samtools flagstat -@1": 'samtools flagstat -@1 "$0"',
    "mosdepth -n -t1": 'mosdepth -n -t1 "$1" "$0" && cat "$1".mosdepth.*',
}
"""Shell commands; $0 is a BAM, and $1 is a prefix for files."""


def virtual(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure the virtual BAM by itself: reading all of its bytes in order, and the index of a large one."""
    dataset = bench.dataset(alignments)
    speeds = [_inprocess("bridge", dataset)["speed"] for _ in range(bench.rounds)]
    speed = median(speeds)
    floor = Floor(f"≥ {SPEED} MB/CPU-s", speed >= SPEED)
    yield Row("mounted: read in order, in process", alignments.name, "MB/CPU-s", speed, floor=floor)
    said = _inprocess("index", dataset)
    floor = Floor(f"≤ {INDEX} s", said["seconds"] <= INDEX)
    yield Row(
        f"mounted: BAI of {said['row_groups']:,} row groups", "3.1 Gb", "s", said["seconds"], floor=floor
    )


def sums(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure what sums of all records, which a receipt needs, add to a conversion."""
    spent = median(_inprocess("sums", bench.dataset(alignments))["seconds"] for _ in range(bench.rounds))
    (convert,) = measure(lambda _: [bench.conversion(alignments)], bench.rounds)
    share = 100 * spent / (convert.cpu - spent)
    floor = Floor(f"≤ {SUMS} %", share <= SUMS)
    yield Row("receipt: what sums add to convert, CPU", alignments.name, "%", share, floor=floor)


def _inprocess(what: str, dataset: Path) -> dict:
    return json.loads(output(sys.executable, INPROCESS, what, dataset))


def clients(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure the CPU and wall time of programs that read the whole file."""
    if not has("fusermount3"):
        return
    mountpoint = bench.scratch / "mnt"
    shown = mountpoint / f"{bench.dataset(alignments).stem}.bam"
    mount: Words = [BAMS3, "mount", bench.dataset(alignments), mountpoint, "--"]
    answers = bench.files("mounted")
    for name, line in CLIENTS.items():
        if not has(name.split()[0]):
            continue
        client: Words = ["sh", "-c", line]
        commands = [
            Command([*mount, *client, shown, bench.scratch / "client"], stdout=answers[0]),
            Command([*client, alignments.bam, bench.scratch / "client"], stdout=answers[1]),
        ]
        ours, theirs = measure(lambda _, commands=commands: commands, bench.rounds)
        same(name, *(answer.read_text() for answer in answers[:2]))
        for unit, mine, its, most in (
            ("CPU-s", ours.cpu, theirs.cpu, CPU), ("s", ours.wall, theirs.wall, WALL),
        ):  # fmt: skip
            floor = Floor(f"≤ {most:g} x", mine <= most * its)
            yield Row(f"mounted: {name}", alignments.name, unit, mine, name, its, (ours, theirs), floor)


def region(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure how many ms more than from the BAM it takes to read 1 kb of a dataset that was just mounted, twice."""
    if not (has("fusermount3") and has("samtools")):
        return
    mountpoint = bench.scratch / "mnt"
    shown = mountpoint / f"{bench.dataset(alignments).stem}.bam"
    timed = 'for i in 1 2; do date +%s%N; samtools view -c "$0" "$1"; date +%s%N; done'
    cold: list[float] = []
    warm: list[float] = []
    theirs: list[float] = []
    for seed in range(10 * bench.rounds):
        place = random_region(alignments, seed, 1000)
        client: Words = ["sh", "-c", timed]
        answers = [
            *output(
                BAMS3, "mount", bench.dataset(alignments), mountpoint, "--", *client, shown, place
            ).split(),
            *output(*client, alignments.bam, place).split()[3:],
        ]
        for number, times in enumerate((cold, warm, theirs)):
            start, _, end = map(int, answers[3 * number : 3 * number + 3])
            times.append((end - start) / 1e6)
        same(f"count of {place}", set(answers[1::3]), {answers[1]})
    for name, times, most in (("cold", cold, 60), ("warm", warm, 15)):
        ours, its = median(times), median(theirs)
        floor = Floor(f"≤ {most} ms more", ours - its <= most)
        yield Row(
            f"mounted: 1 kb, {name}, wall", alignments.name, "ms", ours, "samtools view -c", its, floor=floor
        )
