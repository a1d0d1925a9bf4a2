"""bams3 query, bams3 count, bams3 to-bam."""

import os
import sys
from contextlib import nullcontext
from typing import Any, Literal

from bams3.cli.options import (
    add_filters,
    add_help,
    add_regions,
    add_workers,
    filter_of,
    fraction,
    parser,
    progress_bar,
    progress_beside,
    regions_of,
)
from bams3.cli.view import add_view_options, passed_on
from bams3.errors import UsageError
from bams3.shown import field, shown

_QUERY_EXAMPLE = """\
  bams3 query NA12878.bams3 chr20:1M-2M | head
  bams3 query -c -q 30 --filter '!flag.dup && [NM] < 3' NA12878.bams3 chr20 chr21
  bams3 query -O bam NA12878.bams3 -L exons.bed | bcftools mpileup -f ref.fa -

regions: chr1, chr1:1,000,000-2,000,000, chr1:1M-2M, chr1-22 (a range of contigs), '*' (all contigs),
. (everything), _unplaced (reads without a position), {HLA-A*01:01}:1-5. Positions are 1-based, ends inclusive."""

_COUNT_EXAMPLE = """\
  bams3 count --regions exons.bed NA12878.bams3 NA12891.bams3
  ls -d cohort/*.bams3 | bams3 count --regions exons.bed -q 30 -F DUP --datasets -
output: contig, start and end (0-based, as in the BED file), the name if the BED file has any, and one column of
counts per dataset"""

_TO_BAM_EXAMPLE = """\
  bams3 to-bam NA12878.bams3 back.bam
  bams3 to-bam NA12878.bams3 - chr20 | samtools flagstat -"""

_INDEXED = {"bam": ("-c",), "ubam": ("-c",), "cram": ()}
"""Formats that can be indexed, with options of samtools index."""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    return {"query": _query, "count": _count, "to-bam": _to_bam}[command](argv)


def _query(argv: list[str]) -> int:
    options = parser(
        "query",
        "Extract the reads that overlap regions and pass filters, with samtools view's options.",
        _QUERY_EXAMPLE,
    )
    options.add_argument("dataset", metavar="DATASET")
    add_regions(options)
    add_filters(options)
    options.add_argument("-c", "--count", action="store_true", help="print only the number of reads")
    options.add_argument(
        "-O",
        "--output-fmt",
        type=str.lower,
        choices=("sam", "sam.gz", "bam", "ubam", "cram"),
        help="output format (default: by the name of FILE, otherwise sam)",
    )
    for letter, name, title in (
        ("-b", "bam", "BAM"),
        ("-u", "ubam", "uncompressed BAM"),
        ("-C", "cram", "CRAM"),
    ):
        options.add_argument(
            letter,
            dest="output_fmt",
            action="store_const",
            const=name,
            help=f"write {title}: short for -O {name}",
        )
    options.add_argument("-1", "--fast", action="store_true", help="compress BAM fast")
    options.add_argument(
        "-o",
        "--output",
        default="-",
        metavar="FILE",
        help="output file (default: standard output); if FILE exists, it is replaced and its index removed",
    )
    options.add_argument("-h", "--with-header", action="store_true", help="include the header in SAM")
    options.add_argument("-H", "--header-only", action="store_true", help="print only the header")
    options.add_argument("-T", "--reference", metavar="FASTA", help="reference of the CRAM output")
    options.add_argument(
        "--write-index", action="store_true", help="index FILE, too: .csi for BAM, .crai for CRAM"
    )
    add_view_options(options)
    options.add_argument(
        "--batch",
        type=fraction,
        metavar="i/n|array/n",
        help="only reads that start in batch i of n; array/n takes i from the array job",
    )
    add_workers(options)
    add_help(options)
    _queried(options.parse_args(argv))
    return 0


def _queried(args: Any) -> None:
    """Carry out `bams3 query`."""
    from bams3.dataset.layout import HEADER, INDEX
    from bams3.dataset.opening import inputs_of, open_reader
    from bams3.output.files import refuse_inputs
    from bams3.parallel.workers import Workers, watched
    from bams3.select import query
    from bams3.select.query import RecordFilter

    inputs, args.regions = inputs_of([args.dataset, *args.regions])
    refuse_inputs(args.output, *inputs, args.regions_file, args.reference)
    dataset = open_reader(inputs, prefetch=(INDEX,) if args.count else (INDEX, HEADER))
    if args.batch:
        dataset = dataset.batch(*args.batch)
    words = passed_on(args)
    bed = args.regions_file
    if args.regions and bed is not None:  # reads that overlap both
        words, bed = [*words, "-L", bed], None
    regions = regions_of(dataset, args.regions, bed)
    record_filter = RecordFilter() if "-p" in words else filter_of(args)
    output_format = args.output_fmt or ("bam" if args.fast else _format_of(args.output))
    if args.write_index and (args.output == "-" or output_format not in _INDEXED or args.count):
        raise UsageError("--write-index needs -o FILE and the format BAM or CRAM")
    if args.count and not words:
        _write_number(query.count(dataset, regions, record_filter, args.workers), args.output)
        return

    from bams3.output.alignments import DEFAULT_LEVEL, write_alignments

    with Workers(args.workers) as shared, progress_beside(args.output, "read") as progress:
        blocks: Any = [] if args.header_only else query.query(dataset, regions, record_filter, shared)
        blocks = watched(blocks, len, progress)
        if words:
            from bams3.output.view import viewed

            blocks = viewed(blocks, dataset.header, words)
        if args.count:
            _write_number(sum(map(len, blocks)), args.output)
            return
        write_alignments(
            blocks, dataset.header, args.output, format=output_format, workers=shared, reference=args.reference,
            with_header=args.with_header or args.header_only, level=1 if args.fast else DEFAULT_LEVEL,
        )  # fmt: skip
    if args.write_index:
        import pysam

        pysam.index(*_INDEXED[output_format], args.output)


def _write_number(number: int, out: str) -> None:
    from bams3.output.files import open_output

    with open_output(out) as file:
        file.write(b"%d\n" % number)


def _count(argv: list[str]) -> int:
    options = parser(
        "count",
        "Count the reads that overlap each interval of a BED file, in one or many datasets.",
        _COUNT_EXAMPLE,
    )
    options.add_argument("datasets", metavar="DATASET", nargs="*")
    options.add_argument(
        "--regions", required=True, metavar="BED", help="BED file of intervals, plain or gzipped"
    )
    options.add_argument(
        "--datasets",
        dest="list",
        metavar="LIST",
        help="file that lists datasets, one per line; - is standard input",
    )
    add_filters(options)
    add_workers(options)
    add_help(options)
    args = options.parse_args(argv)

    from bams3.bam.regions import bed_table
    from bams3.dataset.opening import open_readers
    from bams3.select.query import count_each

    table = bed_table(args.regions, names=True)
    names = [*args.datasets, *(_listed(args.list) if args.list else ())]
    if not names:
        raise UsageError("no datasets: give at least one, or --datasets with a file that lists them")
    datasets = open_readers(names, prefetch=())
    names = [dataset.uri for dataset in datasets]
    record_filter = filter_of(args)
    columns = []
    with progress_bar("dataset", len(datasets)) as progress:
        while datasets:  # only one index at a time is in memory
            dataset = datasets.pop(0)
            try:
                regions = table.regions(dataset.references)
            except UsageError as error:
                raise UsageError(f"{dataset.uri}: {error}") from error
            columns.append(count_each(dataset, regions, record_filter, args.workers))
            if progress:
                progress(1)
    print("#contig", "start", "end", *(["name"] if table.names else []), *map(shown, names), sep="\t")
    shown_contigs = [field(name) for name in table.contigs]
    contigs = (shown_contigs[contig] for contig in table.contig)
    labels = [(field(os.fsdecode(name)) or "." for name in table.names)] if table.names else []
    starts, ends, *counts = (map(str, column) for column in (table.starts, table.ends, *columns))
    rows = zip(contigs, starts, ends, *labels, *counts, strict=True)
    sys.stdout.writelines(f"{line}\n" for line in map("\t".join, rows))
    return 0


def _listed(path: str) -> list[str]:
    """Read names, one per line, from a file or standard input. Raises UsageError if there are none."""
    with nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb") as file:
        names = [os.fsdecode(name) for name in map(bytes.strip, file.read().splitlines()) if name]
    if not names:
        raise UsageError(f"{'standard input' if path == '-' else path} lists no datasets")
    return names


def _to_bam(argv: list[str]) -> int:
    options = parser(
        "to-bam",
        "Convert a dataset, or the reads that overlap regions of it, back to BAM, bit for bit.",
        _TO_BAM_EXAMPLE,
    )
    options.add_argument("dataset", metavar="DATASET")
    options.add_argument("out", metavar="OUT", help="the BAM to write; - is standard output")
    options.add_argument("regions", metavar="REGION", nargs="*", help="regions (default: everything)")
    options.add_argument(
        "--level",
        type=int,
        default=6,
        choices=range(10),
        metavar="N",
        help="compression level, 0 to 9 (default 6)",
    )
    options.add_argument("--pg", action="store_true", help="add an @PG line to the header")
    options.add_argument(
        "--overwrite", action="store_true", help="replace OUT if it exists, and remove its index"
    )
    add_workers(options)
    add_help(options)
    args = options.parse_args(argv)
    from bams3.buffer import keep_freed_memory
    from bams3.dataset.layout import HEADER, INDEX
    from bams3.dataset.opening import inputs_of, open_reader
    from bams3.output.alignments import program_line, to_bam

    keep_freed_memory()
    inputs, words = inputs_of([args.dataset, args.out, *args.regions])
    if not words:
        options.error("give the BAM to write after the chunks")
    args.out, *args.regions = words
    if args.out.endswith((".sam", ".sam.gz", ".cram")):
        raise UsageError(f"{args.out}: to-bam writes BAM; for SAM or CRAM use bams3 query -h -o")
    dataset = open_reader(inputs, prefetch=(INDEX, HEADER))
    with progress_beside(args.out, "read") as progress:
        to_bam(
            dataset, args.out, regions_of(dataset, args.regions, None), level=args.level,
            workers=args.workers, overwrite=args.overwrite, progress=progress,
            pg_line=program_line(dataset.header, ["bams3", "to-bam", *argv]) if args.pg else None,
        )  # fmt: skip
    return 0


def _format_of(path: str) -> Literal["sam", "sam.gz", "bam", "cram"]:
    """Infer the format from a file's name; SAM by default, as in samtools view."""
    if path.endswith(".sam.gz"):
        return "sam.gz"
    return "bam" if path.endswith(".bam") else "cram" if path.endswith(".cram") else "sam"
