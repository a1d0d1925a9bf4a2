"""Options for the marking of duplicates, which are those of `samtools markdup`."""

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
"""Valid orders of the groups in an expression for coordinates."""
FIELD_OF_NAME = r"[0-9A-Za-z]+"
BARCODE_IN_NAME = ":".join([FIELD_OF_NAME] * 7) + ":([!-?A-~]+)"
"""Pattern for Illumina's names, whose eighth field is a barcode."""


class Markdup(NamedTuple):
    """Options for the marking of duplicates.

    Attributes
    ----------
    mode
        "t": compare the ends of templates; "s": compare the positions where sequences begin.
    length
        Length of the longest read in bp.
    remove
        Leave out duplicates.
    clear
        Remove earlier marks first.
    include_fails
        Also compare reads that failed QC.
    read_groups
        Only reads of the same read group can be duplicates of each other.
    barcode_tag
        Only reads with the same value of this tag can be duplicates of each other.
    barcode_pattern
        The same, for the barcode in the read name: the first group of this POSIX extended regular expression.
    originals
        Write the name of its original to the tag do of each duplicate.
    copies
        Write to the tag dc of each other read the number of reads that it represents, including itself.
    optical_distance
        Write to the tag dt of each duplicate SQ if it was read within this distance of its original, or of a better
        duplicate, on the flow cell, and LB otherwise. 0: do not write this tag.
    chains
        Also compare duplicates of the same original with each other.
    coordinates, order
        POSIX extended regular expression for the coordinates in read names, and the order of its groups, such as txy,
        where t is a part of the name that must be the same. By default, names are those of Illumina.
    supplementary
        Also mark the supplementary and secondary alignments of a duplicate, and its unmapped mate.
    statistics, json
        File for the numbers of reads, and whether it is written as JSON rather than text.
    command
        The command line that the statistics state.
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
        if self.optical_distance < 0:
            raise UsageError(f"optical distance {self.optical_distance}: give a number from 0")
        if self.barcode_tag and self.barcode_pattern:
            raise UsageError("a barcode is in a tag or in the name; give only one of these options")
        if self.barcode_tag and len(self.barcode_tag.encode()) != 2:
            raise UsageError(
                f"{self.barcode_tag!r} is not the name of a tag: it has two characters, as in RX"
            )

    def keys(self, groups: Sequence[bytes]) -> KeyMaker:
        """Return the maker of reads' keys. `groups`: the IDs of read groups that are distinguished."""
        from bams3.duplicates.keys import KeyMaker

        return KeyMaker(
            self.mode, include_fails=self.include_fails, barcode_tag=self.barcode_tag.encode(),
            barcode_pattern=_bytes(self.barcode_pattern), read_groups=groups,
        )  # fmt: skip

    def marker(self, groups: Sequence[bytes], others: Supplementary | None = None) -> Marker:
        """Return the marker that finds duplicates among reads with these keys. `others` receives the names of some."""
        from bams3.duplicates.marks import Marker

        return Marker(
            self.length, remove=self.remove, clear=self.clear, originals=self.originals, copies=self.copies,
            distance=self.optical_distance, chains=self.chains, coordinates=_bytes(self.coordinates), order=self.order,
            groups=len(groups), supplementary=others,
        )  # fmt: skip

    def others(self, groups: Sequence[bytes]) -> Supplementary | None:
        """Return the finder of the other records of duplicates; None if they are not to be marked."""
        from bams3.duplicates.supplementary import Supplementary

        if not self.supplementary:
            return None
        return Supplementary(
            originals=self.originals, copies=self.copies, distance=self.optical_distance, groups=len(groups)
        )

    def groups(self, header: Header) -> list[bytes]:
        """Return the IDs of the read groups of a header that are distinguished, in its order."""
        lines = header.text.split(b"\n") if self.read_groups else []
        ids = (field_of(line.rstrip(b"\r"), b"ID") for line in lines if line.startswith(b"@RG\t"))
        return [name for name in ids if name is not None]


def _bytes(pattern: str) -> bytes:
    return pattern.encode("utf-8", "surrogateescape")
