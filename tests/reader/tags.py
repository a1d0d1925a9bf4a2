"""docs/format.md: tags, derived ones among them."""

from __future__ import annotations

import struct
from collections import ChainMap
from collections.abc import Callable

from reader.bases import Sequences
from reader.columns import MATCHES, QUERY, REFERENCE, Cigar, chosen, links
from reader.integers import Streams, short_integers, unpack
from reader.kinetics import elements, moves
from reader.modifications import Listed
from reader.related import RELATED, Texts, related_texts

LETTERS, OPERATIONS = "=ACMGRSVTWYHKDBN", "MIDNSHP=X"
KINDS = {"A": "c", "c": "b", "C": "B", "s": "h", "S": "H", "i": "i", "I": "I", "f": "f"}
SIZES = {kind: struct.calcsize(KINDS[kind]) for kind in KINDS}

Layout = list[tuple[str, str, str, bool]]
"""Tags: id, type, subtype, and whether the value is derived."""


def cigar_text(cigar: Cigar) -> str:
    return "".join(f"{length}{OPERATIONS[code]}" for code, length in cigar)


def layouts(data: bytes) -> list[Layout]:
    out, at = [], 0
    while at < len(data):
        count = int.from_bytes(data[at : at + 2], "little")
        entries = [data[place : place + 4] for place in range(at + 2, at + 2 + 4 * count, 4)]
        at += 2 + 4 * count
        out.append(
            [(e[:2].decode(), chr(e[2] & 127), chr(e[3]) if e[3] else "", bool(e[2] >> 7)) for e in entries]
        )
    return out


class Values:
    """The values that are stored, in the order of the records."""

    def __init__(self, streams: Streams, related: dict[str, list[bytes]]) -> None:
        """`related`: the texts that are like others, by stream."""
        self.streams = streams
        self.at: dict[str, int] = {}
        self.related = {name: iter(texts) for name, texts in related.items()}

    def take(self, name: str, size: int) -> bytes:
        at = self.at.get(name, 0)
        self.at[name] = at + size
        return self.streams.get(name, b"")[at : at + size]

    def next(self, tag: str, kind: str, subtype: str) -> bytes:
        name = f"tag.{tag}:{kind}{subtype}"
        if kind == "B":
            count = self.take(name + ".count", 4)
            return (
                subtype.encode() + count + self.take(name, SIZES[subtype] * int.from_bytes(count, "little"))
            )
        if kind not in "ZH":
            return self.take(name, SIZES[kind])
        if name in self.related:
            return next(self.related[name]) + b"\0"
        if name + ".values" in self.streams:
            return self.streams[name + ".values"].split(b"\0")[self.take(name, 1)[0]] + b"\0"
        at = self.at.get(name, 0)
        text = self.take(name, self.streams[name].index(b"\0", at) + 1 - at)
        while name + ".op" in self.streams and b"\1" in text:
            text = text.replace(b"\1", self.cigar(name), 1)
        return text

    def cigar(self, name: str) -> bytes:
        """The next CIGAR that is part of a text."""
        cigar = []
        while (code := self.take(name + ".op", 1)[0]) < 9:
            numbers = name + (".length" if code in MATCHES else ".gap")
            length = self.take(numbers, 1)[0]
            if length == 255:
                length = int.from_bytes(self.take(numbers + ".long", 4), "little")
            cigar.append((code, length))
        return cigar_text(cigar).encode()


def md_and_nm(sequences: Sequences, i: int) -> tuple[str, int]:
    """MD and NM of a record that lies within the window."""
    assert sequences.is_whole(i)
    text, matched, nm, at, place = "", 0, 0, 0, sequences.pos[i]
    for code, length in sequences.cigar[i]:
        if code in MATCHES:
            for k in range(length):
                reference = sequences.reference[place + k]
                if sequences.bases[i][at + k] == reference:
                    matched += 1
                    continue
                text += f"{matched}{LETTERS[reference]}"
                matched, nm = 0, nm + 1
        elif code == 2:
            text += f"{matched}^" + "".join(LETTERS[sequences.reference[place + k]] for k in range(length))
            matched, nm = 0, nm + length
        elif code == 1:
            nm += length
        at += length if code in QUERY else 0
        place += length if code in REFERENCE else 0
    return f"{text}{matched}", nm


class Derived:
    """The values that are derived."""

    def __init__(self, sequences: Sequences, mapq: bytes, quals: list[bytes], partner: list[int]) -> None:
        self.sequences, self.mapq, self.quals, self.partner = sequences, mapq, quals, partner

    def value(self, i: int, tag: str, kind: str) -> bytes:
        partner = self.partner[i]
        of: dict[str, Callable[[], str | int]] = {
            "MD": lambda: md_and_nm(self.sequences, i)[0],
            "NM": lambda: md_and_nm(self.sequences, i)[1],
            "MC": lambda: cigar_text(self.sequences.cigar[partner]),
            "MQ": lambda: self.mapq[partner],
            "ms": lambda: sum(q for q in self.quals[partner] if q >= 15),
        }
        value = of[tag]()
        return value.encode() + b"\0" if isinstance(value, str) else struct.pack("<" + KINDS[kind], value)


def tags(streams: Streams, cigar: list[Cigar], derived: Derived, flag: list[int]) -> list[bytes]:
    """The tags of every record, as BAM has them."""
    records = list(chosen(short_integers(streams, "tag.layout"), layouts(streams["tag.layouts"])))
    arrays = ChainMap(kinetics(streams, records, derived.sequences, flag), streams)
    values, out = Values(arrays, related(streams, records)), []
    listed = None
    if "tag.MM:Z.listed" in streams:
        listed = Listed(streams["tag.MM:Z.listed"], derived.sequences, flag)
    for i, layout in enumerate(records):
        data = b""
        for tag, kind, subtype, is_derived in layout:
            data += tag.encode() + kind.encode()
            if (tag, kind, subtype) == ("CG", "B", "*"):
                data += b"I" + struct.pack(f"<I{len(cigar[i])}I", len(cigar[i]), *packed(cigar[i]))
            elif is_derived:
                data += derived.value(i, tag, kind)
            elif listed and (tag, kind) == ("MM", "Z"):
                data += listed.text(i, values.next(tag, kind, subtype)[:-1]) + b"\0"
            else:
                data += values.next(tag, kind, subtype)
        out.append(data)
    assert listed is None or listed.coder.ended()
    assert all(at == len(values.streams.get(name, b"")) for name, at in values.at.items())
    return out


def kinetics(
    streams: Streams, records: list[Layout], sequences: Sequences, flag: list[int]
) -> dict[str, bytes]:
    """The streams of arrays that `.tables` and `.stride` stand for."""
    out: dict[str, bytes] = {}
    for name in {name[:9] for name in streams if name[:4] == "tag." and name[9:] in (".tables", ".stride")}:
        counts = list(unpack("I", streams[name + ".count"]))
        if name + ".tables" in streams:
            holders = holders_of(records, name[4:6], name[7], name[8])
            arrays, tables = list(zip(holders, counts, strict=True)), streams[name + ".tables"]
            out[name] = elements(tables, streams[name + ".values"], SIZES[name[8]], arrays, sequences, flag)
        if name + ".stride" in streams:
            dwells = out[name] if name in out else streams.get(name, b"")
            arrays_of = moves(dwells, counts, streams.get(name + ".long", b""), streams[name + ".stride"])
            out[name] = b"".join(arrays_of)
            out[name + ".count"] = struct.pack(f"<{len(counts)}I", *map(len, arrays_of))
    return out


def holders_of(records: list[Layout], *wanted: str) -> list[int]:
    """The records that have a tag of an id, type and subtype, as often as they have it."""
    return [i for i, layout in enumerate(records) for entry in layout if entry[:3] == wanted]


def related(streams: Streams, records: list[Layout]) -> dict[str, list[bytes]]:
    """The texts that are like others, by stream."""
    before = links(streams)

    def texts(tag: str) -> list[bytes]:
        name = f"tag.{tag}:Z"
        if name + ".like" in streams:
            base, group = map(first, RELATED.get(tag, ("", "")))
            return related_texts(streams, name, holders_of(records, tag, "Z", ""), before, base, group)
        if name + ".values" in streams:
            words = streams[name + ".values"].split(b"\0")
            return [words[index] for index in streams[name]]
        return streams.get(name, b"").split(b"\0")[:-1]

    def first(tag: str) -> Texts:
        out = Texts()
        for i, text in zip(holders_of(records, tag, "Z", ""), texts(tag), strict=True) if tag else ():
            out.setdefault(i, text)
        return out

    return {name[:-5]: texts(name[4:6]) for name in streams if name[:4] == "tag." and name[7:] == "Z.like"}


def packed(cigar: Cigar) -> list[int]:
    return [length << 4 | code for code, length in cigar]


def sam_tags(data: bytes, skip_cg: bool) -> list[bytes]:
    """The tags of a record, as SAM has them."""
    out, at = [], 0
    while at < len(data):
        tag, kind, start = data[at : at + 2], chr(data[at + 2]), at + 3
        if kind in "ZH":
            at = data.index(b"\0", start) + 1
            out.append(tag + f":{kind}:".encode() + data[start : at - 1])
        elif kind == "B":
            subtype, count = chr(data[start]), unpack("I", data[start + 1 : start + 5])[0]
            at = start + 5 + SIZES[subtype] * count
            numbers = [number_text(value) for value in unpack(KINDS[subtype], data[start + 5 : at])]
            if not (skip_cg and tag == b"CG"):
                out.append(tag + b":B:" + ",".join([subtype, *numbers]).encode())
        else:
            at = start + SIZES[kind]
            raw = data[start:at]
            text = raw.decode() if kind == "A" else number_text(unpack(KINDS[kind], raw)[0])
            out.append(tag + f":{kind if kind in 'Af' else 'i'}:{text}".encode())
    return out


def number_text(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
