"""What is measured: each function runs bams3 and its peers on one BAM, checks that their answers agree, and gives rows.

Datasets lie where `Bench.dataset` says; `convert` or `size` makes them, so one of these comes first.
"""

from __future__ import annotations

import gzip
import itertools
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from harness.data import Alignments, random_region
from harness.process import BAMS3, Command, CommandError, Usage, measure, output, run, size
from harness.table import Floor, Row, cpu_row, megabytes, size_row

PEERS = ("samtools", "mosdepth")
SIZE_FLOORS = {"hiseq": 0.70, "novaseq": 0.55}  # of the size of the BAM; for simulated data


class MismatchError(Exception):
    """bams3 and a peer gave different answers."""


@dataclass(frozen=True)
class Bench:
    """`rounds` of each process; files go below `scratch`."""

    rounds: int
    scratch: Path

    def dataset(self, alignments: Alignments) -> Path:
        """Where the dataset of a BAM is."""
        return self.scratch / f"{alignments.bam.stem}.bams3"


def has(peer: str) -> bool:
    """Is a peer installed?"""
    return shutil.which(peer) is not None


def same(what: str, ours: object, theirs: object) -> None:
    """Raise MismatchError unless both are equal."""
    if ours != theirs:
        raise MismatchError(f"{what}: bams3 says {str(ours)[:300]!r}, its peer {str(theirs)[:300]!r}")


# Convert, and size


def converters(bench: Bench, alignments: Alignments) -> dict[str, Command]:
    """The formats that samtools can write, as `samtools view` commands."""
    options = {
        "BAM, level 6": ["-b", "--output-fmt-option", "level=6"],
        "BAM, level 1": ["-b", "--output-fmt-option", "level=1"],
    }
    for cram in ("3.0", "3.1"):
        format_options = [f"--output-fmt-option=version={cram}", "--output-fmt-option=embed_ref=2"]
        options[f"CRAM {cram}, embed_ref=2"] = ["-C", *format_options]
    commands = {}
    for name, option in options.items():
        target = bench.scratch / f"{alignments.bam.stem}.{name.replace(', ', '.').replace(' ', '')}"
        commands[name] = Command(["samtools", "view", *option, "-o", target, alignments.bam], target)
    return {name: command for name, command in commands.items() if has("samtools") and works(command)}


def works(command: Command) -> bool:
    """Run a command once: older versions of samtools do not write every kind of CRAM."""
    try:
        run(command)
    except CommandError as error:
        print(f"left out: {error}", file=sys.stderr)
        return False
    return True


def conversion(bench: Bench, alignments: Alignments) -> Command:
    """`bams3 convert` with one worker."""
    dataset = bench.dataset(alignments)
    return Command([BAMS3, "convert", "--workers", "1", alignments.bam, dataset], dataset)


def convert(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """CPU seconds against samtools' of each format, reads per CPU second, and sizes."""
    peers = converters(bench, alignments)
    ours, *theirs = measure(lambda _: [conversion(bench, alignments), *peers.values()], bench.rounds)
    records = dataset_records(bench, alignments)
    if peers:
        same("records", records, int(output("samtools", "view", "-c", alignments.bam)))
    speed = records / ours.cpu
    floor = Floor("≥ 300,000 reads/CPU-s", speed >= 300_000)
    yield Row("convert, speed", alignments.name, f"{speed:,.0f} reads/CPU-s", floor=floor)
    for name, usage in zip(peers, theirs, strict=True):
        yield cpu_row("convert", alignments.name, ours, f"samtools view, {name}", usage)
    yield from sizes(bench, alignments, peers)


def size_of(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Sizes alone, of a BAM that is converted once."""
    run(conversion(bench, alignments))
    yield from sizes(bench, alignments, converters(bench, alignments))


def sizes(bench: Bench, alignments: Alignments, peers: dict[str, Command]) -> Iterator[Row]:
    """The dataset against the files that `peers` wrote; the floor is a ratio to BAM at samtools' default level."""
    ours = size(bench.dataset(alignments))
    simulated_as = next((profile for profile in SIZE_FLOORS if profile in alignments.bam.stem), "")
    for name, command in peers.items():
        if name != "BAM, level 1" and command.writes:
            floor = SIZE_FLOORS.get(simulated_as) if name == "BAM, level 6" else None
            yield size_row(alignments.name, ours, name, size(command.writes), floor)


def memory(bench: Bench, small: Alignments, large: Alignments) -> Iterator[Row]:
    """Peak memory of a converter must not grow with the file."""
    peaks = [
        measure(lambda _, bam=bam: [conversion(bench, bam)], bench.rounds)[0].peak for bam in (small, large)
    ]
    floor = Floor("≤ 300 MB, not growing", max(peaks) <= 300 and peaks[1] <= 1.1 * peaks[0])
    text = " → ".join(f"{peak:.0f} MB" for peak in peaks)
    yield Row("convert, peak memory, 1 worker", f"{small.name} → {large.name}", text, floor=floor)


def dataset_records(bench: Bench, alignments: Alignments) -> int:
    """Number of records, as the dataset's manifest has it."""
    return json.loads(output(BAMS3, "stats", "--json", bench.dataset(alignments)))["records"]


# Coverage


def coverage(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Depth without and with the per-base file, against mosdepth, whose files must equal ours; and samtools depth."""
    if not has("mosdepth"):
        return
    prefixes = [bench.scratch / "ours", bench.scratch / "theirs"]
    for what, option in (("coverage -n", ["-n"]), ("coverage, per base", [])):
        commands = {
            what: Command([BAMS3, "coverage", *option, "-o", prefixes[0], bench.dataset(alignments)]),
            " ".join(["mosdepth", *option]): Command(["mosdepth", *option, prefixes[1], alignments.bam]),
        }
        if has("samtools") and not option:
            commands["samtools depth -s"] = Command(["samtools", "depth", "-s", alignments.bam])
        ours, *theirs = measure(lambda _, commands=commands: list(commands.values()), bench.rounds)
        for name in ("summary.txt", "global.dist.txt"):
            same(f"{what}, {name}", *(Path(f"{prefix}.mosdepth.{name}").read_text() for prefix in prefixes))
        if not option:
            same_when_inflated(what, *(Path(f"{prefix}.per-base.bed.gz") for prefix in prefixes))
        for peer, usage in zip(list(commands)[1:], theirs, strict=True):
            floor = Floor("≥ 5 x less", usage.cpu / ours.cpu >= 5) if option else None
            yield cpu_row(what, alignments.name, ours, peer, usage, floor)


def same_when_inflated(what: str, ours: Path, theirs: Path) -> None:
    """Raise MismatchError unless two gzipped files hold the same bytes."""
    with gzip.open(ours) as one, gzip.open(theirs) as other:
        same_bytes(what, one, other)


def same_bytes(what: str, one: BinaryIO, other: BinaryIO, piece: int = 1 << 20) -> None:
    """Raise MismatchError unless two files are equal from where they stand to their ends."""
    for number in itertools.count():
        ours, theirs = one.read(piece), other.read(piece)
        if ours != theirs:
            raise MismatchError(f"{what}: not the same bytes in [{number * piece}, {(number + 1) * piece})")
        if not ours:
            return


def bytes_read(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Bytes that coverage reads of the dataset, manifest and index included."""
    counter = Path(__file__).with_name("bytes_read.py")
    dataset = bench.dataset(alignments)
    read = int(output(sys.executable, counter, "coverage", "-n", "-o", bench.scratch / "read", dataset))
    share = read / size(dataset)
    floor = Floor("≤ 15 %", share <= 0.15)
    figure = f"{megabytes(read)} = {share:.1%} of the dataset"
    yield Row("bytes read by coverage -n", alignments.name, figure, floor=floor)


# Query, export, stats


def count(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Reads in 1 kb, another region each round."""
    if not has("samtools"):
        return
    answers = [bench.scratch / "ours.count", bench.scratch / "theirs.count"]

    def pair(number: int) -> list[Command]:
        if number:
            same("query -c", *(answer.read_text() for answer in answers))
        region = random_region(alignments, number)
        return [
            Command([BAMS3, "query", "-c", bench.dataset(alignments), region], stdout=answers[0]),
            Command(["samtools", "view", "-c", alignments.bam, region], stdout=answers[1]),
        ]

    ours, theirs = measure(pair, bench.rounds)
    same("query -c", *(answer.read_text() for answer in answers))
    floor = Floor("≤ 0.2 s", max(ours.cpu, ours.wall) <= 0.2)
    yield cpu_row("query -c, random 1 kb", alignments.name, ours, "samtools view -c", theirs, floor)


def to_bam(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Export; what it writes is the BAM that was converted, byte for byte after decompression."""
    target, copied = bench.scratch / "exported.bam", bench.scratch / "copied.bam"
    command = Command(
        [BAMS3, "to-bam", "--level", "1", "--workers", "1", bench.dataset(alignments), target], target
    )
    peer = Command(["samtools", "view", "-b", "-1", "-o", copied, alignments.bam], copied)
    commands = [command, peer] if has("samtools") else [command]
    ours, *theirs = measure(lambda _: commands, bench.rounds)
    same_when_inflated("to-bam", target, alignments.bam)
    for usage in theirs:
        yield cpu_row("to-bam, level 1", alignments.name, ours, "samtools view -b -1", usage)


def stats(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Flagstat, from the manifest."""
    if not has("samtools"):
        return
    answers = [bench.scratch / "ours.flagstat", bench.scratch / "theirs.flagstat"]
    dataset = bench.dataset(alignments)
    pair = [
        Command([BAMS3, "stats", "--flagstat", dataset], stdout=answers[0]),
        Command(["samtools", "flagstat", alignments.bam], stdout=answers[1]),
    ]
    ours, theirs = measure(lambda _: pair, bench.rounds)
    same("flagstat", *(answer.read_text() for answer in answers))
    yield cpu_row("stats --flagstat", alignments.name, ours, "samtools flagstat", theirs)


def start_up(bench: Bench) -> Iterator[Row]:
    """What every process pays."""
    commands = {
        "bams3 --help": [BAMS3, "--help"],
        "import bams3": [sys.executable, "-c", "import bams3"],
    }
    bare = Command([sys.executable, "-c", "pass"])
    python: Usage
    for what, argv in commands.items():
        ours, python = measure(lambda _, argv=argv: [Command(argv), bare], bench.rounds)
        yield cpu_row(what, "", ours, "python -c pass", python)
