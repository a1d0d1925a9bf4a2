"""Coverage, compared with mosdepth, whose files must be the same, and with other measures of depth."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from harness.bench import Bench, has, same, same_when_inflated, same_when_read
from harness.data import Alignments
from harness.process import BAMS3, Command, measure, output, size
from harness.table import SIZE, Floor, Row, cpu_row

PER_BASE = 4  # times less CPU than mosdepth
PILEUP = 3  # times less CPU than samtools
OF_DATASET = {"hiseq": 0.04, "novaseq": 0.08}  # largest fraction of bytes that may be read


def summary(bench: Bench, alignments: Alignments, times_less: float | None = None) -> Iterator[Row]:
    """Measure depth without the per-base file."""
    if has("mosdepth"):
        yield from _against_mosdepth(bench, alignments, "coverage -n", ["-n"], {}, times_less)


def per_base(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure the depth of every base.

    The results of samtools and sambamba are not compared, because they define depth differently.
    """
    others = {}
    if has("samtools"):
        others["samtools depth -s"] = Command(["samtools", "depth", "-s", alignments.bam])
    if has("sambamba"):
        target = bench.scratch / "sambamba.depth"
        others["sambamba depth base"] = Command(
            ["sambamba", "depth", "base", "-t", "1", "-o", target, alignments.bam], target
        )
    if has("mosdepth"):
        yield from _against_mosdepth(bench, alignments, "coverage, per base", [], others, PER_BASE)


def _against_mosdepth(
    bench: Bench, alignments: Alignments, what: str, options: list[str], others: dict[str, Command],
    times_less: float | None,
) -> Iterator[Row]:  # fmt: skip
    prefixes = [bench.scratch / "ours", bench.scratch / "theirs"]
    ours = Command([BAMS3, "coverage", *options, "-o", prefixes[0], bench.dataset(alignments)])
    peer = " ".join(["mosdepth", *options])
    commands = {peer: Command(["mosdepth", *options, prefixes[1], alignments.bam])} | others
    usage, *usages = measure(lambda _: [ours, *commands.values()], bench.rounds)
    for name in ("summary.txt", "global.dist.txt"):
        same(f"{what}, {name}", *(Path(f"{prefix}.mosdepth.{name}").read_text() for prefix in prefixes))
    if not options:
        same_when_inflated(what, *(Path(f"{prefix}.per-base.bed.gz") for prefix in prefixes))
    for name, theirs in zip(commands, usages, strict=True):
        yield cpu_row(what, alignments.name, usage, name, theirs, times_less if name == peer else None)


def pileup(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Compare the lines of a pileup with those of pysam's samtools."""
    files = [bench.scratch / "ours.pileup", bench.scratch / "theirs.pileup"]
    code = "import sys, pysam.samtools; pysam.samtools.mpileup(*sys.argv[1:], catch_stdout=False)"
    ours = [BAMS3, "pileup", "--workers", "1", "-o", files[0], bench.dataset(alignments)]
    theirs = [sys.executable, "-c", code, "-B", "-o", files[1], alignments.bam]
    commands = [Command(argv, file) for argv, file in zip((ours, theirs), files, strict=True)]
    usage, peer = measure(lambda _: commands, bench.rounds)
    same_when_read("pileup", *files)
    yield cpu_row("pileup", alignments.name, usage, "samtools mpileup -B", peer, PILEUP)


def bytes_read(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure how many bytes of the dataset coverage reads, including the manifest and the index."""
    counter = Path(__file__).with_name("bytes_read.py")
    dataset = bench.dataset(alignments)
    read = int(output(sys.executable, counter, "coverage", "-n", "-o", bench.scratch / "read", dataset))
    share = next((part for name, part in OF_DATASET.items() if name in alignments.name), None)
    floor = Floor(f"≤ {share:.0%}", read <= share * size(dataset)) if share else None
    name = "the whole dataset"
    yield Row("bytes read by coverage -n", alignments.name, SIZE, read, name, size(dataset), floor=floor)
