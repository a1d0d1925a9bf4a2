"""The sums of a manifest (docs/format.md, "Sums"), from the bytes of BAM records."""

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

PRIME = 2**31 - 1
SUMMED = (b"BC", b"FI", b"QT", b"RT", b"TC")
INTEGERS = {"c": "b", "C": "B", "s": "h", "S": "H", "i": "i", "I": "I"}
BASES = b"=ACMGRSVTWYHKDBN"
COMPLEMENT = bytes.maketrans(BASES, b"=TGKCYSBAWRDMHVN")


def tags_of(data: bytes) -> Iterator[tuple[bytes, str, bytes]]:
    """Name, type and value of each tag."""
    while data:
        name, kind = data[:2], chr(data[2])
        if kind == "B":
            size = 5 + struct.calcsize(INTEGERS.get(chr(data[3]), "f")) * struct.unpack_from("<I", data, 4)[0]
        elif kind in "ZH":
            size = data.index(b"\0", 3) - 2
        else:
            size = struct.calcsize(INTEGERS.get(kind, {"A": "B", "f": "f"}.get(kind, "")))
        yield name, kind, data[3 : 3 + size]
        data = data[3 + size :]


def shortest(kind: str, value: bytes) -> bytes:
    """Type and value of a tag; an integer with the shortest type."""
    if kind not in INTEGERS:
        return kind.encode() + value
    number = struct.unpack(f"<{INTEGERS[kind]}", value)[0]
    for short in "CSI" if number >= 0 else "csi":
        try:
            return short.encode() + struct.pack(f"<{INTEGERS[short]}", number)
        except struct.error:
            continue
    raise AssertionError(number)


def sums_of(records: Iterable[bytes]) -> list[Any]:
    """`sums`, of whole BAM records."""
    rows: dict[bytes | None, list[list[int]]] = {}
    for record in records:
        name_size, operations, flag, length = struct.unpack_from("<12xB3xHHi", record)
        if flag & 0x900:
            continue
        at = 36 + name_size + 4 * operations
        packed = record[at : at + (length + 1) // 2]
        sequence = bytes(BASES[half] for byte in packed for half in (byte >> 4, byte & 15))[:length]
        at += len(packed)
        qualities = bytes((q + 33) % 256 for q in record[at : at + length])
        if flag & 0x10:
            sequence, qualities = sequence.translate(COMPLEMENT)[::-1], qualities[::-1]
        tags = {}
        group = None
        for name, kind, value in tags_of(record[at + length :]):
            tags[name] = name + shortest(kind, value)
            if (name, kind) == (b"RG", "Z"):
                group = value[:-1]
        s = bytes([flag & 0xC1]) + sequence
        chosen = b"".join(tags.get(name, b"") for name in SUMMED)
        summed = [s, record[36 : 36 + name_size] + s, s + qualities, s + chosen]
        row = rows.setdefault(group, [[0, 1, 1, 1, 1], [0, 1, 1, 1, 1]])[bool(flag & 0x200)]
        row[0] += 1
        for i, data in enumerate(summed, 1):
            row[i] = row[i] * (zlib.crc32(data) % 2**31 % PRIME or 1) % PRIME
    names = {group: group if group is None else group.decode("utf-8", "surrogateescape") for group in rows}
    return [
        [names[group], *rows[group]] for group in sorted(rows, key=lambda group: (group is not None, group))
    ]
