"""The header of a BAM file: its SAM text, verbatim, and its list of references."""

import struct
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import count
from typing import Any

from bams3._version import __version__
from bams3.bam.references import listed, packed, skipped
from bams3.errors import SourceError, UsageError
from bams3.shown import shown

MAGIC = b"BAM\1"
INT32 = struct.Struct("<i")
_LONG = "the file is damaged, or the contig is longer than 2147483647 bp, which is too long for BAM"
LONGEST_NAME = 1 << 16  # bytes of a reference name; every chunk with records on it repeats the name


class Header:
    """The header of a BAM file.

    `text` has the bytes of the SAM header, including any NULs at its end. `references` has (name, length in bp) by
    reference id; bytes of a name that are not UTF-8 are surrogate escapes.
    """

    def __init__(self, text: bytes, references: tuple[tuple[str, int], ...]) -> None:
        self.text, self.references = text, references

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Header) and (self.text, self.references) == (other.text, other.references)

    def __hash__(self) -> int:
        return hash((self.text, self.references))

    def __repr__(self) -> str:
        return f"Header({self.text!r}, {self.references!r})"

    @classmethod
    def from_bam(cls, data: Any) -> "Header":
        """Parse a bytes-like object that starts with the BAM magic and holds the whole header.

        Bytes after the header are ignored; `len(header.to_bam())` is the offset of the first. Raises SourceError if a
        length is impossible or runs past the data, or if a name is empty, unterminated or not unique.
        """
        view = memoryview(data)
        if bytes(view[:4]) != MAGIC:
            raise SourceError("not a BAM file: it does not start with the BAM magic")
        text = _take(view, 8, _length(view, 4, "the header text"), "the header text")
        return cls(text, _references(bytes(view[8 + len(text) : bytes_needed(data)])))

    @classmethod
    def from_text(cls, text: bytes) -> "Header":
        """Build a header whose references are the text's @SQ lines. Raises SourceError if a line has no SN or LN."""
        references = []
        for line in text.split(b"\n"):
            if line.startswith(b"@SQ\t"):
                fields = dict(
                    field.split(b":", 1) for field in line.rstrip(b"\r").split(b"\t")[1:] if b":" in field
                )
                name, length = fields.get(b"SN", b""), fields.get(b"LN", b"")
                if not name or not length.isdigit() or int(length) >= 1 << 31:
                    shown = line[:80].decode("utf-8", "backslashreplace")
                    raise SourceError(f"a header line has no SN or no valid LN: {shown!r}")
                references.append((name.decode("utf-8", "surrogateescape"), int(length)))
        return cls(text, _unique(references))

    def to_bam(self) -> bytes:
        """Encode the header as in a BAM file: magic, text and reference list; the inverse of `from_bam`."""
        sizes = INT32.pack(len(self.text)), INT32.pack(len(self.references))
        return b"".join([MAGIC, sizes[0], self.text, sizes[1], packed(self.references)])

    def reference_id(self, name: str) -> int:
        """Return the 0-based index of a reference in the list. Raises UsageError if the header does not have it."""
        try:
            return self._ids[name]
        except KeyError:
            raise UsageError(f"the header has no reference {name!r}") from None

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {name: reference_id for reference_id, (name, _) in enumerate(self.references)}


def program_line(header: Header, command: Sequence[str], version: str | None = __version__) -> bytes:
    """Return an @PG line for a command (its words), with a unique ID, and with the header's last program as PP.
    `version` is that of bams3; with None, the line has no version."""
    lines = [line for line in whole_lines(header.text).split(b"\n") if line.startswith(b"@PG\t")]
    known = [field[3:] for line in lines for field in line.split(b"\t") if field.startswith(b"ID:")]
    candidates = (b"bams3" + (b".%d" % i if i else b"") for i in count())
    fields = [b"@PG", b"ID:" + next(name for name in candidates if name not in known), b"PN:bams3"]
    if known:
        fields.append(b"PP:" + known[-1])
    if version:
        fields.append(f"VN:{version}".encode())
    words = " ".join(shown(word.translate({ord("\t"): " ", ord("\n"): " "})) for word in command)
    return b"\t".join([*fields, b"CL:" + words.encode()])


def whole_lines(text: bytes) -> bytes:
    """Return header text without trailing NULs, and with a final newline."""
    text = text.rstrip(b"\0")
    return text if text.endswith(b"\n") or not text else text + b"\n"


def as_bytes(name: str) -> bytes:
    """The bytes of a name, as in the header and in records."""
    return name.encode("utf-8", "surrogateescape")


def field_of(line: bytes, tag: bytes) -> bytes | None:
    """The value of a field of a header line (which must not have a line end); None if the line lacks the field."""
    at = line.find(b"\t" + tag + b":") + 4
    return line[at:].partition(b"\t")[0] if at > 3 else None


def checksums(header: bytes) -> Mapping[str, str]:
    """M5 (the MD5 of the sequence) of the contigs in a header, by name, of those that have it."""
    return {name: checksum.lower() for name, checksum in of_contigs(header, b"M5").items()}


def of_contigs(header: bytes, tag: bytes) -> Mapping[str, str]:
    """Return the values of a tag of the contigs in a header, by name, of those that have it."""
    lines = b"\n" + header
    first, last = lines.find(b"\n@SQ\t"), lines.rfind(b"\n@SQ\t")
    end = lines.find(b"\n", last + 1)
    return _of_lines(lines[first + 1 : end if end >= 0 else None] if first >= 0 else b"", tag)


@lru_cache(maxsize=8)  # samples of a cohort have the same lines
def _of_lines(lines: bytes, tag: bytes) -> Mapping[str, str]:
    found = {}
    for line in lines.split(b"\n"):
        if not line.startswith(b"@SQ\t") or b"\t%b:" % tag not in line:
            continue
        tags = dict(each.partition(b":")[::2] for each in line.rstrip(b"\r\0").split(b"\t"))
        name = tags.get(b"SN", b"").decode(errors="surrogateescape")
        found[name] = tags[tag].decode(errors="surrogateescape")
    return found


def bytes_needed(data: Any) -> int:
    """Return how many bytes the BAM header at the start of `data` takes.

    If the header is incomplete, the result is greater than `len(data)`: at least that many bytes are needed to know
    more. Impossible lengths are left for `Header.from_bam` to report.
    """
    size = len(data)
    at = 12 + _peek(data, 4)
    if size < at or at < 12:
        return max(at, 12)
    return skipped(data, at, _peek(data, at - 4))


def _peek(data: Any, at: int) -> int:
    return INT32.unpack_from(data, at)[0] if at + 4 <= len(data) else 0


@lru_cache(maxsize=1)  # samples of a cohort have the same references
def _references(data: bytes) -> tuple[tuple[str, int], ...]:
    """Parse the list of references of a BAM header."""
    view = memoryview(data)
    count = _length(view, 0, "the reference list")
    references, at = listed(data, 4, count)
    for reference_id in range(len(references), count):
        what = f"reference {reference_id}"
        name = _take(view, at + 4, _length(view, at, what), what)
        if name.find(b"\0") != len(name) - 1 or len(name) < 2:
            raise SourceError(f"the name of {what} in the BAM header is empty or not NUL-terminated")
        at += 4 + len(name)
        references.append((name[:-1].decode("utf-8", "surrogateescape"), _length(view, at, what, _LONG)))
        at += 4
    return _unique(references)


def _length(view: memoryview, at: int, what: str, why: str = "the file is damaged") -> int:
    """The length stored at byte `at`. `why` is the reason, for the error message, if it is negative."""
    if at + 4 > len(view):
        raise SourceError(f"the BAM header ends within {what}; the file is truncated")
    length: int = INT32.unpack_from(view, at)[0]
    if length < 0:
        raise SourceError(f"the BAM header gives a negative length for {what}; {why}")
    return length


def _take(view: memoryview, at: int, length: int, what: str) -> bytes:
    if at + length > len(view):
        raise SourceError(f"the BAM header ends within {what}; the file is truncated")
    return bytes(view[at : at + length])


def _unique(references: list[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    names = [name for name, _ in references]
    usual = {"\t", "\n", "\r"}.isdisjoint("".join(names)) and max(map(len, names), default=0) <= LONGEST_NAME
    if usual and len(set(names)) == len(names):
        return tuple(references)
    seen = set()
    for name in names:
        if "\t" in name or "\n" in name or "\r" in name:
            raise SourceError(f"the header has a reference named {name!r}, which SAM cannot represent")
        if len(name) > LONGEST_NAME:
            raise SourceError(
                f"the header has a reference name of {len(name)} characters ({name[:20]!r}…); "
                f"the limit is {LONGEST_NAME}: use a shorter name"
            )
        if name in seen:
            raise SourceError(f"the header has two references named {name!r}")
        seen.add(name)
    return tuple(references)
