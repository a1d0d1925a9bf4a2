"""docs/format.md: sequences, surroundings, and qualities."""

from __future__ import annotations

from itertools import accumulate

from reader.columns import MATCHES, QUERY, REFERENCE, Cigar, span
from reader.integers import Streams, pairs, short_integers, unzigzag
from reader.models import Surrounding, base_model, quality_model
from reader.tables import base_tables

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

    def surroundings(self, i: int, reverse: bool) -> list[Surrounding]:
        """Of every base of a record, in the order of SEQ or, if `reverse`, of its reverse complement."""
        codes = [TWO_BITS.get(base, 0) for base in self.bases[i]]
        kinds = self._alignment(i)
        if reverse:
            codes, kinds = [3 - code for code in reversed(codes)], kinds[::-1]
        n = len(codes)

        def code(at: int) -> int:
            return codes[at] if 0 <= at < n else 0

        def kind(at: int) -> int:
            return kinds[at] if 0 <= at < n else 3

        def run(at: int, step: int) -> int:
            length = 0
            while (
                length < 7
                and 0 <= at + step * (length + 1) < n
                and codes[at + step * (length + 1)] == codes[at]
            ):
                length += 1
            return length

        return [
            (
                tuple(code(at + d) for d in (-2, -1, 0, 1, 2)),
                (run(at, -1), run(at, 1), kind(at), code(at)),
                (kind(at), kind(at - 1), kind(at + 1), kind(at + 2) != 0, kind(at - 2) != 0),
            )
            for at in range(n)
        ]  # fmt: skip

    def _alignment(self, i: int) -> list[int]:
        """How each base of a record is aligned."""
        n = self.l_seq[i]
        if not self.aligned[i]:
            return [3] * n
        kinds: list[int] = []
        beside: set[int] = set()
        at = self.pos[i]
        for code, length in self.cigar[i]:
            if code in MATCHES:
                for place in range(at, at + length):
                    differs = place < self.stop and self.reference[place] != self.bases[i][len(kinds)]
                    kinds.append(int(differs))
            elif code in QUERY:
                kinds += [2 if code == 1 else 3] * length
            elif code == 2 and 0 < len(kinds) < n:
                beside |= {len(kinds) - 1, len(kinds)}
            at += length if code in REFERENCE else 0
        return [kind + 4 * (place in beside) for place, kind in enumerate(kinds)]

    def packed(self, i: int) -> bytes:
        """SEQ as BAM has it."""
        bases = self.bases[i] + [self.pad.get(i, 0)] * (self.l_seq[i] % 2)
        return bytes(high << 4 | low for high, low in zip(bases[::2], bases[1::2], strict=True))


def qualities(streams: Streams, sequences: Sequences, flag: list[int]) -> list[bytes]:
    """QUAL of every record."""
    l_seq = sequences.l_seq
    values, total = streams.get("qual.values", b""), sum(l_seq)
    if "qual.model" in streams:
        return quality_model(streams["qual.model"], values, l_seq, flag)
    if "qual.contexts" in streams:
        return base_model(streams["qual.contexts"], values, flag, sequences.surroundings)
    if "qual.tables" in streams:
        return base_tables(streams["qual.tables"], values, flag, sequences.surroundings)
    quals = streams.get("qual", b"")
    if values:
        bits = 1 if len(values) <= 2 else 2 if len(values) <= 4 else 4
        each = 8 // bits
        quals = bytes(values[quals[i // each] >> bits * (i % each) & (1 << bits) - 1] for i in range(total))
    assert len(quals) == total
    ends = list(accumulate(l_seq))
    return [quals[end - n : end] for end, n in zip(ends, l_seq, strict=True)]
