"""docs/format.md, "Codecs": from stored bytes to the bytes of a stream."""

from __future__ import annotations

import struct

import zstandard

from reader.entropy import rans
from reader.models import byte_model

CODECS = ("raw", "constant", "zstd", "rans0", "rans1", "mixed")


def planes(stored: bytes, n: int) -> bytes:
    """The stream of n bytes that is stored as planes of its integers."""
    width, at = stored[0], 1
    out = bytearray(n)
    for plane in range(width):
        codec, length = struct.unpack_from("<BI", stored, at)
        out[plane::width] = inflate(CODECS[codec], stored[at + 5 : at + 5 + length], n // width)
        at += 5 + length
    assert at == len(stored)
    return bytes(out)


def inflate(codec: str, stored: bytes, n: int) -> bytes:
    """The stream of n bytes that a codec stored."""
    if codec == "constant":
        out = stored * n
    elif codec == "zstd":
        out = zstandard.ZstdDecompressor().decompress(stored)
    elif codec == "planes":
        out = planes(stored, n)
    elif codec == "raw":
        out = stored
    elif codec == "mixed":
        out = byte_model(stored, n)
    else:
        out = rans(stored, n, ("rans0", "rans1").index(codec))
    assert len(out) == n
    return out
