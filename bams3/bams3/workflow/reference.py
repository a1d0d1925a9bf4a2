"""Checks that a FASTA is the reference of the samples: its index and dictionary are compared with their contigs."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from bams3.bam.header import Header
from bams3.errors import Bams3Error
from bams3.workflow.errors import ConfigurationError

Contigs = Sequence[tuple[str, int]]

NAMED = 3  # number of names that are shown in a message
LOOK = 4096  # number of bytes before a sequence that contain its name
_OTHER = "use the FASTA that the reads were aligned to"


class Entry(NamedTuple):
    """A line of a .fai: name, length and offset of a sequence, and the length of its lines in bases and in bytes."""

    name: str
    length: int
    offset: int = 0
    bases: int = 0
    width: int = 0


def read_fai(data: bytes, path: str) -> list[Entry]:
    """Return the lines of a .fai, which may consist of only names and lengths. Raises ConfigurationError."""
    found = []
    for line_number, line in enumerate(data.splitlines(), 1):
        name, *numbers = line.split(b"\t")[:5]
        if not numbers or not all(number.isdigit() and len(number) < 19 for number in numbers):
            raise ConfigurationError(
                f"{path}:{line_number}: invalid line in a .fai; create the file with: samtools faidx"
            )
        found.append(Entry(name.decode(errors="surrogateescape"), *map(int, numbers)))
    return found


def read_dictionary(data: bytes, path: str) -> Header:
    """Read a .dict, which is a SAM header. Raises ConfigurationError."""
    try:
        return Header.from_text(data)
    except Bams3Error as error:
        raise ConfigurationError(f"{path}: {error}; create the file with: samtools dict") from None


def dictionaries(fasta: str) -> list[str]:
    """Return the paths where the dictionary of a FASTA may be."""
    stem, dot, end = fasta.removesuffix(".gz").rpartition(".")
    beside = [f"{stem}.dict"] if dot and "/" not in end else []
    return [*beside, f"{fasta}.dict"]


def check_lengths(
    path: str, found: Iterable[tuple[str, int]], contigs: Contigs, needed: Collection[str]
) -> None:
    """Raise ConfigurationError if the sequences listed in `path` do not match the contigs; the order is irrelevant.

    The file may list other sequences. It must list at least one of the contigs, and all that are `needed`.
    """
    lengths = dict(found)
    for name, length in contigs:
        if lengths.get(name, length) != length:
            raise ConfigurationError(
                f"{path}: {name} has {lengths[name]} bp, but {length} bp in the samples: another genome build; {_OTHER}"
            )
    lacking = [name for name, _ in contigs if name not in lengths and name in needed]
    if lacking or not any(name in lengths for name, _ in contigs):
        lacking = lacking or [name for name, _ in contigs]
        known = dict(contigs)
        others = [name for name in lengths if name not in known]
        has = f", it has {some(others)}" if others else ""
        raise ConfigurationError(
            f"{path}: does not list these contigs of the samples: {some(lacking)}{has}; {_OTHER}"
        )


def check_checksums(path: str, found: Mapping[str, str], sample: str, of_sample: Mapping[str, str]) -> None:
    """Raise ConfigurationError for a contig whose M5 differs between a FASTA's dictionary and a sample."""
    for name, checksum in of_sample.items():
        if found.get(name, checksum) != checksum:
            raise ConfigurationError(
                f"{path}: sample {sample}: the sequence of {name} differs: its M5 is {found[name]} here, "
                f"{checksum} in the sample; {_OTHER}, or recreate the dictionary (samtools dict)"
            )


def check_index(fasta: str, index: Iterable[Entry]) -> None:
    """Raise ConfigurationError if the .fai of an uncompressed FASTA belongs to another file."""
    with open(fasta, "rb", buffering=0) as file:
        number = file.fileno()
        if os.pread(number, 2, 0) == b"\x1f\x8b":
            return
        for sequence in index:
            if not _is_at(number, sequence):
                raise ConfigurationError(
                    f"{fasta}.fai: {sequence.name} is not at its offset: {fasta} has changed since; "
                    f"recreate the index with: samtools faidx {fasta}"
                )


def _is_at(file: int, sequence: Entry) -> bool:
    """Tell whether the line before the offset names the sequence, and the next one (or the end of file) follows it."""
    _, length, offset, bases, width = sequence
    begin = max(offset - LOOK, 0)
    before = os.pread(file, offset - begin, begin)
    line = before.rstrip(b"\r\n").rpartition(b"\n")[2]
    if line.startswith(b">") and line[1:].split()[:1] != [sequence.name.encode(errors="surrogateescape")]:
        return False
    if not before.endswith(b"\n") or (begin == 0 and not line.startswith(b">")):
        return False
    end = offset + ((length - 1) // bases * width + (length - 1) % bases + 1 if bases and length else 0)
    last = os.pread(file, 1, max(end - 1, offset))
    return bool(last or not length) and os.pread(file, 3, end).strip()[:1] in (b"", b">")


def some(names: Collection[str]) -> str:
    """Return the first few names, and the number of the others, as text."""
    first = ", ".join(list(names)[:NAMED])
    return first if len(names) <= NAMED else f"{first} and {len(names) - NAMED} more"
