"""`bams3 alleles`: counts of the alleles that reads have at known sites."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from bams3.alleles import layouts
from bams3.alleles.counts import SITE_WIDTH
from bams3.alleles.known import SITES, SiteCounts, SiteFile, Sites, count_alleles
from bams3.alleles.site_lines import SiteLines, columns
from bams3.errors import UsageError
from bams3.parallel.workers import Workers, in_order

if TYPE_CHECKING:
    from bams3.alleles.pileup import PileOptions
    from bams3.alleles.variants import Alleles
    from bams3.dataset.reader import DatasetReader

COUNTS = 64 << 20
"""Greatest number of bytes that the counts of a block take."""
LINES = 1 << 14
"""Approximate number of lines that are made at a time."""
VARIANT_FORMATS = {"vcf": (), "vcf.gz": (".csi", ".tbi"), "bcf": (".csi",), "ubcf": (".csi",)}
"""The VCF and BCF formats, each with the suffixes of the indexes that its files may have."""
LAYOUTS = {
    "bam-readcount": layouts.BAM_READCOUNT,
    "alleleCounter": layouts.ALLELE_COUNTER,
    "CollectAllelicCounts": layouts.COLLECT_ALLELIC_COUNTS,
}
"""Output layouts of other programs. Each holds one sample."""
_FIELDS = (
    ("DP", "1", "Number of bases"),
    ("AD", "R", "Number of reads with each allele"),
    ("ADF", "R", "Number of reads with each allele, on the forward strand"),
    ("ADR", "R", "Number of reads with each allele, on the reverse strand"),
)
LinesOf = Callable[[int, int], Any]
"""A function (first, end) that makes the lines of the sites with these numbers, `end` excluded."""
_TO_BCF = ["bcftools.view", "--no-version"]


class Block(NamedTuple):
    """Some sites, their alleles, and the counts of each sample there."""

    sites: Sites
    alleles: Alleles
    counts: list[SiteCounts]


def counted(
    datasets: Sequence[DatasetReader],
    sites: SiteFile,
    options: PileOptions,
    min_quality: int,
    workers: Workers,
) -> Iterator[Block]:
    """Yield the counts at the sites of a file, in its order.

    Raises UsageError as `SiteFile.blocks` and `count_alleles` do.
    """
    most = max(1, min(SITES, COUNTS // (4 * SITE_WIDTH * len(datasets))))
    for block in sites.blocks(most, datasets):
        alleles = block.alleles()
        yield Block(
            block,
            alleles,
            [count_alleles(dataset, block, alleles, options, min_quality, workers) for dataset in datasets],
        )


def samples_of(datasets: Sequence[DatasetReader]) -> list[str]:
    """Return the names of the datasets, which name the samples. Raises UsageError if two have the same name."""
    samples = [dataset.name for dataset in datasets]
    for sample in samples:
        if samples.count(sample) > 1:
            raise UsageError(f"two datasets have the name {sample}; names of samples must differ")
    return samples


def write_alleles(
    file: BinaryIO, datasets: Sequence[DatasetReader], sites: SiteFile, options: PileOptions, min_quality: int,
    workers: Workers, *, format: str = "tsv", strands: bool = False, names: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write the counts of each dataset at sites, in the order of the file of sites.

    Parameters
    ----------
    file
        Where the output is written.
    datasets
        One dataset for each sample.
    sites
        The known sites.
    options, min_quality
        Which reads and bases count.
    workers
        Threads that read the datasets and make lines.
    format
        `tsv`, a table with a line for each site and sample; one of VARIANT_FORMATS; or one of LAYOUTS.
    strands
        Whether the table also has counts by strand.
    names
        Names of the samples; by default, those of the datasets.

    Raises
    ------
    UsageError
        If two datasets have the same name, if a layout is given more than one sample, and as `counted` does.
    """
    samples = list(names) or samples_of(datasets)
    if format in LAYOUTS:
        if len(samples) > 1:
            raise UsageError(f"--format {format} holds one sample; run the command once for each dataset")
        head, lines_of = _layout_head(format, datasets[0]), partial(_of_layout, LAYOUTS[format])
    else:
        vcf = format in VARIANT_FORMATS
        head = _vcf_head(datasets, samples) if vcf else ("\t".join(columns(strands)) + "\n").encode()
        lines_of = partial(_of_sites, samples, strands, vcf)
    blocks = counted(datasets, sites, options, min_quality, workers)
    step = max(1, LINES // len(datasets))

    def jobs() -> Iterator[tuple[LinesOf, int, int]]:
        for block in blocks:
            lines, count = lines_of(block), len(block.sites.position)
            for first in range(0, count, step):
                yield lines, first, min(first + step, count)

    parts: Iterable[Any] = chain([head], in_order(lambda job: job[0](*job[1:]), jobs(), workers))
    if format in ("bcf", "ubcf"):
        _write_bcf(parts, file, "-Ou" if format == "ubcf" else "-Ob")
        return
    if format == "vcf.gz":
        from bams3.output.alignments import DEFAULT_LEVEL, bgzf

        parts = bgzf(parts, DEFAULT_LEVEL, workers)
    for part in parts:
        file.write(part)


def _of_sites(samples: list[str], strands: bool, vcf: bool, block: Block) -> LinesOf:
    lines = SiteLines(block.sites.contigs, samples, strands=strands, vcf=vcf)
    return partial(lines.of, *block.sites[1:5], block.alleles, block.counts)


def _of_layout(kind: int, block: Block) -> LinesOf:
    contigs = [name.encode("utf-8", "surrogateescape") for name in block.sites.contigs]
    return partial(layouts.layout_lines, kind, contigs, *block.sites[1:5], block.counts[0].sites)


def _write_bcf(parts: Iterable[Any], file: BinaryIO, kind: str) -> None:
    """Pipe a VCF through bcftools, and copy the BCF that it writes."""
    from bams3.sources.process import SamtoolsProcess

    with closing(SamtoolsProcess([*_TO_BCF, kind, "-"], "BCF", "it can't be written", parts)) as bcftools:
        shutil.copyfileobj(bcftools.stdout, file)
        bcftools.check()


def _vcf_head(datasets: Sequence[DatasetReader], samples: list[str]) -> bytes:
    def lines() -> Iterator[str]:
        yield "##fileformat=VCFv4.2"
        yield '##FILTER=<ID=PASS,Description="All filters passed">'
        for name, length in dict(pair for dataset in datasets for pair in dataset.references).items():
            yield f"##contig=<ID={name},length={length}>"
        for name, number, text in _FIELDS:
            yield f'##FORMAT=<ID={name},Number={number},Type=Integer,Description="{text}">'
        yield "\t".join(("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples))

    return _encoded(lines())


def _layout_head(layout: str, dataset: DatasetReader) -> bytes:
    def lines() -> Iterator[str]:
        if layout == "alleleCounter":
            yield "#CHR\tPOS\tCount_A\tCount_C\tCount_G\tCount_T\tGood_depth"
        elif layout == "CollectAllelicCounts":
            yield "@HD\tVN:1.6"
            for name, length in dataset.references:
                yield f"@SQ\tSN:{name}\tLN:{length}"
            yield f"@RG\tID:GATKCopyNumber\tSM:{dataset.name}"
            yield "CONTIG\tPOSITION\tREF_COUNT\tALT_COUNT\tREF_NUCLEOTIDE\tALT_NUCLEOTIDE"

    return _encoded(lines())


def _encoded(lines: Iterator[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
