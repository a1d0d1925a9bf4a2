"""docs/format.md, "Streams": integers, and the name hash."""

from __future__ import annotations

import struct
from collections.abc import Mapping

Streams = Mapping[str, bytes]
"""The streams of a row group; one that is left out has no bytes."""


class RowGroupStreams(dict[str, bytes]):
    """Streams that know which of them nothing has asked for: `unread`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    @property
    def unread(self) -> set[str]:
        return self.keys() - self.asked

    def __getitem__(self, name: str) -> bytes:
        self.asked.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: bytes = b"") -> bytes:  # type: ignore[override]
        self.asked.add(name)
        return super().get(name, default)


def unpack(kind: str, data: bytes) -> list[int]:
    """Little-endian integers of a type of `struct`."""
    return list(struct.unpack(f"<{len(data) // struct.calcsize('<' + kind)}{kind}", data))


def short_integers(streams: Streams, name: str) -> list[int]:
    longs = iter(unpack("I", streams.get(name + ".long", b"")))
    values = [next(longs) if value == 255 else value for value in streams.get(name, b"")]
    assert next(longs, None) is None
    return values


def unzigzag(value: int) -> int:
    return value >> 1 ^ -(value & 1)


def wrap(value: int) -> int:
    """The i32 that a sum or a difference wraps to."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def pairs(streams: Streams, name: str) -> dict[int, int]:
    """A stream of pairs u32 record index, u32 value."""
    values = unpack("I", streams.get(name, b""))
    return dict(zip(values[::2], values[1::2], strict=True))


def name_hash(name: bytes) -> int:
    mask = (1 << 64) - 1
    h = 0x9E3779B97F4A7C15 ^ len(name)
    for at in range(0, len(name), 8):
        h = (h ^ int.from_bytes(name[at : at + 8], "little")) * 0xFF51AFD7ED558CCD & mask
        h ^= h >> 32
    h = h * 0xC4CEB9FE1A85EC53 & mask
    return h ^ h >> 29
