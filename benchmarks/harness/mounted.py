"""What programs need of a mounted dataset, mounting included, and of the BAM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.bench import Bench, has, same
from harness.data import Alignments, random_region
from harness.process import BAMS3, Command, measure, output
from harness.table import Floor, Row

CPU, WALL = 1.5, 1.0  # times what the program needs of the BAM, with a thread that inflates

Words = list[str | Path]

CLIENTS = {
    "samtools flagstat -@1": 'samtools flagstat -@1 "$0"',
    "mosdepth -n -t1": 'mosdepth -n -t1 "$1" "$0" && cat "$1".mosdepth.*',
}
"""Commands of a shell, of a BAM and a prefix for files."""


def clients(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Programs that read all of it: CPU and wall time."""
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
    """1 kb of a dataset that has just been mounted: what it takes more than of the BAM, in ms."""
    if not (has("fusermount3") and has("samtools")):
        return
    mountpoint = bench.scratch / "mnt"
    shown = mountpoint / f"{bench.dataset(alignments).stem}.bam"
    timed = 'date +%s%N; samtools view -c "$0" "$1"; date +%s%N'
    taken: list[list[float]] = [[], []]
    for seed in range(10 * bench.rounds):
        place = random_region(alignments, seed, 1000)
        client: Words = ["sh", "-c", timed]
        answers = [
            output(BAMS3, "mount", bench.dataset(alignments), mountpoint, "--", *client, shown, place),
            output(*client, alignments.bam, place),
        ]
        counts = []
        for times, answer in zip(taken, answers, strict=True):
            start, count, end = map(int, answer.split())
            times.append((end - start) / 1e6)
            counts.append(count)
        same(f"count of {place}", *counts)
    ours, theirs = (sorted(times)[len(times) // 2] for times in taken)
    floor = Floor("≤ 60 ms more", ours - theirs <= 60)
    yield Row(
        "mounted: 1 kb, cold, wall", alignments.name, "ms", ours, "samtools view -c", theirs, floor=floor
    )
