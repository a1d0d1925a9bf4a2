"""Range requests and conditional requests of HTTP (RFC 9110, sections 13 and 14)."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

MOST = 64
"""The most ranges of one request."""
_NUMBERS = r"\d{1,18}"  # within 64 bits
_RANGE = re.compile(rf"({_NUMBERS})-({_NUMBERS})?|-({_NUMBERS})")
_TAG = re.compile(r'\s*(?:W/)?"([^"]*)"\s*(?:,|$)')

Range = tuple[int, int]
"""Start and end of bytes, 0-based half-open."""


def ranges_of(headers: Mapping[str, str], size: int, etag: str) -> list[Range] | None:
    """Return the requested ranges, in their order; None means all bytes.

    Ranges are clipped to `size`; those past it are omitted. The header Range is ignored if it is invalid, or if
    If-Range does not match `etag`. An empty list means that no range contains a byte, or that there are too many
    ranges.
    """
    text = headers.get("range", "")
    unit, _, wanted = text.partition("=")
    if unit.strip().lower() != "bytes" or headers.get("if-range", f'"{etag}"').strip() != f'"{etag}"':
        return None
    found = []
    for each in filter(None, (part.strip() for part in wanted.split(","))):
        match = _RANGE.fullmatch(each)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            return None
        if match[3]:
            start, end = max(size - int(match[3]), 0), size
        else:
            start, end = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
        if start < end:
            found.append((start, end))
    return found if len(found) <= MOST else []


def status_of_conditions(headers: Mapping[str, str], etag: str, modified: float) -> int:
    """Return 412 if the client does not want the content in this state, 304 if it already has it, otherwise 200.

    Conditions on the time, `modified`, count only if there are none on the ETag.
    """
    if (text := headers.get("if-match")) is not None:
        if not _names(text, etag, weakly=False):
            return 412
    elif _is_newer(modified, headers.get("if-unmodified-since")):
        return 412
    if (text := headers.get("if-none-match")) is not None:
        if _names(text, etag, weakly=True):
            return 304
    elif _is_newer(modified, headers.get("if-modified-since")) is False:
        return 304
    return 200


def _is_newer(modified: float, text: str | None) -> bool | None:
    """Whether a time, in whole seconds, is after that of a header; None if the header has none."""
    try:
        return None if text is None else int(modified) > parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _names(text: str, etag: str, *, weakly: bool) -> bool:
    if text.strip() == "*":
        return True
    return any(tag[1] == etag and (weakly or "W/" not in tag[0]) for tag in _TAG.finditer(text))
