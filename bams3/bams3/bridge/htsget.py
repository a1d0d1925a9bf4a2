"""Requests of htsget 1.3 (https://samtools.github.io/hts-specs/htsget.html), and its errors."""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from bams3.bam.regions import LAST, UNPLACED, Region
from bams3.select.projection import FIELDS, Projection

VERSION = "1.3.0"
STATUSES = {
    "InvalidAuthentication": 401, "PermissionDenied": 403, "NotFound": 404, "PayloadTooLarge": 413,
    "UnsupportedFormat": 400, "InvalidInput": 400, "InvalidRange": 400,
}  # fmt: skip
"""Type of error → HTTP status."""

_NUMBER = re.compile(r"[0-9]{1,10}")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9]")
_WHERE = ("referenceName", "start", "end")
_NAMES = {"format", "class", "fields", "tags", "notags"}


class HtsgetError(Exception):
    """An error for the client: an error type of the specification, and a message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Interval(NamedTuple):
    """A region in a request, 0-based half-open. None means the contig's start or end."""

    reference: str
    start: int | None = None
    end: int | None = None


class Query(NamedTuple):
    """The contents of a request: `intervals` (None: all records) and the fields of records, or only the header."""

    intervals: Sequence[Interval] | None = None
    projection: Projection = Projection()
    only_header: bool = False

    def regions(self, references: Sequence[tuple[str, int]]) -> list[Region] | None:
        """Return the requested regions in a dataset with these references, (name, length). Raises HtsgetError."""
        if self.intervals is None:
            return None
        known = {name: number for number, (name, _) in enumerate(references)}
        return [region for each in self.intervals for region in _regions(each, known)]


def _regions(interval: Interval, known: Mapping[str, int]) -> list[Region]:
    name, start, end = interval
    if name == "*":
        return [UNPLACED]
    if name not in known:
        raise HtsgetError("NotFound", f"no reference {name!r}")
    first, last = min(start or 0, LAST), LAST if end is None else min(end, LAST)
    return [Region(known[name], first, last)] if first < last else []  # nothing overlaps an empty interval


def of_url(parameters: Sequence[tuple[str, str]]) -> Query:
    """Return the query of a GET request, from the names and values in its URL. Raises HtsgetError."""
    known = [(name, value) for name, value in parameters if name in _NAMES or name in _WHERE]
    given = dict(known)
    if len(given) < len(known):
        raise HtsgetError("InvalidInput", "a parameter is given twice")
    lists = {name: value.split(",") if value else [] for name, value in given.items()}
    interval = _interval(given, lambda text: int(text) if _NUMBER.fullmatch(text) else None)
    if interval and None not in interval[1:] and interval.start > interval.end:  # type: ignore[operator]
        raise HtsgetError("InvalidRange", f"start {interval.start} is greater than end {interval.end}")
    return _query(given, lists, [interval] if interval else None, given.keys())


def of_body(body: bytes) -> Query:
    """Return the query of a POST request. Raises HtsgetError."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise HtsgetError("InvalidInput", "the body is not JSON") from None
    if not isinstance(given, dict):
        raise HtsgetError("InvalidInput", "the body is not a JSON object")
    if wrong := given.keys() & set(_WHERE):
        raise HtsgetError("InvalidInput", f"{min(wrong)} belongs in an object of the array regions")
    for name in ("format", "class"):
        if not isinstance(given.get(name, ""), str):
            raise HtsgetError("InvalidInput", f"{name} is not a string")
    for name in ("fields", "tags", "notags"):
        if not _is_list_of(given.get(name, []), str):
            raise HtsgetError("InvalidInput", f"{name} is not an array of strings")
    return _query(given, given, _intervals(given["regions"]) if "regions" in given else None, given.keys())


def _intervals(regions: Any) -> list[Interval]:
    if not _is_list_of(regions, dict) or not regions:
        raise HtsgetError("InvalidInput", "regions is not an array of at least one object")
    found = []
    for region in regions:
        interval = _interval(region, lambda value: value if type(value) is int else None)
        if interval is None or not isinstance(interval.reference, str):
            raise HtsgetError("InvalidInput", "a region has no referenceName")
        if None not in interval[1:] and interval.start >= interval.end:  # type: ignore[operator]
            raise HtsgetError("InvalidRange", f"start {interval.start} is not less than end {interval.end}")
        found.append(interval)
    return found


def _interval(given: Mapping[str, Any], number: Callable[[Any], int | None]) -> Interval | None:
    """The interval in a request, or None. `number` converts a value to an integer, or to None if it is not one."""
    places = []
    for name in ("start", "end"):
        place = None
        if name in given:
            place = number(given[name])
            if place is None or not 0 <= place < 1 << 32:
                raise HtsgetError("InvalidInput", f"{name} is not an unsigned integer of 32 bits")
            if given.get("referenceName", "*") == "*":
                raise HtsgetError("InvalidInput", f"{name} needs a referenceName other than *")
        places.append(place)
    return Interval(given["referenceName"], *places) if "referenceName" in given else None


def _query(
    given: Mapping[str, str],
    lists: Mapping[str, list[str]],
    intervals: Sequence[Interval] | None,
    names: Collection[str],
) -> Query:
    if given.get("format", "BAM").upper() != "BAM":
        raise HtsgetError("UnsupportedFormat", "only the format BAM is supported")
    if "class" in given:
        if given["class"] != "header":
            raise HtsgetError("InvalidInput", "class must be header, or be left out")
        if more := set(names) - {"class", "format"}:
            raise HtsgetError("InvalidInput", f"class=header cannot be combined with {min(more)}")
        return Query(only_header=True)
    fields = lists.get("fields", FIELDS)
    if unknown := [name for name in fields if name not in FIELDS]:
        raise HtsgetError("InvalidInput", f"unknown field {unknown[0]!r}")
    tags, notags = lists.get("tags"), lists.get("notags", [])
    for tag in (*(tags or ()), *notags):
        if not _TAG.fullmatch(tag):
            raise HtsgetError("InvalidInput", f"{tag!r} is not the name of a tag")
    if both := set(tags or ()) & set(notags):
        raise HtsgetError("InvalidInput", f"{min(both)} is in both tags and notags")
    return Query(intervals, Projection(tuple(fields), tags, tuple(notags)))


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)
