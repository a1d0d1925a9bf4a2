"""What reads mutated bytes in process. A target makes an input from seeds and chance, and reads an input."""

from __future__ import annotations

import gzip
import io
import random
from array import array
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bams3.api.arrays import ArrowFields
from bams3.api.arrow import schema_of
from bams3.bam.fixmate import mended
from bams3.bam.header import Header
from bams3.bam.records import RecordBlock, join, walk
from bams3.chunk.reader import ChunkReader
from bams3.chunk.writer import compress_row_group
from bams3.codec import Columns, streams
from bams3.coverage import depth_of
from bams3.errors import Bams3Error, SourceError
from bams3.operations.row_groups import cut_row_groups
from bams3.select.schema import SCHEMA
from bams3.sources.bam import BamSource
from bams3.sources.files import input_at
from bams3.sources.index import Index

from fuzz.mutate import lies, mutated, with_footer
from fuzz.seeds import LEVELS, Seeds

TAGS = ("NM", "MD", "AS", "XS", "RG", "MC", "MQ", "SA", "ML", "MM", "CB", "UB", "zz", "CG")
HEADER = Header(b"@RG\tID:a\tLB:l\n", (("chr1", 1000), ("chr2", 1000)))
COLUMNS = tuple(
    name for name in vars(Columns) if not name.startswith("_") and not callable(vars(Columns)[name])
)


@dataclass(frozen=True)
class Target:
    """`make` chooses and mutates; it decodes nothing. `read` returns, or raises Bams3Error; all else is a failure."""

    share: float  # of all inputs
    make: Callable[[Seeds, random.Random], Any]
    read: Callable[[Any], None]


def each_of(reads: Iterable[Callable[[], object]]) -> None:
    """Call all, whether or not one before raises a Bams3Error; the last of these is raised."""
    refused: Bams3Error | None = None
    for read in reads:
        try:
            read()
        except Bams3Error as error:
            refused = error
    if refused:
        raise refused


# Streams of a row group


def changed_streams(seeds: Seeds, chance: random.Random) -> Any:
    """(streams, records, size, reference id): raw streams that are mutated, missing, or of another row group."""
    group = seeds.row_group(chance)
    chosen = with_changes(group.raw, seeds, chance)
    records, size, reference_id = group.records, group.size, group.reference_id
    if chance.random() < 0.05:
        records = chance.choice((1, records + 1, max(1, records - 1), 2 * records, 65_536))
    if chance.random() < 0.05:
        size = chance.choice((0, 1, 36, size - 1, size + 1, 2 * size, 1 << 33))
    if chance.random() < 0.02:
        reference_id = chance.choice((-1, 0, 7))
    return chosen, records, size, reference_id


def with_changes(raw: dict[str, bytes], seeds: Seeds, chance: random.Random) -> dict[str, bytes]:
    """The streams of a row group, some of which are changed."""
    chosen = dict(raw)
    for name in chance.choices(sorted(chosen), k=chance.choice((1, 1, 1, 2, 5))):
        kind = chance.randrange(12)
        if kind == 0:
            chosen.pop(name, None)
        elif kind == 1:
            chosen[name] = seeds.stream(name, chance)
        else:
            chosen[name] = mutated(raw[name], chance)
    return chosen


class Streams(dict[str, bytes]):
    """As a chunk gives them: nothing for a stream that the row group does not have."""

    def __missing__(self, name: str) -> bytes:
        return b""


def read_streams(made: Any) -> None:
    """Every column, the records, tags."""
    chosen, records, size, reference_id = made
    columns = Columns(Streams(chosen), records, size)
    columns.reference_id = reference_id
    for name in COLUMNS:
        with suppress(Bams3Error):
            getattr(columns, name)
    for tag in TAGS:
        with suppress(Bams3Error):
            columns.tag(tag)
    read_arrow(columns)
    columns.block()


def read_arrow(columns: Any) -> None:
    """Every field and tag as a valid Arrow array."""
    fields = ArrowFields(lambda: HEADER)
    for name in (*SCHEMA, *(f"[{tag}]" for tag in TAGS)):
        with suppress(Bams3Error):
            fields.batch(columns, schema_of([name], [columns])).validate(full=True)


def changed_stored(seeds: Seeds, chance: random.Random) -> Any:
    """(raw streams, records, size, reference id, name, codec, stored, raw length): of one stream what is stored."""
    group = seeds.row_group(chance)
    compressed = [name for name, (codec, _, _) in group.stored.items() if codec != streams.RAW]
    name = chance.choice(sorted(compressed or group.stored))
    codec, stored, raw = group.stored[name]
    if chance.random() < 0.95:
        stored = mutated(stored, chance)
    if chance.random() < 0.05:
        codec = chance.choice(seeds.codecs)
    if chance.random() < 0.1:
        raw = chance.choice((0, 1, raw - 1, raw + 1, 2 * raw, 1 << 20, 1 << 40))
    return group.raw, group.records, group.size, group.reference_id, name, codec, stored, raw


def read_stored(made: Any) -> None:
    """Decompress the stream, then read the row group with it."""
    raw, records, size, reference_id, name, codec, stored, length = made
    data = streams.decompress(name, codec, stored, length)
    if bytes(data) != raw[name]:
        read_streams((raw | {name: bytes(data)}, records, size, reference_id))


# Whole chunks


class Memory:
    """A storage of one object."""

    root = "memory"

    def __init__(self, data: bytes) -> None:
        self._data = data

    def size(self, _path: str) -> int:
        return len(self._data)

    def get_ranges(self, _path: str, ranges: list[tuple[int, int]]) -> list[memoryview]:
        return [memoryview(self._data)[start : start + length] for start, length in ranges]


def changed_chunk(seeds: Seeds, chance: random.Random) -> bytes:
    """A chunk whose footer lies, with right checksums; sometimes one with any bytes wrong."""
    chunk = seeds.chunk(chance).data
    if chance.random() < 0.1:
        return mutated(chunk, chance)
    return with_footer(chunk, lambda document: lies(document, chance))


def read_chunk(data: bytes) -> None:
    """Its records and its depth."""
    chunk = ChunkReader(Memory(data), "chunk")  # type: ignore[arg-type]
    groups = list(chunk.row_groups)
    for group in groups:
        with suppress(Bams3Error):
            group.block()
    chunk.plan(groups, cold=False)
    start = max(0, min(chunk.footer.start, 1 << 30))
    depth_of(groups, chunk.footer.reference_id, start, start + 300_000)


# Sources


def changed_bam(seeds: Seeds, chance: random.Random) -> bytes:
    """An uncompressed BAM; mostly only its records are mutated."""
    data = gzip.decompress(seeds.choose(chance).bam)
    keep = data.find(b"\0", 12) if chance.random() < 0.8 else 0
    return data[:keep] + mutated(data[keep:], chance)


def read_bam(data: bytes) -> None:
    """What validation lets pass comes back bit for bit. What is mended is valid."""
    level = LEVELS[len(data) % len(LEVELS)]
    source = BamSource(input_at("bam"), "raw", io.BytesIO(data))
    lengths = [length for _, length in source.header.references]
    for cut in cut_row_groups(source.blocks(), 1 << 20, lengths):
        block = join(cut.blocks)
        with suppress(SourceError):
            changed = mended([block], array("i", lengths))
            check_valid(changed, len(lengths))
        group = compress_row_group(block, cut.reference_id, level)
        raw = {
            name: streams.decompress(name, codec, stored, length)
            for name, (codec, stored, length) in group.streams.items()
        }
        columns = Columns(Streams(raw), len(block), group.zone.bytes)
        columns.reference_id = cut.reference_id
        again = columns.block()
        if bytes(again.data) != bytes(memoryview(block.data)[block.offsets[0] : block.offsets[-1]]):
            raise AssertionError("records differ after a round trip")


def check_valid(block: RecordBlock, references: int) -> None:
    data = bytes(memoryview(block.data)[block.offsets[0] : block.offsets[-1]])
    try:
        used = walk(data, references)[1]
    except SourceError as error:
        raise AssertionError(f"changed records are not valid: {error}") from None
    if used != len(data):
        raise AssertionError("changed records are not whole")


def changed_bgzf(seeds: Seeds, chance: random.Random) -> bytes:
    return mutated(seeds.choose(chance).bam, chance)


def read_bgzf(data: bytes) -> None:
    for _ in BamSource(input_at("bam"), "BGZF", io.BytesIO(data)).blocks():
        pass


def changed_index(seeds: Seeds, chance: random.Random) -> Any:
    """(BAI or CSI, number of references, length of the BAM)."""
    seed = chance.choice(seeds.indexes)
    return mutated(seed.index, chance), seed.references, seed.bam_bytes


def read_index(made: Any) -> None:
    data, references, size = made
    index = Index("index", data, n_ref=references, file_size=size)
    index.counts()
    index.unplaced_offset()
    for reference_id in range(references):
        for start in (0, 1 << 20, (1 << 31) - 1):
            index.chunks_for(reference_id, start, start + (1 << 18))


TARGETS = {
    "streams": Target(0.55, changed_streams, read_streams),
    "stored": Target(0.25, changed_stored, read_stored),
    "chunk": Target(0.08, changed_chunk, read_chunk),
    "bam": Target(0.06, changed_bam, read_bam),
    "bgzf": Target(0.02, changed_bgzf, read_bgzf),
    "index": Target(0.03, changed_index, read_index),
}
