"""The bases of a reference genome, from an indexed FASTA file."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING

from bams3.errors import UsageError

if TYPE_CHECKING:
    from bams3.chunk.row_group import RowGroup


class Fasta:
    """A FASTA file. If its index, FILE.fai, is missing, htslib creates it."""

    def __init__(self, path: str) -> None:
        """Raises UsageError if the file cannot be read."""
        from pysam import FastaFile, set_verbosity

        shown = set_verbosity(0)  # errors are reported below, so htslib need not print them
        try:
            self._file = FastaFile(path)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"cannot read the FASTA file {path}, or its index {path}.fai: {error}; give a FASTA file that is not "
                "compressed, or compressed by bgzip"
            ) from None
        finally:
            set_verbosity(shown)
        self._lock = Lock()
        self._lengths = dict(zip(self._file.references, self._file.lengths, strict=True))

    def lengths(self, contigs: Sequence[tuple[str, int]]) -> dict[int, int]:
        """Lengths of the contigs in the file, by reference id, without contigs that the file lacks."""
        return {i: self._lengths[name] for i, (name, _) in enumerate(contigs) if name in self._lengths}

    def bases(self, contig: str, start: int, stop: int) -> bytes | None:
        """The bases of [start, stop), up to the end of the contig; N before its start. None if the file lacks the
        contig."""
        if contig not in self._lengths:
            return None
        with self._lock:  # threads share the file
            bases: str = self._file.fetch(
                contig, max(start, 0), max(min(stop, self._lengths[contig]), start, 0)
            )
        return b"N" * -min(start, 0) + bases.encode()


class Recalibration:
    """Lowers base qualities by BAQ, as samtools does if it has a reference. `redo`: even if reads have the tag BQ."""

    def __init__(self, reference: Fasta, contigs: Sequence[tuple[str, int]], *, redo: bool = False) -> None:
        self._reference, self._contigs = reference, contigs
        self._tags = ("tag.ZQ:",) if redo else ("tag.BQ:", "tag.ZQ:")

    def __call__(self, group: RowGroup, mask: bytearray) -> None:
        """Lower the qualities of the reads of a row group that `mask` selects.

        Raises UsageError if reads have the tag ZQ, or BQ unless `redo`, or if a read takes too much memory.
        """
        from bams3.alleles.baq import realign

        if tagged := [name for name in group.entry.streams if name.startswith(self._tags)]:
            raise UsageError(
                f"{group.name}: reads have the tag {tagged[0][4:6]}, so their qualities may have been recalculated; "
                "give -B to leave them unchanged, or pipe the reads to samtools mpileup"
            )
        around = (
            2 * max(group.l_seq) + max(end - pos for pos, end in zip(group.pos, group.end, strict=True)) + 16
        )
        start = max(group.zone.min_pos - around, 0)
        name = self._contigs[group.reference_id][0]
        bases = self._reference.bases(name, start, group.zone.max_end + around)
        if bases is not None:
            try:
                realign(group, mask, bases, start)
            except MemoryError as error:  # a read with a long deletion needs a large matrix
                raise UsageError(f"{group.name}: {error}; give -B to leave qualities unchanged") from None
