"""Coverage of contigs that are mostly empty, compared with the same reads without gaps, and with mosdepth."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from heapq import merge
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from harness.bench import Bench, has, same, same_when_inflated
from harness.data import Alignments
from harness.process import BAMS3, Command, Usage, measure, run
from harness.table import Floor, Row, cpu_row

LENGTH = 250_000_000
LONGEST = 2**31 - 1
READS = 200_000
STEP = 40
CPU, MEMORY = 0.1, 60  # seconds and MB that may be needed in addition to those for the reads without gaps

MODES = {
    "-n": ["-n"],
    "per base": [],
    "--by 500": ["-n", "--by", "500"],
    "--by BED": ["-n", "--by", "BED"],
    "--quantize": ["-n", "-q", "0:1:4:100:"],
    "--thresholds": ["-n", "--by", "BED", "-T", "1,10,30"],
    "--fast-mode": ["-n", "--fast-mode"],
}
COMPARED = ("-n",)
"""Modes in which mosdepth runs, too. It keeps a whole contig in memory in all modes; tests compare the others."""

OF_LENGTH = ("--by 500",)
"""Modes whose output grows with the length of the contig."""


Reads = Iterable[tuple[int, str]]


class Shape(NamedTuple):
    """A distribution of reads.

    `reads`: their positions (1-based) and CIGARs. `plain`: name of the shape with the same reads without gaps.
    `contigs`: names and lengths. `peer`: whether mosdepth can process it.
    """

    reads: Callable[[], Reads]
    plain: str = "no gap"
    contigs: tuple[tuple[str, int], ...] = (("c", LENGTH),)
    peer: bool = True


def _every(step: int, start: int = 1, count: int = READS) -> Reads:
    return ((start + step * number, "100M") for number in range(count))


def _islands(apart: int, count: int = 200_000) -> Reads:
    return ((1 + apart * number + 20 * read, "100M") for number in range(count) for read in range(4))


def _split(operation: str, longest: int) -> Reads:
    """Yield reads, every tenth of which has an operation of up to `longest` bp."""
    for number, (at, cigar) in enumerate(_every(STEP)):
        yield at, cigar if number % 10 else f"50M{at * 11 % longest + 1}{operation}50M"


DENSE = STEP * READS + 100
HALF = READS // 2
SHAPES = {
    "no gap": Shape(lambda: _every(STEP), contigs=(("c", DENSE),)),
    "islands side by side": Shape(lambda: _islands(200), "islands side by side", contigs=(("c", 40_000_100),)),
    "central gap of 125 Mb": Shape(lambda: chain(_every(STEP, 1, HALF), _every(STEP, 125_000_001, HALF))),
    "acrocentric, 16 Mb": Shape(lambda: _every(STEP, 16_000_001), contigs=(("c", 51_000_000),)),
    "exome, 200 k islands": Shape(lambda: _islands(1249), "islands side by side"),
    "panel, 50 islands": Shape(lambda: ((5_000_000 * (n // 4000) + 2 * (n % 4000) + 1, "100M") for n in range(READS))),
    "an N of 20 Mb": Shape(lambda: merge(_every(STEP), [(9001, "50M20000000N50M")])),
    "20,000 N": Shape(lambda: _split("N", 100_000_000)),
    "20,000 deletions": Shape(lambda: _split("D", 90_000)),
    "end of 2^31 - 1": Shape(lambda: _every(STEP, LONGEST - DENSE), contigs=(("c", LONGEST),), peer=False),
    "past the end": Shape(lambda: _every(STEP, 17_000_001), contigs=(("c", 17_000_000 + DENSE - 130),), peer=False),
    "3,000 empty contigs": Shape(
        lambda: _every(STEP), contigs=(("c", DENSE), *((f"e{n}", 50_000) for n in range(3_000)))
    ),
}  # fmt: skip


def rows(bench: Bench) -> Iterator[Row]:
    """Yield a row for each shape in each mode."""
    bed = bench.scratch / "regions.bed"
    plain: dict[tuple[str, str], Usage] = {}
    for name, shape in SHAPES.items():
        alignments = Alignments(name, bench.scratch / f"{list(SHAPES).index(name)}.bam")
        _write(alignments.bam, shape)
        starts = range(0, shape.contigs[0][1] - 3000, 2_500_000)
        bed.write_text("".join(f"c\t{start}\t{start + 3000}\n" for start in starts))
        run(bench.conversion(alignments))
        for mode, options in MODES.items():
            options = [str(bed) if option == "BED" else option for option in options]
            ours, *theirs = _measured(bench, alignments, options, shape.peer and mode in COMPARED)
            plain[name, mode] = ours
            least = plain[shape.plain, mode]
            floor = Floor(
                f"no gap + {CPU} s, {MEMORY} MB",
                ours.cpu <= least.cpu + CPU and ours.peak <= least.peak + MEMORY,
            )
            row = Row(f"coverage {mode}", name, "CPU-s", ours.cpu, usages=(ours,))
            if theirs:
                row = cpu_row(f"coverage {mode}", name, ours, "mosdepth", theirs[0])
            yield row if mode in OF_LENGTH else replace(row, floor=floor)
        alignments.bam.unlink()


def _measured(bench: Bench, alignments: Alignments, options: list[str], peer: bool) -> list[Usage]:
    """Measure bams3 and, if it is installed, mosdepth; check that their files are the same."""
    prefixes = [bench.scratch / "ours", bench.scratch / "theirs"]
    commands = [Command([BAMS3, "coverage", *options, "-o", prefixes[0], bench.dataset(alignments)])]
    if peer and has("mosdepth"):
        commands.append(Command(["mosdepth", *options, prefixes[1], alignments.bam]))
    usages = measure(lambda _: commands, bench.rounds)
    if len(commands) > 1:
        for file in bench.scratch.glob("theirs.*"):
            mine = file.with_name(file.name.replace("theirs", "ours", 1))
            what = f"{alignments.name}, {' '.join(options)}"
            if file.suffix == ".gz":
                same_when_inflated(what, mine, file)
            elif file.suffix == ".txt":
                same(what, mine.read_text(), file.read_text())
    for file in [*bench.scratch.glob("theirs.*"), *bench.scratch.glob("ours.*")]:
        file.unlink()
    return usages


def _write(bam: Path, shape: Shape) -> None:
    with subprocess.Popen(
        ["samtools", "view", "-b", "-o", str(bam)], stdin=subprocess.PIPE, text=True
    ) as samtools:
        assert samtools.stdin is not None
        samtools.stdin.writelines(_lines(shape))
    subprocess.run(["samtools", "index", "-c", str(bam)], check=True)


def _lines(shape: Shape) -> Iterable[str]:
    yield "@HD\tVN:1.6\tSO:coordinate\n"
    yield from (f"@SQ\tSN:{name}\tLN:{length}\n" for name, length in shape.contigs)
    for number, (position, cigar) in enumerate(shape.reads()):
        yield f"r{number}\t0\tc\t{position}\t60\t{cigar}\t*\t0\t0\t*\t*\n"
