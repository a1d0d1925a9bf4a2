"""Stream codecs: how the bytes of one stream are compressed. Each stream has the one that suits it."""

import threading
import zlib

import zstandard

from bams3.errors import FormatError

RAW = "raw"
ZSTD = "zstd"

DEFAULT_LEVEL = 3
MAX_RAW_LENGTH = 1 << 32  # bytes; no stream of a row group is larger

# Streams that deserve another level than the rest (measured): packed bases lose a third at a stronger one;
# of qualities a stronger search finds no more matches, and a weaker one is faster.
_LEVEL_SHIFT = {"seq": 3, "qual": -2}

_local = threading.local()


def compress(name: str, data: bytes, level: int) -> tuple[str, bytes]:
    """The smallest of the stream codecs' results for the stream `name`: (codec, stored bytes)."""
    packed = _compressor(max(1, level + _LEVEL_SHIFT.get(name, 0))).compress(data)
    return (ZSTD, packed) if len(packed) < len(data) else (RAW, bytes(data))


def decompress(name: str, codec: str, stored: bytes, raw_length: int) -> bytes:
    """The bytes of a stream. Raises FormatError if they are not `raw_length` long or the codec is unknown."""
    if codec == RAW:
        data = stored
    elif codec == ZSTD:
        data = _inflate(name, stored, raw_length)
    else:
        raise FormatError(f"stream '{name}' has the unknown codec {codec!r}; a newer bams3 may read it")
    if len(data) != raw_length:
        raise FormatError(
            f"stream '{name}' has {len(data)} bytes instead of the {raw_length} that the footer says"
        )
    return data


def checksum(stored: bytes) -> int:
    """CRC-32 (as zlib, gzip) of a stream's stored bytes."""
    return zlib.crc32(stored)


def _inflate(name: str, stored: bytes, raw_length: int) -> bytes:
    try:
        size = zstandard.frame_content_size(stored)
        if size != raw_length or size > MAX_RAW_LENGTH:
            raise FormatError(
                f"stream '{name}' inflates to {size} bytes, not to the {raw_length} that the footer says"
            )
        return _decompressor().decompress(stored)
    except (zstandard.ZstdError, MemoryError) as error:
        raise FormatError(f"stream '{name}' can't be inflated: {error}") from error


def _compressor(level: int) -> zstandard.ZstdCompressor:
    """This thread's compressor of a level: contexts are costly to make and not to be shared."""
    compressors = _local.__dict__.setdefault("compressors", {})
    if level not in compressors:
        compressors[level] = zstandard.ZstdCompressor(level=level)
    return compressors[level]


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_local, "decompressor"):
        _local.decompressor = zstandard.ZstdDecompressor()
    return _local.decompressor
