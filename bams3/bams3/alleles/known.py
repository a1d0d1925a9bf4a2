"""Known sites: where they are, and what the reads of a dataset say there."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bams3.alleles.counts import SITE_WIDTH, add_counts, chosen, count_group, count_pile, renumbered
from bams3.alleles.pileup import PileOptions, Places, piles
from bams3.alleles.sites import BED, TABLE, VCF, SiteReader
from bams3.bam.intervals import merged
from bams3.bam.regions import RegionTable
from bams3.dataset.prefetch import plan_hot
from bams3.errors import UsageError
from bams3.inflate import of_disk, whole_lines
from bams3.parallel.workers import Workers, in_order
from bams3.select.query import streams_plan

if TYPE_CHECKING:
    from bams3.alleles.piles import Pile
    from bams3.chunk.reader import RowGroup
    from bams3.dataset.reader import DatasetReader

_ENDINGS = {".bed": BED, ".bed.gz": BED, ".vcf": VCF, ".vcf.gz": VCF, ".vcf.bgz": VCF}
_LINES = {
    BED: "contig, start and end (0 <= start <= end)",
    VCF: "CHROM, POS (1 or more), ID, REF (letters) and ALT",
    TABLE: "contig, position (1 or more), and optionally REF (letters) and ALT",
}


class Sites(NamedTuple):
    """Some of the sites of a file, in its order.

    `contigs`: names; `contig`: the index of each site's, array('i'). `position`: 0-based, array('q'). `text`: of each
    site ID, REF and ALT, with tabs between them, "." for what the file lacks; `text_ends`: where it ends, array('q').
    `ref`: what `=` in a read stands for, as a row of counts.
    """

    contigs: list[str]
    contig: array[int]
    position: array[int]
    text: bytes
    text_ends: array[int]
    ref: bytes

    def __len__(self) -> int:
        return len(self.position)


class SiteFile:
    """A VCF (`.vcf`), a BED file (`.bed`), or a table of contig, position (from 1) and optionally REF and ALT.

    Each may be gzipped. `has_alleles`: whether each site must have REF and ALT.
    """

    def __init__(self, path: str) -> None:
        """Raises UsageError for a BCF file."""
        if path.endswith(".bcf"):
            raise UsageError(f"{path}: BCF is not read; make it a VCF: bcftools view -Oz {path}")
        self.path = path
        self.kind = next((kind for ending, kind in _ENDINGS.items() if path.endswith(ending)), TABLE)
        self.has_alleles = self.kind == VCF

    def blocks(self, most: int, datasets: Sequence[DatasetReader]) -> Iterator[Sites]:
        """Yield the sites in blocks of `most`.

        Raises UsageError if the file cannot be read, for lines that are no sites, and for contigs that one of the
        datasets lacks, if it is whole.
        """
        reader = SiteReader()
        reader.kind = self.kind
        checked = 0
        try:
            with of_disk(self.path) as file:
                for text in whole_lines(file):
                    if not reader.feed(text):
                        raise UsageError(
                            f"{self.path}, line {reader.lines}: not a site; expected {_LINES[self.kind]}"
                        )
                    for name, line in zip(reader.contigs[checked:], reader.first_lines[checked:], strict=True):
                        self._check(name, line, datasets)
                    checked = len(reader.contigs)
                    while reader.count >= most:
                        yield Sites(reader.contigs, *reader.take(most))
        except OSError as error:
            raise UsageError(f"cannot read {self.path}: {error.strerror or error}") from None
        if reader.count:
            yield Sites(reader.contigs, *reader.take(most))

    def _check(self, contig: str, line: int, datasets: Sequence[DatasetReader]) -> None:
        for dataset in datasets:
            if dataset.is_whole and all(name != contig for name, _ in dataset.references):
                raise UsageError(
                    f"{self.path}, line {line}: {dataset.uri} has no contig {contig!r}; take the sites from a file "
                    "for the same reference genome"
                )


class _Job(NamedTuple):
    """Sites of one contig that a row group, or a pile, reaches: their positions, REFs, and numbers among all."""

    source: RowGroup | Pile
    positions: array[int]
    refs: bytes
    rows: array[int]


def count_sites(
    dataset: DatasetReader, sites: Sites, options: PileOptions, min_quality: int, workers: Workers
) -> array[int]:
    """Count what the reads of a dataset say at sites: array('i'), SITE_WIDTH for each site.

    Only row groups that reach a site are read; qualities only if `min_quality` is more than 0. The depth limit of the
    options is not applied. Raises FormatError if the dataset is damaged, UsageError where htslib fails.
    """
    by_contig = _by_contig(dataset, sites)
    counts = array("i", bytes(4 * SITE_WIDTH)) * len(sites)
    # Without a least quality, both of two overlapping mates count, so their qualities need not be settled.
    if options.overlaps and min_quality > 0:
        made = in_order(
            lambda job: (job.rows, count_pile(job.source, job.positions, job.refs, min_quality)),
            _of_piles(dataset, by_contig, options, workers), workers,
        )  # fmt: skip
    else:
        jobs = dataset.fetched(_of_groups(dataset, by_contig, options), plan_hot)
        jobs = dataset.fetched(jobs, streams_plan({"l_seq", "seq"} | ({"qual"} if min_quality > 0 else set())))
        made = in_order(lambda job: (job.rows, _counted(dataset, job, options, min_quality)), jobs, workers)
    for rows, part in made:
        add_counts(counts, rows, part)
    return counts


_ByContig = dict[int, tuple["array[int]", bytes, "array[int]"]]


def _by_contig(dataset: DatasetReader, sites: Sites) -> _ByContig:
    """By reference id: sorted positions, REFs, and the number of each site. Contigs that the dataset lacks are left out."""
    numbers = {name: number for number, (name, _) in enumerate(dataset.references)}
    known = array("i", (numbers.get(name, -1) for name in sites.contigs))
    table = RegionTable(renumbered(sites.contig, known), sites.position, sites.position)
    return {
        contig: (positions, chosen(sites.ref, rows), rows)
        for contig, positions, _, rows in table.by_reference()
        if contig >= 0
    }


def _of_groups(dataset: DatasetReader, by_contig: _ByContig, options: PileOptions) -> Iterator[_Job]:
    for contig, (positions, refs, rows) in by_contig.items():
        for group in dataset.row_groups(contig, positions[0], positions[-1] + 1):
            first = bisect_left(positions, group.zone.min_pos)
            last = bisect_left(positions, group.zone.max_end)
            if first < last and options.record_filter.verdict(group) is not False:
                yield _Job(group, positions[first:last], refs[first:last], rows[first:last])


def _of_piles(
    dataset: DatasetReader, by_contig: _ByContig, options: PileOptions, workers: Workers
) -> Iterator[_Job]:
    bed = {
        contig: merged(positions, array("q", (position + 1 for position in positions)))
        for contig, (positions, _, _) in by_contig.items()
    }
    for pile in piles(dataset, Places(bed=bed), options._replace(max_depth=0), workers):
        if pile.covers and pile.reference_id in by_contig:
            positions, refs, rows = by_contig[pile.reference_id]
            first, last = bisect_left(positions, pile.start), bisect_left(positions, pile.stop)
            if first < last:
                yield _Job(pile, positions[first:last], refs[first:last], rows[first:last])


def _counted(dataset: DatasetReader, job: _Job, options: PileOptions, min_quality: int) -> array[int]:
    mask = bytearray(b"\1") * job.source.records
    options.select(mask, job.source, dataset)
    return count_group(job.source, mask, job.positions, job.refs, min_quality)
