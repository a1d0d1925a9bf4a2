"""docs/format.md: sequences, qualities, and the quality model."""

from __future__ import annotations

import math
from itertools import accumulate

from reader.columns import MATCHES, QUERY, REFERENCE, Cigar, span
from reader.entropy import RangeDecoder
from reader.integers import Streams, pairs, short_integers, unzigzag

TWO_BITS = {1: 0, 2: 1, 4: 2, 8: 3}


def base_stream(streams: Streams, name: str, count: int | None = None) -> list[int]:
    """The 4-bit codes of a stream of bases."""
    packed = streams.get(name, b"")
    count = 4 * len(packed) if count is None else count
    bases = [1 << (packed[i >> 2] >> 2 * (i & 3) & 3) for i in range(count)]
    at = 0
    for gap, base in zip(
        short_integers(streams, name + ".other"), streams.get(name + ".base", b""), strict=True
    ):
        at += gap
        bases[at] = base
        at += 1
    return bases


class Sequences:
    """SEQ of every record as 4-bit codes, and the reference that they are stored against."""

    def __init__(self, streams: Streams, pos: list[int], cigar: list[Cigar]) -> None:
        self.pos, self.cigar = pos, cigar
        lengths = short_integers(streams, "seq.length")
        self.l_seq = [unzigzag(v) + span(c, QUERY) for v, c in zip(lengths, cigar, strict=True)]
        self.aligned = [
            p >= 0 and 0 < n == span(c, QUERY) for p, n, c in zip(pos, self.l_seq, cigar, strict=True)
        ]
        spans = [(p, p + span(c, REFERENCE)) for p, c, a in zip(pos, cigar, self.aligned, strict=True) if a]
        self.start = min((p for p, _ in spans), default=0)
        self.stop = min(max((e for _, e in spans), default=0), self.start + (1 << 22))
        covered = sorted(self._covered())
        self.reference = dict(zip(covered, base_stream(streams, "reference", len(covered)), strict=True))
        self._literals = iter(base_stream(streams, "seq.literal"))
        self._mismatches = iter(short_integers(streams, "seq.mismatches"))
        self._gaps = iter(short_integers(streams, "seq.mismatch"))
        self._substitutes = iter(streams.get("seq.substitute", b""))
        self.bases = [self._read(i) for i in range(len(pos))]
        self.pad = pairs(streams, "seq.pad")

    def _covered(self) -> set[int]:
        out: set[int] = set()
        for i, cigar in enumerate(self.cigar):
            at = self.pos[i]
            for code, length in cigar if self.aligned[i] else []:
                if code in MATCHES or code == 2:
                    out.update(range(at, min(at + length, self.stop)))
                at += length if code in REFERENCE else 0
        return out

    def _read(self, i: int) -> list[int]:
        if not self.aligned[i]:
            return [next(self._literals) for _ in range(self.l_seq[i])]
        out, at = [], self.pos[i]
        for code, length in self.cigar[i]:
            if code in QUERY:
                for place in range(at, at + length):
                    under = code in MATCHES and place < self.stop
                    out.append(self.reference[place] if under else next(self._literals))
            at += length if code in REFERENCE else 0
        at = 0
        for _ in range(next(self._mismatches)):
            at += next(self._gaps)
            value = next(self._substitutes)
            out[at] = value - 4 if value >= 4 else 1 << (TWO_BITS[out[at]] + value) % 4
            at += 1
        return out

    def is_whole(self, i: int) -> bool:
        """Is it an aligned record that lies within the window?"""
        return self.aligned[i] and self.pos[i] + span(self.cigar[i], REFERENCE) <= self.stop

    def packed(self, i: int) -> bytes:
        """SEQ as BAM has it."""
        bases = self.bases[i] + [self.pad.get(i, 0)] * (self.l_seq[i] % 2)
        return bytes(high << 4 | low for high, low in zip(bases[::2], bases[1::2], strict=True))


def qualities(streams: Streams, l_seq: list[int], flag: list[int]) -> list[bytes]:
    """QUAL of every record."""
    values, total = streams.get("qual.values", b""), sum(l_seq)
    if "qual.model" in streams:
        return modelled(streams["qual.model"], values, l_seq, flag)
    quals = streams.get("qual", b"")
    if values:
        bits = 1 if len(values) <= 2 else 2 if len(values) <= 4 else 4
        each = 8 // bits
        quals = bytes(values[quals[i // each] >> bits * (i % each) & (1 << bits) - 1] for i in range(total))
    assert len(quals) == total
    ends = list(accumulate(l_seq))
    return [quals[end - n : end] for end, n in zip(ends, l_seq, strict=True)]


STRETCH = [round(256 * math.log((k + 0.5) / (4095.5 - k))) for k in range(4096)]


class QualityModel:
    """Bits of qualities, each predicted by three."""

    def __init__(self, data: bytes) -> None:
        self.coder = RangeDecoder(data)
        self.predictions: dict[object, tuple[int, int]] = {}
        self.weights: dict[object, list[int]] = {}

    def bit(self, contexts: tuple[object, object, object], weights_of: object) -> int:
        found = [self.predictions.get(key, (1 << 21, 0)) for key in contexts]
        weights = self.weights.setdefault(weights_of, [26214] * 3)
        s = [STRETCH[q >> 10] for q, _ in found]
        x = max(min(sum(g * v for g, v in zip(weights, s, strict=True)) >> 16, 2816), -2816)
        p = round(65536 / (1 + math.exp(-x / 256)))
        bit = self.coder.split((self.coder.width >> 16) * p)
        error = -p if bit else 65535 - p
        self.weights[weights_of] = [g + (error * v + 32768 >> 16) for g, v in zip(weights, s, strict=True)]
        target = 0 if bit else (1 << 22) - 1
        for key, (q, c) in zip(contexts, found, strict=True):
            q += (target - q) * (327680 // (5 * c + 8)) >> 16
            self.predictions[key] = q, min(c + 1, 255)
        return bit


def modelled(data: bytes, values: bytes, l_seq: list[int], flag: list[int]) -> list[bytes]:
    """QUAL of every record, from `qual.model`."""
    nodes = iter(data[: len(values) - 1])
    tree: dict[tuple[int, int], int] = {}

    def plant(a: int, b: int) -> None:
        if b - a > 1:
            tree[a, b] = s = next(nodes)
            plant(a, s)
            plant(s, b)

    plant(0, len(values))
    model = QualityModel(data[len(values) - 1 :])
    out = []
    for n, f in zip(l_seq, flag, strict=True):
        indices: list[int] = []
        i1 = i2 = i3 = d = 0
        for cycle in range(n):
            a, b = 0, len(values)
            while b - a > 1:
                s = tree[a, b]
                contexts = (
                    (1, s, i1, i2),
                    (2, s, min(cycle, 255), f & 0x80),
                    (3, s, i1, max(i2, i3), min(d // 8, 7)),
                )
                a, b = (s, b) if model.bit(contexts, (s, i1)) else (a, s)
            if cycle:
                d += min(abs(a - i1), 3)
            i1, i2, i3 = a, i1, i2
            indices.append(a)
        read = bytes(values[index] for index in indices)
        out.append(read[::-1] if f & 0x10 else read)
    assert model.coder.ended()
    return out
