"""What is mutated: small BAM files of every kind, and the chunks made of them at several levels."""

from __future__ import annotations

import gzip
import itertools
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import every_stream
import hostile
import hypothesis
import pysam
from bams3.bam.header import Header
from bams3.bam.records import walk
from bams3.chunk.reader import open_chunk
from bams3.operations.convert import convert

DATA = Path(__file__).parent.parent / "data"
LEVELS = (1, 5, 7, 9)
LARGEST = 150_000  # bytes of records: longer seeds would take all the time


@dataclass(frozen=True)
class RowGroupSeed:
    """A row group: streams as they are stored (name → codec, bytes, raw length) and raw; what its columns need."""

    stored: dict[str, tuple[str, bytes, int]]
    raw: dict[str, bytes]
    records: int
    size: int
    reference_id: int


@dataclass(frozen=True)
class ChunkSeed:
    """A chunk, and its row groups."""

    data: bytes
    row_groups: tuple[RowGroupSeed, ...]


@dataclass(frozen=True)
class Seed:
    """A BAM, and the chunks of its dataset."""

    bam: bytes
    chunks: tuple[ChunkSeed, ...]


@dataclass(frozen=True)
class IndexSeed:
    """An index, inflated; what is known of its BAM: the number of references, bytes."""

    index: bytes
    references: int
    bam_bytes: int


class Seeds:
    """All seeds, the same for the same `hostile_bams`; small ones are chosen more often."""

    def __init__(self, hostile_bams: int) -> None:
        bams = [*hostile_files(hostile_bams), *real_files()]
        with tempfile.TemporaryDirectory() as folder:
            self.seeds = [
                seed_of(bam, Path(folder) / f"{number}.bam", LEVELS[number % len(LEVELS)])
                for number, bam in enumerate([*bams, *[every_stream.bam()] * len(LEVELS)])
            ]
        self.indexes = [index_of(bam, csi) for bam in real_files() for csi in (False, True)]

    def choose(self, chance: random.Random) -> Seed:
        """Any seed."""
        return chance.choices(self.seeds, cum_weights=self._weights)[0]

    def chunk(self, chance: random.Random) -> ChunkSeed:
        """Any chunk."""
        seed = self.choose(chance)
        while not seed.chunks:
            seed = self.choose(chance)
        return chance.choice(seed.chunks)

    def row_group(self, chance: random.Random) -> RowGroupSeed:
        """Any row group."""
        return chance.choices(self._row_groups, cum_weights=self._row_group_weights)[0]

    def stream(self, name: str, chance: random.Random) -> bytes:
        """The raw bytes of a stream of that name of any row group."""
        return chance.choice(self._streams[name])

    @cached_property
    def codecs(self) -> list[str]:
        """The names of all stream codecs that occur."""
        return sorted({codec for group in self._row_groups for codec, _, _ in group.stored.values()})

    @cached_property
    def _row_groups(self) -> list[RowGroupSeed]:
        return [group for seed in self.seeds for chunk in seed.chunks for group in chunk.row_groups]

    @cached_property
    def _streams(self) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for group in self._row_groups:
            for name, data in group.raw.items():
                found.setdefault(name, []).append(data)
        return found

    @cached_property
    def _weights(self) -> list[float]:
        return list(itertools.accumulate(weight(len(seed.bam)) for seed in self.seeds))

    @cached_property
    def _row_group_weights(self) -> list[float]:
        return list(itertools.accumulate(weight(group.size) for group in self._row_groups))


def weight(size: int) -> float:
    """So that seeds of every size take about the same time."""
    return 1 / (10_000 + size)


def seed_of(bam: bytes, path: Path, level: int) -> Seed:
    """Convert a BAM, below its path, which is used for nothing else."""
    path.write_bytes(bam)
    convert(path, path.with_suffix(".bams3"), chunk_size="256K", level=level, workers=1)
    chunks = sorted(path.with_suffix(".bams3").rglob("*.chunk"))
    return Seed(bam, tuple(ChunkSeed(chunk.read_bytes(), tuple(row_groups_of(chunk))) for chunk in chunks))


def index_of(bam: bytes, csi: bool) -> IndexSeed:
    """BAI or CSI of a BAM, as htslib makes it."""
    with tempfile.TemporaryDirectory() as folder:
        path, index = Path(folder) / "x.bam", Path(folder) / "index"
        path.write_bytes(bam)
        pysam.index(*(["-c"] if csi else []), str(path), str(index))
        data = index.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return IndexSeed(data, len(Header.from_bam(gzip.decompress(bam)).references), len(bam))


def row_groups_of(path: Path) -> Iterator[RowGroupSeed]:
    """The row groups of a chunk file."""
    for group in open_chunk(path).row_groups:
        stored = {
            name: (codec, bytes(data), length)
            for name, (codec, data, length) in group.stored_streams().items()
        }
        raw: dict[str, Any] = {name: bytes(group._streams[name]) for name in stored}
        yield RowGroupSeed(stored, raw, group.records, group.size, group.reference_id)


def hostile_files(count: int) -> list[bytes]:
    """Files of the strategy `hostile.bams`, and one with reads and CIGARs of more than 65,535 bases and operations."""
    found: list[bytes] = []

    @hypothesis.seed(1)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(hostile.bams(max_records=60))
    def collect(bam: hostile.Bam) -> None:
        if 0 < sum(map(len, bam.records)) < LARGEST:
            found.append(bam.data())

    collect()
    operations = [(1, i % 2) for i in range(65_537)]
    sequence = (b"ACGTN" * 13_108)[:65_537]
    long = [
        hostile.good(
            0, 100, cigar=operations, sequence=sequence, quality=None, tags=[hostile.tag("NM", "C", 1)]
        )
    ]
    return [*found, hostile.bam(hostile.TEXT, hostile.CONTIGS, [*long, hostile.good(0, 200)])]


def real_files() -> Iterator[bytes]:
    """From each BAM of tests/data some records, from a few places."""
    for path in sorted(DATA.glob("*.bam")):
        data = gzip.decompress(path.read_bytes())
        header = Header.from_bam(data)
        head = header.to_bam()
        block, _ = walk(data[len(head) :], len(header.references))
        for count in (1, 2, 8, 40, 400):
            for first in (0, len(block) // 2):
                records = block[first : first + count]
                while len(records) > 1 and records.offsets[-1] - records.offsets[0] > LARGEST:
                    records = records[: len(records) // 2]
                body = bytes(memoryview(records.data)[records.offsets[0] : records.offsets[-1]])
                yield hostile.bgzf(head + body)
