"""Measure bams3 and its peers side by side, and write a table and a plot of it to benchmarks/results.

    python benchmarks/run.py            # with 2.4 M reads, coverage also with 10 M: 20 minutes, and 10 to simulate
    python benchmarks/run.py --scale    # how cost grows with reads, depth and read length: an hour, and one to simulate
    python benchmarks/run.py --gaps     # coverage where most of a contig is empty; one round, 5 minutes
    python benchmarks/run.py --quick    # 200 k reads, one round, a minute; only to standard output

README.md describes what is measured, and how.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from harness import (
    alleles,
    arrow,
    convert,
    coverage,
    engines,
    gaps,
    growing,
    lossy,
    mounted,
    reading,
    relate,
    scale,
    serial,
    served,
)
from harness.bench import PEERS, Bench, MismatchError
from harness.data import BENCHMARKS, DATA, art, given, simulated
from harness.process import CommandError
from harness.table import Row, machine, markdown

RESULTS = BENCHMARKS / "results"


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    `most`: number of reads in the largest file, for which only coverage runs; 0: no such file.
    """

    reads: int = 2_400_000
    most: int = 10_000_000
    rounds: int = 5


QUICK = Extent(200_000, 0, 1)


def rows(bench: Bench, extent: Extent) -> Iterator[Row]:
    """Yield all rows of the table."""
    profiles = [simulated(profile, extent.reads) for profile in ("hiseq", "novaseq")]
    hiseq = profiles[0]
    aligned = art() if extent.most else None
    for alignments in [*profiles, *([aligned] if aligned else [])]:
        yield from convert.convert(bench, alignments)
        yield from convert.small(bench, alignments)
    yield from convert.growth(bench, simulated("hiseq", extent.reads // 2), hiseq)
    yield from convert.sorting(bench, hiseq)
    yield from growing.from_the_aligner(bench, hiseq)
    yield from growing.growing(bench, hiseq)
    yield from convert.workers(bench, hiseq)
    yield from serial.shares(bench, hiseq)
    yield from serial.replayed(bench, hiseq)
    for case in (reading.to_bam, reading.query, reading.decode):
        yield from case(bench, hiseq)
    for alignments in profiles:
        yield from coverage.summary(bench, alignments, times_less=6)
        yield from coverage.per_base(bench, alignments)
        yield from coverage.bytes_read(bench, alignments)
    yield from coverage.pileup(bench, hiseq)
    yield from alleles.known_sites(bench, hiseq)
    yield from relate.samples(bench, hiseq)
    for case in (reading.counts, reading.many_counts, reading.stats):
        yield from case(bench, hiseq)
    for case in (arrow.streams, arrow.parquet):
        yield from case(bench, hiseq)
    for case in (
        mounted.sums,
        mounted.virtual,
        mounted.clients,
        mounted.region,
        served.region,
        served.many,
        served.page,
    ):
        yield from case(bench, hiseq)
    yield from engines.map_nothing(bench, simulated("hiseq", max(extent.reads // 6, 100_000), depth=1))
    yield from engines.spark(bench, hiseq)
    yield from lossy.losses(bench, simulated("hiseq", extent.reads // 8))
    yield from reading.start_up(bench, simulated("hiseq", 100_000))
    for alignments in given():
        yield from convert.size_of(bench, alignments)
        yield from coverage.bytes_read(bench, alignments)
    if extent.most:
        largest = simulated("hiseq", extent.most)
        convert.run(bench.conversion(largest))
        yield from coverage.summary(bench, largest, times_less=10)


def told(row: Row) -> Row:
    """Print a row on standard error, to show progress; return it."""
    print(*filter(None, row.cells()), sep="  ", file=sys.stderr)
    return row


def described(row: Row, **more: object) -> dict:
    """Return a row in the form that the plot needs."""
    names = ("what", "data", "unit", "ours", "peer", "theirs")
    return (
        {name: getattr(row, name) for name in names} | {"peaks": [usage.peak for usage in row.usages]} | more
    )


def save(name: str, text: str, kind: str, plotted: list[dict]) -> None:
    """Write the table and its plot. Without matplotlib, there is no plot."""
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"{name}.svg"
    plot = [sys.executable, str(BENCHMARKS / "harness/plot.py"), kind, str(target)]
    drawn = subprocess.run(plot, input=json.dumps(plotted), text=True).returncode == 0
    picture = f"\n![the same as a plot]({target.name})\n" if drawn else ""
    (RESULTS / f"{name}.md").write_text(f"# Benchmarks, {name}\n\n{text}{picture}")


def main() -> int:
    """Return the exit code: 1 if bams3 and a peer disagree, or a command fails."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--quick", action="store_true", help="200 k reads, one round; leaves no file")
    options.add_argument(
        "--scale", action="store_true", help="instead of the table: how cost grows; one round"
    )
    options.add_argument(
        "--gaps", action="store_true", help="instead of the table: coverage of sparse contigs; one round"
    )
    given = options.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # with it, every command would compile what it imports
    extent = QUICK if given.quick else Extent()
    rounds = 1 if given.scale or given.gaps else extent.rounds
    head = machine(PEERS, rounds)
    DATA.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=DATA) as scratch:
            bench = Bench(rounds, Path(scratch))
            if given.scale:
                part = 0.01 if given.quick else 1
                made = [
                    (told(row), {"axis": axis, "value": value})
                    for axis, value, row in scale.rows(bench, part)
                ]
            else:
                measured = gaps.rows(bench) if given.gaps else rows(bench, extent)
                made = [(told(row), {}) for row in measured]
    except (MismatchError, CommandError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1
    text = f"{head}\n{markdown(row for row, _ in made)}"
    if given.gaps:
        (RESULTS / f"{date.today():%Y-%m-%d}-gaps.md").write_text(f"# Coverage of sparse contigs\n\n{text}")
    elif not given.quick:
        name = f"{date.today():%Y-%m-%d}{'-scale' * given.scale}"
        plotted = [described(row, **more) for row, more in made]
        save(name, text, "scale" if given.scale else "bench", plotted)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
