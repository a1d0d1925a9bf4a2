"""Conversion: speed, size, memory, and the effect of more workers."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from harness.bench import Bench, has, same
from harness.data import Alignments
from harness.process import BAMS3, Command, CommandError, measure, output, run, size
from harness.table import Floor, Row, cpu_row, size_row, speed_row

SPEED = 600_000  # least reads per CPU second
MEMORY = 200  # largest peak in MB of a conversion with one worker
SORT_MEMORY = 256  # MiB for reads that wait to be sorted
SORT_BEYOND = 1.2  # µs of CPU time that sorting may take per read
BAM, CRAM = "BAM, level 6", "CRAM 3.1, embed_ref=2"
OF_BAM = {"hiseq": 0.48, "novaseq": 0.30}  # largest size relative to the BAM's, for simulated data
OF_CRAM = 1.03  # the same relative to CRAM 3.1 with an embedded reference, for given data; for simulated data, it is 1
FORMATS = {
    BAM: ["view", "-b", "--output-fmt-option", "level=6"],
    "BAM, level 1": ["view", "-b", "--output-fmt-option", "level=1"],
    "CRAM 3.0, embed_ref=2": ["view", "-O", "cram,version=3.0,embed_ref=2"],
    CRAM: ["view", "-O", "cram,version=3.1,embed_ref=2"],
}
BUSY = "for _ in range(40_000_000): pass"


def converters(
    bench: Bench, alignments: Alignments, formats: dict[str, list[str]] = FORMATS
) -> dict[str, Command]:
    """Return the commands with which peers write formats, for those that they can write."""
    commands = {}
    for name, arguments in formats.items():
        target = bench.scratch / f"{alignments.bam.stem}.{name.replace(', ', '.').replace(' ', '')}"
        commands[f"{name}"] = Command(["samtools", *arguments, "-o", target, alignments.bam], target)
    return {name: command for name, command in commands.items() if has("samtools") and works(command)}


def works(command: Command) -> bool:
    """Tell whether a command works, because older versions of samtools do not write every kind of CRAM."""
    try:
        run(command)
    except CommandError as error:
        print(f"left out: {error}", file=sys.stderr)
        return False
    return True


def convert(bench: Bench, alignments: Alignments, formats: dict[str, list[str]] = FORMATS) -> Iterator[Row]:
    """Measure reads per CPU second, memory, CPU seconds compared with the peers, and sizes."""
    peers = converters(bench, alignments, formats)
    further = {}
    if has("sambamba") and formats is FORMATS:
        target = bench.scratch / "sambamba.bam"
        arguments = ["sambamba", "view", "-f", "bam", "-l", "6", "-t", "1", "-o", target, alignments.bam]
        further = {"sambamba view, BAM, level 6": Command(arguments, target)}
    commands = {f"samtools view, {name}": command for name, command in peers.items()} | further
    measured = [bench.conversion(alignments), *commands.values()][: 1 + len(peers)]
    ours, *theirs = measure(lambda _: measured, bench.rounds)
    theirs += measure(lambda _: list(further.values()), 1)  # it takes longer than all others together
    records = bench.records(alignments)
    if peers:
        same("records", records, int(output("samtools", "view", "-c", alignments.bam)))
    yield speed_row("convert, speed", alignments.name, records, ours, SPEED if alignments.short else None)
    memory = Floor(f"≤ {MEMORY} MB", ours.peak <= MEMORY)
    yield Row("convert, peak memory", alignments.name, "MB", ours.peak, floor=memory)
    for name, usage in zip(commands, theirs, strict=True):
        floor = 5 if name == f"samtools view, {BAM}" and alignments.short else None
        yield cpu_row("convert", alignments.name, ours, name, usage, floor)
    yield from sizes(bench, alignments, peers)


def size_of(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure only sizes, of a BAM that is converted once."""
    run(bench.conversion(alignments))
    formats = {name: FORMATS[name] for name in (BAM, CRAM)}
    yield from sizes(bench, alignments, converters(bench, alignments, formats), OF_CRAM)


def sizes(
    bench: Bench, alignments: Alignments, peers: dict[str, Command], of_cram: float = 1
) -> Iterator[Row]:
    """Compare the size of the dataset with those of the files that `peers` wrote."""
    ours = size(bench.dataset(alignments))
    of_bam = next((ratio for profile, ratio in OF_BAM.items() if profile in alignments.name), None)
    floors = {BAM: of_bam, CRAM: of_cram}
    for name, command in peers.items():
        if name != "BAM, level 1" and command.writes:
            yield size_row("size", alignments.name, ours, name, size(command.writes), floors.get(name))


def small(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Compare the profile `small` with CRAM's profile of the same name, which uses an external reference."""
    formats = {
        "CRAM 3.1, small, external reference": [
            "view", "-O", "cram,version=3.1,small", "-T", str(alignments.bam.with_suffix(".fa")),
        ]
    }  # fmt: skip
    peers = converters(bench, alignments, formats)
    dataset = bench.scratch / "small.bams3"
    command = [*bench.conversion(alignments, 1, "--profile", "small").argv[:-1], dataset]
    ours, *theirs = measure(lambda _: [Command(command, dataset), *peers.values()], 1)
    for (name, peer), usage in zip(peers.items(), theirs, strict=True):
        if peer.writes:
            yield size_row("size, small", alignments.name, size(dataset), name, size(peer.writes), 1)
        yield cpu_row("convert, small", alignments.name, ours, f"samtools view, {name}", usage)


def sorting(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Compare `convert --sort` of reads ordered by the hash of their name with sorting and indexing them first.

    It is also measured with memory for only a part of the reads, so that the others go to disk.
    """
    if not has("samtools"):
        return
    shuffled, ordered = bench.scratch / "shuffled.bam", bench.scratch / "sorted.bam"
    ours, little, theirs = (bench.scratch / f"{name}.bams3" for name in ("sort", "little", "sorted"))
    output("samtools", "collate", "-o", shuffled, alignments.bam)
    chain = 'samtools sort -l 1 --no-PG -o "$2" "$1"; samtools index "$2"; "$3" convert --workers 1 "$2" "$4"'
    sort = [BAMS3, "convert", "--workers", "1", "--sort"]
    commands = [
        Command([*sort, shuffled, ours], ours),
        Command([*sort, "--memory", f"{SORT_MEMORY}M", shuffled, little], little),
        Command(["sh", "-ec", chain, "-", shuffled, ordered, BAMS3, theirs], theirs),
        bench.conversion(alignments),
    ]
    whole, bounded, peers, unsorted = measure(lambda _: commands, bench.rounds)
    for dataset in (ours, little):
        output("diff", "-r", dataset, theirs)
    peer = "samtools sort -l 1 and index, bams3 convert"
    yield cpu_row("convert --sort", alignments.name, whole, peer, peers, 2)
    yield cpu_row(f"convert --sort --memory {SORT_MEMORY}M", alignments.name, bounded, peer, peers)
    beyond = (whole.cpu - unsorted.cpu) / bench.records(alignments) * 1e6
    floor = Floor(f"≤ {SORT_BEYOND} µs/read", beyond <= SORT_BEYOND)
    yield Row("convert --sort, beyond convert", alignments.name, "µs/read", beyond, floor=floor)
    most = SORT_MEMORY * 1.048576 + 300
    floor = Floor(f"≤ {most:.0f} MB", bounded.peak <= most)
    yield Row(
        f"convert --sort --memory {SORT_MEMORY}M, peak", alignments.name, "MB", bounded.peak, floor=floor
    )


def growth(bench: Bench, small: Alignments, large: Alignments) -> Iterator[Row]:
    """Check that the peak memory of a conversion does not grow with the file."""
    peaks = [
        measure(lambda _, bam=bam: [bench.conversion(bam)], bench.rounds)[0].peak for bam in (small, large)
    ]
    floor = Floor("≤ 1.25 x", peaks[1] <= 1.25 * peaks[0])
    names = f"{small.name} → {large.name}"
    yield Row("convert, growth of peak memory", names, "x", peaks[1] / peaks[0], floor=floor)


def workers(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure how much faster two workers are than one; two busy loops show what the machine allows."""
    loop = f"{sys.executable} -c '{BUSY}'"
    back = bench.scratch / "workers.bam"
    to_bam = [BAMS3, "to-bam", "--overwrite", "--level", "1", bench.dataset(alignments), back, "--workers"]
    commands = [
        Command(["sh", "-c", loop]),
        Command(["sh", "-c", f"{loop} & {loop} & wait"]),
        *(bench.conversion(alignments, count) for count in (1, 2)),
        *(Command([*to_bam, str(count)], back) for count in (1, 2)),
    ]
    alone, together, *usages = measure(lambda _: commands, bench.rounds)
    possible = 2 * alone.wall / together.wall
    for what, one, two in zip(("convert", "to-bam, level 1"), usages[::2], usages[1::2], strict=True):
        gain = one.wall / two.wall
        floor = Floor(f"≥ {0.96 * possible:.3g} x (1.92 of 2)", gain >= 0.96 * possible)
        what = f"{what}, 2 workers: times faster than 1, wall"
        yield Row(what, alignments.name, "x", gain, usages=(one, two), floor=floor)
    yield Row("two busy loops at once: times faster, wall", "", "x", possible, usages=(alone, together))
