"""The SAM header in the footer of a chunk, with which other tools can use the records of a chunk that is alone.

The whole header is kept if it is small beside the chunk. Otherwise the lines are kept that the chunk's records need:
@HD, the @SQ lines of the contigs that they mention, the @RG lines of their read groups, and the @PG lines of the
programs in their PG tags with the programs before those. docs/format.md, "Header of a chunk", specifies this.
"""

from collections.abc import Iterable
from functools import lru_cache

from bams3.bam.header import Header
from bams3.errors import SourceError

SHARE = 100
"""The whole header is kept if its compressed size times this is at most the size of the chunk's streams."""
LEVEL = 9
_KINDS = (b"@HD", b"@SQ", b"@RG", b"@PG", b"@CO")


def header_text(
    header: Header, references: Iterable[int], read_groups: Iterable[str], programs: Iterable[str], size: int
) -> bytes:
    """Return the header text for a chunk whose streams take `size` bytes and whose records mention these references
    (by id), read groups and programs."""
    text, whole = _of_dataset(header)
    if whole and whole * SHARE <= size:
        return text
    lines = _lines(text)
    by_name = {_field(line, b"SN"): line for line in lines[b"@SQ"]}
    kept = lines[b"@HD"][:1]
    for reference in references:
        name, length = header.references[reference]
        encoded = name.encode("utf-8", "surrogateescape")
        kept.append(by_name.get(encoded) or b"@SQ\tSN:%s\tLN:%d" % (encoded, length))
    wanted = {name.encode("utf-8", "surrogateescape") for name in read_groups}
    kept += [line for line in lines[b"@RG"] if _field(line, b"ID") in wanted]
    kept += _chain(lines[b"@PG"], {name.encode("utf-8", "surrogateescape") for name in programs})
    return b"".join(line + b"\n" for line in kept)


def joined(texts: Iterable[bytes], references: Iterable[tuple[str, int]]) -> Header:
    """Return the header of several chunks of a dataset: these references, and every line of the chunks' texts once."""
    known = tuple(references)
    found: dict[bytes, dict[bytes, None]] = {kind: {} for kind in _KINDS}
    for text in texts:
        for kind, lines in _lines(text).items():
            found[kind] |= dict.fromkeys(lines)
    by_name = {_field(line, b"SN"): line for line in found[b"@SQ"]}
    kept = [*found[b"@HD"]][:1]
    for name, length in known:
        encoded = name.encode("utf-8", "surrogateescape")
        kept.append(by_name.get(encoded) or b"@SQ\tSN:%s\tLN:%d" % (encoded, length))
    kept += [*found[b"@RG"], *found[b"@PG"], *found[b"@CO"]]
    return Header(b"".join(line + b"\n" for line in kept), known)


@lru_cache(maxsize=4)
def _of_dataset(header: Header) -> tuple[bytes, int]:
    """The text of a dataset's header, and its compressed size; 0 if the text does not name all references."""
    import zstandard

    text = header.text.rstrip(b"\0")
    try:
        if Header.from_text(text).references != header.references or text != header.text:
            return text, 0
    except SourceError:
        return text, 0
    return text, len(zstandard.ZstdCompressor(level=LEVEL).compress(text))


@lru_cache(maxsize=4)
def _lines(text: bytes) -> dict[bytes, list[bytes]]:
    """Lines by kind, without line ends; lines of another kind are left out."""
    found: dict[bytes, list[bytes]] = {kind: [] for kind in _KINDS}
    for line in text.split(b"\n"):
        line = line.rstrip(b"\r")
        if line[:3] in found and line[3:4] == b"\t":
            found[line[:3]].append(line)
    return found


def _field(line: bytes, tag: bytes) -> bytes | None:
    """The value of a field of a header line."""
    for field in line.split(b"\t")[1:]:
        if field[:3] == tag + b":":
            return field[3:]
    return None


def _chain(lines: list[bytes], programs: set[bytes]) -> list[bytes]:
    """The @PG lines of some programs and of all before them (PP), in the order of the header."""
    by_id = {_field(line, b"ID"): line for line in lines}
    wanted: set[bytes | None] = set()
    for program in programs:
        name: bytes | None = program
        while name in by_id and name not in wanted:
            wanted.add(name)
            name = _field(by_id[name], b"PP")
    return [line for line in lines if _field(line, b"ID") in wanted]
