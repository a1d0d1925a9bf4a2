"""Checks that a FASTA file has the sequences with which a CRAM was written.

htslib checks this only for slices with reads of a single contig. In a slice with reads of several contigs, a wrong
FASTA file would produce wrong bases.
"""

from collections import defaultdict
from collections.abc import Iterable
from hashlib import md5

from bams3.bam.header import Header, checksums
from bams3.bam.records import RecordBlock, end_of_contig
from bams3.errors import SourceError

PORTION = 1 << 22  # bases


class Sequences:
    """The sequences of a FASTA file (`fasta`), to be compared with those of the CRAM file `name` with this header.

    Contigs that are missing from the FASTA, and contigs without M5 in the header, are not compared. htslib itself
    detects the former.
    """

    def __init__(self, name: str, fasta: str, header: Header) -> None:
        self._name, self._fasta = name, fasta
        wanted = checksums(header.text)
        self._wanted = {i: (n, wanted[n]) for i, (n, _) in enumerate(header.references) if n in wanted}

    def check(self, reference_ids: Iterable[int]) -> None:
        """Compare the sequences that have not been compared yet. Raises SourceError if one differs."""
        for reference_id in sorted(self._wanted.keys() & set(reference_ids)):
            contig, wanted = self._wanted[reference_id]
            found = self._checksum(contig)
            if found not in (None, wanted):
                raise SourceError(
                    f"{self._name}: it was written with another sequence of {contig} than {self._fasta} has: their "
                    f"M5 are {wanted} and {found}; give the FASTA that the CRAM was written with (-T)"
                )
            del self._wanted[reference_id]

    def _checksum(self, contig: str) -> str | None:
        """Return the M5 of a sequence; None if it is not in the file."""
        from pysam import FastaFile

        summed = md5(usedforsecurity=False)
        try:
            with FastaFile(self._fasta) as file:
                if contig not in file.references:
                    return None
                for start in range(0, file.get_reference_length(contig), PORTION):
                    summed.update(file.fetch(contig, start, start + PORTION).upper().encode())
        except (OSError, ValueError) as error:
            raise SourceError(f"cannot read the FASTA file {self._fasta}: {error}") from None
        return summed.hexdigest()


def contigs_of(block: RecordBlock) -> set[int]:
    """The reference ids of records."""
    found: set[int] = set()
    number = 0
    while number < len(block):
        number, reference_id = end_of_contig(block, number)
        found.add(reference_id)
    return found


def contigs_in_shared_slices(crai: Iterable[bytes]) -> set[int]:
    """Return the reference ids that the lines of a CRAI list for containers with reads of several contigs."""
    by_container: defaultdict[bytes, set[int]] = defaultdict(set)
    for line in crai:
        fields = line.split(b"\t")
        if len(fields) > 3 and fields[0].isdigit():
            by_container[fields[3]].add(int(fields[0]))
    return {i for contigs in by_container.values() if len(contigs) > 1 for i in contigs}
