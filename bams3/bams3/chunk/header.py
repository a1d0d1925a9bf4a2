"""The SAM header in the footer of a chunk, so that other tools can use the records of a chunk without its dataset.

The whole header is kept if it is small compared to the chunk. Otherwise, only the lines that its records need are kept:
@HD, the @SQ lines of the contigs that they mention, the @RG lines of their read groups, and the @PG lines of the
programs in their PG tags and of the previous programs. docs/format.md, "Header of a chunk", specifies this.
"""

from collections.abc import Iterable
from functools import cached_property

from bams3.bam.header import Header, as_bytes, field_of
from bams3.errors import SourceError

SHARE = 100
"""The whole header is kept if its compressed size times this is at most the size of the chunk's streams."""
LEVEL = 9
_KINDS = (b"@HD", b"@SQ", b"@RG", b"@PG", b"@CO")


class HeaderLines:
    """The header of a dataset, prepared once for all chunks, each of which keeps the lines that it needs."""

    def __init__(self, header: Header) -> None:
        """`header` is that of the dataset."""
        self.references = header.references
        self._header = header
        self._text = header.text.rstrip(b"\0")

    @cached_property
    def _compressed(self) -> int:
        """The compressed size of the header's text."""
        import zstandard

        return len(zstandard.ZstdCompressor(level=LEVEL).compress(self._text))

    @cached_property
    def _is_enough(self) -> bool:
        """Whether the header can be restored from its text alone."""
        try:
            restored = Header.from_text(self._text).references
        except SourceError:
            return False
        return (self._text, restored) == (self._header.text, self._header.references)

    @cached_property
    def _lines(self) -> dict[bytes, list[bytes]]:
        return _by_kind(self._text)

    @cached_property
    def _contigs(self) -> list[bytes]:
        """The @SQ lines, by reference id."""
        return _contigs(self._lines[b"@SQ"], self.references)

    def kept(
        self, references: Iterable[int], read_groups: Iterable[str], programs: Iterable[str], size: int
    ) -> bytes:
        """Return the header text for a chunk whose streams take `size` bytes and whose records mention these references
        (by id), read groups and programs. `programs` is not iterated if the whole header is kept."""
        if self._compressed * SHARE <= size and self._is_enough:
            return self._text
        kept = self._lines[b"@HD"][:1]
        kept += map(self._contigs.__getitem__, references)
        wanted = set(map(as_bytes, read_groups))
        kept += [line for line in self._lines[b"@RG"] if field_of(line, b"ID") in wanted]
        kept += _chain(self._lines[b"@PG"], set(map(as_bytes, programs)))
        return _joined(kept)


def joined(texts: Iterable[bytes], references: Iterable[tuple[str, int]]) -> Header:
    """Return the header of several chunks of a dataset: these references, and each line of the chunks' texts once."""
    known = tuple(references)
    found: dict[bytes, dict[bytes, None]] = {kind: {} for kind in _KINDS}
    for text in dict.fromkeys(texts):
        for kind, lines in _by_kind(text).items():
            found[kind] |= dict.fromkeys(lines)
    kept = [*found[b"@HD"]][:1]
    kept += _contigs(found[b"@SQ"], known)
    kept += [*found[b"@RG"], *found[b"@PG"], *found[b"@CO"]]
    return Header(_joined(kept), known)


def _by_kind(text: bytes) -> dict[bytes, list[bytes]]:
    """Lines by kind, without line ends; lines of other kinds are omitted."""
    found: dict[bytes, list[bytes]] = {kind: [] for kind in _KINDS}
    for line in text.split(b"\n"):
        line = line.rstrip(b"\r")
        if line[:3] in found and line[3:4] == b"\t":
            found[line[:3]].append(line)
    return found


def _contigs(lines: Iterable[bytes], references: Iterable[tuple[str, int]]) -> list[bytes]:
    """The @SQ lines of contigs. If a contig has none, a line with its name and length is made."""
    by_name = {field_of(line, b"SN"): line for line in lines}
    return [
        by_name.get(as_bytes(name)) or b"@SQ\tSN:%s\tLN:%d" % (as_bytes(name), length)
        for name, length in references
    ]


def _joined(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _chain(lines: list[bytes], programs: set[bytes]) -> list[bytes]:
    """The @PG lines of some programs and of all their previous programs (PP), in the order of the header."""
    by_id = {field_of(line, b"ID"): line for line in lines}
    wanted: set[bytes | None] = set()
    for program in programs:
        name: bytes | None = program
        while name in by_id and name not in wanted:
            wanted.add(name)
            name = field_of(by_id[name], b"PP")
    return [line for line in lines if field_of(line, b"ID") in wanted]
