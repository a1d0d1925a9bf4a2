"""docs/format.md, "Base tables"."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import accumulate

from reader.entropy import RangeDecoder, read_row
from reader.models import Surrounding

LANES, SIDES = 8, 45


def side(surrounding: Surrounding) -> int:
    before, after, kind, _ = surrounding[1]
    return (min(before, 2) * 3 + min(after, 2)) * 5 + min(kind, 4)


def read_rows(coder: RangeDecoder, m: int, count: int) -> tuple[int, dict[int, list[tuple[int, int, int]]]]:
    """Bits b, and for each context its 2^b slots: (index, first slot t, frequency f)."""
    b = 10 + coder.number(2)
    contexts = {}
    above = None
    for context in range(count):
        k = coder.adaptive_number("scale")
        if k == 15:
            continue
        row = read_row(coder, list(range(m)), k, above, 1)
        above = row, k
        slots: list[tuple[int, int, int]] = []
        for index in range(m):
            f = row[index] << b - k
            slots += [(index, len(slots), f)] * f
        contexts[context] = slots
    assert coder.ended()
    return b, contexts


def base_tables(
    data: bytes, values: bytes, flag: list[int], surroundings: Callable[[int, bool], list[Surrounding]]
) -> list[bytes]:
    """QUAL of every record, from `qual.tables`."""
    m = len(values)
    first, second, sides = data[:m], data[m : 2 * m], data[2 * m : 2 * m + SIDES]
    s, d = 1 + max(second), 1 + max(sides)
    at = 2 * m + SIDES + 4
    end = at + int.from_bytes(data[at - 4 : at], "little")
    b, contexts = read_rows(RangeDecoder(data[at:end]), m, (1 + max(first)) * s * d)
    around = [[side(each) for each in surroundings(i, bool(f & 0x10))] for i, f in enumerate(flag)]
    places = [place for read in around for place in read]
    n, steps = len(places), len(places) // LANES
    states = list(struct.unpack_from(f"<{LANES}I", data, end))
    words = iter(struct.unpack(f"<{(len(data) - end) // 2 - 2 * LANES}H", data[end + 4 * LANES :]))
    order = [(lane, lane * steps + step) for step in range(steps) for lane in range(LANES)]
    order += [(LANES - 1, place) for place in range(LANES * steps, n)]
    before = [(0, 0)] * LANES
    out = bytearray(n)
    for lane, place in order:
        i1, i2 = before[lane]
        x = states[lane]
        r = x & (1 << b) - 1
        index, t, f = contexts[(first[i1] * s + second[i2]) * d + sides[places[place]]][r]
        x = f * (x >> b) + r - t
        states[lane] = x << 16 | next(words) if x < 1 << 15 else x
        before[lane] = index, i1
        out[place] = values[index]
    assert next(words, None) is None
    assert set(states) == {1 << 15}
    ends = list(accumulate(map(len, around)))
    reads = [bytes(out[stop - len(read) : stop]) for stop, read in zip(ends, around, strict=True)]
    return [read[::-1] if f & 0x10 else read for read, f in zip(reads, flag, strict=True)]
