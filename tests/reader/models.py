"""docs/format.md: mixed bits, and the models of qualities and of the bytes of streams."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial

from reader.entropy import RangeDecoder

STRETCH = [round(256 * math.log((k + 0.5) / (4095.5 - k))) for k in range(4096)]

Surrounding = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""The bases, the run and the alignment around a base."""


class Mixer:
    """Bits that are predicted by several predictions, each in a context of its own."""

    def __init__(self, data: bytes, weight: int, rate: int) -> None:
        self.coder = RangeDecoder(data)
        self.weight, self.rate = weight, rate
        self.predictions: dict[Hashable, tuple[int, int]] = {}
        self.weights: dict[Hashable, list[int]] = {}

    def bit(self, contexts: Sequence[Hashable], weights_of: Hashable) -> int:
        keys = list(enumerate(contexts))
        found = [self.predictions.get(key, (1 << 21, 0)) for key in keys]
        weights = self.weights.setdefault(weights_of, [self.weight] * len(keys))
        s = [STRETCH[q >> 10] for q, _ in found]
        x = max(min(sum(g * v for g, v in zip(weights, s, strict=True)) >> 16, 2816), -2816)
        p = round(65536 / (1 + math.exp(-x / 256)))
        bit = self.coder.split((self.coder.width >> 16) * p)
        error = -p if bit else 65535 - p
        half = 1 << self.rate - 1
        self.weights[weights_of] = [
            g + (error * v + half >> self.rate) for g, v in zip(weights, s, strict=True)
        ]
        target = 0 if bit else (1 << 22) - 1
        for key, (q, c) in zip(keys, found, strict=True):
            q += (target - q) * (327680 // (5 * c + 8)) >> 16
            self.predictions[key] = q, min(c + 1, 255)
        return bit


class Tree:
    """A binary search tree of the indices [0, count)."""

    def __init__(self, nodes: Iterator[int], count: int) -> None:
        self.count = count
        self.node: dict[tuple[int, int], int] = {}
        self.high: set[int] = set()
        self._plant(nodes, 0, count, 0)

    def _plant(self, nodes: Iterator[int], a: int, b: int, depth: int) -> None:
        if b - a > 1:
            self.node[a, b] = s = next(nodes)
            assert a < s < b
            if depth < 3:
                self.high.add(s)
            self._plant(nodes, a, s, depth + 1)
            self._plant(nodes, s, b, depth + 1)

    def find(self, bit: Callable[[int], int]) -> int:
        """The index to which the bits at its nodes lead."""
        a, b = 0, self.count
        while b - a > 1:
            s = self.node[a, b]
            a, b = (s, b) if bit(s) else (a, s)
        return a

    def kind(self, index: int) -> int:
        """The class of an index."""
        return sum(s <= index for s in self.high)


class Values:
    """Indices of values, read by read: the tree comes first, then the bits."""

    def __init__(self, data: bytes, values: bytes, weight: int, rate: int) -> None:
        nodes = len(values) - 1
        self.values = values
        self.tree, self.mixer = Tree(iter(data[:nodes]), len(values)), Mixer(data[nodes:], weight, rate)

    def read(self, n: int, contexts: Callable[[int, int, int, int, int], Sequence[Hashable]]) -> bytes:
        """The n values of a read; `contexts` of the cycle, i1, i2, i3 and d."""
        out = bytearray()
        i1 = i2 = i3 = d = 0
        for cycle in range(n):
            index = self.tree.find(partial(self._bit, contexts(cycle, i1, i2, i3, d), i1))
            if cycle:
                d += min(abs(index - i1), 3)
            i1, i2, i3 = index, i1, i2
            out.append(self.values[index])
        return bytes(out)

    def _bit(self, contexts: Sequence[Hashable], before: int, s: int) -> int:
        return self.mixer.bit([(context, s) for context in contexts], (s, before))


def quality_model(data: bytes, values: bytes, l_seq: list[int], flag: list[int]) -> list[bytes]:
    """QUAL of every record, from `qual.model`."""
    coded, out = Values(data, values, 26214, 16), []
    for n, f in zip(l_seq, flag, strict=True):
        read = coded.read(
            n,
            lambda cycle, i1, i2, i3, d: (
                (i1, i2),
                (min(cycle, 255), f & 0x80),  # noqa: B023
                (i1, max(i2, i3), min(d // 8, 7)),
            ),
        )
        out.append(read[::-1] if f & 0x10 else read)
    assert coded.mixer.coder.ended()
    return out


def base_model(
    data: bytes, values: bytes, flag: list[int], surroundings: Callable[[int, bool], list[Surrounding]]
) -> list[bytes]:
    """QUAL of every record, from `qual.contexts`; `surroundings` of a record's bases, perhaps reversed."""
    coded, out = Values(data, values, 13107, 15), []
    kind = coded.tree.kind
    for i, f in enumerate(flag):
        around = surroundings(i, bool(f & 0x10))
        read = coded.read(
            len(around),
            lambda cycle, i1, i2, i3, d: (
                (i1, i2),
                (min(cycle, 255), f & 0x80),  # noqa: B023
                (kind(i1), kind(max(i2, i3)), min(d // 8, 7)),
                *((part, kind(i1)) for part in around[cycle]),  # noqa: B023
            ),
        )
        out.append(read[::-1] if f & 0x10 else read)
    assert coded.mixer.coder.ended()
    return out


def byte_model(stored: bytes, n: int) -> bytes:
    """The n bytes of a stream."""
    m = stored[0] + 1
    values, nodes = stored[1 : 1 + m], stored[1 + m : 2 * m]
    tree, mixer = Tree(iter(nodes), m), Mixer(stored[2 * m :], 19661, 15)
    bits = 8
    while bits < 20 and m << bits < 1 << 20 and 1 << bits < n:
        bits += 1

    def last(k: int) -> int:
        return int.from_bytes(out[max(0, len(out) - k) :], "big")

    def hashed(context: int) -> int:
        return context * 0x9E3779B97F4A7C15 % (1 << 64) >> 64 - bits

    out = bytearray()
    for _ in range(n):
        steps = (last(1) >> 4) << 8 | (last(2) >> 12) << 4 | last(3) >> 20
        contexts = (last(1), *(hashed(last(k)) for k in (2, 3, 4, 6)), hashed(steps))
        out.append(values[tree.find(partial(_bit, mixer, contexts))])
    assert mixer.coder.ended()
    return bytes(out)


def _bit(mixer: Mixer, contexts: tuple[int, ...], s: int) -> int:
    return mixer.bit([(context, s) for context in contexts], (s, contexts[0]))
