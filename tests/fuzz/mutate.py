"""Changes of bytes and of JSON documents, some with the checksums that go with them."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard
from bams3.chunk.dictionary import deflated, dictionary
from bams3.chunk.footer import MAGIC, TRAILER, parted

BYTES = (0, 1, 2, 127, 128, 254, 255)
NUMBERS = (0, 1, 2, 255, 256, 65_535, 65_536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 60, (1 << 64) - 1)
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2, 15, 255, 65_536, 70_000, 1 << 17, 1 << 32, 1 << 40, 1 << 63, -(1 << 70), 1.5,
    float("nan"), "", "x", "chr1", "../../x", "\ud800", "a\0b", "data/chr1/..", [], {}, [None], {"a": 1}, [[1, 2, 3]],
)  # fmt: skip


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Cut, longer, replaced, with bytes or numbers overwritten, or with a part copied over another or removed."""
    out = bytearray(data)
    kind = chance.randrange(8) if out else 1
    if kind == 0:
        return bytes(out[: chance.randrange(len(out))])
    if kind == 1:
        return bytes(out + chance.randbytes(chance.randrange(1, 9)))
    if kind == 2:
        return chance.randbytes(len(out))
    start, length = chance.randrange(len(out)), chance.choice((1, 2, 4, 16, 64))
    if kind == 3:
        del out[start : start + length]
    elif kind == 4:
        to = chance.randrange(len(out))
        out[to : to + length] = out[start : start + length]
    elif kind == 5:
        width = chance.choice((2, 4, 8))
        value = chance.choice(NUMBERS) % (1 << 8 * width)
        out[start : start + width] = value.to_bytes(width, "little")
    else:
        for _ in range(chance.choice((1, 1, 3, 50))):
            at = chance.randrange(len(out))
            flipped = out[at] ^ 1 << chance.randrange(8)
            out[at] = chance.choice((*BYTES, flipped, flipped, flipped, chance.randrange(256)))
    return bytes(out)


def lies(document: Any, chance: random.Random) -> Any:
    """A JSON document with one value, at any depth, gone or another."""
    places: list[tuple[Any, Any]] = []

    def collect(value: Any) -> None:
        keys = value.keys() if isinstance(value, dict) else range(len(value))
        for key in keys:
            places.append((value, key))
            if isinstance(value[key], dict | list):
                collect(value[key])

    collect(document)
    holder, key = chance.choice(places)
    kind = chance.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and type(holder[key]) is int:
        holder[key] += chance.choice((-1, 1, 100))
    elif kind == 2 and isinstance(holder, dict):
        holder[chance.choice(("surprise", "0", "-5"))] = holder[key]
    elif kind == 2:
        holder.insert(0, holder[key])
    else:
        holder[key] = chance.choice(VALUES)
    return document


def with_footer(chunk: bytes, change: Callable[[Any], object]) -> bytes:
    """A chunk with its footer's JSON changed in place, with right lengths and checksums: as a hostile writer would."""
    length = TRAILER.unpack(chunk[-TRAILER.size :])[0]
    body = chunk[: -TRAILER.size - length]
    document = footer_of(chunk)
    change(document)
    stored = deflated(json.dumps(document).encode())
    return body + stored + TRAILER.pack(len(stored), zlib.crc32(stored), chunk[-len(MAGIC) :])


def with_streams(
    chunk: bytes, groups: Sequence[Mapping[str, bytes]], change: Callable[[Any], object] = lambda _: None
) -> bytes:
    """A chunk whose row groups have these streams, stored as they are, with right lengths and checksums. `change`: of
    the footer's JSON, in place."""
    document = footer_of(chunk)
    bodies = bytearray(MAGIC), bytearray()
    for told, streams in zip(document["row_groups"], groups, strict=True):
        held = {name: data for name, data in streams.items() if data}
        told["streams"] = {name: ["raw", len(data), len(data)] for name, data in held.items()}
        parts = [b"".join(held[name] for name in names) for names in parted(held)]
        told["checksums"] = [zlib.crc32(part) for part in parts]
        for body, part in zip(bodies, parts, strict=True):
            body += part
    change(document)
    stored = deflated(json.dumps(document).encode())
    return b"".join(bodies) + stored + TRAILER.pack(len(stored), zlib.crc32(stored), MAGIC)


def footer_of(chunk: bytes) -> Any:
    """The JSON of a chunk's footer."""
    length = TRAILER.unpack(chunk[-TRAILER.size :])[0]
    stored = chunk[-TRAILER.size - length : -TRAILER.size]
    return json.loads(zstandard.ZstdDecompressor(dict_data=dictionary()).decompress(stored))


def edit_footer(path: Path, change: Callable[[Any], object]) -> None:
    """`with_footer` of a file."""
    path.write_bytes(with_footer(path.read_bytes(), change))
