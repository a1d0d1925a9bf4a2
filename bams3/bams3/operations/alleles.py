"""`bams3 alleles`: what reads say at known sites."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from bams3.alleles.counts import SITE_WIDTH
from bams3.alleles.known import SITES, SiteFile, count_sites
from bams3.alleles.site_lines import SiteLines, columns
from bams3.errors import UsageError
from bams3.parallel.workers import Workers, in_order

if TYPE_CHECKING:
    from bams3.alleles.pileup import PileOptions
    from bams3.dataset.reader import DatasetReader

COUNTS = 64 << 20
"""Bytes of their counts, at most."""
LINES = 1 << 14
"""Lines that are made at a time, about."""
_FORMATS = (
    ("DP", "1", "Number of bases"),
    ("AD", "R", "Number of reads with each allele"),
    ("ADF", "R", "Number of reads with each allele, on the forward strand"),
    ("ADR", "R", "Number of reads with each allele, on the reverse strand"),
)


def write_alleles(
    file: BinaryIO, datasets: Sequence[DatasetReader], sites: SiteFile, options: PileOptions, min_quality: int,
    workers: Workers, *, strands: bool = False, vcf: bool = False, names: Sequence[str] | None = None,
) -> None:  # fmt: skip
    """Write what the reads of each dataset say at sites, in the order of their file: a table, or a VCF.

    The table has a line for each site and sample, with counts by strand if `strands`. `names`: of the samples; by
    default those of the datasets. Raises UsageError for two
    datasets of one name, and like `SiteFile.blocks` and `count_sites`.
    """
    samples = list(names or (dataset.name for dataset in datasets))
    for sample in samples:
        if samples.count(sample) > 1:
            raise UsageError(f"two datasets have the name {sample}; names of samples must differ")
    file.write(_vcf_header(datasets, samples) if vcf else ("\t".join(columns(strands)) + "\n").encode())
    most = max(1, min(SITES, COUNTS // (4 * SITE_WIDTH * len(datasets))))
    step = max(1, LINES // len(datasets))

    def jobs() -> Iterator[tuple[Any, ...]]:
        for block in sites.blocks(most, datasets):
            counts = [count_sites(dataset, block, options, min_quality, workers) for dataset in datasets]
            lines = SiteLines(block.contigs, samples, strands=strands, vcf=vcf)
            of_block = (lines, block.contig, block.position, block.text, block.text_ends, counts)
            for first in range(0, len(block.position), step):
                yield *of_block, first, min(first + step, len(block.position))

    for text in in_order(lambda job: job[0].of(*job[1:]), jobs(), workers):
        file.write(text)


def _vcf_header(datasets: Sequence[DatasetReader], samples: list[str]) -> bytes:
    def lines() -> Iterator[str]:
        yield "##fileformat=VCFv4.2"
        yield '##FILTER=<ID=PASS,Description="All filters passed">'
        for name, length in dict(pair for dataset in datasets for pair in dataset.references).items():
            yield f"##contig=<ID={name},length={length}>"
        for name, number, text in _FORMATS:
            yield f'##FORMAT=<ID={name},Number={number},Type=Integer,Description="{text}">'
        yield "\t".join(("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples))

    return "".join(f"{line}\n" for line in lines()).encode("utf-8", "surrogateescape")
