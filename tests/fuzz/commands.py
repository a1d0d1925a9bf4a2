"""Mutations of every file that a command reads: exit code 0, 1 or 2, at most one line, never a traceback."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import hostile
import pysam
import zstandard
from bams3.cli import main
from bams3.dataset.layout import MANY_CONTIGS
from bams3.dataset.manifest import sealed
from forge import rewrite
from peers import DATA

from fuzz.mutate import lies, mutated
from fuzz.targets import Target

CHUNK = "d.bams3/data/chr1/000000000-000262144.chunk"


def make_pristine(folder: Path) -> None:
    """A BAM, its dataset whole and in parts, and parts of its coverage."""
    tags = [hostile.tag("NM", "C", 1), hostile.tag("RG", "Z", b"a"), hostile.tag("ML", "BC", [1, 2])]
    pairs = [
        hostile.good(0, pos, name=b"r%d" % (pos // 2000), flag=99, next_ref=0, next_pos=pos + 20, tags=tags)
        for pos in range(0, 300_000, 1000)
    ]
    unplaced = [hostile.record(name=b"u", sequence=b"ACGT", tags=tags)]
    bam = folder / "x.bam"
    bam.write_bytes(
        hostile.bam(hostile.TEXT, hostile.CONTIGS, [*pairs, hostile.good(1, 5, tags=tags), *unplaced])
    )
    pysam.index(str(bam))
    sites = (f"chr1\t{pos + 30}\trs{pos}\tA\tC,<*>,AT\n" for pos in range(0, 300_000, 5000))
    (folder / "sites.vcf").write_text("##fileformat=VCFv4.2\n" + "".join(sites) + "chr2\t7\t.\tACG\tA\n")
    common = (f"chr1\t{pos + 30}\t.\tA\tC\t.\t.\tAF=0.4\n" for pos in range(0, 300_000, 2000))
    (folder / "common.vcf").write_text("##contig=<ID=chrX,length=5>\n" + "".join(common))
    assert run("convert", bam, folder / "d.bams3", "--chunk-size", "256K") == 0
    words = ("--sites", folder / "common.vcf", "--count", "-o", folder / "x.counts")
    assert run("relate", folder / "d.bams3", *words) == 0
    for number in (1, 2):
        batch = ("--batch", f"{number}/2")
        assert run("convert", bam, folder / "parts.bams3", "--chunk-size", "256K", *batch) == 0
        assert run("coverage", folder / "d.bams3", "-o", folder / f"part{number}", *batch) == 0


def make_more(folder: Path) -> None:
    """Datasets to which reads were appended on a disk and in a store, one whose contigs share windows, two with hashed
    paths, one of them begun, reads by name, and what goes with a dataset: a BED file, a job log, a dataset of an
    earlier writer."""
    groups = hostile.TEXT + b"@RG\tID:a\n"
    few = [
        hostile.good(0, pos, name=b"n%d" % pos, tags=[hostile.tag("RG", "Z", b"a")]) for pos in (7, 70_000)
    ]
    (folder / "few.bam").write_bytes(hostile.bam(groups, hostile.CONTIGS, few))
    assert run("convert", folder / "few.bam", folder / "grown.bams3", "--chunk-size", "256K") == 0
    assert run("append", folder / "grown.bams3", folder / "few.bam", "--workers", "1") == 0
    for name in ("appended.bams3", "unlisted.bams3"):
        shutil.copytree(DATA / "golden" / name, folder / name)
    assert run("convert", "--hash-paths", "--batch", "1/1", folder / "x.bam", folder / "begun.bams3") == 0
    contigs = [(f"c{number}", 300) for number in range(MANY_CONTIGS + 1)]
    text = b"".join(b"@SQ\tSN:%b\tLN:%d\n" % (name.encode(), length) for name, length in contigs)
    short = [hostile.good(ref, pos) for ref in (0, 1, 40, MANY_CONTIGS) for pos in (3, 9, 9)]
    (folder / "many.bam").write_bytes(hostile.bam(text, contigs, short))
    assert run("convert", folder / "many.bam", folder / "many.bams3") == 0
    write_by_name(folder / "names.sam")
    (folder / "bed").write_text("chr1\t100\t90000\tone\nchr1\t200000\t260000\ttwo\n#\nchr2\t5\t9\n")
    jobs = ("map", folder / "d.bams3", "--joblog", folder / "log", "-@", "1")
    assert run(*jobs, "--output-dir", folder / "made", "--", "true") == 0
    old = folder / "old.bams3"
    old.mkdir()
    chunks = [{"path": "data", "reference": "chr1", "start": 0, "reads": 1}]
    about = {"format": "bams3", "version": "0.1.0", "chunks": chunks, "statistics": {"total_reads": 1}}
    (old / "_metadata.json").write_text(json.dumps(about))
    (old / "_header.json").write_text(json.dumps({"SQ": [{"SN": "chr1", "LN": 900}], "CO": None}))
    read = {
        "name": "r",
        "flag": 0,
        "ref": 0,
        "pos": 3,
        "mapq": 9,
        "cigar": "4M",
        "seq": "ACGT",
        "qual": "IIII",
    }
    (old / "data").write_text(json.dumps([read | {"tags": {"NM": 1}}]))


def write_by_name(path: Path) -> None:
    """Write pairs of reads, many of which are duplicates, mates side by side as an aligner prints them."""
    pair = "r{0}\t{1}\tchr1\t{2}\t60\t4M\t=\t{3}\t{4}\tACGT\tIIII\tRG:Z:a\n"
    lines = (
        pair.format(number, 99, 9 - number % 3, 30, 25) + pair.format(number, 147, 30, 9 - number % 3, -25)
        for number in range(12)
    )
    groups = hostile.TEXT.replace(b"SO:coordinate", b"SO:unsorted") + b"@RG\tID:a\n"
    path.write_bytes(groups + "".join(lines).encode())


def run(*arguments: object) -> int:
    """A command in this process; returns its exit code."""
    try:
        return main([*map(str, arguments), *(["--workers", "1"] if arguments[0] == "convert" else [])])
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)


@contextmanager
def captured() -> Iterator[BinaryIO]:
    """A file that has what is written to standard error, by whomever; standard output goes nowhere."""
    kept = sys.stdout, sys.stderr
    copies = os.dup(1), os.dup(2)
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as errors, open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        try:
            with (
                open(1, "w", closefd=False) as sys.stdout,
                open(2, "w", closefd=False, errors="backslashreplace", buffering=1) as sys.stderr,
            ):
                yield errors
        finally:
            sys.stdout, sys.stderr = kept
            for copy, number in zip(copies, (1, 2), strict=True):
                os.dup2(copy, number)
                os.close(copy)


# How files are spoilt


def spoil(path: Path, chance: random.Random) -> None:
    path.write_bytes(mutated(path.read_bytes(), chance))


def lie_in_json(path: Path, chance: random.Random) -> None:
    """In a document with a checksum, which mostly is right then."""
    document = lies(json.loads(path.read_text()), chance)
    if isinstance(document, dict) and chance.random() < 0.9:
        document.pop("crc32", None)
        path.write_bytes(sealed(document))
    else:
        path.write_text(json.dumps(document))


def lie_in_plain_json(path: Path, chance: random.Random) -> None:
    """In a document without a checksum, or in its bytes."""
    if chance.random() < 0.3:
        spoil(path, chance)
    else:
        path.write_text(json.dumps(lies(json.loads(path.read_text()), chance)))


def lie_in_references(path: Path, chance: random.Random) -> None:
    """In the references of a manifest, packed as those of many contigs are; or in how they are packed."""
    document = json.loads(path.read_text())
    references, kind = document["references"], chance.randrange(4)
    plain = json.dumps(lies(references, chance) if kind == 0 else references).encode()
    stored = zstandard.compress(mutated(plain, chance) if kind == 1 else plain)
    text = b64encode(mutated(stored, chance) if kind == 2 else stored)
    document["references"] = (mutated(text, chance) if kind == 3 else text).decode("latin-1")
    del document["crc32"]
    path.write_bytes(sealed(document))


def lie_in_index(path: Path, chance: random.Random) -> None:
    dataset = path.parents[1]
    rewrite(dataset, str(path.relative_to(dataset)), lambda document: lies(document, chance))


def lie_in_footer(path: Path, chance: random.Random) -> None:
    """In a chunk's footer; the index then says so, of its zones too or not."""
    dataset = path.parents[2]
    follow = chance.random() < 0.5

    def change(document: Any) -> Any:
        return lies(document, chance)

    rewrite(dataset, str(path.relative_to(dataset)), change, follow=follow)


def lie_in_footer_of_incomplete(path: Path, chance: random.Random) -> None:
    """In the footer of a chunk that an interrupted run left."""
    lie_in_footer(path, chance)
    (path.parents[2] / "_metadata.json").unlink()


def lie_in_depth(path: Path, chance: random.Random) -> None:
    """In the first line of a part of coverage, or in the depth."""
    inflated = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    line, _, depth = inflated.partition(b"\n")
    if chance.random() < 0.7:
        line = json.dumps(lies(json.loads(line), chance)).encode()
    else:
        depth = mutated(depth, chance)
    path.write_bytes(zstandard.compress(line + b"\n" + depth))


ALLELES = (
    ("alleles", "d.bams3", "--sites", "sites.vcf", "-A", "-Q", "5", "-o", "OUT"),
    ("alleles", "d.bams3", "--sites", "sites.vcf", "--format", "vcf", "-o", "OUT"),
)
RELATE = ("relate", "--sites", "common.vcf", "-o", "OUT", "--min-depth", "1")
READ = (
    ("stats", "d.bams3"),
    ("stats", "--json", "d.bams3"),
    ("stats", "--flagstat", "d.bams3"),
    ("stats", "--idxstats", "d.bams3"),
    ("checksum", "d.bams3"),
    ("checksum", "-PCM", "-t", "NM,RG", "d.bams3"),
    ("chunks", "d.bams3"),
    ("chunks", "--shard", "1/2", "d.bams3"),
    ("chunks", "--shard", "2/3", "--balance", "length", "d.bams3"),
    ("query", "-c", "d.bams3"),
    ("query", "-c", "d.bams3", "chr1:5000-200000"),
    ("query", "d.bams3", "-h", "-o", "OUT"),
    ("query", "d.bams3", "-e", "[NM] > 0 && pos > 3 && qname != mrname", "-o", "OUT"),
    ("query", "-c", "d.bams3", "--batch", "1/2", "-q", "3"),
    ("coverage", "-n", "d.bams3", "-b", "10000", "-R", "a", "-o", "OUT"),
    ("depth", "d.bams3", "-q", "3", "-s", "-J", "-o", "OUT"),
    ("coverage-table", "d.bams3", "-Q", "3"),
    ("pileup", "d.bams3", "-A", "-Q", "0", "-s", "-O", "-o", "OUT"),
    *ALLELES,
    (*RELATE, "d.bams3"),
    ("to-bam", "d.bams3", "OUT"),
    ("verify", "d.bams3"),
    ("verify", "d.bams3", "--against", "x.bam"),
    ("inspect", CHUNK),
    ("inspect", "--json", CHUNK),
)
GROWN = (
    ("append", "grown.bams3", "few.bam"),
    ("merge", "-c", "-p", "grown.bams3", "few.bam", "OUT"),
    ("rewrite", "grown.bams3", "OUT"),
    ("rewrite", "grown.bams3", "OUT", "--chunk-size", "512K", "--drop-tags", "NM"),
    ("markdup", "grown.bams3", "OUT"),
    ("repair", "grown.bams3"),
    ("verify", "--strict", "grown.bams3"),
    ("query", "grown.bams3", "chr1:1-100000", "-o", "OUT"),
)
HASHED = tuple(tuple(word.replace("grown", "unlisted") for word in words) for words in GROWN[1:])
IN_STORE = tuple(tuple(word.replace("grown", "appended") for word in words) for words in GROWN[2:])
SHARED = (
    ("query", "many.bams3", "-h", "-o", "OUT"),
    ("query", "-c", "many.bams3", "c1", "c40"),
    ("coverage", "many.bams3", "-o", "OUT"),
    ("coverage-table", "many.bams3"),
    ("stats", "--idxstats", "many.bams3"),
    ("to-bam", "many.bams3", "OUT"),
    ("rewrite", "many.bams3", "OUT", "--level", "9"),
    ("merge", "many.bams3", "many.bam", "OUT"),
    ("verify", "many.bams3", "--against", "many.bam"),
)
BY_NAME = (
    ("convert", "--sort", "--fixmate", "--markdup", "names.sam", "OUT"),
    ("convert", "--sort", "names.sam", "OUT"),
)
BED = (
    ("coverage", "-n", "d.bams3", "-b", "bed", "-o", "OUT"),
    ("query", "-c", "d.bams3", "-L", "bed"),
    ("bedcov", "bed", "d.bams3"),
)
MAP = (("map", "d.bams3", "--joblog", "log", "--resume", "--output-dir", "made", "-@", "1", "--", "true"),)
MERGE = (("merge", "parts.bams3"),)
KEYED = (
    ("merge", "begun.bams3"),
    ("convert", "--hash-paths", "--batch", "1/1", "--resume", "x.bam", "begun.bams3"),
    ("convert", "--hash-paths", "--overwrite", "x.bam", "begun.bams3"),
)
GATHER = (("coverage", "-n", "d.bams3", "-o", "OUT", "--gather", "part1", "part2"),)
CONVERT = (("convert", "x.bam", "OUT"), ("convert", "x.bam", "OUT", "--batch", "1/2"))
RESUME = (("convert", "x.bam", "d.bams3", "--chunk-size", "256K", "--resume"),)
OLD = (("convert", "old.bams3", "OUT"),)
TALKERS = ("verify", "relate", "append", "merge", "markdup", "repair", "rewrite")
"""Commands that warn of what they left out, or print a line for each problem."""
FILES = frozenset((
    "x.bam", "d.bams3", "parts.bams3", "part1", "part2", CHUNK, "sites.vcf", "common.vcf", "x.counts", "grown.bams3",
    "appended.bams3", "few.bam", "many.bams3", "many.bam", "names.sam", "bed", "log", "made", "old.bams3",
    "unlisted.bams3", "begun.bams3",
))  # fmt: skip
GROWN_CHUNK = CHUNK.replace("d.bams3", "grown.bams3")
SHARED_CHUNK = "many.bams3/data/_contigs/000000000-000004096.chunk"

# What is read, how it is spoilt, and the commands that read it: a few of them are run for each mutation.
SPOILT: dict[str, tuple[str, Callable[[Path, random.Random], None], tuple[tuple[str, ...], ...]]] = {
    "manifest": ("d.bams3/_metadata.json", lie_in_json, READ),
    "references": ("d.bams3/_metadata.json", lie_in_references, READ),
    "manifest's bytes": ("d.bams3/_metadata.json", spoil, READ),
    "header": ("d.bams3/_header.sam.zst", spoil, READ),
    "index": ("d.bams3/_index/chunks.json.zst", lie_in_index, READ),
    "footer": (CHUNK, lie_in_footer, READ),
    "chunk's bytes": (CHUNK, spoil, READ),
    "plan": ("parts.bams3/_parts/plan.json", lie_in_json, MERGE),
    "part": ("parts.bams3/_parts/000001-of-000002.json", lie_in_json, MERGE),
    "part's bytes": ("parts.bams3/_parts/000001-of-000002.json", spoil, MERGE),
    "depth": ("part1", lie_in_depth, GATHER),
    "depth's bytes": ("part1", spoil, GATHER),
    "sites": ("sites.vcf", spoil, ALLELES),
    "common sites": ("common.vcf", spoil, ((*RELATE, "d.bams3"), (*RELATE, "x.counts"))),
    "counts": ("x.counts", spoil, ((*RELATE, "x.counts", "d.bams3"),)),
    "BAM": ("x.bam", spoil, CONVERT),
    "BAM's index": ("x.bam.bai", spoil, (("convert", "x.bam", "OUT", "--batch", "2/2"),)),
    "manifest that grew": ("grown.bams3/_metadata.json", lie_in_json, GROWN),
    "header that grew": ("grown.bams3/_header.sam.zst", spoil, GROWN),
    "index that grew": ("grown.bams3/_index/chunks.json.zst", lie_in_index, GROWN),
    "manifest that grew in a store": ("appended.bams3/_metadata.json", lie_in_json, IN_STORE),
    "index that grew in a store": (
        "appended.bams3/_index/chunks.64351b12c4c839df.json.zst",
        lie_in_index,
        IN_STORE,
    ),
    "footer of a chunk that grew": (GROWN_CHUNK, lie_in_footer, GROWN),
    "BAM to append": ("few.bam", spoil, GROWN[:2]),
    "manifest of shared windows": ("many.bams3/_metadata.json", lie_in_json, SHARED),
    "index of shared windows": ("many.bams3/_index/chunks.json.zst", lie_in_index, SHARED),
    "footer of a shared chunk": (SHARED_CHUNK, lie_in_footer, SHARED),
    "bytes of a shared chunk": (SHARED_CHUNK, spoil, SHARED),
    "manifest with hashed paths": ("unlisted.bams3/_metadata.json", lie_in_json, HASHED),
    "index with hashed paths": ("unlisted.bams3/_index/chunks.json.zst", lie_in_index, HASHED),
    "plan with a key": ("begun.bams3/_parts/plan.json", lie_in_json, KEYED),
    "SAM by name": ("names.sam", spoil, BY_NAME),
    "BED": ("bed", spoil, BED),
    "job log": ("log", spoil, MAP),
    "earlier writer's metadata": ("old.bams3/_metadata.json", lie_in_plain_json, OLD),
    "earlier writer's header": ("old.bams3/_header.json", lie_in_plain_json, OLD),
    "earlier writer's chunk": ("old.bams3/data", lie_in_plain_json, OLD),
    "chunk to resume": (CHUNK, lie_in_footer_of_incomplete, RESUME),
}


class Commands:
    """Spoils copies of a folder's files, below `folder`, and runs commands on them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pristine = folder / "pristine"
        self._pristine.mkdir()
        make_pristine(self._pristine)
        make_more(self._pristine)

    @property
    def target(self) -> Target:
        """For a campaign: inputs are (name of `SPOILT`, seed)."""
        return Target(0.01, lambda _, chance: (chance.choice(list(SPOILT)), chance.random()), self.read)

    def _copy(self, names: set[str], work: Path) -> None:
        """Copies files, and the datasets that they are of."""
        work.mkdir()
        for name in {Path(name).parts[0] for name in names}:
            copy = shutil.copytree if (self._pristine / name).is_dir() else shutil.copy2
            copy(self._pristine / name, work / name)

    def read(self, made: tuple[str, float]) -> None:
        """Raises AssertionError for what a command must not do."""
        what, seed = made
        name, change, commands = SPOILT[what]
        chance = random.Random(seed)
        with tempfile.TemporaryDirectory(dir=self._folder) as place:
            work = Path(place) / "work"
            self._copy({name, "x.bam.bai", *FILES.intersection(chain(*commands))}, work)
            change(work / name, chance)
            (work / "x.bam.bai").touch()  # an index that is older than its BAM is warned of
            for number, command in enumerate(chance.sample(commands, min(2, len(commands)))):
                places = {"OUT": work / f"out{number}"} | {name: work / name for name in FILES}
                with captured() as errors:
                    code = run(*(places.get(word, word) for word in command))
                    sys.stderr.flush()
                    errors.seek(0)
                    said = errors.read().decode(errors="replace")
                left = [*work.glob(f".out{number}*"), *work.glob(f"out{number}.*")]
                where = f"{what}: {' '.join(command)}: {code}: {said.replace(place, '')}"
                check(where, code, said, left, several=command[0] in TALKERS or command in (*OLD, *BED))


def check(where: str, code: int, said: str, left: list[Path], several: bool) -> None:
    """Raise AssertionError unless a command ended well, or badly as it should: with one line (`several` allows
    more, and notes of what went well), and nothing left behind."""
    assert code in (0, 1, 2), where
    assert (code == 0) == (not said) or several, where
    assert said.count("\n") <= 1 or several, where
    assert "Traceback" not in said, where
    assert not (code and left), where
