"""CIGAR, NM and MD of a slice of the donor, from the reference positions of its bases."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from simulator.genome import BASES, Genome


def deletions(ref: np.ndarray, inserted: np.ndarray) -> np.ndarray:
    """Return, for each base of a read, how many reference bases are deleted right before it (0 for inserted bases)."""
    gaps = np.zeros(len(ref), np.int64)
    matched = np.flatnonzero(~inserted)
    gaps[matched[1:]] = np.diff(ref[matched]) - 1
    return gaps


def cigar_of(ref: np.ndarray, inserted: np.ndarray) -> list[tuple[int, str]]:
    """Return the CIGAR operations of an aligned stretch that begins and ends with a match."""
    gaps = deletions(ref, inserted)
    turns = np.flatnonzero((inserted[1:] != inserted[:-1]) | (gaps[1:] > 0)) + 1
    starts = np.concatenate([[0], turns])
    sizes = np.diff(np.concatenate([starts, [len(ref)]]))
    operations = []
    for gap, size, is_insert in zip(
        gaps[starts].tolist(), sizes.tolist(), inserted[starts].tolist(), strict=True
    ):
        if gap:
            operations.append((gap, "D"))
        operations.append((size, "I" if is_insert else "M"))
    return operations


def edits_of(codes: np.ndarray, ref: np.ndarray, inserted: np.ndarray, genome: Genome) -> tuple[int, bytes]:
    """Return NM and MD of an aligned stretch that begins and ends with a match."""
    gaps = deletions(ref, inserted)[~inserted]
    stood_on = ref[~inserted]
    reference = genome.codes[stood_on]
    mismatch = codes[~inserted] != reference
    text, done = [], 0
    for at in np.flatnonzero(mismatch | (gaps > 0)).tolist():
        run = at - done
        if gaps[at]:
            deleted = genome.codes[stood_on[at] - gaps[at] : stood_on[at]]
            text.append(b"%d^%b" % (run, bytes(BASES[code] for code in deleted)))
            run, done = 0, at
        if mismatch[at]:
            text.append(b"%d%c" % (run, BASES[reference[at]]))
            done = at + 1
    text.append(b"%d" % (len(reference) - done))
    return int(mismatch.sum() + inserted.sum() + gaps.sum()), b"".join(text)


@dataclass
class Cigars:
    """All distinct CIGARs: their texts and packed forms, by number. Number 0 is `*`."""

    texts: list[bytes] = field(default_factory=lambda: [b"*"])
    packed: list[bytes] = field(default_factory=lambda: [b""])
    numbers: dict[bytes, int] = field(default_factory=dict)

    def number(self, operations: Sequence[tuple[int, str]]) -> int:
        operations = [(size, op) for size, op in operations if size]
        text = b"".join(b"%d%c" % (size, ord(op)) for size, op in operations)
        if text not in self.numbers:
            self.numbers[text] = len(self.texts)
            self.texts.append(text)
            self.packed.append(
                b"".join(struct.pack("<I", size << 4 | "MIDNSH".index(op)) for size, op in operations)
            )
        return self.numbers[text]
