"""Datasets of the earlier BAMS3 writers: version 0.1 (chunks of JSON) and 0.2 (binary chunks), read as SAM text.

These datasets do not have everything that a BAM has: mate fields (RNEXT, PNEXT, TLEN), types of tags, header lines that
the writers did not know, and bases other than A, C, G, T and N are missing. What exists is converted, and a warning
states what is missing.
"""

import hashlib
import heapq
import io
import json
import os
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

from bams3.bam.cigar import LETTERS
from bams3.errors import SourceError
from bams3.sources.feeds import Feed
from bams3.sources.htslib import HtslibSource
from bams3.sources.inputs import Input, Mapper
from bams3.sources.messages import show
from bams3.storage.local import LocalStorage
from bams3.untrusted import parse_json, read_all

LARGEST = 1 << 31
"""Maximum size in bytes of a chunk after decompression."""
PORTION = 1 << 20  # bytes of SAM text that are passed on at a time
MAGIC = 0x42414D33
HEAD = struct.Struct(
    "<IHHHH"
)  # record size, lengths of name and sequence, numbers of CIGAR operations and tags
FIXED = struct.Struct("<iiBH")  # refID, POS, MAPQ, FLAG
OPERATIONS = LETTERS[:9]  # the codes that a record may have
BASES = {1: "A", 2: "C", 4: "G", 8: "T", 15: "N"}
INTEGERS = frozenset(
    "AM AS CM CP FI H0 H1 H2 HI IH MQ NH NM OP PQ SM TC UQ XS".split()  # noqa: SIM905 (easier to read)
)
"""Tags that are integers according to the SAM specification, and XS, which aligners write as an integer."""


class Alignment(NamedTuple):
    """A record as it is stored in the old formats. `pos` is 0-based."""

    name: str
    flag: int
    ref: int
    pos: int
    mapq: int
    cigar: str
    seq: str
    qual: str
    tags: list[tuple[str, str]]


def is_legacy(path: str) -> bool:
    """Tell whether there is a dataset of an earlier writer at a local path."""
    try:
        document = parse_json(LocalStorage(path).get("_metadata.json"))
    except (OSError, ValueError):
        return False
    return (
        isinstance(document, dict)
        and document.get("format") == "bams3"
        and str(document.get("version", "")).startswith("0.")
    )


class LegacyDataset:
    """A legacy dataset in the role of an `Input`. Only `LegacyText` reads from it."""

    remote = once = False

    def __init__(self, path: str) -> None:
        """Read the metadata and the header. Raises SourceError if they are damaged."""
        self.path = self.name = path.rstrip("/")
        try:
            metadata = parse_json(self._read("_metadata.json"))
            header = parse_json(self._read("_header.json"))
            self.version = str(metadata["version"])
            self.chunks = [
                (str(c["path"]), str(c.get("checksum") or ""), int(c["reads"])) for c in metadata["chunks"]
            ]
            self.header, self.contigs = _header_text(header)
            self._order = {str(c["path"]): self._place(c) for c in metadata["chunks"]}
            self.total = int(metadata["statistics"]["total_reads"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SourceError(f"{self.name}: damaged metadata or header: {error!r}") from None

    def _place(self, chunk: dict[str, Any]) -> tuple[int, int]:
        """Return the position of a chunk in the order of the BAM. The chunk of unmapped reads comes last."""
        return self.contigs.get(str(chunk.get("reference")), 1 << 31), int(chunk.get("start") or 0)

    def _read(self, path: str) -> bytes:
        where = os.path.join(self.path, path)
        if os.path.isabs(path) or ".." in path.split("/"):
            raise SourceError(f"{self.name}: a chunk's path {path!r} leads out of the dataset")
        try:
            return LocalStorage(self.path).get(path)
        except OSError as error:
            raise SourceError(f"{where}: {error.strerror}") from None

    def open(self, start: int = 0, end: int | None = None) -> BinaryIO:
        """Return an empty file, because nothing is read through a file object."""
        return io.BytesIO()

    def will_read(self, spans: Any) -> None:
        """Do nothing, because chunks are read one after the other."""

    def close(self) -> None:
        """Do nothing."""

    def alignments(self) -> Iterator[Alignment]:
        """Yield all records in the order of the BAM. Raises SourceError if a chunk is damaged.

        Unmapped reads are in a separate chunk. Those with a position are sorted in, after the mapped reads at this
        position.
        """
        ordered = sorted(self.chunks, key=lambda chunk: self._order[chunk[0]])
        mapped = [chunk for chunk in ordered if self._order[chunk[0]][0] < 1 << 31]
        others = [read for chunk in ordered if chunk not in mapped for read in self._chunk(*chunk)]
        placed = sorted((read for read in others if read.ref >= 0), key=_position)
        yield from heapq.merge(
            (read for chunk in mapped for read in self._chunk(*chunk)), placed, key=_position
        )
        yield from (read for read in others if read.ref < 0)

    def _chunk(self, path: str, checksum: str, reads: int) -> list[Alignment]:
        stored = self._read(path)
        where = f"{self.name}/{path}"
        data = _inflated(stored, where)
        try:
            is_binary = data[:4] == struct.pack("<I", MAGIC)
            found = list(_binary(data) if is_binary else _of_json(data, self.contigs))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, struct.error) as error:
            raise SourceError(f"{where}: damaged chunk: {error!r}") from None
        told = checksum.removeprefix("sha256:")
        if told not in ("", hashlib.sha256(stored).hexdigest(), "" if is_binary else _checksum_of_json(data)):
            raise SourceError(f"{where}: damaged chunk: its checksum is wrong; restore it")
        if len(found) != reads:
            raise SourceError(f"{where}: it has {len(found)} records, but the metadata say {reads}")
        return found


class LegacyText(Feed):
    """The SAM text of an old dataset."""

    records: int

    def __init__(self, dataset: LegacyDataset) -> None:
        self.name, self.records = dataset.name, 0
        self._dataset = dataset

    def portions(self, mapper: Mapper = map) -> Iterator[bytes]:
        """Yield the text."""
        names = ["*", *self._dataset.contigs]
        text = [self._dataset.header]
        size = 0
        for read in self._dataset.alignments():
            line = self._line(read, names)
            self.records += 1
            text.append(line)
            size += len(line)
            if size >= PORTION:
                yield self._encoded(text)
                text, size = [], 0
        yield self._encoded(text)
        if self.records != self._dataset.total:
            raise SourceError(
                f"{self.name}: its chunks have {self.records} records, but the metadata say {self._dataset.total}"
            )

    def _encoded(self, text: list[str]) -> bytes:
        try:
            return "".join(text).encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            found = error.object[error.start : error.end]
            raise SourceError(f"{self.name}: a text has {found!r}, which is not a character") from None

    def _line(self, read: Alignment, names: list[str]) -> str:
        where = f"{self.name}: record {self.records + 1} ({read.name})"
        if not -1 <= read.ref < len(names) - 1:
            raise SourceError(f"{where}: reference {read.ref} is not in the header")
        tags = (f"{name}:{_kind(name, value)}:{value}" for name, value in read.tags)
        fields = [
            read.name or "*", str(read.flag), names[read.ref + 1], str(read.pos + 1), str(read.mapq), read.cigar or "*",
            "*", "0", "0", read.seq or "*", read.qual or "*", *tags,
        ]  # fmt: skip
        if any(set(field) & {"\t", "\n", "\r", "\0"} for field in fields):
            raise SourceError(f"{where}: a field has a character that SAM does not allow")
        return "\t".join(fields) + "\n"


def _position(read: Alignment) -> tuple[int, int]:
    return read.ref, read.pos


def _kind(name: str, value: str) -> str:
    """Return the type of a tag: integer if SAM defines it so and the text is a number, otherwise text."""
    digits = value.removeprefix("-")
    return "i" if name in INTEGERS and digits.isdecimal() and digits.isascii() and len(digits) < 10 else "Z"


def _inflated(stored: bytes, where: str) -> bytes:
    if stored[:4] != b"\x28\xb5\x2f\xfd":
        return stored
    import zstandard

    try:
        return read_all(zstandard.ZstdDecompressor().stream_reader(stored), LARGEST)
    except (zstandard.ZstdError, ValueError) as error:
        raise SourceError(f"{where}: damaged chunk: {error}") from None


def _header_text(header: dict[str, Any]) -> tuple[str, dict[str, int]]:
    """The SAM text of a header, and the id of each contig."""

    def line(kind: str, fields: dict[str, Any]) -> str:
        words = [f"{key}:{value}" for key, value in fields.items()]
        if any(set(word) & {"\t", "\n", "\r"} for word in words):
            raise ValueError(f"@{kind} has a field with a tab or a line end")
        return "\t".join([f"@{kind}", *words]) + "\n"

    first = dict(header.get("HD") or {})
    text = line("HD", {"VN": first.pop("VN", "1.6")} | first | {"SO": "coordinate"})
    contigs = header.get("SQ") or []
    for kind in ("SQ", "RG", "PG"):
        text += "".join(line(kind, fields) for fields in header.get(kind) or [])
    text += "".join(f"@CO\t{str(comment).splitlines()[0]}\n" for comment in header.get("CO") or [] if comment)
    return text, {str(contig["SN"]): number for number, contig in enumerate(contigs)}


def _of_json(data: bytes, contigs: dict[str, int]) -> Iterator[Alignment]:
    for record in parse_json(data):
        ref = record.get("ref", record.get("reference_id", 0))
        if isinstance(ref, str):
            ref = -1 if ref in ("*", "") else contigs[ref]
        tags = [(str(name), _text(value)) for name, value in (record.get("tags") or {}).items()]
        yield Alignment(
            str(record.get("name", "")), int(record.get("flag", 0)), int(ref),
            int(record.get("pos", record.get("position", 0))),
            int(record.get("mapq", record.get("mapping_quality", 0))), str(record.get("cigar") or ""),
            str(record.get("seq", record.get("sequence", "")) or ""),
            str(record.get("qual", record.get("quality", "")) or ""), tags,
        )  # fmt: skip


def _text(value: Any) -> str:
    """Return the text of a tag's value, which some writers store together with a type."""
    return str(value.get("value", "")) if isinstance(value, dict) else str(value)


def _checksum_of_json(data: bytes) -> str:
    """Return the checksum that the Python writer used: that of the JSON of each record, with sorted keys."""
    digest = hashlib.sha256()
    for record in parse_json(data):
        digest.update(json.dumps(record, sort_keys=True).encode())
    return digest.hexdigest()


def _binary(data: bytes) -> Iterator[Alignment]:
    _, version, _, count, _ = struct.unpack_from("<IHHII", data)
    if version != 0x0200:
        raise ValueError(f"version {version:#x} is unknown")
    at = 16
    for _ in range(count):
        size = HEAD.unpack_from(data, at)[0]
        if size < HEAD.size + FIXED.size or size > len(data) - at:
            raise ValueError(f"a record of {size} bytes")
        yield _binary_record(data[at : at + size])
        at += size
    if at != len(data):
        raise ValueError("bytes follow the last record")


def _binary_record(record: bytes) -> Alignment:
    _, name_length, length, operations, tags = HEAD.unpack_from(record)
    at = HEAD.size + name_length
    name = record[HEAD.size : at].rstrip(b"\0").decode("utf-8", "surrogateescape")
    ref, pos, mapq, flag = FIXED.unpack_from(record, at)
    at += FIXED.size
    cigar = "".join(
        f"{packed >> 4}{OPERATIONS[packed & 15]}"
        for packed in struct.unpack_from(f"<{operations}I", record, at)
    )
    at += 4 * operations
    packed = record[at : at + (length + 1) // 2]
    if len(packed) < (length + 1) // 2:
        raise ValueError(f"record {name!r} is too short for its bases")
    at += len(packed)
    codes = (code for byte in packed for code in (byte >> 4, byte & 15))
    seq = "".join(BASES.get(code, "N") for code, _ in zip(codes, range(length), strict=False))
    for has_qualities in (True, False):
        end = at + length if has_qualities else at
        if (found := _binary_tags(record[end:], tags)) is not None and end <= len(record):
            qual = record[at:end]
            known = has_qualities and length and all(33 <= byte <= 126 for byte in qual)
            return Alignment(
                name, flag, ref, pos, mapq, cigar, seq, qual.decode("ascii") if known else "*", found
            )
    raise ValueError(f"record {name!r}: its lengths contradict each other (too long for this format?)")


def _binary_tags(data: bytes, count: int) -> list[tuple[str, str]] | None:
    """Return the tags of a record; None unless they take exactly these bytes."""
    found = []
    for _ in range(count):
        end = data.find(b"\0", 3)
        if len(data) < 4 or data[2:3] != b"Z" or end < 0:
            return None
        found.append((data[:2].decode("latin-1"), data[3:end].decode("utf-8", "surrogateescape")))
        data = data[end + 1 :]
    return None if data else found


def open_legacy(path: str) -> HtslibSource:
    """Open an old dataset as a source of SAM text. Raises SourceError if its metadata are damaged."""
    dataset = LegacyDataset(path)
    show(
        dataset.name,
        f"this is a BAMS3 dataset of version {dataset.version}, which did not keep mates (RNEXT, PNEXT, TLEN), the "
        "types of tags and some header lines; these are now missing, or have the values that SAM prescribes",
    )
    alignments = cast(Input, dataset)  # it has the methods that are needed to read a source as a whole
    return HtslibSource(
        alignments, "SAM", lambda _: LegacyText(dataset), dataset.open(), allow_truncated=True
    )
