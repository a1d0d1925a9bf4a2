"""Checks that FASTA files have the sequences with which a CRAM was written.

htslib checks this only for slices with reads of a single contig. In a slice with reads of several contigs, a wrong
FASTA file would produce wrong bases.
"""

import os
from collections import defaultdict
from collections.abc import Iterable
from hashlib import md5

from bams3.bam.header import Header, checksums, of_contigs
from bams3.bam.records import RecordBlock, end_of_contig
from bams3.errors import SourceError
from bams3.sources.reference_cache import may_have

PORTION = 1 << 22  # bases


class Sequences:
    """The sequences of a FASTA file (`fasta`), to be compared with those of the CRAM file `name` with this header.

    Without a FASTA file, htslib uses the files that UR in the header names, if it does not find a sequence by its
    checksum. Contigs that are missing from the FASTA, and contigs without M5 in the header, are not compared. htslib
    itself detects the former.
    """

    def __init__(self, name: str, fasta: str | None, header: Header) -> None:
        self._name, self._fasta, self._header = name, fasta, header
        wanted = checksums(header.text)
        self._wanted = {i: (n, wanted[n]) for i, (n, _) in enumerate(header.references) if n in wanted}

    def check(self, reference_ids: Iterable[int]) -> None:
        """Compare the sequences that have not been compared yet. Raises SourceError if one differs."""
        for reference_id in sorted(self._wanted.keys() & set(reference_ids)):
            contig, wanted = self._wanted[reference_id]
            fasta = self._fasta or self._named(contig, wanted)
            found = _checksum(fasta, contig) if fasta else None
            if found not in (None, wanted):
                raise SourceError(
                    f"{self._name}: it was written with another sequence of {contig} than {fasta} has: their "
                    f"M5 are {wanted} and {found}; give the FASTA that the CRAM was written with (-T)"
                )
            del self._wanted[reference_id]

    def _named(self, contig: str, checksum: str) -> str | None:
        """Return the local file that UR names for a contig, if htslib reads the sequence from there."""
        path = of_contigs(self._header.text, b"UR").get(contig, "").removeprefix("file:")
        return path if os.path.isfile(path) and not may_have(checksum) else None


def _checksum(fasta: str, contig: str) -> str | None:
    """Return the M5 of a sequence; None if it is not in the file."""
    from pysam import FastaFile

    summed = md5(usedforsecurity=False)
    try:
        with FastaFile(fasta) as file:
            if contig not in file.references:
                return None
            for start in range(0, file.get_reference_length(contig), PORTION):
                summed.update(file.fetch(contig, start, start + PORTION).upper().encode())
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read the FASTA file {fasta}: {error}") from None
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
