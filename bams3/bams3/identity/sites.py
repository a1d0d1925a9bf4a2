"""The sites at which samples are compared: common biallelic SNVs, from a file that the user gives."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from bams3.alleles.known import SiteFile, Sites
from bams3.errors import UsageError

MOST = 1 << 18
"""Greatest number of records in a file. A few thousand are enough, and each sample has counts for every site."""
AUTOSOME, X, Y, OTHER = range(4)
"""Kinds of sites. Those of the kind OTHER, on mitochondria and in the pseudoautosomal regions, are not used."""
BASES = "ACGT"

_KINDS = {"X": X, "Y": Y, "M": OTHER, "MT": OTHER}
_PSEUDOAUTOSOMAL = {
    (X, 156_040_895): ((10_000, 2_781_479), (155_701_382, 156_030_895)),  # GRCh38
    (Y, 57_227_415): ((10_000, 2_781_479), (56_887_902, 57_217_415)),
    (X, 155_270_560): ((60_000, 2_699_520), (154_931_043, 155_260_560)),  # GRCh37
    (Y, 59_373_566): ((10_000, 2_649_520), (59_034_049, 59_363_566)),
}
"""Intervals (0-based, half-open) by the kind and the length of a contig. The length identifies the assembly."""


@dataclass(frozen=True)
class SiteSet:
    """Sites in the order of their file.

    Attributes
    ----------
    path
        Name of the file.
    places
        Contigs and positions.
    ref, alt
        Index in BASES of the alleles, int64 of shape (sites,).
    kind
        AUTOSOME, X, Y or OTHER, uint8 of shape (sites,).
    frequency
        Frequency of ALT from INFO/AF, float64 of shape (sites,); NaN if unknown.
    key
        Hash of contigs, positions and alleles.
    """

    path: str
    places: Sites
    ref: np.ndarray
    alt: np.ndarray
    kind: np.ndarray
    frequency: np.ndarray
    key: str

    def __len__(self) -> int:
        return len(self.ref)


def read_sites(path: str, note: Callable[[str], Any]) -> SiteSet:
    """Read the sites of a VCF or BCF, or of a table of contig, position (1-based), REF and ALT; all may be gzipped.

    Records are left out if their alleles are not two single bases, or if several share a position. `note`: called with
    a message that states how many are left out, and why. Raises UsageError if the file can't be read or has no sites.
    """
    file = SiteFile(path)
    all_sites = next(file.blocks(MOST + 1, []), None)
    if all_sites is None:
        raise UsageError(f"{path}: no sites; give a VCF of common SNVs")
    if len(all_sites.position) > MOST:
        raise UsageError(f"{path}: more than {MOST} sites; a few thousand common ones suffice")
    lengths, frequencies = _info(file) if file.has_alleles else ({}, [float("nan")] * len(all_sites.position))
    contig, position = np.array(all_sites.contig), np.array(all_sites.position)
    alleles = [_alleles(text) for text in _texts(all_sites)]
    is_snv = np.array([found is not None for found in alleles])
    has_many = np.array([text.rpartition(b"\t")[2].count(b",") > 0 for text in _texts(all_sites)])
    alone = is_snv & _alone(contig, position)
    _tell(path, has_many & ~is_snv, ~is_snv & ~has_many, is_snv & ~alone, note)
    kept = np.flatnonzero(alone)
    if not len(kept):
        raise UsageError(f"{path}: no SNV with one REF and one ALT; give a VCF of common SNVs")
    ref, alt = np.array([alleles[i] for i in kept], np.int64).T
    places = Sites(
        all_sites.contigs,
        array("i", contig[kept].astype("i").tobytes()),
        array("q", position[kept].tobytes()),
        b"",
        array("q"),
        ref.astype(np.uint8).tobytes(),
    )
    return SiteSet(
        path, places, ref, alt, _kinds(places, lengths), np.array(frequencies)[kept], _key(places, ref, alt)
    )


def _texts(sites: Sites) -> Iterator[bytes]:
    """Yield ID, REF and ALT of each site, separated by tabs."""
    return (sites.text[start:end] for start, end in pairwise((0, *sites.text_ends)))


def _alleles(text: bytes) -> tuple[int, int] | None:
    """Return the indexes of REF and ALT in BASES; None unless they are two different bases."""
    _, ref, alt = text.decode("ascii", "replace").upper().split("\t")
    if len(ref) == len(alt) == 1 and ref != alt and ref in BASES and alt in BASES:
        return BASES.index(ref), BASES.index(alt)
    return None


def _alone(contig: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return a mask of the records that are alone at their position."""
    _, first, count = np.unique(np.stack([contig, position]), axis=1, return_inverse=True, return_counts=True)
    return np.asarray(count[first.reshape(-1)] == 1)


def _tell(
    path: str, many: np.ndarray, other: np.ndarray, shared: np.ndarray, note: Callable[[str], Any]
) -> None:
    numbers = [
        (many, "with several ALT alleles"),
        (other, "that are not SNVs"),
        (shared, "that share a position"),
    ]
    told = [f"{int(which.sum())} {what}" for which, what in numbers if which.any()]
    if told:
        left_out = int((many | other | shared).sum())
        note(f"{path}: {left_out} of {len(many)} records are left out: {', '.join(told)}")


def _kinds(places: Sites, lengths: dict[str, int]) -> np.ndarray:
    """Return the kind of each site, from the name of its contig, with or without `chr`."""
    of_contig = [_KINDS.get(name.removeprefix("chr"), AUTOSOME) for name in places.contigs]
    contig, position = np.array(places.contig), np.array(places.position)
    kinds: np.ndarray = np.array(of_contig, np.uint8)[contig]
    for number, name in enumerate(places.contigs):
        for start, end in _PSEUDOAUTOSOMAL.get((of_contig[number], lengths.get(name, 0)), ()):
            kinds[(contig == number) & (start <= position) & (position < end)] = OTHER
    return kinds


def _key(places: Sites, ref: np.ndarray, alt: np.ndarray) -> str:
    rows = zip(places.contig, places.position, ref.tolist(), alt.tolist(), strict=True)
    text = "".join(f"{places.contigs[c]}\t{p}\t{BASES[r]}\t{BASES[a]}\n" for c, p, r, a in rows)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _info(file: SiteFile) -> tuple[dict[str, int], list[float]]:
    """Return the lengths of contigs in the header of a VCF, and INFO/AF of each record (NaN if unknown)."""
    lengths: dict[str, int] = {}
    frequencies = []
    for text in file.texts(header=True):
        for line in text.splitlines():
            words = line.split(maxsplit=8)
            if words and words[0].startswith(b"##contig=<"):
                lengths |= _length(line)
            elif words and not words[0].startswith(b"#"):
                frequencies.append(_frequency(words[7:8]))
    return lengths, frequencies


def _length(line: bytes) -> dict[str, int]:
    """Return the length of a contig by its name, from a line of a VCF header; empty if the line lacks it."""
    keys = line.decode("utf-8", "surrogateescape").strip().removeprefix("##contig=<").removesuffix(">")
    values = dict(pair.partition("=")[::2] for pair in keys.split(","))
    length = values.get("length", "")
    return {values["ID"]: int(length)} if length.isdecimal() and len(length) < 11 and "ID" in values else {}


def _frequency(info: Sequence[bytes]) -> float:
    for entry in info[0].split(b";") if info else ():
        if entry.startswith(b"AF="):
            try:
                found = float(entry[3:])
            except ValueError:
                break
            return found if 0 < found < 1 else float("nan")
    return float("nan")
