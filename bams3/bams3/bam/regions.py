"""Region strings and BED files that users give, as 0-based half-open intervals."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from typing import Any, NamedTuple

from bams3.bam import intervals
from bams3.errors import UsageError
from bams3.inflate import Opener, of_disk, whole_lines
from bams3.warned import warn

References = Sequence[tuple[str, int]]

# Patterns are compiled on first use, because many commands get no region.
_COORDINATES = r"([^-]*)-?([^-]*)"
_NUMBER = r"([0-9][0-9,]{0,24}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})([kKmMgG]|[eE]\+?[0-9]{1,2})?"
_EXPONENTS = {"k": 3, "m": 6, "g": 9}
_CONTIG_RANGE = r"(?s)(.*?)(?<![0-9])([0-9]{1,9})-([0-9]{1,9})"


class Region(NamedTuple):
    """The interval [start, end) of a reference, 0-based.

    `start` is -1 if records with a contig but without a position (POS 0 in SAM) are included.
    """

    reference_id: int
    start: int
    end: int


LAST = 2**31 - 1
"""Greater than every position, and at least the end of the longest contig."""
UNPLACED = Region(-1, -1, 0)
"""Records without a contig (reference id -1), whatever their position."""
_NOWHERE = Region(-1, LAST, LAST)
UNPLACED_NAME = "_unplaced"
"""The region string for UNPLACED."""


def parse_regions(texts: Iterable[str], references: References) -> list[Region]:
    """Parse region strings; the result has the same order and is not merged. `references`: names and lengths (bp).

    Accepts samtools' forms (`chr1`, `chr1:`, `chr1:1,000-2,000`, `chr1:1.5M-2M`, `chr1:100-`, `chr1:-200`, `chr1:100`,
    which extends to the contig's end, and `{HLA-A*01:01}:1-5`) and, in addition, `chr1-22` for a run of numbered
    contigs, `*` for all contigs, `.` for all records, and `_unplaced` for records without a contig. As in samtools,
    position 0 is the start. An end past the end of the contig is clipped. A start past it is accepted, with a warning,
    because damaged alignments can begin there. Raises UsageError if a string is not a region.
    """
    contigs = _by_name(references)
    return [region for text in texts for region in _parse(text, contigs)]


class RegionTable(Sequence[Region]):
    """Millions of regions as columns: arrays of their `reference_ids` (int32), `starts` and `ends` (int64)."""

    def __init__(self, reference_ids: array[int], starts: array[int], ends: array[int]) -> None:
        self.reference_ids, self.starts, self.ends = reference_ids, starts, ends

    @classmethod
    def of(cls, regions: Iterable[Region]) -> RegionTable:
        """Make a table of any regions."""
        if isinstance(regions, RegionTable):
            return regions
        table = cls(array("i"), array("q"), array("q"))
        for reference_id, start, end in regions:
            table.reference_ids.append(reference_id)
            table.starts.append(start)
            table.ends.append(end)
        return table

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return RegionTable(self.reference_ids[row], self.starts[row], self.ends[row])
        return Region(self.reference_ids[row], self.starts[row], self.ends[row])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def by_reference(self) -> Iterator[tuple[int, array[int], array[int], array[int]]]:
        """For each reference (-1 last): its id, and the starts, ends and row numbers of its regions, sorted."""
        ids, starts, ends, rows = intervals.in_order(self.reference_ids, self.starts, self.ends)
        for reference_id, first, last in intervals.by_reference(ids):
            yield reference_id, starts[first:last], ends[first:last], rows[first:last]

    def merged(self) -> Iterator[tuple[int, array[int], array[int]]]:
        """For each reference (-1 last): its id, and sorted starts and ends, merged if they overlap or are adjacent."""
        for reference_id, starts, ends, _ in self.by_reference():
            yield reference_id, *intervals.merged(starts, ends)


def merge_regions(regions: Iterable[Region]) -> list[Region]:
    """Sort regions by (reference id, start) and merge overlapping and adjacent ones; UNPLACED comes last."""
    return [
        Region(reference_id, start, end)
        for reference_id, starts, ends in RegionTable.of(regions).merged()
        for start, end in zip(starts, ends, strict=True)
    ]


class BedTable(NamedTuple):
    """The intervals of a BED file in file order, 0-based half-open, as columns.

    Attributes
    ----------
    contigs
        Names of the contigs.
    contig
        Index into `contigs` for each interval (int32).
    starts, ends
        Of each interval (int64).
    names
        The fourth column for each interval, b"" if there is none; None if no interval has one.
    """

    contigs: list[str]
    contig: array[int]
    starts: array[int]
    ends: array[int]
    names: list[bytes] | None

    def regions(self, references: References, *, partial: bool = False) -> RegionTable:
        """A region for each interval; ends are clipped to the contig. Raises UsageError for an unknown contig.

        If `partial`, `references` has only contigs that records mention. Other contigs have no records then, and raise
        no error.
        """
        contigs = _by_name(references)
        known = [
            _NOWHERE if partial and name not in contigs else _whole(name, name, contigs)
            for name in self.contigs
        ]
        within = [known[contig] for contig in self.contig]
        starts, ends = (
            array(
                "q",
                (min(max(at, region.start), region.end) for at, region in zip(column, within, strict=True)),
            )
            for column in (self.starts, self.ends)
        )
        return RegionTable(array("i", (region.reference_id for region in within)), starts, ends)


def read_bed(path: str | PathLike[str], references: References, *, opener: Opener = of_disk) -> RegionTable:
    """Read the intervals of a BED file in file order, unmerged, as `samtools view -L` does.

    Intervals on unknown contigs are ignored. If all contigs are unknown, but one has a similar name to a known contig
    (`1` and `chr1`), there is a warning. Ends are clipped to the contig. An empty interval is kept: it selects the
    reads that span the point. Raises UsageError if the file cannot be read or parsed.
    """
    table = bed_table(path, opener=opener)
    contigs = _by_name(references)
    if contigs.keys().isdisjoint(table.contigs):
        for name in table.contigs:
            if other := _similar(name, contigs):
                warn(
                    f"BED file {path}: it selects no reads, because its contig {name!r} is {other!r} in the header"
                )
                break
    found = [contigs.get(name, (-1, 0)) for name in table.contigs]
    ids, lengths = array("i", (i for i, _ in found)), array("q", (length for _, length in found))
    return RegionTable(*intervals.placed(table.contig, table.starts, table.ends, ids, lengths))


def bed_table(path: str | PathLike[str], *, names: bool = False, opener: Opener = of_disk) -> BedTable:
    """Read the intervals of a BED file (plain or gzip) as samtools does, with their names if `names` is true.

    Blank lines, comments, `track` and `browser` lines are skipped. A contig and one number mean a single 1-based
    position. The file is read once, from beginning to end; `opener` opens it. Raises UsageError if it cannot be read or
    parsed.
    """
    reader = intervals.BedReader(names)
    try:
        with opener(fspath(path)) as file:
            for text in whole_lines(file):
                if not reader.feed(text):
                    raise UsageError(
                        f"BED file {path}, line {reader.lines}: expected contig, start and end (0 <= start <= end)"
                    )
    except OSError as error:
        raise UsageError(f"can't read the BED file {path}: {error.strerror or error}") from None
    return BedTable(reader.contigs, *reader.columns(), reader.names())


def _by_name(references: References) -> dict[str, tuple[int, int]]:
    """Map each contig name to its id and length."""
    return {name: (reference_id, length) for reference_id, (name, length) in enumerate(references)}


def _parse(text: str, contigs: Mapping[str, tuple[int, int]]) -> list[Region]:
    if text == "*":
        return [Region(reference_id, 0, length) for reference_id, length in contigs.values()]
    if text == ".":
        return [*(Region(reference_id, -1, length) for reference_id, length in contigs.values()), UNPLACED]
    if text == UNPLACED_NAME:
        return [UNPLACED]
    name, coordinates = _split(text, contigs)
    if name == text and name not in contigs and (numbered := re.fullmatch(_CONTIG_RANGE, name)):
        return [_whole(each, text, contigs) for each in _numbered_names(numbered, text)]
    whole = _whole(name, text, contigs)
    return [whole if coordinates in (None, "", "-") else _within(whole, coordinates, text)]


def _split(text: str, contigs: Mapping[str, tuple[int, int]]) -> tuple[str, str | None]:
    """Split into the contig's name and the text after its colon. As in htslib, known contigs decide which colon."""
    if text.startswith("{"):
        name, brace, rest = text[1:].rpartition("}")
        if not brace or not (rest == "" or rest.startswith(":")):
            raise UsageError(f"region {text!r}: expected {{contig}} or {{contig}}:start-end")
        return name, rest[1:] if rest else None
    name, colon, rest = text.rpartition(":")
    if text not in contigs:
        return (name, rest) if colon else (text, None)
    if name in contigs and _is_coordinates(rest):
        raise UsageError(f"region {text!r} is ambiguous: write {{{text}}} or {{{name}}}:{rest}")
    return text, None


def _whole(name: str, text: str, contigs: Mapping[str, tuple[int, int]]) -> Region:
    if name not in contigs:
        similar = _similar(name, contigs)
        hint = f"; did you mean {similar!r}?" if similar else ""
        where = "" if name == text else f" (region {text!r})"
        raise UsageError(f"unknown contig {name!r}{where}{hint}")
    reference_id, length = contigs[name]
    return Region(reference_id, 0, length)


def _similar(name: str, contigs: Mapping[str, tuple[int, int]]) -> str | None:
    """The contig that `name` probably means: some files add or omit `chr`, or call chrM `MT`."""
    bare = name.removeprefix("chr")
    mitochondrial = ("chrM", "MT", "M") if bare in ("M", "MT") else ()
    return next((other for other in (f"chr{name}", bare, *mitochondrial) if other in contigs), None)


def _numbered_names(match: re.Match[str], text: str) -> Iterable[str]:
    """Names in a run such as chr1-22; a leading zero in the first number keeps the width (scaffold08-11)."""
    prefix, first, last = match.groups()
    if int(first) > int(last):
        raise UsageError(f"region {text!r}: the first contig's number is greater than the last's")
    width = len(first) if first.startswith("0") else 0
    return (f"{prefix}{number:0{width}d}" for number in range(int(first), int(last) + 1))


def _within(contig: Region, coordinates: str, text: str) -> Region:
    match = re.fullmatch(_COORDINATES, coordinates)
    if not match or not _is_coordinates(coordinates):
        raise UsageError(
            f"region {text!r}: expected start-end after the contig, as in chr1:1,000-2,000 or chr1:1M-2M"
        )
    first = max(_position(match[1], text), 1) if match[1] else 1
    last = _position(match[2], text) if match[2] else None
    if last is not None and first > last:
        raise UsageError(f"region {text!r}: the start is past the end")
    if first > contig.end:
        size = f", which has {contig.end} bp" if contig.end < LAST else ""
        warn(f"region {text}: past the end of the contig{size}")
        return Region(contig.reference_id, min(first, LAST) - 1, LAST if last is None else min(last, LAST))
    return Region(contig.reference_id, first - 1, contig.end if last is None else min(last, contig.end))


def _is_coordinates(text: str) -> bool:
    match = re.fullmatch(_COORDINATES, text)
    return bool(
        match and (match[1] or match[2]) and all(not n or re.fullmatch(_NUMBER, n) for n in match.groups())
    )


def _position(text: str, region: str) -> int:
    """Parse a 1-based position such as 1,000 or 1.5M."""
    match = re.fullmatch(_NUMBER, text)
    assert match
    suffix = (match[2] or "e0").lower()
    whole, _, decimals = match[1].replace(",", "").partition(".")
    exponent = (_EXPONENTS.get(suffix) or int(suffix[1:])) - len(decimals)
    number: int
    number, remainder = divmod(int(whole + decimals) * 10 ** max(exponent, 0), 10 ** max(-exponent, 0))
    if remainder:
        raise UsageError(f"region {region!r}: {text} is not a whole number of bases")
    return number
