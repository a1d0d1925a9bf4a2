"""docs/format.md, "Kinetics" and "Moves"."""

from __future__ import annotations

import struct

from reader.bases import TWO_BITS, Sequences
from reader.entropy import RangeDecoder
from reader.integers import unpack
from reader.tables import LANES, read_rows

Arrays = list[tuple[int, int]]
"""The record that has an array, and its number of elements."""


def sums(coder: RangeDecoder, count: int, key: str) -> list[int]:
    """Numbers that do not decrease, each stored as the difference to the one before."""
    out = [0]
    for _ in range(count):
        out.append(out[-1] + coder.adaptive_number(key))
    assert out[-1] < 16
    return out[1:]


def pentamers(sequences: Sequences, flag: list[int], arrays: Arrays, against: int, ahead: int) -> list[int]:
    """Of every element of the arrays."""
    out = []
    for i, count in arrays:
        codes = [TWO_BITS.get(base, 0) for base in sequences.bases[i]]
        if bool(flag[i] & 0x10) != bool(against):
            codes = [3 - code for code in reversed(codes)]
        if count != len(codes):
            codes = [0] * count
        padded = [0, 0, 0, 0, *codes, 0, 0, 0]
        out += [sum(padded[k + ahead + j] * 4**j for j in range(5)) for k in range(count)]
    return out


def elements(
    data: bytes, values: bytes, width: int, arrays: Arrays, sequences: Sequences, flag: list[int]
) -> bytes:
    """The elements of all arrays, of `width` bytes each."""
    m = len(values) // width
    end = 4 + int.from_bytes(data[:4], "little")
    coder = RangeDecoder(data[4:end])
    against, ahead = coder.number(1), coder.number(2)
    rank, pace = sums(coder, m, "R"), sums(coder, 16, "S")
    kind = [0]
    for _ in range(1024):
        kind.append(coder.adaptive_number(("P", kind[-1])))
    kind, s = kind[1:], 1 + max(pace)
    b, contexts = read_rows(coder, m, (1 + max(kind)) * s)
    around = pentamers(sequences, flag, arrays, against, ahead)
    n, steps = len(around), len(around) // LANES
    states = list(struct.unpack_from(f"<{LANES}I", data, end))
    words = iter(struct.unpack(f"<{(len(data) - end) // 2 - 2 * LANES}H", data[end + 4 * LANES :]))
    order = [(lane, lane * steps + step) for step in range(steps) for lane in range(LANES)]
    order += [(LANES - 1, place) for place in range(LANES * steps, n)]
    mean = [1 << 15] * LANES
    out = [b""] * n
    for lane, place in order:
        x = states[lane]
        r = x & (1 << b) - 1
        index, t, f = contexts[kind[around[place]] * s + pace[mean[lane] >> 12]][r]
        x = f * (x >> b) + r - t
        states[lane] = x << 16 | next(words) if x < 1 << 15 else x
        mean[lane] += (4096 * rank[index] + 2048 - mean[lane]) >> 5
        out[place] = values[index * width : (index + 1) * width]
    assert next(words, None) is None
    assert set(states) == {1 << 15}
    return b"".join(out)


def moves(dwells: bytes, counts: list[int], longs: bytes, strides: bytes) -> list[bytes]:
    """Arrays of moves."""
    long, dwell = iter(unpack("I", longs)), iter(dwells)
    out = []
    for stride, count in zip(strides, counts, strict=True):
        steps = [next(dwell) or next(long) for _ in range(count)]
        out.append(bytes([stride]) + b"".join(b"\1" + bytes(d - 1) for d in steps))
    assert next(dwell, None) is None
    assert next(long, None) is None
    return out
