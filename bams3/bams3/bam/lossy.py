"""What a lossy conversion changes in records: qualities are binned, tags are dropped. Only if the user asks for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from bams3.errors import UsageError

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.bam.records import RecordBlock

BINS = {
    "bin8": {2: 6, 10: 15, 20: 22, 25: 27, 30: 33, 35: 37, 40: 40},
    "illumina4": {0: 2, 3: 12, 15: 23, 30: 37},
}
"""Bins of qualities: the value that takes the place of each quality from a lowest one on, up to the next bin. `bin8`:
Illumina's eight levels (0 and 1, of no-calls, stay); `illumina4`: the levels of NovaSeq (RTA3)."""
MISSING = 255  # a quality that is not there
_TAG = "[A-Za-z][A-Za-z0-9]"


class Loss(NamedTuple):
    """`qualities`: a name in `BINS`, or "" if they stay; `dropped_tags`: names of tags, sorted."""

    qualities: str = ""
    dropped_tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, qualities: str | None, tags: Any) -> Loss | None:
        """Check what a user asks for; None if it is nothing. Raises UsageError."""
        loss = cls(qualities or "", tuple(sorted(set(tags))))
        try:
            loss.check()
        except ValueError as error:
            raise UsageError(str(error)) from None
        return loss if any(loss) else None

    def check(self) -> None:
        """Raise ValueError unless bins and tags exist and may be used."""
        if self.qualities and self.qualities not in BINS:
            raise ValueError(f"no bins of qualities are named {self.qualities!r}; choose {' or '.join(BINS)}")
        if list(self.dropped_tags) != sorted(set(self.dropped_tags)):
            raise ValueError(f"tags that are not in order: {', '.join(map(str, self.dropped_tags))}")
        for tag in self.dropped_tags:
            if not (isinstance(tag, str) and re.fullmatch(_TAG, tag)):
                raise ValueError(f"{tag!r} is not the name of a tag: a letter, and a letter or digit")
            if tag == "CG":
                raise ValueError(
                    "the tag CG can't be dropped: it holds CIGARs of more than 65,535 operations"
                )

    def applied(self, block: RecordBlock) -> RecordBlock:
        """Return changed copies of the records."""
        from bams3.bam.reduce import reduced

        return reduced(block, _table(self.qualities), "".join(self.dropped_tags).encode())

    def in_header(self, header: Header) -> Header:
        """Return a header with an @PG line that states the loss. It names no version of bams3: the same source becomes
        the same dataset."""
        from bams3.bam.header import Header, program_line, whole_lines

        words = ["bams3", "convert"]
        words += ["--qualities", self.qualities] if self.qualities else []
        words += ["--drop-tags", ",".join(self.dropped_tags)] if self.dropped_tags else []
        line = program_line(header, words, version=None)
        return Header(whole_lines(header.text) + line + b"\n", header.references)

    def __str__(self) -> str:
        """In words, for people."""
        parts = [f"qualities are binned ({self.qualities})"] if self.qualities else []
        if self.dropped_tags:
            parts.append(f"tags are dropped ({', '.join(self.dropped_tags)})")
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """As in the manifest."""
        document = {"qualities": self.qualities, "dropped_tags": list(self.dropped_tags)}
        return {key: value for key, value in document.items() if value}


def loss_of(document: dict[str, Any]) -> Loss | None:
    """Return the loss that a manifest or a plan states under "lossy", if it does. Raises ValueError or TypeError."""
    if "lossy" not in document:
        return None
    stated = document["lossy"]
    loss = Loss(stated.get("qualities", ""), tuple(stated.get("dropped_tags", ())))
    loss.check()
    if not any(loss) or loss.to_json() != stated:
        raise ValueError(f"invalid lossy {stated!r}")
    return loss


def _table(name: str) -> bytes:
    """For each quality, the one that takes its place."""
    table = bytearray(range(256))
    for lowest, value in sorted(BINS.get(name, {}).items()):
        table[lowest:MISSING] = bytes([value]) * (MISSING - lowest)
    return bytes(table)
