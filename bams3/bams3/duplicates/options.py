"""What a user asks of the marking of duplicates; the options of `samtools markdup`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bams3.errors import UsageError

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.duplicates.keys import KeyMaker

FIELD_OF_NAME = r"[0-9A-Za-z]+"
BARCODE_IN_NAME = ":".join([FIELD_OF_NAME] * 7) + ":([!-?A-~]+)"
"""Illumina's names have a barcode as their eighth field."""


class Markdup(NamedTuple):
    """`mode`: "t" compares the ends of templates, "s" where sequences begin. `length`: of the longest read.

    `remove`: leave duplicates out. `clear`: forget earlier marks first. `include_fails`: compare reads that failed QC,
    too. `read_groups`: only reads of the same read group are duplicates of each other. The same goes for barcodes: the
    tag `barcode_tag`, or what the first group of `barcode_pattern`, an extended regular expression of POSIX, finds in
    the name.
    """

    mode: str = "t"
    length: int = 300
    remove: bool = False
    clear: bool = False
    include_fails: bool = False
    read_groups: bool = False
    barcode_tag: str = ""
    barcode_pattern: str = ""

    def check(self) -> None:
        """Raise UsageError for options that are invalid or contradict each other."""
        if self.mode not in ("t", "s"):
            raise UsageError(f"mode {self.mode!r}: choose t (ends of templates) or s (where sequences begin)")
        if not 0 <= self.length < 1 << 31:
            raise UsageError(
                f"length of the longest read {self.length}: give a number from 0 to {(1 << 31) - 1}"
            )
        if self.barcode_tag and self.barcode_pattern:
            raise UsageError("a barcode is in a tag or in the name; give only one of these options")
        if self.barcode_tag and len(self.barcode_tag.encode()) != 2:
            raise UsageError(
                f"{self.barcode_tag!r} is not the name of a tag: it has two characters, as in RX"
            )

    def keys(self, header: Header) -> KeyMaker:
        """Return what makes the keys of the reads of a file with this header."""
        from bams3.duplicates.keys import KeyMaker

        return KeyMaker(
            self.mode, include_fails=self.include_fails, barcode_tag=self.barcode_tag.encode(),
            barcode_pattern=self.barcode_pattern.encode("utf-8", "surrogateescape"),
            read_groups=read_group_ids(header) if self.read_groups else (),
        )  # fmt: skip


def read_group_ids(header: Header) -> list[bytes]:
    """Return the IDs of the header's read groups, in its order."""
    lines = (
        line.rstrip(b"\r").split(b"\t") for line in header.text.split(b"\n") if line.startswith(b"@RG\t")
    )
    return [field[3:] for line in lines for field in line if field.startswith(b"ID:")]
