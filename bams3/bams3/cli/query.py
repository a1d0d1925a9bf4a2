"""bams3 query, bams3 count, bams3 to-bam."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from bams3.cli.bar import progress_bar, progress_beside
from bams3.cli.options import add_help, add_workers, fraction, listed
from bams3.cli.parser import Options, parser
from bams3.cli.reads import add_filters, filter_of, regions_of
from bams3.cli.view import add_view_options, files_given, intervals_passed_on, passed_on
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
  bams3 to-bam NA12878.bams3 - chr20 | samtools flagstat -
  bams3 to-bam --write-index -L exons.bed -F DUP -o exons.bam NA12878.bams3"""


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
    options.add_argument(
        "words", metavar="REGION", nargs="*", default=[], help="regions (default: everything)"
    )
    output = options.add_argument_group("output")
    output.add_argument(
        "-o",
        "--output",
        default="-",
        metavar="FILE",
        help="output file (default: standard output); if FILE exists, it is replaced and its index removed",
    )
    output.add_argument("-c", "--count", action="store_true", help="print only the number of reads")
    output.add_argument("-h", "--with-header", action="store_true", help="include the header in SAM")
    output.add_argument("-H", "--header-only", action="store_true", help="print only the header")
    _add_extraction(options, output)
    options.set_defaults(overwrite=True, pg=False)
    args = options.parse_args(argv)
    from bams3.dataset.opening import inputs_of

    inputs, words = inputs_of([args.dataset, *args.words])
    _name_output(args, "bam" if args.fast else "sam")
    _extract(inputs, words, args)
    return 0


def _to_bam(argv: list[str]) -> int:
    options = parser(
        "to-bam",
        "Convert a dataset, or reads of it, back to BAM, bit for bit. This is bams3 query, with four differences: the\n"
        "header is always written, verbatim; the format is BAM unless the name of FILE or -O says otherwise; a file\n"
        "that exists is replaced only with --overwrite; and -l is the compression level, as in samtools sort.",
        _TO_BAM_EXAMPLE,
    )
    options.usage = "bams3 to-bam [OPTION …] DATASET FILE [REGION …]"
    options.add_argument("dataset", metavar="DATASET")
    options.add_argument(
        "words",
        metavar="FILE [REGION …]",
        nargs="*",
        default=[],
        help="the file to write (- is standard output), unless -o gives it; regions (default: everything)",
    )
    output = options.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="FILE", help="the file to write; - is standard output")
    output.add_argument("--pg", action="store_true", help="add an @PG line to the header")
    output.add_argument(
        "--overwrite", action="store_true", help="replace FILE if it exists, and remove its index"
    )
    _add_extraction(options, output, "-l")
    options.set_defaults(count=False, with_header=True, header_only=False)
    args = options.parse_args(argv)
    from bams3.dataset.opening import inputs_of

    inputs, words = inputs_of([args.dataset, *args.words])
    if args.output is None:
        if not words:
            options.error("give the file to write, after the dataset or with -o")
        args.output, *words = words
    _name_output(args, "bam")
    _extract(inputs, words, args, ["bams3", "to-bam", *argv])
    return 0


def _add_extraction(options: ArgumentParser, output: Options, level: str = "--level") -> None:
    """Add the options that query and to-bam share. `output`: the group for output options; `level`: name of --level."""
    reads = options.add_argument_group("reads")
    reads.add_argument(
        "-L", "--regions-file", metavar="BED", help="only reads that overlap the intervals of a BED file"
    )
    add_filters(reads)
    output.add_argument(
        "-O",
        "--output-fmt",
        type=str.lower,
        choices=("sam", "sam.gz", "bam", "ubam", "cram"),
        help="output format (default: by the name of FILE)",
    )
    for letter, name, title in (
        ("-b", "bam", "BAM"),
        ("-u", "ubam", "uncompressed BAM"),
        ("-C", "cram", "CRAM"),
    ):
        output.add_argument(
            letter,
            dest="output_fmt",
            action="store_const",
            const=name,
            help=f"write {title}: short for -O {name}",
        )
    output.add_argument(
        "-1", "--fast", action="store_true", help="compress BAM fast: short for -O bam --level 1"
    )
    output.add_argument("-T", "--reference", metavar="FASTA", help="reference of the CRAM output")
    output.add_argument(
        "--write-index", action="store_true", help="index FILE, too: .csi for BAM and SAM, .crai for CRAM"
    )
    output.add_argument(
        *dict.fromkeys((level, "--level")),
        type=int,
        default=6,
        choices=range(10),
        metavar="N",
        help="compression level of BAM and sam.gz, 0 to 9 (default 6)",
    )
    add_view_options(options)
    options.add_argument(
        "--batch",
        type=fraction,
        metavar="i/n|array/n",
        help="only batch i of n of the chunks that are read, about equal in bytes; array/n takes i from the array job",
    )
    add_workers(options)
    add_help(options)


def _name_output(args: Any, default: str) -> None:
    """Split FILE##idx##INDEX, as samtools does, and infer the format from the name of FILE."""
    args.output, _, args.index = args.output.partition("##idx##")
    args.output_fmt = args.output_fmt or _format_of(args.output, default)


def _extract(inputs: list[str], texts: list[str], args: Any, program: list[str] | None = None) -> None:
    """Run query or to-bam on the `inputs`. `texts`: the regions. `program`: the arguments for an @PG line."""
    from bams3.dataset.layout import HEADER, INDEX
    from bams3.dataset.opening import open_reader
    from bams3.output.files import refuse_inputs
    from bams3.parallel.workers import Workers, watched
    from bams3.select import query
    from bams3.select.query import RecordFilter

    if args.write_index and (args.count or args.output == "-" or args.output_fmt == "sam"):
        raise UsageError("--write-index needs -o FILE and the format BAM, CRAM or sam.gz")
    given = [*inputs, args.regions_file, args.reference, *files_given(args)]
    refuse_inputs(args.output, *given)
    if args.write_index:
        from bams3.output.alignments import index_name

        args.index = args.index or index_name(args.output, args.output_fmt)
        refuse_inputs(args.index, *given)
    dataset = open_reader(inputs, prefetch=(INDEX,) if args.count else (INDEX, HEADER))
    words = passed_on(args)
    bed = args.regions_file
    if bed is not None and (texts or ("-p" in words and not args.M)):  # samtools tells which reads overlap it
        words, bed = [*words, "-L", intervals_passed_on(bed, dataset.references)], None
    regions = regions_of(dataset, texts, bed)
    record_filter = RecordFilter() if "-p" in words else filter_of(args)
    if args.batch:
        dataset = query.batch(dataset, regions, record_filter, *args.batch)
    if args.count and not words:
        _write_number(query.count(dataset, regions, record_filter, args.workers), args.output)
        return

    from bams3.bam.header import program_line
    from bams3.buffer import keep_freed_memory
    from bams3.output.alignments import write_alignments

    keep_freed_memory()
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
            blocks, dataset.header, args.output, format=args.output_fmt, workers=shared, reference=args.reference,
            with_header=args.with_header or args.header_only, level=1 if args.fast else args.level,
            pg_line=program_line(dataset.header, program) if args.pg and program else None,
            overwrite=args.overwrite, index=args.index if args.write_index else None,
        )  # fmt: skip


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

    names = [*args.datasets, *(listed(args.list) if args.list else ())]
    table = bed_table(args.regions, names=True)
    if not names:
        raise UsageError("no datasets: give at least one, or --datasets with a file that lists them")
    datasets = open_readers(names, prefetch=())
    names = [dataset.uri for dataset in datasets]
    record_filter = filter_of(args)
    columns = []
    with progress_bar("dataset", len(datasets)) as progress:
        while datasets:  # only one index is in memory at a time
            dataset = datasets.pop(0)
            try:
                regions = table.regions(dataset.references, partial=dataset.manifest.partial_header)
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


def _format_of(path: str, default: str) -> str:
    """Infer the format from the name of a file."""
    return next((name for name in ("sam.gz", "sam", "bam", "cram") if path.endswith(f".{name}")), default)
