"""The bases of a reference genome, from an indexed FASTA file."""

from __future__ import annotations

from collections.abc import Sequence

from bams3.errors import UsageError


class Reference:
    """A FASTA file; htslib makes its index, FILE.fai, if there is none."""

    def __init__(self, path: str) -> None:
        """Raises UsageError if the file cannot be read."""
        from pysam import FastaFile

        try:
            self._file = FastaFile(path)
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read the FASTA file {path}, or its index {path}.fai: {error}") from None
        self._lengths = dict(zip(self._file.references, self._file.lengths, strict=True))

    def lengths(self, contigs: Sequence[tuple[str, int]]) -> dict[int, int]:
        """The lengths that the file has of contigs, by their number; those that it lacks are left out."""
        return {i: self._lengths[name] for i, (name, _) in enumerate(contigs) if name in self._lengths}

    def bases(self, contig: str, start: int, stop: int) -> bytes | None:
        """The bases of [start, stop), as far as the contig reaches; N before its start. None if the file lacks it."""
        if contig not in self._lengths:
            return None
        bases: str = self._file.fetch(contig, max(start, 0), max(min(stop, self._lengths[contig]), start, 0))
        return b"N" * -min(start, 0) + bases.encode()
