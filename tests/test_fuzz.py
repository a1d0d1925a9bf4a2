"""Mutations of every file that a command reads: an exit code of 0, 1 or 2 and at most one line, never a traceback.

Unlike tests/test_damage.py this goes through the command line, and lies in JSON with the right checksums on top.
A few seconds by default; a longer campaign: BAMS3_FUZZ_SECONDS=600 pytest tests/test_fuzz.py, with BAMS3_FUZZ_SEED.
"""

import json
import os
import random
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
import zstandard
from test_damage import edit_footer, mutated

from bams3.cli import main

SECONDS = float(os.environ.get("BAMS3_FUZZ_SECONDS", "2"))
SEED = int(os.environ.get("BAMS3_FUZZ_SEED", "1"))
LEAST = 25  # mutations of each kind of file, however slow the machine

VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2, 15, 255, 65_536, 70_000, 1 << 17, 1 << 32, 1 << 40, 1 << 63, -(1 << 70), 1.5,
    float("nan"), "", "x", "chr1", "../../x", "\ud800", "a\0b", "data/chr1/..", [], {}, [None], {"a": 1}, [[1, 2, 3]],
)  # fmt: skip


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a BAM, its dataset whole and in parts, and parts of its coverage."""
    folder = tmp_path_factory.mktemp("pristine")
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
    assert run("convert", bam, folder / "d.bams3", "--chunk-size", "256K") == 0
    for number in (1, 2):
        batch = ("--batch", f"{number}/2")
        assert run("convert", bam, folder / "parts.bams3", "--chunk-size", "256K", *batch) == 0
        assert run("coverage", folder / "d.bams3", "-o", folder / f"part{number}", *batch) == 0
    return folder


def run(*arguments: object) -> int:
    try:
        return main([*map(str, arguments), *(["--workers", "1"] if arguments[0] == "convert" else [])])
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)


def lies(document: Any, chance: random.Random) -> Any:
    """A JSON document with one value, at any depth, gone or another."""
    places: list[tuple[Any, Any]] = []

    def collect(value: Any) -> None:
        keys = value.keys() if isinstance(value, dict) else range(len(value))
        for key in keys:
            places.append((value, key))
            if isinstance(value[key], dict | list):
                collect(value[key])

    collect(document)
    holder, key = chance.choice(places)
    kind = chance.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and type(holder[key]) is int:
        holder[key] += chance.choice((-1, 1, 100))
    elif kind == 2 and isinstance(holder, dict):
        holder[chance.choice(("surprise", "0", "-5"))] = holder[key]
    elif kind == 2:
        holder.insert(0, holder[key])
    else:
        holder[key] = chance.choice(VALUES)
    return document


def lie_in_json(path: Path, chance: random.Random) -> None:
    path.write_text(json.dumps(lies(json.loads(path.read_text()), chance)))


def lie_in_index(path: Path, chance: random.Random) -> None:
    """In the index, with the checksum in the manifest to go with it."""
    document = lies(json.loads(zstandard.decompress(path.read_bytes())), chance)
    data = zstandard.compress(json.dumps(document).encode())
    path.write_bytes(data)
    metadata = path.parents[1] / "_metadata.json"
    manifest = json.loads(metadata.read_text()) | {"index_bytes": len(data), "index_crc32": zlib.crc32(data)}
    metadata.write_text(json.dumps(manifest))


def lie_in_footer(path: Path, chance: random.Random) -> None:
    """In a chunk's footer; the index then says so, as far as it tells anything of it."""
    edit_footer(path, lambda document: lies(document, chance))
    dataset = path.parents[2]
    index = dataset / "_index/chunks.json.zst"
    entries = json.loads(zstandard.decompress(index.read_bytes()))
    data = path.read_bytes()
    for entry in entries:
        if entry[0] == str(path.relative_to(dataset)):
            length, checksum = (int.from_bytes(data[-16 + 4 * i : -12 + 4 * i], "little") for i in (0, 1))
            entry[4], entry[6], entry[7] = len(data), length + 16, checksum
    packed = zstandard.compress(json.dumps(entries).encode())
    index.write_bytes(packed)
    metadata = dataset / "_metadata.json"
    manifest = json.loads(metadata.read_text()) | {
        "index_bytes": len(packed),
        "index_crc32": zlib.crc32(packed),
    }
    metadata.write_text(json.dumps(manifest))


def lie_in_depth(path: Path, chance: random.Random) -> None:
    """In the first line of a part of coverage, or in the depth."""
    line, _, depth = (
        zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes()).partition(b"\n")
    )
    if chance.random() < 0.7:
        line = json.dumps(lies(json.loads(line), chance)).encode()
    else:
        depth = mutated(depth, chance)
    path.write_bytes(zstandard.compress(line + b"\n" + depth))


def spoil(path: Path, chance: random.Random) -> None:
    path.write_bytes(mutated(path.read_bytes(), chance))


READ = (
    ("stats", "d.bams3"),
    ("stats", "--json", "d.bams3"),
    ("stats", "--flagstat", "d.bams3"),
    ("stats", "--idxstats", "d.bams3"),
    ("chunks", "d.bams3"),
    ("chunks", "--shard", "1/2", "d.bams3"),
    ("query", "-c", "d.bams3"),
    ("query", "-c", "d.bams3", "chr1:5000-200000"),
    ("query", "d.bams3", "-h", "-o", "OUT"),
    ("query", "d.bams3", "-e", "[NM] > 0 && pos > 3 && qname != mrname", "-o", "OUT"),
    ("query", "-c", "d.bams3", "--batch", "1/2", "-q", "3"),
    ("coverage", "-n", "d.bams3", "-b", "10000", "-R", "a", "-o", "OUT"),
    ("to-bam", "d.bams3", "OUT"),
    ("verify", "d.bams3"),
    ("verify", "d.bams3", "--against", "x.bam"),
    ("inspect", "CHUNK"),
    ("inspect", "--json", "CHUNK"),
)
CHUNK = "d.bams3/data/chr1/000000000-000262144.chunk"
MERGE = (("merge", "parts.bams3"),)
GATHER = (("coverage", "-n", "d.bams3", "-o", "OUT", "--gather", "part1", "part2"),)

# What is read, how it is spoilt, and the commands that read it: a few of them are run for each mutation.
TARGETS: dict[str, tuple[str, Callable[[Path, random.Random], None], tuple[tuple[str, ...], ...]]] = {
    "manifest": ("d.bams3/_metadata.json", lie_in_json, READ),
    "manifest's bytes": ("d.bams3/_metadata.json", spoil, READ),
    "header": ("d.bams3/_header.sam", spoil, READ),
    "index": ("d.bams3/_index/chunks.json.zst", lie_in_index, READ),
    "footer": (CHUNK, lie_in_footer, READ),
    "chunk's bytes": (CHUNK, spoil, READ),
    "plan": ("parts.bams3/_parts/plan.json", lie_in_json, MERGE),
    "part": ("parts.bams3/_parts/000001-of-000002.json", lie_in_json, MERGE),
    "part's bytes": ("parts.bams3/_parts/000001-of-000002.json", spoil, MERGE),
    "depth": ("part1", lie_in_depth, GATHER),
    "depth's bytes": ("part1", spoil, GATHER),
    "BAM": ("x.bam", spoil, (("convert", "x.bam", "OUT"), ("convert", "x.bam", "OUT", "--batch", "1/2"))),
    "BAM's index": ("x.bam.bai", spoil, (("convert", "x.bam", "OUT", "--batch", "2/2"),)),
    "chunk to resume": (CHUNK, lie_in_footer, (("convert", "x.bam", "d.bams3", "--chunk-size", "256K", "--resume"),)),
}  # fmt: skip


def mutations(share: float) -> Iterator[random.Random]:
    """A source of chance for each mutation, until the time is over."""
    end = time.monotonic() + SECONDS * share
    number = 0
    while number < LEAST or time.monotonic() < end:
        yield random.Random(f"{SEED} {number}")
        number += 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", TARGETS)
def test_fuzz(pristine: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], target: str) -> None:
    name, change, commands = TARGETS[target]
    for chance in mutations(1 / len(TARGETS)):
        work = Path(shutil.copytree(pristine, tmp_path / "work"))
        if target == "chunk to resume":
            (work / "d.bams3/_metadata.json").rename(work / "metadata")
            shutil.copy(work / "metadata", work / "d.bams3/_metadata.json")
        change(work / name, chance)
        if target == "chunk to resume":
            (work / "d.bams3/_metadata.json").unlink()
        for number, command in enumerate(chance.sample(commands, min(2, len(commands)))):
            places = {"OUT": work / f"out{number}", "CHUNK": work / CHUNK, "x.bam": work / "x.bam"}
            places |= {word: work / word for word in ("d.bams3", "parts.bams3", "part1", "part2")}
            capfd.readouterr()
            code = run(*(places.get(word, word) for word in command))
            err = capfd.readouterr().err
            what = f"{chance!r} {target}: {command}: {code}: {err}"
            assert code in (0, 1, 2), what
            assert (code == 0) == (not err) or command[0] == "verify", what
            assert err.count("\n") <= 1 or command[0] == "verify", what
            assert "Traceback" not in err, what
            if code:
                assert not [
                    path
                    for path in work.iterdir()
                    if path.name.startswith((f".out{number}", f"out{number}."))
                ], what
        shutil.rmtree(work)
