"""What a user asks of the marking of duplicates; the options of `samtools markdup`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bams3.bam.header import field_of
from bams3.errors import UsageError

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.duplicates.keys import KeyMaker
    from bams3.duplicates.marks import Marker
    from bams3.duplicates.supplementary import Supplementary

ORDERS = ("txy", "tyx", "xyt", "yxt", "xty", "ytx", "xy", "yx")
"""What the groups of an expression for coordinates may be."""
FIELD_OF_NAME = r"[0-9A-Za-z]+"
BARCODE_IN_NAME = ":".join([FIELD_OF_NAME] * 7) + ":([!-?A-~]+)"
"""Illumina's names have a barcode as their eighth field."""


class Markdup(NamedTuple):
    """`mode`: "t" compares the ends of templates, "s" where sequences begin. `length`: of the longest read.

    `remove`: leave duplicates out. `clear`: forget earlier marks first. `include_fails`: compare reads that failed QC,
    too. `read_groups`: only reads of the same read group are duplicates of each other. The same goes for barcodes: the
    tag `barcode_tag`, or what the first group of `barcode_pattern`, an extended regular expression of POSIX, finds in
    the name.

    `originals`: the tag do of a duplicate names its original. `copies`: the tag dc of others is how many reads they
    stand for, with themselves. `optical_distance`: the tag dt of duplicates is SQ if they were read so near the
    original, or a better duplicate of it, on a flow cell, or else LB; 0: there is no such tag. `chains`: compare
    duplicates of the same original with each other, too. `coordinates`: an expression for names; its groups are in an
    `order` such as txy, where t is a part that must be equal. Otherwise, names are those of Illumina.

    `supplementary`: mark the supplementary and secondary alignments of a duplicate, and its unmapped mate, too.

    `statistics`: a file for numbers of reads, as text or as `json`; it names the `command`.
    """

    mode: str = "t"
    length: int = 300
    remove: bool = False
    clear: bool = False
    include_fails: bool = False
    read_groups: bool = False
    barcode_tag: str = ""
    barcode_pattern: str = ""
    originals: bool = False
    copies: bool = False
    optical_distance: int = 0
    chains: bool = True
    coordinates: str = ""
    order: str = "txy"
    supplementary: bool = False
    statistics: str = ""
    json: bool = False
    command: str = "bams3 convert"

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

    def keys(self, groups: Sequence[bytes]) -> KeyMaker:
        """Return what makes keys of reads. `groups`: the IDs of read groups that are told apart."""
        from bams3.duplicates.keys import KeyMaker

        return KeyMaker(
            self.mode, include_fails=self.include_fails, barcode_tag=self.barcode_tag.encode(),
            barcode_pattern=_bytes(self.barcode_pattern), read_groups=groups,
        )  # fmt: skip

    def marker(self, groups: Sequence[bytes], others: Supplementary | None = None) -> Marker:
        """Return what finds the duplicates among reads with these keys. `others` takes the names of some."""
        from bams3.duplicates.marks import Marker

        return Marker(
            self.length, remove=self.remove, clear=self.clear, originals=self.originals, copies=self.copies,
            distance=self.optical_distance, chains=self.chains, coordinates=_bytes(self.coordinates), order=self.order,
            groups=len(groups), supplementary=others,
        )  # fmt: skip

    def others(self, groups: Sequence[bytes]) -> Supplementary | None:
        """Return what finds the other records of duplicates, if they are to be marked."""
        from bams3.duplicates.supplementary import Supplementary

        if not self.supplementary:
            return None
        return Supplementary(
            originals=self.originals, copies=self.copies, distance=self.optical_distance, groups=len(groups)
        )

    def groups(self, header: Header) -> list[bytes]:
        """Return the IDs of the read groups of a header that are told apart, in its order."""
        lines = header.text.split(b"\n") if self.read_groups else []
        ids = (field_of(line.rstrip(b"\r"), b"ID") for line in lines if line.startswith(b"@RG\t"))
        return [name for name in ids if name is not None]


def _bytes(pattern: str) -> bytes:
    return pattern.encode("utf-8", "surrogateescape")
