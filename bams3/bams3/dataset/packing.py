"""Compression of the header's text, and of the list of references in a manifest.

docs/format.md, "Manifest", specifies both. Datasets of version 1 have both as plain text.
"""

import json
from typing import Any

from bams3.dataset import layout
from bams3.dataset.generations import path_in
from bams3.errors import SourceError
from bams3.storage import Storage
from bams3.untrusted import inflate, most_inflated, parse_json

LEVEL = 9
MAX_HEADER = (1 << 31) - 1  # greatest number of bytes of text, as in BAM
MAX_REFERENCES = 1 << 31  # greatest number of bytes of JSON


def header_path(version: int, generation: str = "") -> str:
    """Return the path of the header in a dataset of this version and generation."""
    return path_in(layout.HEADER, generation) if version > 1 else layout.PLAIN_HEADER


def stored_header(text: bytes, version: int) -> bytes:
    """Return the header's text in its stored form. Raises SourceError if readers would refuse to decompress it."""
    if version == 1:
        return text
    stored = _deflated(text)
    if len(text) > most_inflated(len(stored)):
        raise SourceError(
            f"the text of its header, {len(text)} bytes, is almost all repetition, and readers would refuse it; "
            "shorten it with samtools reheader"
        )
    return stored


def header_text(stored: bytes, version: int) -> bytes:
    """Return the text of a stored header. Raises ValueError if it is damaged."""
    return inflate(stored, MAX_HEADER) if version > 1 else stored


def readable_header(storage: Storage, path: str, version: int) -> bytes | None:
    """Return the text of the header in an object; None if the object is missing or damaged."""
    try:
        return header_text(storage.get(path), version)
    except (ValueError, FileNotFoundError):
        return None


def longest_header(text: int) -> int:
    """Return the greatest number of bytes that a header with a text of this length takes when stored."""
    return text + (text >> 7) + 512


def packed_references(references: list[list[Any]]) -> list[list[Any]] | str:
    """Return references for a manifest: [name, length] of each, or, if shorter, a zstd frame of that JSON in base64."""
    from base64 import b64encode

    plain = json.dumps(references, separators=(",", ":")).encode()
    packed = b64encode(_deflated(plain)).decode()
    return packed if len(packed) + 2 < len(plain) else references


def unpacked_references(references: Any, version: int) -> Any:
    """Parse the result of `packed_references`, without checking the values. Raises ValueError."""
    if version == 1 or not isinstance(references, str):
        return references
    from base64 import b64decode

    return parse_json(inflate(b64decode(references, validate=True), MAX_REFERENCES))


def _deflated(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=LEVEL).compress(data)
