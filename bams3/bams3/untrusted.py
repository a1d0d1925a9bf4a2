"""Bounded reading and parsing of untrusted data: any problem with the data raises ValueError."""

import json
from typing import Any

PORTION = 1 << 20  # bytes of a stream that are read at a time

FREE = 16 << 20  # bytes to which any document may inflate …
RATIO = 200  # … plus this many times its size: more than the documents of chunks and datasets need


def read_all(stream: Any, most: int) -> bytes:
    """Read a stream to its end. Raises ValueError if it has more than `most` bytes. Takes memory only for bytes that
    the stream actually has."""
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
    """The largest size in bytes to which a document of `stored` bytes may inflate."""
    return FREE + RATIO * stored


def inflate(stored: bytes, most: int, dictionary: Any = None, *, more: bool = False) -> bytes:
    """Decompress one zstd frame. Raises ValueError if it is invalid, or inflates to more than `most` bytes, or to more
    than FREE + RATIO times its size. `dictionary` is the `ZstdCompressionDict` that it was compressed with; `more`
    says whether other bytes may follow the frame."""
    import zstandard

    most = min(most, most_inflated(len(stored)))
    try:
        size = zstandard.frame_content_size(stored)
        if not 0 <= size <= most:
            raise ValueError(f"its declared decompressed size is {size} bytes")
        return zstandard.ZstdDecompressor(dict_data=dictionary).decompress(stored, allow_extra_data=more)
    except MemoryError:
        raise ValueError(f"not enough memory for {size} bytes") from None
    except zstandard.ZstdError as error:
        raise ValueError(f"it can't be decompressed ({error})") from None


def frame_length(stored: bytes) -> int:
    """Return the length of the zstd frame at the start of `stored`. Raises ValueError if it is incomplete."""
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
