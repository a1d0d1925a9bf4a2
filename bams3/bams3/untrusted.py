"""Bounded reading and parsing of what is untrusted: any problem with it raises ValueError."""

import json
from typing import Any

PORTION = 1 << 20  # bytes that are read of a stream at a time

FREE = 16 << 20  # bytes to which any document may inflate; on top of that …
RATIO = 200  # … this many times its size, more than the documents of chunks and datasets need


def read_all(stream: Any, most: int) -> bytes:
    """Read a stream to its end. Memory is taken for what it has, however much it may have. Raises ValueError if it has
    more than `most` bytes."""
    parts, left = [], most
    while part := stream.read(min(PORTION, left + 1)):
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise ValueError(f"it has more than {most} bytes")
    return b"".join(parts)


def parse_json(data: bytes) -> Any:
    """Parse a JSON document. Raises ValueError if it is invalid, nested too deeply, or too large for memory."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except MemoryError:
        raise ValueError(f"not enough memory for its {len(data)} bytes") from None


def most_inflated(stored: int) -> int:
    """The most bytes to which a document of this many bytes may inflate."""
    return FREE + RATIO * stored


def inflate(stored: bytes, most: int, dictionary: Any = None) -> bytes:
    """Decompress one zstd frame of at most `most` bytes, and at most FREE + RATIO times its size. `dictionary`: the
    `ZstdCompressionDict` that it was compressed with. Raises ValueError."""
    import zstandard

    most = min(most, most_inflated(len(stored)))
    try:
        size = zstandard.frame_content_size(stored)
        if not 0 <= size <= most:
            raise ValueError(f"its declared decompressed size is {size} bytes")
        return zstandard.ZstdDecompressor(dict_data=dictionary).decompress(stored)
    except MemoryError:
        raise ValueError(f"not enough memory for {size} bytes") from None
    except zstandard.ZstdError as error:
        raise ValueError(f"it can't be decompressed ({error})") from None


def frame_length(stored: bytes) -> int:
    """Return the length of the zstd frame that data begin with. Raises ValueError if they do not have all of it."""
    import zstandard

    try:
        at: int = zstandard.frame_header_size(stored)
        checksum = 4 * zstandard.get_frame_parameters(stored).has_checksum
    except zstandard.ZstdError as error:
        raise ValueError(f"it can't be decompressed ({error})") from None
    is_last = False
    while not is_last and at < len(stored):  # RFC 8878, 3.1.1.2: blocks
        header = int.from_bytes(stored[at : at + 3], "little")
        is_last, is_run = bool(header & 1), header >> 1 & 3 == 1
        at += 3 + (1 if is_run else header >> 3)
    if not is_last or at + checksum > len(stored):
        raise ValueError("it ends too early")
    return at + checksum
