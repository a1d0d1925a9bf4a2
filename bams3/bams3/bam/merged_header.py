"""The merged header of several inputs, as `samtools merge` makes it, and the new ids that their records get."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from bams3.bam.header import Header, as_bytes, field_of
from bams3.errors import SourceError

_MASK = (1 << 48) - 1


@dataclass
class Translation:
    """Maps the ids of an input to those of the merged header.

    Attributes
    ----------
    references
        New reference ids, by old reference id, array('i').
    read_groups, programs
        Old id → new id, for the ids that the input's header defines.
    read_group
        The read group that all records get instead of theirs; None if they keep theirs.
    """

    references: array[int]
    read_groups: dict[bytes, bytes]
    programs: dict[bytes, bytes]
    read_group: bytes | None = None

    @property
    def keeps_order(self) -> bool:
        """Whether records that are sorted by coordinate stay sorted."""
        return all(a < b for a, b in pairwise(self.references))

    def keeps(self, tag: bytes, values: Iterable[str]) -> bool:
        """Whether RG or PG tags with these values stay as they are."""
        names = self.read_groups if tag == b"RG" else self.programs
        encoded = map(as_bytes, values)
        return self.read_group is None and all(names.get(value) == value for value in encoded)


class MergedHeader:
    """Merges the headers of inputs, which are added in order; `header` is the result.

    Contigs and read groups are in the order of their first occurrence; each name of a contig occurs once. If an @RG or
    @PG line has the same ID as an earlier one, it gets a new ID: the old one followed by a random number. With
    `combine_read_groups` or `combine_programs`, only the first such line is kept instead. `seed` is the seed of the
    random numbers, which are those of `samtools merge -s`.
    """

    def __init__(
        self, *, combine_read_groups: bool = False, combine_programs: bool = False, seed: int = 0
    ) -> None:
        self._combine = {b"@RG": combine_read_groups, b"@PG": combine_programs}
        self._state = (seed & 0xFFFFFFFF) << 16 | 0x330E
        self._first = b""
        self._sorted = True
        self._contigs: dict[bytes, int] = {}
        self._references: list[tuple[str, int]] = []
        self._lines: dict[bytes, list[bytes]] = {kind: [] for kind in (b"@SQ", b"@RG", b"@PG", b"@CO")}
        self._known: dict[bytes, set[bytes]] = {b"@RG": set(), b"@PG": set()}

    def add(self, header: Header, read_group: bytes | None = None) -> Translation:
        """Add the header of the next input. If `read_group` is given, its records get this read group.

        Raises SourceError for a line that htslib would refuse.
        """
        lines = _parsed(header.text)
        self._first = self._first or next(iter(lines[b"@HD"]), b"")
        references = array("i", self._add_contigs(header, lines[b"@SQ"]))
        groups, group_lines = self._renamed(b"@RG", _first_of_id(lines[b"@RG"]), read_group)
        programs, program_lines = self._renamed(b"@PG", [(_id(line), line) for line in lines[b"@PG"]])
        self._lines[b"@RG"] += (_with_program(line, b"\tPG:", programs) for line in group_lines)
        self._lines[b"@PG"] += (_with_program(line, b"\tPP:", programs) for line in program_lines)
        self._lines[b"@CO"] += lines[b"@CO"]
        translation = Translation(references, groups, programs, read_group)
        self._sorted = self._sorted and translation.keeps_order
        return translation

    @property
    def header(self) -> Header:
        """The merged header. Its @HD line says SO:unsorted if the contigs of an input are in a different order."""
        first = self._first if self._sorted or not self._first else _unsorted(self._first)
        lines = [first] if first else []
        lines += (line for kind in self._lines.values() for line in kind)
        return Header(b"".join(line + b"\n" for line in lines), tuple(self._references))

    def other_length(self, header: Header, translation: Translation) -> tuple[str, int, int] | None:
        """Return the first contig of an input that has another length in the merged header, and both lengths."""
        for (name, length), number in zip(header.references, translation.references, strict=False):
            if self._references[number][1] != length:
                return name, length, self._references[number][1]
        return None

    def _add_contigs(self, header: Header, lines: list[bytes]) -> Iterator[int]:
        """Add the contigs of an input; yield the new id of each."""
        by_name: dict[bytes, bytes] = {}
        for line in lines:
            by_name.setdefault(field_of(line, b"SN") or b"", line)
        for name, length in header.references:
            encoded = as_bytes(name)
            line = by_name.pop(encoded, b"") or b"@SQ\tSN:%s\tLN:%d" % (encoded, length)
            yield self._add_contig(encoded, length, line)
        for encoded, line in by_name.items():  # contigs that the header's list of references lacks
            if not encoded:
                raise SourceError(f"a header line has no SN: {_shown(line)}")
            number = field_of(line, b"LN") or b""
            if not number.isdigit() or int(number) >= 1 << 31:
                raise SourceError(f"a header line has no valid LN: {_shown(line)}")
            self._add_contig(encoded, int(number), line)

    def _add_contig(self, name: bytes, length: int, line: bytes) -> int:
        known = self._contigs.get(name)
        if known is not None:
            return known
        number = self._contigs[name] = len(self._references)
        self._references.append((name.decode("utf-8", "surrogateescape"), length))
        self._lines[b"@SQ"].append(_replaced(line, b"\tLN:", b"%d" % length))
        for other in filter(None, (field_of(line, b"AN") or b"").split(b",")):
            self._contigs.setdefault(other, number)
        return number

    def _renamed(
        self, kind: bytes, lines: list[tuple[bytes, bytes]], instead: bytes | None = None
    ) -> tuple[dict[bytes, bytes], list[bytes]]:
        """The new id of each old one, and the new lines of the merged header. `lines`: pairs of id and line."""
        known, by_id = self._known[kind], dict(lines)
        renamed, added = {}, []
        for old, _ in lines:
            new = old if instead is None else instead
            if instead is None and old in known and not self._combine[kind]:
                new = self._unique(old, known)
            if new not in known:
                known.add(new)
                added.append(_replaced(by_id[old], b"\tID:", new))
            renamed[old] = new
        if instead is not None and not added:
            new = self._unique(instead, known) if instead in known else instead
            known.add(new)
            added.append(b"@RG\tID:" + new)
        return renamed, added

    def _unique(self, name: bytes, known: set[bytes]) -> bytes:
        """An id that is not among the known ones: the name, and the next number from lrand48."""
        while True:
            self._state = (self._state * 0x5DEECE66D + 0xB) & _MASK
            found = b"%s-%08X" % (name, self._state >> 17)
            if found not in known:
                return found


def _parsed(text: bytes) -> dict[bytes, list[bytes]]:
    """The lines of a header by their kind. Raises SourceError for a line that htslib would refuse."""
    found: dict[bytes, list[bytes]] = {kind: [] for kind in (b"@HD", b"@SQ", b"@RG", b"@PG", b"@CO")}
    lines = text.partition(b"\0")[0].split(b"\n")
    if not lines[-1]:
        lines.pop()
    for line in lines:
        kind, tab, rest = line[:3], line[3:4], line[4:]
        fields = rest.split(b"\t") if kind != b"@CO" else []
        if (
            len(kind) < 3
            or not (kind[:1] == b"@" and kind[1:].isalpha() and tab == b"\t")
            or any(len(field) < 3 or field[2:3] != b":" for field in fields)
        ):
            raise SourceError(f"a line of the header is not valid, so it can't be merged: {_shown(line)}")
        if kind in (b"@RG", b"@PG"):
            _id(line)
        if kind in found:
            found[kind].append(line)
    return found


def _first_of_id(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Pairs of id and line; if several lines have the same id, only the first one."""
    found: dict[bytes, bytes] = {}
    for line in lines:
        found.setdefault(_id(line), line)
    return list(found.items())


def _id(line: bytes) -> bytes:
    value = field_of(line, b"ID")
    if value is None:
        raise SourceError(f"a line of the header has no ID, so it can't be merged: {_shown(line)}")
    return value


def _replaced(line: bytes, field: bytes, value: bytes) -> bytes:
    """The line with a new value in a field that it has."""
    before, _, after = line.partition(field)
    return before + field + value + after[len(after.partition(b"\t")[0]) :]


def _with_program(line: bytes, field: bytes, programs: dict[bytes, bytes]) -> bytes:
    """The line with the new id of the program that the field names, if that program is known."""
    new = programs.get(field_of(line, field[1:3]) or b"") if field in line else None
    return line if new is None else _replaced(line, field, new)


def _unsorted(line: bytes) -> bytes:
    """The @HD line with SO:unsorted, and without GO and SS."""
    kept = [field for field in line.split(b"\t") if field[:3] not in (b"GO:", b"SS:")]
    kept = [b"SO:unsorted" if field[:3] == b"SO:" else field for field in kept]
    return b"\t".join(kept if b"SO:unsorted" in kept else [*kept, b"SO:unsorted"])


def _shown(line: bytes) -> str:
    return repr(line[:80].decode("utf-8", "backslashreplace"))
