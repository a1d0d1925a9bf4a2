"""docs/format.md, "Modifications"."""

from __future__ import annotations

import re

from reader.bases import Sequences
from reader.entropy import RangeDecoder

HEADS = re.compile(rb"(?:[ACGT][+-](?:[0-9]+|[A-Za-z]+)[.?]?;){1,16}")


class Listed:
    """The bits of `tag.MM:Z.listed`, and the texts that they spell."""

    def __init__(self, data: bytes, sequences: Sequences, flag: list[int]) -> None:
        self.coder, self.sequences, self.flag = RangeDecoder(data), sequences, flag
        self.predictions: dict[object, tuple[int, int]] = {}

    def bit(self, context: object) -> int:
        q, c = self.predictions.get(context, (1 << 21, 0))
        bit = self.coder.split((self.coder.width >> 16) * max(min(q >> 6, 65504), 32))
        q += ((0 if bit else (1 << 22) - 1) - q) * (327680 // (5 * c + 8)) >> 16
        self.predictions[context] = q, min(c + 1, 255)
        return bit

    def text(self, i: int, heads: bytes) -> bytes:
        """The text of record i."""
        if not HEADS.fullmatch(heads):
            return heads
        around = self.sequences.surroundings(i, bool(self.flag[i] & 0x10))
        listed: set[int] = set()
        out = b""
        for group, head in enumerate(heads.split(b";")[:-1]):
            out += head
            before = (0, 0)
            skips = 0
            for place, (bases, _, _) in enumerate(around):
                if bases[2] != b"ACGT".index(head[0]):
                    continue
                bit = self.bit((min(group, 7), place in listed, before, bases))
                if bit:
                    out += b",%d" % skips
                    listed.add(place)
                skips = 0 if bit else skips + 1
                before = before[1], bit
            out += b";"
        return out
