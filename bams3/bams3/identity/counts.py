"""Counts of a sample's reads at sites, and the file that stores them, so that a sample needs to be read only once."""

from __future__ import annotations

import re
from array import array
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from bams3.alleles.counts import SITE_WIDTH
from bams3.alleles.known import count_sites
from bams3.alleles.pileup import PileOptions
from bams3.bam.regions import LAST
from bams3.errors import FormatError, UsageError
from bams3.identity.sites import BASES, SiteSet
from bams3.storage import open_object
from bams3.warned import warn

if TYPE_CHECKING:
    from bams3.dataset.reader import DatasetReader
    from bams3.parallel.workers import Workers

SUFFIX = ".counts"
_KIND, _VERSION = b"#bams3 counts ", 1
_ROWS = re.compile(rb"(?:[0-9]{1,9}\t[0-9]{1,9}\t[0-9]{1,9}\n)*")
_ROW = 30
"""Greatest number of bytes in a row."""


class Quality(NamedTuple):
    """Which bases count. `mapping`: least mapping quality. `base`: least base quality (0: qualities are not read)."""

    mapping: int = 1
    base: int = 0


class Allele(NamedTuple):
    """Numbers of reads of a sample at sites, int64 of shape (sites,): with REF, with ALT, and with another base."""

    ref: np.ndarray
    alt: np.ndarray
    other: np.ndarray

    @property
    def depth(self) -> np.ndarray:
        """Numbers of reads with any base, int64 of shape (sites,)."""
        return np.asarray(self.ref + self.alt + self.other)


def count(dataset: DatasetReader, sites: SiteSet, quality: Quality, workers: Workers) -> Allele:
    """Count the reads of a dataset at sites. Reads count if they are mapped, primary, not duplicates, and passed QC.

    Raises UsageError if a whole dataset has none of the contigs, and FormatError if it is damaged.
    """
    lengths = dict(dataset.references)
    if dataset.is_whole and lengths.keys().isdisjoint(sites.places.contigs):
        raise UsageError(
            f"{sites.path}: {dataset.uri} has none of its contigs, such as {sites.places.contigs[0]}; use sites for "
            "the same reference genome"
        )
    ends = np.array([lengths.get(name, LAST) for name in sites.places.contigs])
    past = int((np.array(sites.places.position) >= ends[np.array(sites.places.contig)]).sum())
    if past:
        warn(
            f"{sites.path}: {past} of {len(sites)} sites are past the ends of contigs of {dataset.uri}; they may be "
            "for another reference genome"
        )
    options = PileOptions(min_mapq=quality.mapping, orphans=True)
    found = count_sites(dataset, sites.places, options, quality.base, workers)
    table = np.array(found, np.int64).reshape(-1, SITE_WIDTH)
    bases = table[:, : len(BASES) + 1] + table[:, len(BASES) + 1 : 2 * len(BASES) + 2]
    every = np.arange(len(sites))
    ref, alt = bases[every, sites.ref], bases[every, sites.alt]
    return Allele(ref, alt, bases.sum(axis=1) - ref - alt)


def write_counts(file: BinaryIO, counts: Allele, sites: SiteSet, quality: Quality) -> None:
    """Write the counts of a sample: a line that identifies sites and qualities, and three numbers per site."""
    file.write(_heading(sites, quality))
    rows = zip(*(column.tolist() for column in counts), strict=True)
    file.write("".join(f"{ref}\t{alt}\t{other}\n" for ref, alt, other in rows).encode())


def read_counts(uri: str, sites: SiteSet, quality: Quality) -> Allele:
    """Read a file of counts. Raises FormatError for another file, and UsageError for other sites or qualities."""
    storage, path = open_object(uri)
    heading = _heading(sites, quality)
    most = len(heading) + _ROW * len(sites)
    data = storage.get_range(path, 0, most + 1)
    if data.partition(b"\t")[0] != heading.partition(b"\t")[0]:
        if data.startswith(_KIND):
            raise FormatError(
                f"{uri}: counted by another version of bams3; count again with bams3 relate --count"
            )
        raise FormatError(f"{uri}: not a file of counts; create one with: bams3 relate --count")
    line, _, rows = data.partition(b"\n")
    if line + b"\n" != heading:
        raise UsageError(
            f"{uri}: counted at other sites than those of {sites.path}, or with other qualities; count them again with "
            "bams3 relate --count"
        )
    if not _ROWS.fullmatch(rows) or rows.count(b"\n") != len(sites):
        raise FormatError(
            f"{uri}: not three numbers for each of {len(sites)} sites; count them again with bams3 relate --count"
        )
    table = np.array(array("q", map(int, rows.split()))).reshape(-1, 3)
    return Allele(*table.T)


def name_of(uri: str) -> str:
    """Return the name of the sample whose counts are in a file, which is the last part of its path."""
    return uri.partition("?")[0].rpartition("/")[2].removesuffix(SUFFIX)


def _heading(sites: SiteSet, quality: Quality) -> bytes:
    of = f"sites={sites.key}\tmin-MQ={quality.mapping}\tmin-BQ={quality.base}"
    return b"%b%d\t%b\n" % (_KIND, _VERSION, of.encode())
