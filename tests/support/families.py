"""People who were never born: their alleles at sites, by Mendel's laws, and what reads of them would say there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bams3.identity.counts import Allele, Quality, write_counts
from bams3.identity.sites import SiteSet, read_sites

AUTOSOMAL, ON_X, ON_Y = 4000, 200, 100
ERROR = 0.002


@dataclass
class Person:
    """Alleles (0: REF, 1: ALT) of both copies of the autosomes and of X, (2, sites), and of Y; a copy that is not there
    has -1."""

    sex: str
    autosomes: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @property
    def copies(self) -> np.ndarray:
        """All sites in the order of the file: (2, sites)."""
        y = np.stack([self.y, np.full_like(self.y, -1)])
        return np.concatenate([self.autosomes, self.x, y], axis=1)


class World:
    """Sites with frequencies, and people who are born at random."""

    def __init__(self, folder: Path, seed: int = 1, autosomal: int = AUTOSOMAL) -> None:
        self.rng = np.random.default_rng(seed)
        self.autosomal = autosomal
        self.frequency = self.rng.uniform(0.2, 0.8, autosomal + ON_X + ON_Y)
        contigs = ["chr1"] * autosomal + ["chrX"] * ON_X + ["chrY"] * ON_Y
        lines = (
            f"{contig}\t{1000 * number + 500}\t.\tA\tG\t.\tPASS\tAC=3;AF={frequency:.4f}\n"
            for number, (contig, frequency) in enumerate(zip(contigs, self.frequency, strict=True))
        )
        self.vcf = folder / "sites.vcf"
        self.vcf.write_text("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(lines))
        self.sites: SiteSet = read_sites(str(self.vcf), print)

    def stranger(self, sex: str) -> Person:
        alleles = (self.rng.random((2, len(self.frequency))) < self.frequency).astype(int)
        x, y = alleles[:, self.autosomal : self.autosomal + ON_X], alleles[0, self.autosomal + ON_X :]
        return _of_sex(sex, alleles[:, : self.autosomal], x, y)

    def child(self, father: Person, mother: Person, sex: str) -> Person:
        autosomes = np.stack([self._gamete(father.autosomes), self._gamete(mother.autosomes)])
        return _of_sex(sex, autosomes, np.stack([self._gamete(mother.x), father.x[0]]), father.y)

    def _gamete(self, copies: np.ndarray) -> np.ndarray:
        return np.where(self.rng.random(copies.shape[1]) < 0.5, copies[0], copies[1])

    def reads(
        self,
        person: Person,
        depth: float = 30,
        *,
        other: Person | None = None,
        share: float = 0,
        lost: float = 0,
    ) -> Allele:
        """What reads say at the sites: so many of two copies of a site. `share`: of the reads of `other`.

        `lost`: the share of autosomal sites, in a row, of which only the first copy is left.
        """
        copies = person.copies.copy()
        copies[1, : int(lost * self.autosomal)] = copies[0, : int(lost * self.autosomal)]
        parts = [(copies, 1 - share)] + ([(other.copies, share)] if other else [])
        ref, alt, third = (np.zeros(copies.shape[1], np.int64) for _ in range(3))
        for alleles, part in parts:
            for copy in alleles:
                reads = self.rng.poisson(np.where(copy >= 0, depth * part / 2, 0))
                wrong, as_other = self.rng.binomial(reads, ERROR), self.rng.binomial(reads, 2 * ERROR)
                right = np.maximum(reads - wrong - as_other, 0)
                ref += np.where(copy == 0, right, wrong)
                alt += np.where(copy == 1, right, wrong)
                third += as_other
        return Allele(ref, alt, third)

    def write(self, folder: Path, samples: Mapping[str, Allele]) -> list[str]:
        """Files of counts; their paths."""
        for name, counts in samples.items():
            with open(folder / f"{name}.counts", "wb") as file:
                write_counts(file, counts, self.sites, Quality())
        return [str(folder / f"{name}.counts") for name in samples]


def _of_sex(sex: str, autosomes: np.ndarray, x: np.ndarray, y: np.ndarray) -> Person:
    nothing = np.full_like(x[1], -1)
    return Person(
        sex,
        autosomes,
        np.stack([x[0], nothing]) if sex == "male" else x,
        y if sex == "male" else np.full_like(y, -1),
    )


def write_sheet(path: Path, rows: Iterable[str]) -> Path:
    """A sheet of rows of words: sample, subject, sex, father, mother; `-` is an empty cell."""
    lines = [row.split() for row in ("sample subject sex father mother", *rows)]
    path.write_text("".join("\t".join("" if word == "-" else word for word in line) + "\n" for line in lines))
    return path
