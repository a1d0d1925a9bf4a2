"""docs/format.md, "Codecs": the range coder, and rANS."""

from __future__ import annotations

import struct
from collections.abc import Hashable


class RangeDecoder:
    """The range coder; every adaptive probability has a key."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.width = data, 4, 2**32 - 1
        self.code = int.from_bytes((data + bytes(4))[:4], "big")
        self.probability: dict[Hashable, int] = {}

    def split(self, zero: int) -> int:
        bit = int(self.code >= zero)
        self.code, self.width = (self.code - zero, self.width - zero) if bit else (self.code, zero)
        while self.width < 1 << 24:
            byte = self.data[self.at] if self.at < len(self.data) else 0
            self.code, self.width, self.at = self.code << 8 | byte, self.width << 8, self.at + 1
        return bit

    def bit(self, key: Hashable) -> int:
        p = self.probability.get(key, 1 << 15)
        bit = self.split((self.width >> 16) * p)
        self.probability[key] = p - (p >> 4) if bit else p + (65536 - p >> 4)
        return bit

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = value << 1 | self.split(self.width >> 1)
        return value

    def adaptive_number(self, key: Hashable) -> int:
        node = 1
        while node < 16:
            node = node << 1 | self.bit((key, node))
        return node - 16

    def ended(self) -> bool:
        return self.at == len(self.data) + 3


def read_row(
    coder: RangeDecoder, alphabet: list[int], k: int, above: tuple[dict[int, int], int] | None, order: int
) -> dict[int, int]:
    """The frequencies of a row of scale k; `above`: the last row that had frequencies, and its scale."""
    row: dict[int, int] = {}
    rest, left = 1 << k, 0
    for symbol in alphabet:
        if rest == 0:
            f = 0
        elif symbol == alphabet[-1]:
            f = rest
        else:
            up = above[0][symbol].bit_length() if above else 0
            if above and up:
                up = max(up + k - above[1], 1)
            if order and coder.bit(("zero", min(left, 2), min(up, 2))):
                f = 0
            else:
                below = coder.adaptive_number(("size", (left + up + 1) // 2 if above else left))
                f = 1
                if below:
                    f = 2 | coder.bit(("second", below + 1))
                    f = f << below - 1 | coder.number(below - 1)
        row[symbol], rest, left = f, rest - f, f.bit_length()
    assert rest == 0
    return row


def read_table(data: bytes, order: int) -> tuple[int, list[int], dict[int, list[tuple[int, int, int]]]]:
    """Bits b, the alphabet, and for each context its 2^b slots: (byte, first slot t, frequency f)."""
    coder = RangeDecoder(data)
    b = 10 + coder.number(2)
    flags = [0, 0]
    for _ in range(256):
        flags.append(coder.bit(("present", flags[-2], flags[-1])))
    alphabet = [symbol for symbol in range(256) if flags[symbol + 2]]
    contexts = {}
    above = None
    for context in alphabet if order else [0]:
        k = coder.adaptive_number("scale")
        if k == 15:
            continue
        row = read_row(coder, alphabet, k, above, order)
        above = row, k
        slots: list[tuple[int, int, int]] = []
        for symbol in alphabet:
            f = row[symbol] << b - k
            slots += [(symbol, len(slots), f)] * f
        contexts[context] = slots
    assert coder.ended()
    return b, alphabet, contexts


def rans(stored: bytes, n: int, order: int) -> bytes:
    """rANS of order 0 or 1: the n bytes of the stream."""
    lanes = 1 if n < 1 << 10 else 4 if n < 1 << 14 else 32
    at = 2 + int.from_bytes(stored[:2], "little")
    b, alphabet, contexts = read_table(stored[2:at], order)
    states = list(struct.unpack_from(f"<{lanes}I", stored, at))
    words = iter(struct.unpack(f"<{(len(stored) - at) // 2 - 2 * lanes}H", stored[at + 4 * lanes :]))
    s = n // lanes
    steps = [(lane, step) for step in range(s) for lane in range(lanes)]
    steps += [(lanes - 1, step) for step in range(s, n - s * (lanes - 1))]
    out = bytearray(n)
    for lane, step in steps:
        place = lane * s + step
        context = 0 if not order else out[place - 1] if step else alphabet[0]
        x = states[lane]
        r = x & (1 << b) - 1
        out[place], t, f = contexts[context][r]
        x = f * (x >> b) + r - t
        states[lane] = x << 16 | next(words) if x < 1 << 15 else x
    assert next(words, None) is None
    assert set(states) == {1 << 15}
    return bytes(out)
