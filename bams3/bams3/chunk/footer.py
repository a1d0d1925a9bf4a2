"""The footer of a chunk: its contents and their locations. docs/format.md, "Chunk", specifies the bytes.

A chunk ends with the footer (JSON, compressed by zstd with the dictionary in `chunk.dictionary`), its stored length
(u32), the CRC-32 of the stored footer (u32), and the magic. All integers are little-endian. Chunks of version 1, which
use no dictionary and have more checksums, can also be read. In chunks of version 3, row groups have records of several
contigs.
"""

import json
import struct
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import pairwise
from operator import and_, or_
from typing import Any, NamedTuple, TypeVar

from bams3.chunk.dictionary import deflated, dictionary
from bams3.chunk.zones import check_joined, check_zones
from bams3.codec import EARLIER_ENCODINGS, ENCODINGS, HOT_STREAMS, ZoneMap, streams
from bams3.errors import FormatError
from bams3.untrusted import inflate, parse_json

Parsed = TypeVar("Parsed")

MAGIC = b"BAMS3\x00\x02\n"  # the second-to-last byte is the version of the container
JOINED_MAGIC = b"BAMS3\x00\x03\n"
"""Magic of a chunk that several contigs share."""
MAGICS = (b"BAMS3\x00\x01\n", MAGIC, JOINED_MAGIC)
"""Magics of all versions that can be read."""
TRAILER = struct.Struct("<II8s")
MAX_FOOTER = 1 << 30  # bytes, inflated
ZONE_FIELDS = ZoneMap._fields[:-2]  # the fields stored in a footer
MAX_REFERENCE = 1 << 21  # bytes of the reference stream, in addition to four per record
SMALL_COLD, SMALL_HOT = 1 << 16, 1 << 13
"""Bytes up to which all cold, or all hot, streams of a row group have one common checksum instead of one each."""
HOT = {name: place for place, name in enumerate(HOT_STREAMS)}
"""Hot streams, in the order in which they are stored."""


def is_hot(name: str, streams: Container[str]) -> bool:
    """Whether the stream `name` is hot in a row group that has `streams`."""
    return name in HOT or (name.startswith("name") and _names_are_hot(streams))


def hot_of(streams: Mapping[str, Any]) -> set[str]:
    """The names of the hot streams of a row group."""
    found = HOT.keys() & streams.keys()
    if _names_are_hot(streams):
        found.update(name for name in streams if name.startswith("name"))
    return found


def parted(streams: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The names of the cold streams and of the hot streams of a row group, in their order."""
    hot = hot_of(streams)
    return [name for name in streams if name not in hot], [name for name in streams if name in hot]


def _names_are_hot(streams: Container[str]) -> bool:
    """Whether names are hot: they are if there are no hashes of them."""
    return "border" in streams and "border.hash" not in streams


class StreamEntry(NamedTuple):
    """Location and codec of a stream: `offset` from the start of the chunk; lengths in bytes. `crc32` is None if the
    stream shares a checksum with others."""

    codec: str
    offset: int
    stored: int
    raw: int
    crc32: int | None


class RowGroupEntry(NamedTuple):
    """One row group: its zone map, the references and read groups that its records mention, the CRC-32 of its records
    in BAM encoding, its streams, and the CRC-32s of its cold and of its hot streams (None if each stream has its own).

    If several contigs share the chunk, `contigs` has those of the row group: for each its reference id, followed by the
    values of its records' zone map without `hot` and `cold`.
    """

    zone: ZoneMap
    references: list[int]
    read_groups: list[str]
    crc32: int
    streams: dict[str, StreamEntry]
    checksums: tuple[int | None, int | None] = (None, None)
    contigs: Sequence[Sequence[int]] = ()

    @property
    def zones(self) -> list[ZoneMap]:
        """The zone map of the row group or, if contigs share it, one for the records of each contig. Of these, only the
        first one has the bytes of the streams."""
        if not self.contigs:
            return [self.zone]
        first, *others = (ZoneMap(*values[1:]) for values in self.contigs)
        return [first._replace(hot=self.zone.hot, cold=self.zone.cold), *others]

    def to_json(self) -> dict[str, Any]:
        """The entry as in a footer of this version."""
        document = self._asdict()
        document["streams"] = {
            name: [codec, stored, raw] + ([] if crc32 is None else [crc32])
            for name, (codec, _, stored, raw, crc32) in self.streams.items()
        }
        zone, contigs = document.pop("zone"), document.pop("contigs")
        return ({"contigs": contigs} if contigs else dict(zip(ZONE_FIELDS, zone, strict=False))) | document


class Identity(NamedTuple):
    """What identifies a chunk: its dataset (`header_id`), reference (−1: unplaced reads) and window."""

    dataset: str
    reference_id: int
    start: int
    end: int
    level: int


class Footer(NamedTuple):
    """Everything that is needed to decode a chunk without its dataset.

    `reference_id` (−1: unplaced reads) and the window [`start`, `end`), 0-based, say where its reads start.
    `references` lists [id, name, length] of every reference that its records mention; `dataset` identifies the BAM
    header that defines these ids. `header` has the SAM header lines that the records need (see `chunk.header`), or is
    None in chunks of early versions.
    """

    dataset: str
    reference_id: int
    start: int
    end: int
    level: int
    references: list[list[Any]]
    encodings: dict[str, str]
    row_groups: list[RowGroupEntry]
    header: str | None = None

    @property
    def header_text(self) -> bytes:
        """`header` as bytes; empty if there is none."""
        return (self.header or "").encode("utf-8", "surrogateescape")

    @property
    def identity(self) -> Identity:
        """The identity of the chunk."""
        return Identity(*self[:5])

    @property
    def zones(self) -> list[ZoneMap]:
        """The zone maps of its row groups, in order; if contigs share the chunk, one for each contig in each row
        group."""
        return [zone for group in self.row_groups for zone in group.zones]

    @property
    def contigs(self) -> list[int]:
        """The reference id for each of `zones` if contigs share the chunk; otherwise empty."""
        return [contig[0] for group in self.row_groups for contig in group.contigs]

    @property
    def magic(self) -> bytes:
        """The first and the last bytes of the chunk."""
        return JOINED_MAGIC if self.row_groups and self.row_groups[0].contigs else MAGIC

    @property
    def records(self) -> int:
        """Number of records in the chunk."""
        return sum(group.zone.records for group in self.row_groups)

    def to_bytes(self) -> bytes:
        """The footer and the trailer, as at the end of a chunk."""
        document = self._asdict() | {"row_groups": [group.to_json() for group in self.row_groups]}
        if self.header is None:
            del document["header"]
        stored = deflated(json.dumps(document, separators=(",", ":")).encode())
        return stored + TRAILER.pack(len(stored), zlib.crc32(stored), self.magic)

    @classmethod
    def from_bytes(cls, tail: bytes, name: str) -> "Footer":
        """Parse the end of a chunk. `tail` has at least the footer and the trailer; `name` is for error messages.

        Raises FormatError if the bytes are damaged, or of an unknown version or encoding.
        """
        return _parsed(tail, name, cls._from_document)

    @classmethod
    def dataset_of(cls, tail: bytes, name: str) -> str:
        """Only the `dataset` of the footer. Nothing else is checked, which takes a quarter of the time."""
        return _parsed(tail, name, cls._dataset_of)

    @classmethod
    def _dataset_of(cls, document: dict[str, Any], _: int) -> str:
        if not isinstance(document["dataset"], str):
            raise ValueError("its dataset is not text")
        return document["dataset"]

    @classmethod
    def _from_document(cls, document: dict[str, Any], version: int) -> "Footer":
        check_encodings(document["encodings"])
        groups = list(_row_groups(document.pop("row_groups"), version))
        if document.get("header", "") is None:
            raise ValueError("its header is null")
        return cls(row_groups=groups, **document)

    def _check_values(self) -> None:
        """Raise ValueError or TypeError unless window, references and names have valid types and are consistent."""
        reference_id, start, end = self.reference_id, self.start, self.end
        numbers = [reference_id, start, end, self.level]
        texts = [self.dataset, *([] if self.header is None else [self.header])]
        for reference, contig, length in self.references:
            numbers += reference, length
            texts.append(contig)
        for group in self.row_groups:
            numbers += [
                *group.references,
                group.crc32,
                *(sum_ for sum_ in group.checksums if sum_ is not None),
            ]
            texts += [*group.read_groups, *group.streams, *(entry.codec for entry in group.streams.values())]
        "".join(texts).encode("utf-8", "surrogateescape")
        if not all(type(number) is int and -1 <= number < 1 << 32 for number in numbers):
            raise ValueError("invalid window, reference or checksum")
        placed = reference_id >= 0
        if not (0 <= start < end if placed else 0 <= start == end) or self.level not in streams.LEVELS:
            raise ValueError("invalid window or level")
        if placed and not all(_of(group, reference_id) <= {*group.references} for group in self.row_groups):
            raise ValueError("a reference that no row group mentions")
        mentioned = {reference for group in self.row_groups for reference in group.references}
        lists = [[row[0] for row in self.references], *(group.references for group in self.row_groups)]
        lists += [group.read_groups for group in self.row_groups]
        if not all(map(_ascends, lists)) or mentioned != set(lists[0]) or -1 in mentioned:
            raise ValueError("references or read groups differ from those of its row groups")

    def check(self, body: int, name: str) -> None:
        """Raise FormatError unless the footer is consistent, and possible for a chunk with `body` bytes before it."""
        try:
            self._check_values()
            lengths = {reference: length for reference, _, length in self.references}
            window, zones = self.identity[1:4], self.zones
            if contigs := self.contigs:
                check_joined(contigs, zones, *window, [lengths[contig] for contig in contigs])
            else:
                check_zones(zones, *window, lengths.get(self.reference_id, 0))
        except (TypeError, ValueError, KeyError) as error:
            raise FormatError(
                f"{name}: damaged chunk: invalid footer ({error}); restore it or convert it again"
            ) from error
        at = [len(MAGIC)]  # offsets of the next cold stream and of the next hot stream
        at.append(at[0] + sum(group.zone.cold for group in self.row_groups))
        for number, group in enumerate(self.row_groups):
            hot_streams, limit = hot_of(group.streams), 4 * group.zone.bytes + MAX_REFERENCE
            for stream, (_, offset, stored, raw, crc32) in group.streams.items():
                hot = stream in hot_streams
                if not (
                    type(offset) is type(stored) is type(raw) is int
                    and offset == at[hot]
                    and stored > 0
                    and 0 < raw <= limit
                    and (crc32 is None or (type(crc32) is int and 0 <= crc32 < 1 << 32))
                ):
                    raise FormatError(
                        f"{name}: row group {number}, stream '{stream}': invalid offset or length; "
                        "restore the chunk or convert it again"
                    )
                at[hot] += stored
            if not _ascends([HOT[stream] for stream in group.streams if stream in HOT]):
                raise FormatError(
                    f"{name}: row group {number}: its hot streams are out of order; "
                    "restore the chunk or convert it again"
                )
        if at[True] != body:
            raise FormatError(
                f"{name}: damaged chunk: its streams and footer do not add up to its size; "
                "restore it or convert it again"
            )


def _parsed(tail: bytes, name: str, of: Callable[[dict[str, Any], int], Parsed]) -> Parsed:
    """Parse the document at the end of a chunk, and call `of` with it and its version. Raises FormatError."""
    stored_length = trailer_length(tail, name)
    if stored_length + TRAILER.size > len(tail):
        raise FormatError(
            f"{name}: damaged chunk: its footer is longer than the chunk; restore it or convert it again"
        )
    stored = tail[-TRAILER.size - stored_length : -TRAILER.size]
    if zlib.crc32(stored) != TRAILER.unpack(tail[-TRAILER.size :])[1]:
        raise FormatError(
            f"{name}: damaged chunk: the footer's checksum is wrong; restore it or convert it again"
        )
    try:
        version = tail[-2]
        text = inflate(stored, MAX_FOOTER, dictionary() if version > 1 else None)
        return of(parse_json(text), version)
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise FormatError(
            f"{name}: damaged chunk: invalid footer ({error}); restore it or convert it again"
        ) from error


def joined_zone(zones: Iterable[Sequence[int]]) -> ZoneMap:
    """The zone map of a row group that contigs share, from the zone maps of the contigs, or from their values without
    `hot` and `cold`."""
    columns = list(zip(*zones, strict=True))
    if not len(ZONE_FIELDS) <= len(columns) <= len(ZoneMap._fields):
        raise ValueError("invalid contigs in a row group")
    low, high = [min(column) for column in columns], [max(column) for column in columns]
    return ZoneMap(
        sum(columns[0]), sum(columns[1]), low[2], high[3], high[4], low[5], high[6], reduce(or_, columns[7]),
        reduce(and_, columns[8]), *map(sum, columns[9:]),
    )  # fmt: skip


def _of(group: RowGroupEntry, reference_id: int) -> set[int]:
    """The references that the records of a row group are aligned to."""
    return {contig[0] for contig in group.contigs} or {reference_id}


def _row_groups(documents: list[dict[str, Any]], version: int) -> Iterator[RowGroupEntry]:
    """The row groups of a footer, with the offsets of their streams: the chunk has the cold streams of all row groups,
    followed by all hot ones. Raises LookupError, TypeError, ValueError."""
    told = []
    for document in documents:
        streams = document.pop("streams")
        length = 1 if version > 1 else 2  # index of the stored length
        hot_streams, sizes = hot_of(streams), [0, 0]
        for name, entry in streams.items():
            sizes[name in hot_streams] += entry[length]
        contigs = document.pop("contigs") if version > 2 else ()
        zone = (
            joined_zone(contig[1:] for contig in contigs)
            if contigs
            else ZoneMap(*(document.pop(key) for key in ZONE_FIELDS))
        )
        told.append((zone._replace(cold=sizes[False], hot=sizes[True]), contigs, streams, hot_streams))
    at = [len(MAGIC)]  # offsets of the next cold stream and of the next hot stream
    at.append(at[0] + sum(zone.cold for zone, *_ in told))
    for document, (zone, contigs, streams, hot_streams) in zip(documents, told, strict=True):
        cold, hot = document.pop("checksums") if version > 1 else (None, None)
        joint = cold is not None, hot is not None
        entries = {}
        for name, (codec, *rest) in streams.items():
            of_hot = name in hot_streams
            offset = rest.pop(0) if version == 1 else at[of_hot]
            stored, raw, *crc32 = rest
            if len(crc32) + joint[of_hot] != 1 or None in crc32:
                raise ValueError(f"stream '{name}' has no checksum, or two")
            entries[name] = StreamEntry(codec, offset, stored, raw, crc32[0] if crc32 else None)
            at[of_hot] += stored
        yield RowGroupEntry(zone, streams=entries, checksums=(cold, hot), contigs=contigs, **document)


def check_encodings(encodings: Mapping[str, str]) -> None:
    """Raise FormatError unless every field has an encoding that this version knows."""
    for field, encoding in encodings.items():
        if encoding not in (ENCODINGS.get(field), *EARLIER_ENCODINGS.get(field, ())):
            raise FormatError(
                f"unknown encoding {encoding!r} of {field}; update bams3: a newer version may read it"
            )
    if missing := ENCODINGS.keys() - encodings.keys():
        raise FormatError(f"damaged: no encoding for {', '.join(sorted(missing))}")


def _ascends(values: Sequence[Any]) -> bool:
    """Whether the values are strictly ascending."""
    return all(a < b for a, b in pairwise(values))


def check_version(magic: bytes, name: str) -> None:
    """Raise FormatError if this is the magic number of chunks of an unknown version."""
    if magic[:5] == MAGIC[:5] and magic not in MAGICS:
        raise FormatError(
            f"{name}: unknown chunk version {magic[-2]}; update bams3: a newer version may read it"
        )


def trailer_length(tail: bytes, name: str) -> int:
    """The stored length of the footer of a chunk that ends with `tail`."""
    if len(tail) < TRAILER.size + len(MAGIC) or tail[-8:-3] != MAGIC[:5]:
        raise FormatError(
            f"{name}: not a bams3 chunk, or only a part of one; convert it if it is a BAM file, otherwise restore it"
        )
    check_version(tail[-8:], name)
    size: int = TRAILER.unpack(tail[-TRAILER.size :])[0]
    return size
