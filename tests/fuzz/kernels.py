"""What reads bytes and is near to the kernels: thousands of inputs in a second, which `guided` chooses.

An input is bytes alone. What else a kernel needs to know is at the beginning of these.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import tempfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import forge
import hostile
import zstandard
from bams3.bam.fixmate import mended
from bams3.bam.header import Header
from bams3.bam.records import RecordBlock, walk
from bams3.chunk.dictionary import deflated
from bams3.chunk.footer import JOINED_MAGIC, MAGIC, TRAILER, Footer
from bams3.chunk.tiles import packed as packed_tiles
from bams3.chunk.tiles import tiles_of
from bams3.chunk.tiles import unpacked as unpacked_tiles
from bams3.codec import Columns, streams
from bams3.coverage.contig_sums import sums_of_contigs
from bams3.dataset.index import index_from_bytes
from bams3.dataset.manifest import Counts, Manifest, sealed
from bams3.dataset.sums import Sums
from bams3.errors import Bams3Error, FormatError
from bams3.operations.convert import convert
from bams3.output.sam import ReferenceNames, format_sam
from bams3.sources.apart import joined, split
from bams3.sources.bgzf import BlockReader

from fuzz import changes, targets
from fuzz.mutate import footer_of
from fuzz.seeds import RowGroupSeed, Seeds

SMALL = 6000  # bytes of an input to begin with, at most
MOST_RECORDS, MOST_BYTES = (
    1 << 8,
    1 << 16,
)  # of a row group; of a stream: time grows with both, and nothing else does
CODECS = (*streams.CODECS, streams.PLANES)
HEADER = Header(hostile.TEXT + changes.GROUPS, (("chr1", 2**31 - 1), ("chr2", 5000), ("HLA-A*01:01", 300)))
NAMES = ReferenceNames(name for name, _ in HEADER.references)
FIRSTS, LASTS = array("q", (0, 3, 7)), array("q", (40, -2, 9))  # tiles, of three row groups …
SIZES = array("q", (1 << 25, 1 << 19, 1 << 20))  # … and their bytes
LENGTHS = array("i", (length for _, length in HEADER.references))


class Kernel(NamedTuple):
    """Inputs to begin with, and what reads an input: it returns, or raises a Bams3Error."""

    inputs: Callable[[Seeds], Iterator[bytes]]
    read: Callable[[bytes], object]


def inflated(seeds: Seeds) -> Iterator[tuple[bytes, bytes]]:
    """The header and the records of each BAM."""
    for seed in seeds.seeds:
        data = gzip.decompress(seed.bam)
        start = len(Header.from_bam(data).to_bam())
        yield data[:start], data[start:]


# Records


def records_of(seeds: Seeds) -> Iterator[bytes]:
    """Records that HEADER suits, of some BAMs."""
    for _, data in inflated(seeds):
        with suppress(Bams3Error):
            block, _ = walk(data, len(HEADER.references))
            yield data[: max(offset for offset in block.offsets if offset <= SMALL)]


def valid(data: bytes) -> RecordBlock:
    """The records that are whole; those of a reference first, as a block has them."""
    return walk(data, len(HEADER.references))[0]


def read_records(data: bytes) -> None:
    """As text, and apart."""
    block = valid(data)
    if bytes(format_sam(block, NAMES)).count(b"\n") < len(block):
        raise AssertionError("SAM text has fewer lines than records")
    changes.check_same([block], [joined(*split(block))])


def read_sums(data: bytes) -> None:
    """As counts, checksums and tiles."""
    block = valid(data)
    Counts.of_block(block, None if changes.placed(block) else -1)
    Sums.of_block(block)
    tiles_of(block)


def read_changed(data: bytes) -> None:
    """Reduced, and with other ids."""
    block = valid(data)
    targets.each_of(
        partial(check, HEADER, [block]) for check in (changes.check_reduced, changes.check_translated)
    )


def read_templates(data: bytes) -> None:
    """As fixmate mends them."""
    block = valid(data)
    targets.check_valid(mended([block], LENGTHS), len(HEADER.references))


def read_duplicates(data: bytes) -> None:
    """As markdup marks them, and sorted."""
    block = valid(data)
    if len(block):
        changes.check_sorted(HEADER, [block])
        changes.check_marked(HEADER, [block])


# Row groups


def packed(group: RowGroupSeed, changed: dict[str, bytes]) -> bytes:
    """A row group as an input: `unpacked` reads it."""
    head = struct.pack("<HIh", group.records, group.size, group.reference_id)
    return head + b"".join(
        struct.pack("<BI", len(name), len(data)) + name.encode() + data for name, data in changed.items()
    )


def unpacked(data: bytes, kind: type[Columns] = Columns) -> Columns:
    """The columns of a row group whose streams, with their names, stand one behind another."""
    records, size, reference_id = struct.unpack_from("<HIh", data.ljust(8, b"\0"))
    held, at = targets.Streams(), 8
    while at + 5 <= len(data):
        letters, length = struct.unpack_from("<BI", data, at)
        at += 5 + letters
        held[data[at - letters : at].decode("latin-1")] = data[at : at + length]
        at += length
    columns = kind(held, records % MOST_RECORDS + 1, size % MOST_BYTES)
    columns.reference_id = reference_id
    return columns


def row_groups_of(seeds: Seeds) -> Iterator[bytes]:
    """The small ones; their numbers of records are one less, so that `unpacked` has them right."""
    for seed in seeds.seeds:
        for chunk in seed.chunks:
            for group in chunk.row_groups:
                if sum(map(len, group.raw.values())) <= SMALL and group.records <= MOST_RECORDS:
                    head, rest = packed(group, group.raw)[:2], packed(group, group.raw)[2:]
                    yield (int.from_bytes(head, "little") - 1).to_bytes(2, "little") + rest


def read_columns(data: bytes) -> None:
    """Every column and tag, and the records, which are valid."""
    columns = unpacked(data)
    for name in targets.COLUMNS:
        with suppress(Bams3Error):
            getattr(columns, name)
    for tag in targets.TAGS:
        with suppress(Bams3Error):
            columns.tag(tag)
    columns.block()


class SharedColumns(Columns):
    """The columns of a row group that contigs share, a few records each."""

    @property
    def reference_ids(self) -> array[int]:
        """The reference id of each record, array('i')."""
        last = len(LENGTHS) - 1
        return array("i", (min(number // 3, last) for number in range(self.records)))


def read_contigs(data: bytes) -> None:
    """The sums of contigs, as each use wants them."""
    group = unpacked(data, SharedColumns)
    stops, mask = array("q", LENGTHS), bytearray(b"\1") * group.records

    def check(**options: Any) -> None:
        for _, reads, _, _, bases, _, covered, depth, deepest in sums_of_contigs(
            group, mask, stops, **options
        ):
            if not (0 <= deepest <= reads and covered <= depth <= covered * deepest and bases >= 0):
                raise AssertionError(
                    f"{covered} positions of depth {depth}, at most {deepest}, in {reads} reads"
                )

    uses: tuple[dict[str, Any], ...] = (
        {"qualities": True, "min_quality": 9},
        {"min_quality": 9},
        {"extents": True},
    )
    targets.each_of(partial(check, **options) for options in uses)


def stored_streams(seeds: Seeds) -> Iterator[bytes]:
    """What is stored of streams, of each codec: its number, the raw length, the bytes."""
    for seed in seeds.seeds:
        for chunk in seed.chunks:
            for group in chunk.row_groups:
                for codec, data, length in group.stored.values():
                    if codec != streams.RAW and len(data) <= SMALL and length < MOST_BYTES:
                        yield struct.pack("<BI", CODECS.index(codec), length) + data


def read_stored(data: bytes) -> None:
    """A stream as long as it says."""
    number, length = struct.unpack_from("<BI", data.ljust(5, b"\0"))
    length %= MOST_BYTES
    if len(streams.decompress("x", CODECS[number % len(CODECS)], data[5:], length)) != length:
        raise AssertionError("a stream of another length")


# Documents


def footers(seeds: Seeds) -> Iterator[bytes]:
    """The JSON of the footers of chunks."""
    for seed in seeds.seeds:
        for chunk in seed.chunks:
            text = json.dumps(footer_of(chunk.data)).encode()
            if len(text) <= SMALL:
                yield text


def read_footer(data: bytes) -> None:
    """With right lengths and checksums."""
    stored, magic = deflated(data), JOINED_MAGIC if b"contigs" in data else MAGIC
    footer = Footer.from_bytes(stored + TRAILER.pack(len(stored), zlib.crc32(stored), magic), "chunk")
    sizes = (entry.stored for group in footer.row_groups for entry in group.streams.values())
    footer.check(sum(sizes, len(MAGIC)), "chunk")


class Dataset:
    """A dataset, whose manifest and index are read with changes."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder, "x.bams3")
            Path(folder, "x.bam").write_bytes(forge.bam())
            convert(Path(folder, "x.bam"), place, chunk_size="256K", workers=1)
            self._manifest = (place / forge.MANIFEST).read_bytes()
            index = (place / forge.INDEX).read_bytes()
        self._known = Manifest.from_bytes(self._manifest, "x")
        self._text = zstandard.decompress(index)

    def manifests(self, _seeds: Seeds) -> Iterator[bytes]:
        """Its manifest without the checksum at the end, in few lines."""
        document = json.loads(self._manifest)
        del document["crc32"]
        yield json.dumps(document).encode()

    def read_manifest(self, data: bytes) -> None:
        with suppress(ValueError, RecursionError):
            document = json.loads(data)
            if isinstance(document, dict):
                Manifest.from_bytes(sealed(document), "x")

    def indexes(self, _seeds: Seeds) -> Iterator[bytes]:
        """The text of its index."""
        yield self._text

    def read_index(self, data: bytes) -> None:
        index_from_bytes(zstandard.compress(data, 1), self._known, "x")


def lists_of_tiles(_seeds: Seeds) -> Iterator[bytes]:
    """Of the row groups that `read_tiles` has."""
    lists = [5, 1 << 20, 1 << 19, 9, 1 << 21, 1 << 20], [], [8, 1 << 19, 5]
    yield json.dumps(packed_tiles(lists, FIRSTS)).encode()


def read_tiles(data: bytes) -> None:
    """Four columns of integers, in JSON."""
    try:
        counts, steps, starts, backs = json.loads(data)
        unpacked_tiles(counts, steps, starts, backs, FIRSTS, LASTS, SIZES)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise FormatError(str(error)) from None


# Files that come in


def read_bgzf(data: bytes) -> None:
    for _ in BlockReader(io.BytesIO(data)).portions():
        pass


def small_bams(seeds: Seeds) -> Iterator[bytes]:
    """BGZF files of a few kilobytes, with blocks of 300 bytes."""
    for head, data in inflated(seeds):
        if len(head) + len(data) <= SMALL:
            yield hostile.bgzf(head + data, 300)


def headers(seeds: Seeds) -> Iterator[bytes]:
    """Headers of BAM files, as they are there."""
    return (head for head, _ in inflated(seeds) if len(head) <= SMALL)


def indexes(seeds: Seeds) -> Iterator[bytes]:
    """BAI and CSI files, inflated; first the number of references and the length of the BAM."""
    for seed in seeds.indexes:
        if len(seed.index) <= SMALL:
            yield struct.pack("<BI", seed.references % 256, seed.bam_bytes) + seed.index


def read_index(data: bytes) -> None:
    references, size = struct.unpack_from("<BI", data.ljust(5, b"\0"))
    targets.read_index((data[5:], references, size))


_dataset = Dataset()
KERNELS = {
    "records": Kernel(records_of, read_records),
    "sums": Kernel(records_of, read_sums),
    "changed": Kernel(records_of, read_changed),
    "templates": Kernel(records_of, read_templates),
    "duplicates": Kernel(records_of, read_duplicates),
    "columns": Kernel(row_groups_of, read_columns),
    "contigs": Kernel(row_groups_of, read_contigs),
    "stored": Kernel(stored_streams, read_stored),
    "footer": Kernel(footers, read_footer),
    "manifest": Kernel(_dataset.manifests, _dataset.read_manifest),
    "chunks": Kernel(_dataset.indexes, _dataset.read_index),
    "tiles": Kernel(lists_of_tiles, read_tiles),
    "bgzf": Kernel(small_bams, read_bgzf),
    "header": Kernel(headers, Header.from_bam),
    "index": Kernel(indexes, read_index),
}
