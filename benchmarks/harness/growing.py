"""Conversion of an aligner's output with marked duplicates; and copying, merging and appending of datasets."""

from __future__ import annotations

from collections.abc import Iterator

from harness.bench import Bench, has, same
from harness.data import Alignments
from harness.process import BAMS3, Command, measure, output, run
from harness.table import Row, cpu_row

CHAIN = (
    'samtools fixmate -m -u "$1" - | samtools sort -l 1 -T "$2" - | samtools markdup - "$2"; samtools index "$2"; '
    '"$3" convert --workers 1 "$2" "$4"'
)
# This fraction of the reads in a twentieth of the genome, which is 1 % of all; they are not copies.
APPENDED = "0.2"
APPEND = 'cp -rl "$1" "$2"; "$3" append -c -p --workers 1 "$2" "$4"'
UNPLACED = "_unplaced"


def from_the_aligner(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Compare `convert --sort --fixmate --markdup` of collated reads with a pipeline of samtools commands."""
    if not has("samtools"):
        return
    collated, marked = bench.scratch / "collated.bam", bench.scratch / "marked.bam"
    ours, theirs = (bench.scratch / f"{name}.bams3" for name in ("chain", "marked"))
    output("samtools", "collate", "-o", collated, alignments.bam)
    convert = [BAMS3, "convert", "--workers", "1", "--sort", "--fixmate", "--markdup", collated, ours]
    commands = [
        Command(convert, ours),
        Command(["sh", "-ec", CHAIN, "-", collated, marked, BAMS3, theirs], theirs),
    ]
    whole, chain = measure(lambda _: commands, bench.rounds)
    flags = [output(BAMS3, "stats", "--flagstat", dataset) for dataset in (ours, theirs)]
    same("numbers of duplicates", *flags)
    peer = "samtools fixmate -m, sort -l 1, markdup, index; bams3 convert"
    yield cpu_row("convert --sort --fixmate --markdup", alignments.name, whole, peer, chain, 2.5)


def growing(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Compare a copy, a merge of one dataset per contig, and an append of missing reads with `convert`."""
    if not has("samtools"):
        return
    dataset = bench.dataset(alignments)
    names = "copied", "merged", "rest", "grown"
    copied, merged, rest, grown = (bench.scratch / f"{name}.bams3" for name in names)
    lines = output(BAMS3, "stats", "--idxstats", dataset).splitlines()
    contigs = {name: int(length) for name, length, *_ in (line.split("\t") for line in lines[:-1])}
    parts = [bench.scratch / f"{name}.bams3" for name in (*contigs, UNPLACED)]
    for part in parts:
        run(Command([BAMS3, "rewrite", "--region", part.stem, dataset, part], part))
    longest = max(contigs, key=contigs.__getitem__)
    added, others = bench.scratch / "added.bam", bench.scratch / "rest.bam"
    twentieth = f'rname == "{longest}" && pos <= {sum(contigs.values()) // 20}'
    output(
        "samtools", "view", "-1", "-s", APPENDED, "-e", twentieth, "-o", added, "-U", others, alignments.bam
    )
    run(Command([BAMS3, "convert", others, rest], rest))
    commands = [
        bench.conversion(alignments),
        Command([BAMS3, "rewrite", "--workers", "1", dataset, copied], copied),
        Command([BAMS3, "merge", "-c", "-p", "--workers", "1", *parts, merged], merged),
        Command(["sh", "-ec", APPEND, "-", rest, grown, BAMS3, added], grown),
    ]
    whole, copy, merge, append = measure(lambda _: commands, bench.rounds)
    for other in (copied, merged):
        output("diff", "-r", dataset, other)
    for what, usage, times_less in (
        ("rewrite, a copy", copy, 20),
        (f"merge of {len(parts)} datasets", merge, 20),
        ("append of 1 %", append, 10),
    ):
        yield cpu_row(what, alignments.name, usage, "convert of all reads", whole, times_less)
