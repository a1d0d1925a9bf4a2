"""Counts in regions, export, decoding, stats, and the start-up of processes."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.bench import Bench, has, same, same_when_inflated
from harness.convert import CRAM, FORMATS, converters
from harness.data import Alignments, random_region
from harness.process import BAMS3, Command, measure, output, remove, run
from harness.table import Floor, Row, cpu_row, speed_row

EXPORT, DECODE = 500_000, 1_500_000  # least reads per CPU second
SAM = 1.6  # times less CPU than samtools
COUNT = {1000: 2, 1_000_000: 5}  # most ms of CPU time by length of a region in bp
REGIONS, DATASETS, SECONDS = 100, 50, 10  # most seconds for the counts of every region in every dataset
INPROCESS = Path(__file__).with_name("inprocess.py")


def counts(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Count the reads in random regions: in process, with an open dataset; samtools runs a process for each region."""
    for length, limit in COUNT.items():
        regions = [random_region(alignments, seed, length) for seed in range(60 * bench.rounds)]
        said = json.loads(output(sys.executable, INPROCESS, "count", bench.dataset(alignments), *regions))
        floor = Floor(f"≤ {limit} ms", said["ms"] <= limit)
        what, name = f"count, random {length:,} bp, in process", alignments.name
        if not has("samtools"):
            yield Row(what, name, "CPU-ms", said["ms"], floor=floor)
            continue
        answer = bench.scratch / "count"
        spent = []
        for region, count in zip(regions[: 10 * bench.rounds], said["counts"], strict=False):
            command = Command(["samtools", "view", "-c", alignments.bam, region], stdout=answer)
            spent.append(1000 * run(command).cpu)
            same(f"count of {region}", count, int(answer.read_text()))
        theirs = statistics.median(spent)
        yield Row(what, name, "CPU-ms", said["ms"], "samtools view -c", theirs, floor=floor)


def many_counts(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Count the reads of every region in every dataset. The datasets are copies (hard links) of one."""
    dataset, folder = bench.dataset(alignments), bench.scratch / "copies"
    remove(folder)
    folder.mkdir()
    copies = [folder / f"{number}.bams3" for number in range(DATASETS)]
    for copy in copies:
        output("cp", "-al", dataset, copy)
    regions = [random_region(alignments, seed) for seed in range(REGIONS)]
    bed, listed, table = folder / "regions.bed", folder / "datasets", bench.scratch / "counts"
    listed.write_text("".join(f"{copy}\n" for copy in copies))
    bed.write_text("".join(bed_line(region) for region in regions))
    options = ["--regions", bed, "--datasets", listed, "--parallel", "auto"]
    ours = measure(lambda _: [Command([BAMS3, "count", *options], stdout=table)], bench.rounds)[0]
    said = [
        json.loads(output(sys.executable, INPROCESS, "query", listed, *regions)) for _ in range(bench.rounds)
    ]
    lines = [line.split("\t")[3:] for line in table.read_text().splitlines()[1:]]
    same(
        "counts by query_parallel",
        said[0]["counts"],
        [int(count) for copy in zip(*lines, strict=True) for count in copy],
    )
    if has("samtools"):
        for region, line in zip(regions, lines, strict=True):
            expected = output("samtools", "view", "-c", alignments.bam, region).strip()
            same(f"count of {region}", line, [expected] * DATASETS)
    remove(folder)
    what = f"{REGIONS * DATASETS:,} counts: {REGIONS} regions, {DATASETS} datasets, wall"
    floor = Floor(f"≤ {SECONDS} s", ours.wall <= SECONDS)
    yield Row(what, alignments.name, "s", ours.wall, usages=(ours,), floor=floor)
    seconds = statistics.median(each["seconds"] for each in said)
    floor = Floor(f"≤ {SECONDS} s", seconds <= SECONDS)
    yield Row(f"{what}, by query_parallel", alignments.name, "s", seconds, floor=floor)


def bed_line(region: str) -> str:
    """Return a region string as a line of BED."""
    contig, _, place = region.rpartition(":")
    start, _, end = place.partition("-")
    return f"{contig}\t{int(start) - 1}\t{end}\n"


def to_bam(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure the export to BAM, which must be the converted BAM, byte for byte after decompression."""
    target, copied = bench.scratch / "exported.bam", bench.scratch / "copied.bam"
    arguments = ["to-bam", "--overwrite", "--level", "1", "--workers", "1", bench.dataset(alignments), target]
    peers = {}
    if has("samtools"):
        view = ["samtools", "view", "-b", "--output-fmt-option", "level=1", "-o", copied]
        crams = converters(bench, alignments, {CRAM: FORMATS[CRAM]})
        sources = {"BAM": alignments.bam} | {name: cram.writes for name, cram in crams.items()}
        peers = {
            f"samtools view -b -1 of {name}": Command([*view, path], copied) for name, path in sources.items()
        }
    commands = [Command([BAMS3, *arguments], target), *peers.values()]
    ours, *theirs = measure(lambda _: commands, bench.rounds)
    same_when_inflated("to-bam", target, alignments.bam)
    yield speed_row("to-bam, level 1, speed", alignments.name, bench.records(alignments), ours, EXPORT)
    for name, usage in zip(peers, theirs, strict=True):
        yield cpu_row("to-bam, level 1", alignments.name, ours, name, usage)


def query(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure all records as SAM.

    The text is compared once, and discarded when measuring, so that only its making counts.
    """
    if not has("samtools"):
        return
    ours = [BAMS3, "query", "--workers", "1", bench.dataset(alignments)]
    argv, texts = (ours, ["samtools", "view", alignments.bam]), bench.files("sam")
    for words, text in zip(argv, texts, strict=False):
        run(Command(words, stdout=text))
    same("query", *(output("cksum", text).split()[:2] for text in texts[:2]))
    one, theirs = measure(lambda _: [Command(words) for words in argv], bench.rounds)
    yield cpu_row("query, SAM", alignments.name, one, "samtools view", theirs, SAM)


def decode(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure the decoding of all records of a dataset, in process, without start-up."""
    speeds = [
        json.loads(output(sys.executable, INPROCESS, "decode", bench.dataset(alignments)))["speed"]
        for _ in range(bench.rounds)
    ]
    speed = statistics.median(speeds)
    floor = Floor(f"≥ {DECODE:,} reads/CPU-s", speed >= DECODE)
    yield Row("decode to records, speed", alignments.name, "reads/CPU-s", speed, floor=floor)


def stats(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure flagstat, whose numbers come from the manifest."""
    answers = bench.files("flagstat")
    dataset = bench.dataset(alignments)
    argv = {
        "bams3": [BAMS3, "stats", "--flagstat", dataset],
        "samtools flagstat": ["samtools", "flagstat", alignments.bam],
        "sambamba flagstat": ["sambamba", "flagstat", "-t", "1", alignments.bam],
    }
    argv = {name: words for name, words in argv.items() if name == "bams3" or has(str(words[0]))}
    commands = [Command(words, stdout=answer) for words, answer in zip(argv.values(), answers, strict=False)]
    ours, *theirs = measure(lambda _: commands, bench.rounds)
    if "samtools flagstat" in argv:  # the lines of sambamba differ
        same("flagstat", *(answer.read_text() for answer in answers[:2]))
    for name, usage in zip(list(argv)[1:], theirs, strict=True):
        yield cpu_row("stats --flagstat", alignments.name, ours, name, usage)


def start_up(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure the start-up of processes, with a small dataset. The larger of CPU and wall time counts."""
    run(bench.conversion(alignments))
    dataset, region = bench.dataset(alignments), random_region(alignments, 1)
    limits = {
        "--help": (60, [BAMS3, "--help"]),
        "stats": (60, [BAMS3, "stats", dataset]),
        "query -c": (150, [BAMS3, "query", "-c", dataset, region]),
        "coverage": (150, [BAMS3, "coverage", "-o", bench.scratch / "small", dataset]),
        "import bams3": (None, [sys.executable, "-c", "import bams3"]),
        "python -c pass": (None, [sys.executable, "-c", "pass"]),
    }
    commands = [Command(argv) for _, argv in limits.values()]
    usages = measure(lambda _: commands, max(5, bench.rounds))
    for (name, (limit, _)), usage in zip(limits.items(), usages, strict=True):
        spent = 1000 * max(usage.cpu, usage.wall)
        floor = Floor(f"≤ {limit} ms", spent <= limit) if limit else None
        yield Row(f"start-up: {name}", alignments.name, "ms", spent, usages=(usage,), floor=floor)
