"""Columns as Arrow record batches, and as Parquet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from harness.bench import Bench, same
from harness.data import Alignments
from harness.process import BAMS3, Command, measure
from harness.table import Floor, Row, cpu_row

SCRIPT = Path(__file__).with_name("arrow_stream.py")
LESS = {("all", "oxbow"): 2, ("all", "polars-bio"): 3, ("numbers", "polars-bio"): 6}  # times less CPU
MEMORY = 200  # largest peak in MB
NAMES = {"all": "all fields to Arrow", "numbers": "FLAG, POS, MAPQ to Arrow"}


def streams(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure whole processes, including imports. Peers read the BAM."""
    peers = [name for name in ("oxbow", "polars-bio") if find_spec(name.replace("-", "_"))]
    files = {"bams3": bench.dataset(alignments)} | dict.fromkeys(peers, alignments.bam)
    for what, name in NAMES.items():
        answers = {who: bench.scratch / f"{who}.arrow" for who in files}
        commands = [
            Command([sys.executable, SCRIPT, who, what, path], stdout=answers[who])
            for who, path in files.items()
        ]
        ours, *theirs = measure(lambda _, commands=commands: commands, bench.rounds)
        for peer, usage in zip(peers, theirs, strict=True):
            same(f"{name}, {peer}", answers["bams3"].read_text(), answers[peer].read_text())
            yield cpu_row(name, alignments.name, ours, peer, usage, LESS.get((what, peer)))
        if what == "all":
            floor = Floor(f"≤ {MEMORY} MB", ours.peak <= MEMORY)
            yield Row(f"{name}, peak memory", alignments.name, "MB", ours.peak, floor=floor)


def parquet(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure the export of all fields to Parquet."""
    target = bench.scratch / "reads.parquet"
    command = Command([BAMS3, "export", "--parquet", target, bench.dataset(alignments)], target)
    (ours,) = measure(lambda _: [command], bench.rounds)
    yield Row("export --parquet, all fields", alignments.name, "CPU-s", ours.cpu, usages=(ours,))
