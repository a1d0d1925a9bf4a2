"""Region strings and BED files: what a user writes, as 0-based half-open intervals."""

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from typing import NamedTuple

from bams3.errors import UsageError

References = Sequence[tuple[str, int]]

_COORDINATES = re.compile(r"([^-]*)-?([^-]*)")
_NUMBER = re.compile(r"([0-9][0-9,]{0,24}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})([kKmMgG]|[eE]\+?[0-9]{1,2})?")
_EXPONENTS = {"k": 3, "m": 6, "g": 9}
_INTEGER = re.compile("[0-9]{1,18}")
_CONTIG_RANGE = re.compile(r"(.*?)(?<![0-9])([0-9]{1,9})-([0-9]{1,9})", re.DOTALL)


class Region(NamedTuple):
    """The interval [start, end) of a reference, 0-based.

    `start` is -1 where records with a contig but no position (POS 0) are asked for as well.
    """

    reference_id: int
    start: int
    end: int


UNPLACED = Region(-1, -1, 0)
"""The records of no contig (reference id -1), whatever their position."""
UNPLACED_NAME = "_unplaced"
"""UNPLACED as a region string."""


def parse_regions(texts: Iterable[str], references: References) -> list[Region]:
    """Regions of `texts`, in their order, unmerged; `references` are names and lengths (bp) of the contigs.

    Besides samtools' forms (`chr1`, `chr1:1,000-2,000`, `chr1:1.5M-2M`, `chr1:100-`, `chr1:-200`, `chr1:100`
    which runs to the contig's end, `{HLA-A*01:01}:1-5`): `chr1-22` is a run of numbered contigs, `*` every
    contig, `.` every record, `_unplaced` those of no contig. An end past the contig's is clipped. Raises UsageError.
    """
    contigs = _by_name(references)
    return [region for text in texts for region in _parse(text, contigs)]


def merge_regions(regions: Iterable[Region]) -> list[Region]:
    """Regions sorted by (reference id, start), overlapping and adjacent ones made one; UNPLACED last."""
    merged: list[Region] = []
    for region in sorted(regions, key=lambda r: (r.reference_id < 0, r)):
        last = merged[-1] if merged else None
        if last and last.reference_id == region.reference_id and region.start <= last.end:
            merged[-1] = last._replace(end=max(last.end, region.end))
        else:
            merged.append(region)
    return merged


class BedLine(NamedTuple):
    """The interval [start, end) of a contig, 0-based; `name`: the fourth word, or ""."""

    contig: str
    start: int
    end: int
    name: str


def read_bed(path: str | PathLike[str], references: References) -> list[Region]:
    """Intervals of a BED file, in its order, unmerged, as `samtools view -L` takes them.

    Those on other contigs are ignored, ends clipped to the contig. An interval of no bases is kept: it
    selects the reads that span the point. Raises UsageError.
    """
    contigs = _by_name(references)
    regions = []
    for line in bed_lines(path):
        if line.contig in contigs:
            reference_id, length = contigs[line.contig]
            if line.start < length:
                regions.append(Region(reference_id, line.start, min(line.end, length)))
    return regions


def regions_of_bed(lines: Iterable[BedLine], references: References) -> list[Region]:
    """A region for each line, ends clipped to the contig. Raises UsageError for a contig that there is not."""
    contigs = _by_name(references)
    regions = []
    for line in lines:
        whole = _whole(line.contig, line.contig, contigs)
        regions.append(whole._replace(start=line.start, end=min(line.end, whole.end)))
    return regions


def bed_lines(path: str | PathLike[str]) -> Iterator[BedLine]:
    """The intervals of a BED file (plain or gzip), as samtools reads it.

    Lines of blanks, comments, `track` and `browser` are skipped. A contig and one number is one base, counted
    from 1. Raises UsageError.
    """
    for number, line in enumerate(_lines(fspath(path)), 1):
        fields = [field.decode("utf-8", "surrogateescape") for field in line.split()]
        if not fields or fields[0].startswith("#"):
            continue
        interval = _bed_interval(fields)
        if interval is None:
            if fields[0] in ("track", "browser"):
                continue
            raise UsageError(
                f"BED file {path}, line {number}: expected contig, start and end (0 <= start <= end)"
            )
        yield BedLine(fields[0], *interval, fields[3] if len(fields) > 3 else "")


def _by_name(references: References) -> dict[str, tuple[int, int]]:
    """Id and length of each contig."""
    return {name: (reference_id, length) for reference_id, (name, length) in enumerate(references)}


def _lines(path: str) -> list[bytes]:
    try:
        with open(path, "rb") as file:
            data = file.read()
        if data.startswith(b"\x1f\x8b"):
            import gzip

            data = gzip.decompress(data)
        return data.splitlines()
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(f"cannot read BED file {path}: {reason}") from None


def _bed_interval(fields: list[str]) -> tuple[int, int] | None:
    """(start, end) of a line's fields, 0-based half-open, or None where they are no interval."""
    if len(fields) < 2 or not _INTEGER.fullmatch(fields[1]):
        return None
    start = int(fields[1])
    if len(fields) == 2 or fields[2][0] not in "+-0123456789":  # contig and position, as in a VCF
        return (start - 1, start) if start else None
    if not _INTEGER.fullmatch(fields[2]) or int(fields[2]) < start:
        return None
    return start, int(fields[2])


def _parse(text: str, contigs: Mapping[str, tuple[int, int]]) -> list[Region]:
    if text == "*":
        return [Region(reference_id, 0, length) for reference_id, length in contigs.values()]
    if text == ".":
        return [*(Region(reference_id, -1, length) for reference_id, length in contigs.values()), UNPLACED]
    if text == UNPLACED_NAME:
        return [UNPLACED]
    name, coordinates = _split(text, contigs)
    if name == text and name not in contigs and (numbered := _CONTIG_RANGE.fullmatch(name)):
        return [_whole(each, text, contigs) for each in _numbered_names(numbered, text)]
    whole = _whole(name, text, contigs)
    return [whole if coordinates is None else _within(whole, coordinates, text)]


def _split(text: str, contigs: Mapping[str, tuple[int, int]]) -> tuple[str, str | None]:
    """The contig's name, and what follows its colon; the contigs decide which colon that is, as in htslib."""
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
        similar = [other for other in (f"chr{name}", name.removeprefix("chr")) if other in contigs]
        hint = f"; did you mean {similar[0]!r}?" if similar else ""
        where = "" if name == text else f" (region {text!r})"
        raise UsageError(f"unknown contig {name!r}{where}{hint}")
    reference_id, length = contigs[name]
    return Region(reference_id, 0, length)


def _numbered_names(match: re.Match[str], text: str) -> Iterable[str]:
    """Names of a run such as chr1-22; a leading zero in the first keeps the width (scaffold08-11)."""
    prefix, first, last = match.groups()
    if int(first) > int(last):
        raise UsageError(f"region {text!r}: the first contig's number is above the last's")
    width = len(first) if first.startswith("0") else 0
    return (f"{prefix}{number:0{width}d}" for number in range(int(first), int(last) + 1))


def _within(contig: Region, coordinates: str, text: str) -> Region:
    match = _COORDINATES.fullmatch(coordinates)
    if not match or not _is_coordinates(coordinates):
        raise UsageError(
            f"region {text!r}: expected start-end after the contig, as in chr1:1,000-2,000 or chr1:1M-2M"
        )
    first = _position(match[1], text) if match[1] else 1
    last = _position(match[2], text) if match[2] else max(contig.end, first)
    if first > last:
        raise UsageError(f"region {text!r}: the start is past the end")
    if first > contig.end:
        raise UsageError(f"region {text!r}: the start is past the end of the contig ({contig.end} bp)")
    return Region(contig.reference_id, first - 1, min(last, contig.end))


def _is_coordinates(text: str) -> bool:
    match = _COORDINATES.fullmatch(text)
    return bool(
        match and (match[1] or match[2]) and all(not n or _NUMBER.fullmatch(n) for n in match.groups())
    )


def _position(text: str, region: str) -> int:
    """A 1-based position such as 1,000 or 1.5M."""
    match = _NUMBER.fullmatch(text)
    assert match
    suffix = (match[2] or "e0").lower()
    whole, _, decimals = match[1].replace(",", "").partition(".")
    exponent = (_EXPONENTS.get(suffix) or int(suffix[1:])) - len(decimals)
    number, remainder = divmod(int(whole + decimals) * 10 ** max(exponent, 0), 10 ** max(-exponent, 0))
    if remainder:
        raise UsageError(f"region {region!r}: {text} is not a whole number of bases")
    if number < 1:
        raise UsageError(f"region {region!r}: positions are counted from 1")
    return number
