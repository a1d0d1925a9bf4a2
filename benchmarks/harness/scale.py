"""The growth of costs with the number of reads, with depth, and with the length of reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness import coverage
from harness.bench import Bench
from harness.convert import BAM, CRAM, FORMATS, convert
from harness.data import Alignments, simulated
from harness.process import Usage, remove
from harness.table import Row

READS = (100_000, 1_000_000, 10_000_000, 50_000_000)
DEPTHS, GENOME = (1, 8, 30, 300), 3_000_000
LENGTHS, BASES = (100, 250, 1000, 10_000, 50_000), 90_000_000
LONG = 1000  # bases from which reads are simulated like those of a nanopore


def axes(scale: float) -> dict[str, dict[float, Alignments]]:
    """Return the data, by the quantity that grows and by its value. `scale`: factor for all sizes, for a trial."""

    def reads_at(depth: int, bases: int, length: int) -> int:
        return max(2, int(scale * depth * bases / length))

    return {
        "reads": {count: simulated("novaseq", max(2, int(scale * count))) for count in READS},
        "depth": {depth: simulated("hiseq", reads_at(depth, GENOME, 150), depth) for depth in DEPTHS},
        "read length, bp": {
            length: simulated("long" if length >= LONG else "hiseq", reads_at(1, BASES, length), 30, length)
            for length in LENGTHS
        },
    }


def rows(bench: Bench, scale: float) -> Iterator[tuple[str, float, Row]]:
    """Yield (what grows, its value, row), without floors, which are for other data."""
    formats = {name: FORMATS[name] for name in (BAM, CRAM)}
    for axis, data in axes(scale).items():
        for value, alignments in data.items():
            made = [*convert(bench, alignments, formats), *coverage.summary(bench, alignments)]
            made.insert(1, throughput(alignments, made))
            for row in made:
                yield axis, value, replace(row, floor=None)
            for path in (bench.dataset(alignments), *bench.scratch.glob(f"{alignments.bam.stem}.*")):
                remove(path)


def throughput(alignments: Alignments, made: list[Row]) -> Row:
    """Return a row with the MB of BAM per CPU second of convert."""
    spent: Usage = next(row.usages[0] for row in made if row.what == "convert")
    speed = alignments.bam.stat().st_size / 1e6 / spent.cpu
    return Row("convert, speed", alignments.name, "MB of BAM/CPU-s", speed)
