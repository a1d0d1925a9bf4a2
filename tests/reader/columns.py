"""docs/format.md: positions, flags, cigars, templates, mates, and names."""

from __future__ import annotations

from itertools import islice
from typing import TypeVar

from reader.integers import Streams, pairs, short_integers, unpack, unzigzag, wrap

Cigar = list[tuple[int, int]]
"""Operations: code (0 is M … 8 is X) and length."""

T = TypeVar("T")

QUERY, REFERENCE, MATCHES = {0, 1, 4, 7, 8}, {0, 2, 3, 7, 8}, {0, 7, 8}


def span(cigar: Cigar, operations: set[int]) -> int:
    return sum(length for code, length in cigar if code in operations)


def positions(streams: Streams) -> list[int]:
    out, here = [], 0
    for value in short_integers(streams, "pos"):
        here = wrap(here + unzigzag(value))
        out.append(here)
    return out


def reg2bin(start: int, end: int) -> int:
    end -= 1
    for shift, first in ((14, 4681), (17, 585), (20, 73), (23, 9), (26, 1)):
        if start >> shift == end >> shift:
            return (first + (start >> shift)) % (1 << 16)
    return 0


def bins(streams: Streams, pos: list[int], end: list[int]) -> list[int]:
    listed = pairs(streams, "bin")
    return [listed.get(i, reg2bin(*both)) for i, both in enumerate(zip(pos, end, strict=True))]


def cigars(streams: Streams) -> list[Cigar]:
    """The real CIGAR of every record."""
    codes, lengths = iter(streams.get("cigar.op", b"")), iter(short_integers(streams, "cigar.length"))
    gaps = iter(short_integers(streams, "cigar.gap")) if "cigar.gap" in streams else lengths
    distinct = [
        [(code, next(lengths if code in MATCHES else gaps)) for code in islice(codes, count)]
        for count in short_integers(streams, "cigar.count")
    ]
    return chosen(short_integers(streams, "cigar"), distinct)


def chosen(codes: list[int], distinct: list[T]) -> list[T]:
    """Of each code: 0 is the next new one, k the k-th."""
    new = iter(distinct)
    return [distinct[code - 1] if code else next(new) for code in codes]


def links(streams: Streams) -> list[int]:
    """Index of the previous record of the same name, or -1."""
    if "link" in streams:
        return [i - value if value else -1 for i, value in enumerate(short_integers(streams, "link"))]
    waiting: list[int] = []
    out = []
    for i, value in enumerate(short_integers(streams, "rank")):
        out.append(waiting.pop((value - 2) // 2) if value > 1 else -1)
        if value == 0 or (value > 1 and value % 2):
            waiting.append(i)
    assert not waiting
    return out


def flags(streams: Streams, link: list[int]) -> list[int]:
    if "flag.values" not in streams:
        return unpack("H", streams["flag"])
    values = unpack("H", streams["flag.values"])
    first, later = iter(streams.get("flag", b"")), iter(streams.get("flag.next", b""))
    out: list[int] = []
    for back in link:
        k = 0 if back < 0 else next(later)
        if back < 0:
            out.append(values[next(first)])
        else:
            out.append(values[k - 1] if k else exchanged(out[back]))
    return out


def exchanged(flag: int) -> int:
    low, high = flag & 0x54, flag & 0xA8
    return flag & ~0xFC | low << 1 | high >> 1


def partners(link: list[int], flag: list[int]) -> list[int]:
    """Index of every record's partner, or -1."""
    out = [-1] * len(link)
    for i, f in enumerate(flag):
        j, steps = link[i], 0
        while f & 0x901 == 1 and j >= 0 and steps < 64:
            if flag[j] & 0x901 == 1 and (f ^ flag[j]) & 0xC0 == 0xC0 and out[j] < 0:
                out[i], out[j] = j, i
                break
            j, steps = link[j], steps + 1
    return out


def five_prime(pos: int, end: int, flag: int, mate_pos: int, mate_end: int, mate_reverse: int) -> int:
    d = (mate_end - 1 if mate_reverse else mate_pos) - (end - 1 if flag & 0x10 else pos)
    return d + (d > 0) - (d < 0)


class Mates:
    """next_refID, next_pos and tlen of every record."""

    def __init__(
        self,
        streams: Streams,
        ref: int,
        pos: list[int],
        end: list[int],
        cigar: list[Cigar],
        link: list[int],
        flag: list[int],
    ) -> None:
        self.ref, self.pos, self.end, self.cigar, self.flag = ref, pos, end, cigar, flag
        self.partner = partners(link, flag)
        self.stored = {
            name: iter(map(unzigzag, short_integers(streams, f"mate.{name}")))
            for name in ("ref", "pos", "tlen")
        }
        self.shift = 0
        self.fields = [self.of(i, rule) for i, rule in enumerate(streams["mate"])]
        assert all(next(values, None) is None for values in self.stored.values())

    def of(self, i: int, rule: int) -> tuple[int, int, int]:
        partner = self.partner[i]
        if rule == 5:
            return -1, -1, 0
        if rule == 6:
            return self.ref, self.pos[i], 0
        if rule == 0:
            next_ref = wrap(self.ref + next(self.stored["ref"]))
            next_pos = next(self.stored["pos"])
            if next_ref == self.ref:
                base = self.pos[i] if partner < 0 else self.pos[partner]
                next_pos = wrap(next_pos + base + self.shift)
                if partner >= 0:
                    self.shift = wrap(next_pos - self.pos[partner])
        else:
            next_ref, next_pos = self.ref, self.pos[partner]
        return next_ref, next_pos, self.tlen(i, rule, next_ref, next_pos)

    def tlen(self, i: int, rule: int, next_ref: int, next_pos: int) -> int:
        if rule in (0, 7):
            return wrap(self.expected(i, next_ref, next_pos) + next(self.stored["tlen"]))
        if rule == 4:
            return 0
        j = self.partner[i]
        if rule == 3:
            return wrap(
                five_prime(
                    self.pos[i], self.end[i], self.flag[i], self.pos[j], self.end[j], self.flag[j] & 0x10
                )
            )
        length = max(self.end[i], self.end[j]) - min(self.pos[i], self.pos[j])
        positive = self.flag[i] & (0x40 if rule == 1 else 0x80)
        first = self.pos[i] < self.pos[j] or (self.pos[i] == self.pos[j] and positive)
        return wrap(length if first else -length)

    def expected(self, i: int, next_ref: int, next_pos: int) -> int:
        """T."""
        if not self.flag[i] & 0x1:
            return self.end[i] - self.pos[i]
        if next_ref != self.ref or self.flag[i] & 0xC:
            return 0
        j = self.partner[i]
        if j >= 0:
            mate_pos, mate_end = self.pos[j], self.end[j]
        else:
            mate_pos = wrap(next_pos - self.shift)
            mate_end = mate_pos + span(self.cigar[i], QUERY)
        return five_prime(self.pos[i], self.end[i], self.flag[i], mate_pos, mate_end, self.flag[i] & 0x20)


def column(data: bytes, coding: int, table: list[int]) -> list[int]:
    """The values of a column of names."""
    width = coding & 15
    values = [int.from_bytes(data[at : at + width], "little") for at in range(0, len(data), width)]
    if coding & 32:
        return [table[value] for value in values]
    if coding & 16:
        here = 0
        for at, value in enumerate(values):
            here = (here + unzigzag(value)) % (1 << 32)
            values[at] = here
    return values


def slot_text(slot: int, value: int) -> bytes:
    if slot == 1:
        return b"%d" % value
    if slot < 10:
        return b"%0*d" % (slot, value)
    return bytes(b"ACTG"[value >> 2 * place & 3] for place in reversed(range(slot - 16)))


def names(streams: Streams, link: list[int]) -> list[bytes]:
    head, plain = streams.get("name.patterns", b""), iter(streams.get("name", b"").split(b"\0"))
    columns, at = [], 1
    for number in range(head[0] if head else 0):
        coding, table = head[at], []
        at += 1
        if coding & 32:
            size = head[at] + 1
            table = unpack("I", head[at + 1 : at + 1 + 4 * size])
            at += 1 + 4 * size
        columns.append(iter(column(streams[f"name.{number}"], coding, table)))
    patterns = head[at:].split(b"\0")[:-1]
    which = iter(streams.get("name.pattern", b""))
    out: list[bytes] = []
    for back in link:
        if back >= 0:
            out.append(out[back])
            continue
        k = next(which) if "name.pattern" in streams else int(bool(patterns))
        if not k:
            out.append(next(plain))
            continue
        name, used = b"", 0
        for byte in patterns[k - 1]:
            if byte >= 32:
                name += bytes([byte])
            else:
                name += slot_text(byte, next(columns[used]))
                used += 1
        out.append(name)
    return out
