"""Losses that a user can choose for a conversion: changed qualities, dropped tags and dropped read groups."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from bams3.bam.header import as_bytes
from bams3.errors import UsageError

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.bam.records import RecordBlock

BINS = {
    "bin8": {2: 6, 10: 15, 20: 22, 25: 27, 30: 33, 35: 37, 40: 40},
    "illumina4": {0: 2, 3: 12, 15: 23, 30: 37},
}
"""Bins of qualities: lowest quality of each bin → the value that replaces all its qualities. `bin8` has Illumina's
eight levels (0 and 1, for no-calls, stay); `illumina4` has the levels of NovaSeq (RTA3)."""
CRUMBLE_LIKE = "crumble-like"
"""All bases that agree with a clear consensus get the same quality, others keep theirs; see `bams3.bam.consensus`."""
QUALITIES = (*BINS, CRUMBLE_LIKE)
"""Ways to change qualities."""
MISSING = 255  # a missing quality
_TAG = "[A-Za-z][A-Za-z0-9]"


class Loss(NamedTuple):
    """What a conversion changes or drops. All tuples are sorted.

    Attributes
    ----------
    qualities
        A name in `QUALITIES`, or "" if qualities stay.
    dropped_tags
        Names of tags.
    kept_tags
        If not empty, all tags except these and CG are dropped.
    dropped_read_groups
        IDs of read groups whose records are dropped.
    """

    qualities: str = ""
    dropped_tags: tuple[str, ...] = ()
    kept_tags: tuple[str, ...] = ()
    dropped_read_groups: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, qualities: str | None, tags: Iterable[str], kept_tags: Iterable[str] = (),
        read_groups: Iterable[str] = (),
    ) -> Loss | None:  # fmt: skip
        """Return the loss that a user chooses, or None if there is none. Raises UsageError if it is invalid."""
        loss = cls(qualities or "", *(tuple(sorted(set(names))) for names in (tags, kept_tags, read_groups)))
        try:
            loss.check()
        except ValueError as error:
            raise UsageError(str(error)) from None
        return loss if any(loss) else None

    def check(self) -> None:
        """Raise ValueError if a name of qualities, a tag or a read group is unknown or not allowed."""
        if self.qualities and self.qualities not in QUALITIES:
            raise ValueError(
                f"unknown way to change qualities: {self.qualities!r}; choose {' or '.join(QUALITIES)}"
            )
        for names in self[1:]:
            if list(names) != sorted(set(names)):
                raise ValueError(f"names that are not in order: {', '.join(map(str, names))}")
        for tag in (*self.dropped_tags, *self.kept_tags):
            if not (isinstance(tag, str) and re.fullmatch(_TAG, tag)):
                raise ValueError(f"{tag!r} is not the name of a tag: a letter, and a letter or digit")
        if "CG" in self.dropped_tags:
            raise ValueError("the tag CG can't be dropped: it holds CIGARs of more than 65,535 operations")
        for name in self.dropped_read_groups:
            if not re.fullmatch(rb"[^\0\t\r\n]+", as_bytes(name)):
                raise ValueError(f"{name!r} is not the ID of a read group")

    def after(self, earlier: Loss | None) -> Loss:
        """The total loss, if the records of a dataset with the loss `earlier` are converted with this one. Raises
        UsageError if they change qualities in different ways, because a manifest can't state that."""
        if earlier is None:
            return self
        if self.qualities and earlier.qualities not in ("", self.qualities):
            raise UsageError(
                f"--qualities {self.qualities}: the qualities have already been changed, by {earlier.qualities}; "
                "convert the original file instead"
            )
        kept = {*self.kept_tags} & {*earlier.kept_tags} or self.kept_tags or earlier.kept_tags
        return Loss(
            self.qualities or earlier.qualities,
            tuple(sorted({*earlier.dropped_tags, *self.dropped_tags})),
            tuple(sorted(kept)),
            tuple(sorted({*earlier.dropped_read_groups, *self.dropped_read_groups})),
        )

    @property
    def needs_neighbours(self) -> bool:
        """Whether new qualities of a record depend on other records; if so, `bams3.sources.consensus` makes them."""
        return self.qualities == CRUMBLE_LIKE

    def applied(self, block: RecordBlock) -> RecordBlock:
        """Return the records that are not dropped, with all changes that do not depend on other records."""
        from bams3.bam.reduce import reduced

        if not (self.qualities in BINS or any(self[1:])):
            return block
        dropped, kept = ("".join(names).encode() for names in (self.dropped_tags, self.kept_tags))
        read_groups = [as_bytes(name) for name in self.dropped_read_groups]
        return reduced(block, _table(self.qualities), dropped, kept, read_groups)

    def in_header(self, header: Header) -> Header:
        """Return a header without the dropped read groups, and with an @PG line that states the loss. The line does not
        have the version of bams3, so the same source always becomes the same dataset."""
        from bams3.bam.header import Header, field_of, program_line, whole_lines

        words = ["bams3", "rewrite" if self.kept_tags or self.dropped_read_groups else "convert"]
        words += ["--qualities", self.qualities] if self.qualities else []
        words += ["--drop-tags", ",".join(self.dropped_tags)] if self.dropped_tags else []
        words += ["--keep-tags", ",".join(self.kept_tags)] if self.kept_tags else []
        for name in self.dropped_read_groups:
            words += ["--drop-rg", name]
        dropped = {*map(as_bytes, self.dropped_read_groups)}
        lines = [
            line
            for line in whole_lines(header.text).split(b"\n")
            if not (line.startswith(b"@RG\t") and field_of(line.rstrip(b"\r"), b"ID") in dropped)
        ]
        line = program_line(header, words, version=None)
        return Header(b"\n".join(lines) + line + b"\n", header.references)

    def __str__(self) -> str:
        """Describe the loss in words."""
        parts = [f"qualities are binned ({self.qualities})"] if self.qualities in BINS else []
        if self.qualities == CRUMBLE_LIKE:
            parts.append(
                f"qualities of bases that agree with a clear consensus are replaced ({CRUMBLE_LIKE})"
            )
        if self.dropped_tags:
            parts.append(f"tags are dropped ({', '.join(self.dropped_tags)})")
        if self.kept_tags:
            parts.append(f"tags are dropped except {', '.join(self.kept_tags)}")
        if self.dropped_read_groups:
            parts.append(f"read groups are dropped ({', '.join(self.dropped_read_groups)})")
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """The loss as the manifest states it."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in self._asdict().items()
            if value
        }


def loss_of(document: dict[str, Any]) -> Loss | None:
    """Return the loss that a manifest or a plan states under "lossy", or None. Raises ValueError or TypeError if it is
    invalid."""
    if "lossy" not in document:
        return None
    stated = document["lossy"]
    names = (tuple(stated.get(key, ())) for key in Loss._fields[1:])
    loss = Loss(stated.get("qualities", ""), *names)
    loss.check()
    if not any(loss) or loss.to_json() != stated:
        raise ValueError(f"invalid lossy {stated!r}")
    return loss


def _table(name: str) -> bytes:
    """For each quality, the one that replaces it."""
    table = bytearray(range(256))
    for lowest, value in sorted(BINS.get(name, {}).items()):
        table[lowest:MISSING] = bytes([value]) * (MISSING - lowest)
    return bytes(table)
