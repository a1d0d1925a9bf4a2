"""The footer of a chunk: what is in it and where. docs/format.md, "Chunk", specifies the bytes.

A chunk ends with: the footer (JSON, zstd), its stored length (u32), CRC-32 of the stored footer (u32),
the magic. Everything is little-endian.
"""

import json
import struct
import zlib
from typing import Any, NamedTuple

from bams3.codec import ENCODINGS, HOT_STREAMS, streams
from bams3.errors import FormatError
from bams3.untrusted import inflate, parse_json

MAGIC = b"BAMS3\x00\x01\n"  # the last byte but one is the version of the container
TRAILER = struct.Struct("<II8s")
FOOTER_LEVEL = 9
MAX_FOOTER = 1 << 30  # bytes, inflated
ZONE_MAP = ("min_pos", "max_pos", "max_end", "min_mapq", "max_mapq", "flags_any", "flags_all")
MAX_RECORDS = 1 << 16  # in a row group
MAX_BYTES = (1 << 25) + (1 << 31)  # of the records of a row group: one more may follow 32 MiB
MAX_REFERENCE = 1 << 21  # bytes of a stream, besides four for each of the records
HOT = frozenset(HOT_STREAMS)


class StreamEntry(NamedTuple):
    """Where a stream's bytes are and what they are: `offset` from the chunk's start, lengths in bytes."""

    codec: str
    offset: int
    stored: int
    raw: int
    crc32: int

    def is_possible(self, body: int, limit: int) -> bool:
        """Can it be of a chunk that has `body` bytes before its footer, with at most `limit` bytes when inflated?"""
        _, offset, stored, raw, crc32 = self
        return (
            type(offset) is type(stored) is type(raw) is type(crc32) is int
            and len(MAGIC) <= offset <= offset + stored <= body
            and 0 <= raw <= limit
            and crc32 >= 0
        )


class RowGroupEntry(NamedTuple):
    """One row group: its zone map (0-based positions), the references and read groups that its records mention,
    size and CRC-32 of their BAM bytes, its streams."""

    records: int
    bytes: int
    min_pos: int
    max_pos: int
    max_end: int
    min_mapq: int
    max_mapq: int
    flags_any: int
    flags_all: int
    references: list[int]
    read_groups: list[str]
    crc32: int
    streams: dict[str, StreamEntry]

    def zone_map(self) -> dict[str, int]:
        """The zone map alone, by name."""
        return {name: getattr(self, name) for name in ZONE_MAP}

    def zone(self) -> list[int]:
        """Records, bytes, zone map, and stored bytes of the hot and of the cold streams: what the dataset's index
        holds of it."""
        stored = [0, 0]
        for name, entry in self.streams.items():
            stored[name not in HOT] += entry.stored
        return [self.records, self.bytes, *self.zone_map().values(), *stored]


class Footer(NamedTuple):
    """All that is needed to decode a chunk with nothing else at hand.

    `reference_id` (−1: reads with no position) and the window [`start`, `end`) say where its reads start;
    `references` are [id, name, length] of every reference that its records mention; `dataset` identifies
    the BAM header that those ids belong to.
    """

    dataset: str
    reference_id: int
    start: int
    end: int
    level: int
    references: list[list[Any]]
    encodings: dict[str, str]
    row_groups: list[RowGroupEntry]

    @classmethod
    def of_window(cls, dataset: str, reference_id: int, start: int, end: int, level: int) -> "Footer":
        """Of a chunk that has no row group yet."""
        return cls(dataset, reference_id, start, end, level, [], dict(ENCODINGS), [])

    @property
    def records(self) -> int:
        """Number of records in the chunk."""
        return sum(group.records for group in self.row_groups)

    def to_bytes(self) -> bytes:
        """Footer and trailer, as they end a chunk."""
        document = self._asdict() | {"row_groups": [group._asdict() for group in self.row_groups]}
        text = json.dumps(document, separators=(",", ":")).encode()
        stored = streams.deflate(text, FOOTER_LEVEL)
        if len(stored) >= len(text):  # only compressed footers are written: a reader has one case
            raise FormatError("a chunk's footer did not compress")
        return stored + TRAILER.pack(len(stored), zlib.crc32(stored), MAGIC)

    @classmethod
    def from_bytes(cls, tail: bytes, name: str) -> "Footer":
        """Parse the end of a chunk: `tail` has at least the footer and the trailer. `name` is for messages.

        Raises FormatError where the bytes are damaged, or of an unknown version or encoding.
        """
        stored_length = trailer_length(tail, name)
        if stored_length + TRAILER.size > len(tail):
            raise FormatError(
                f"{name}: damaged chunk: its footer is longer than the chunk; restore or convert it again"
            )
        stored = tail[-TRAILER.size - stored_length : -TRAILER.size]
        if zlib.crc32(stored) != TRAILER.unpack(tail[-TRAILER.size :])[1]:
            raise FormatError(
                f"{name}: damaged chunk: the footer's checksum is wrong; restore or convert it again"
            )
        try:
            return cls._from_document(parse_json(inflate(stored, MAX_FOOTER)))
        except FormatError as error:
            raise FormatError(f"{name}: {error}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FormatError(f"{name}: damaged chunk: its footer makes no sense ({error})") from error

    @classmethod
    def _from_document(cls, document: dict[str, Any]) -> "Footer":
        for encoded, encoding in document["encodings"].items():
            if ENCODINGS.get(encoded) != encoding:
                raise FormatError(
                    f"unknown encoding {encoding!r} of {encoded}; a newer bams3 may read this chunk"
                )
        groups = []
        for group in document.pop("row_groups"):
            entries = {name: StreamEntry(*entry) for name, entry in group.pop("streams").items()}
            groups.append(RowGroupEntry(streams=entries, **group))
        return cls(row_groups=groups, **document)

    def _check_identity(self, name: str) -> None:
        """Raise FormatError unless window, references and names are of the right types."""
        numbers = [self.reference_id, self.start, self.end, self.level]
        texts = [self.dataset]
        try:
            for reference, contig, length in self.references:
                numbers += reference, length
                texts.append(contig)
            for group in self.row_groups:
                numbers += [*group.zone_map().values(), *group.references]
                texts += [
                    *group.read_groups,
                    *group.streams,
                    *(entry.codec for entry in group.streams.values()),
                ]
            "".join(texts).encode("utf-8", "surrogateescape")
        except (TypeError, ValueError) as error:
            raise FormatError(f"{name}: damaged chunk: its footer makes no sense ({error})") from error
        possible = all(type(number) is int and -1 <= number < 1 << 40 for number in numbers)
        if not possible or self.reference_id >= 1 << 31:
            raise FormatError(
                f"{name}: damaged chunk: its footer has an impossible window, reference or zone map"
            )

    def check(self, body: int, name: str) -> None:
        """Raise FormatError unless every offset, length and count is possible in a chunk of `body` stream bytes."""
        self._check_identity(name)
        for number, group in enumerate(self.row_groups):
            if (
                not _is_count(group.records)
                or not 0 < group.records <= MAX_RECORDS
                or not _is_count(group.bytes)
                or group.bytes > MAX_BYTES
            ):
                raise FormatError(f"{name}: row group {number} has an impossible size or record count")
            for stream, entry in group.streams.items():
                if not entry.is_possible(body, 4 * group.bytes + MAX_REFERENCE):
                    raise FormatError(
                        f"{name}: row group {number}, stream '{stream}': impossible place or length"
                    )


def trailer_length(tail: bytes, name: str) -> int:
    """Stored length of the footer of a chunk that ends with `tail`."""
    if len(tail) < TRAILER.size + len(MAGIC) or tail[-8:-3] != MAGIC[:5]:
        raise FormatError(f"{name}: not a bams3 chunk, or cut short; restore or convert it again")
    if tail[-8:] != MAGIC:
        raise FormatError(f"{name}: a chunk of an unknown version {tail[-2]}; a newer bams3 may read it")
    return TRAILER.unpack(tail[-TRAILER.size :])[0]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62
