"""Stream codecs: how the bytes of a stream are compressed. The smallest of the results that a level tries is used."""

from functools import cache
from typing import Any, NamedTuple

import zstandard

from bams3.codec import rans
from bams3.codec.planes import put, split
from bams3.crc32 import crc32
from bams3.errors import FormatError

RAW = "raw"
CONSTANT = "constant"
ZSTD = "zstd"
RANS = ("rans0", "rans1")  # by order
PLANES = "planes"
MIXED = "mixed"
CODECS = (RAW, CONSTANT, ZSTD, *RANS, MIXED)  # codecs of a plane, by their number

LEVELS = range(1, 10)
PROFILES = {"fast": 1, "default": 5, "small": 9}
DEFAULT_LEVEL = PROFILES["default"]
MAX_RAW_LENGTH = 1 << 32  # bytes; no stream of a row group is longer
MAX_WIDTH = 8  # bytes of an integer

CONTEXT = 2  # bytes that each context of order 1 must save, since a decoder builds a table for it
TINY = 48  # bytes; smaller streams are not compressed
SAMPLE = 1 << 15  # bytes of a stream, at most, that decide whether zstd is worthwhile
MODEL_SAMPLE = 1 << 17  # the same for a model of bytes; more, because a model learns as it goes
MODEL_LENGTH = 1 << 8  # bytes; a model is not tried for smaller streams


class _Effort(NamedTuple):
    """What a level tries. `zstd` is the level of zstd (2 to 4 are worse than 1 here). rANS of order 1 is tried for
    streams of at least `order1` bytes, and at least 1 / `pairs` bytes per possible pair. With `model`, a model of the
    bytes is tried for cold streams. `codec.qualities` decides about qualities."""

    zstd: int
    order1: int
    pairs: float = 1
    model: bool = False


_EFFORTS = {
    1: _Effort(1, 1 << 14),
    2: _Effort(1, 1 << 11),
    3: _Effort(1, 1 << 9),
    4: _Effort(5, 1 << 9),
    5: _Effort(6, 1 << 8),
    6: _Effort(9, 1 << 8),
    7: _Effort(12, 1 << 8, 256),
    8: _Effort(15, 1 << 8, 256),
    9: _Effort(19, 1 << 8, 256, model=True),
}


def compress(data: Any, level: int, *, hot: bool = True) -> tuple[str, bytes]:
    """Compress a stream (bytes-like); return (codec, stored bytes). An attribute `width`, as `Buffer` has it, means
    that `data` consists of integers of that many bytes. If `hot`, only codecs that decode fast are used."""
    width = getattr(data, "width", 1)
    if len(data) < TINY:
        return _as_it_is(bytes(data))
    if width == 1:
        return _compress_bytes(memoryview(data), level, hot)  # no copy: it would be made under Python's lock
    stored = bytearray([width])
    for plane in split(data, width):
        codec, part = _compress_bytes(memoryview(plane), level, hot)
        stored.append(CODECS.index(codec))
        stored += len(part).to_bytes(4, "little") + part
    size = min(len(stored), len(data))
    packed = _deflated(memoryview(data), size, level)
    if packed is not None and len(packed) < size:
        return ZSTD, packed
    return (PLANES, bytes(stored)) if len(stored) < len(data) else (RAW, bytes(data))


def decompress(name: str, codec: str, stored: bytes | memoryview, raw_length: int) -> Any:
    """Decompress the stream `name`. The result is bytes-like, and never a view of `stored`. Raises FormatError if it is
    not `raw_length` long, or if the codec is unknown."""
    if not 0 < raw_length <= MAX_RAW_LENGTH:
        raise FormatError(f"stream '{name}' has an invalid length of {raw_length}")
    try:
        if codec == PLANES:
            return _join_planes(stored, raw_length)
        return _decompress_bytes(codec, stored, raw_length)
    except MemoryError as error:
        raise FormatError(f"stream '{name}': not enough memory for {raw_length} bytes") from error
    except FormatError as error:
        raise FormatError(f"stream '{name}': {error}") from error


def checksum(stored: bytes | memoryview) -> int:
    """CRC-32 (as in zlib and gzip) of a stream's stored bytes."""
    return crc32(stored)


def deflate(data: Any, level: int, dictionary: zstandard.ZstdCompressionDict | None = None) -> bytes:
    """Compress to one zstd frame, whose header has the content size."""
    return _compressor(level, dictionary).compress(data)


def _compress_bytes(data: memoryview, level: int, hot: bool) -> tuple[str, bytes]:
    codec, stored = _compress_fast(data, level)
    if hot or not _EFFORTS[level].model or len(data) < MODEL_LENGTH or codec in (RAW, CONSTANT):
        return codec, stored
    modelled = _modelled(data, len(stored))
    return (MIXED, modelled) if modelled is not None and len(modelled) < len(stored) else (codec, stored)


def _compress_fast(data: memoryview, level: int) -> tuple[str, bytes]:
    if len(data) < TINY:
        return _as_it_is(bytes(data))
    effort = _EFFORTS[level]
    model = rans.smallest(data, effort.order1, effort.pairs, CONTEXT)
    if model.count == 1:
        return CONSTANT, bytes(data[:1])
    size = min(int(model.size), len(data))
    packed = _deflated(data, size, level)
    if packed is None and size == len(data):
        return RAW, bytes(data)
    if packed is not None and len(packed) <= size:
        return (ZSTD, packed) if len(packed) < len(data) else (RAW, bytes(data))
    stored = bytes(model.encode())
    return (RANS[model.order], stored) if len(stored) < len(data) else (RAW, bytes(data))


def _modelled(data: memoryview, size: int) -> bytes | None:
    """Compress with a model of the bytes; returns None if a sample suggests that the result is not below `size`."""
    from bams3.codec import byte_model

    if len(data) > MODEL_SAMPLE:
        sample = data[:MODEL_SAMPLE]
        if len(set(sample)) < 2 or len(bytes(byte_model.encode(sample))) * len(data) > size * len(sample):
            return None
    return bytes(byte_model.encode(data))


def _as_it_is(plain: bytes) -> tuple[str, bytes]:
    return (CONSTANT, plain[:1]) if plain == plain[:1] * len(plain) else (RAW, plain)


def _deflated(data: memoryview, size: int, level: int) -> bytes | None:
    """Compress with zstd; returns None if a sample suggests that the result is not below `size`."""
    start = max(0, len(data) - SAMPLE) // 2
    sample = data[start : start + SAMPLE]
    goal = size / len(data) * len(sample)
    packed = deflate(sample, 1)
    if len(packed) > 1.1 * goal:
        return None
    if _EFFORTS[level].zstd > 1:
        packed = deflate(sample, _EFFORTS[level].zstd)
    if len(sample) == len(data):
        return packed
    return deflate(data, _EFFORTS[level].zstd) if len(packed) < 1.02 * goal else None


def _join_planes(stored: bytes | memoryview, raw_length: int) -> bytearray:
    width = stored[0] if stored else 0
    if not 1 < width <= MAX_WIDTH or raw_length % width:
        raise FormatError("its planes do not match its length")
    data = bytearray(raw_length)
    at = 1
    for plane in range(width):
        number, length = stored[at : at + 1], int.from_bytes(stored[at + 1 : at + 5], "little")
        at += 5
        if at + length > len(stored) or number[0] >= len(CODECS):
            raise FormatError("its planes are truncated")
        part = _decompress_bytes(CODECS[number[0]], stored[at : at + length], raw_length // width)
        put(part, plane, width, data)
        at += length
    if at != len(stored):
        raise FormatError("there are extra bytes after its planes")
    return data


def _decompress_bytes(codec: str, stored: bytes | memoryview, raw_length: int) -> Any:
    if codec == RAW:
        data: Any = bytes(stored)
    elif codec == CONSTANT:
        if len(stored) != 1:
            raise FormatError(f"{len(stored)} stored bytes instead of one")
        data = bytes(stored) * raw_length
    elif codec == ZSTD:
        data = _inflate(stored, raw_length)
    elif codec in RANS:
        data = rans.decode(stored, raw_length, RANS.index(codec))
    elif codec == MIXED:
        from bams3.codec import byte_model  # few commands need it

        data = byte_model.decode(stored, raw_length)
    else:
        raise FormatError(f"unknown codec {codec!r}; update bams3: a newer version may read it")
    if len(data) != raw_length:
        raise FormatError(f"{len(data)} bytes instead of the {raw_length} given in the footer")
    return data


def _inflate(stored: bytes | memoryview, raw_length: int) -> bytes:
    try:
        size = zstandard.frame_content_size(stored)
        if size != raw_length:
            raise FormatError(f"it inflates to {size} bytes instead of the {raw_length} given in the footer")
        return _decompressor().decompress(stored, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(f"it cannot be inflated: {error}") from error


@cache
def _of_this_thread() -> Any:
    """An object whose attributes are separate for each thread."""
    from _thread import _local  # threading.local; importing threading takes longer than reading a chunk

    return _local()


def _compressor(level: int, dictionary: zstandard.ZstdCompressionDict | None) -> zstandard.ZstdCompressor:
    """This thread's compressor. Compressors are expensive to create, especially with a dictionary, and threads must not
    share them."""
    local = _of_this_thread()
    if not hasattr(local, "compressors"):
        local.compressors = {}
    compressors: dict[Any, zstandard.ZstdCompressor] = local.compressors
    key = level, dictionary
    if key not in compressors:
        compressors[key] = zstandard.ZstdCompressor(level, dictionary, write_dict_id=False)
    return compressors[key]


def _decompressor() -> zstandard.ZstdDecompressor:
    local = _of_this_thread()
    if not hasattr(local, "decompressor"):
        local.decompressor = zstandard.ZstdDecompressor()
    decompressor: zstandard.ZstdDecompressor = local.decompressor
    return decompressor
