"""bams3 depth."""

import argparse
from typing import Any

from bams3.cli.options import add_help, add_workers, explain, flag_bits, listed, parser

DEFAULT_EXCLUDED = 1796
"""FLAG bits of reads that samtools does not count: UNMAP, SECONDARY, QCFAIL, DUP."""

_DEPTH_EXAMPLE = """\
  bams3 depth -r chr20:1M-2M NA12878.bams3 | head
  bams3 depth -a -q 13 -Q 20 -b exons.bed NA12878.bams3 NA12891.bams3 > depth.tsv
output: that of samtools depth: contig, position (from 1), and the depth in each dataset"""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    return {"depth": _depth}[command](argv)


def _depth(argv: list[str]) -> int:
    options = parser(
        "depth",
        "Print the depth at each position, with the options and the output of samtools depth.",
        _DEPTH_EXAMPLE,
    )
    options.add_argument("datasets", metavar="DATASET", nargs="*", help="datasets, or chunks")
    options.add_argument(
        "-f", dest="list", metavar="LIST", help="file that lists datasets, one per line; - is standard input"
    )
    options.add_argument(
        "-a",
        dest="all_positions",
        action="count",
        default=0,
        help="print positions of depth 0, too; -aa: also those of contigs without reads",
    )
    options.add_argument(
        "-b", dest="bed", metavar="BED", help="print only positions in the intervals of a BED file"
    )
    options.add_argument("-r", "--region", metavar="REGION", help="print only positions in this region")
    options.add_argument(
        "-q",
        "--min-BQ",
        "--min-bq",
        type=int,
        default=0,
        metavar="N",
        help="count only bases of quality N or more",
    )
    options.add_argument(
        "-Q",
        "--min-MQ",
        "--min-mq",
        type=int,
        default=0,
        metavar="N",
        help="count only reads with MAPQ N or more",
    )
    options.add_argument(
        "-l", dest="min_length", type=int, default=0, metavar="N",
        help="count only reads of N bases or more, without soft clips",
    )  # fmt: skip
    options.add_argument(
        "-J", dest="deletions", action="store_true", help="count reads at their deletions, too"
    )
    options.add_argument("-s", dest="once", action="store_true", help="count overlapping mates once")
    _add_flags(options)
    options.add_argument(
        "--incl-flags",
        type=flag_bits,
        default=0,
        metavar="FLAG",
        help="only reads with any of these FLAG bits",
    )
    options.add_argument(
        "--require-flags",
        type=flag_bits,
        default=0,
        metavar="FLAG",
        help="only reads with all of these FLAG bits",
    )
    options.add_argument("-H", dest="header", action="store_true", help="print a line with names of columns")
    _add_output(options)
    options.add_argument("-d", "-m", dest="ignored", metavar="N", help=argparse.SUPPRESS)  # as in samtools
    explain(options, {"-X": "a dataset has its index; leave it out"})
    add_workers(options)
    add_help(options)
    _printed_depth(options.parse_args(argv))
    return 0


def _add_flags(options: argparse.ArgumentParser) -> None:
    """Add the options for the FLAG bits of reads that do not count, which `exclude` then holds."""
    options.set_defaults(exclude=DEFAULT_EXCLUDED)
    options.add_argument(
        "-G",
        "--excl-flags",
        action=_Exclude,
        type=flag_bits,
        metavar="FLAG",
        help="leave out reads with any of these FLAG bits, too (by default: UNMAP, SECONDARY, QCFAIL, DUP)",
    )
    options.add_argument(
        "-g",
        action=_Exclude,
        type=flag_bits,
        metavar="FLAG",
        help="do not leave out reads for these FLAG bits",
    )


class _Exclude(argparse.Action):
    """Add FLAG bits to those that are excluded (-G), or remove them (-g)."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        namespace.exclude = (
            namespace.exclude & ~values if option_string == "-g" else namespace.exclude | values
        )


def _add_output(options: argparse.ArgumentParser) -> None:
    options.add_argument(
        "-o", "--output", default="-", metavar="FILE", help="output file (default: standard output)"
    )


def _printed_depth(args: Any) -> None:
    from bams3.bam.regions import read_bed
    from bams3.coverage.pileup import PileupOptions, boundless, one_region, shared_contigs
    from bams3.dataset.opening import open_readers
    from bams3.operations.depth import write_depth
    from bams3.output.files import open_output, refuse_inputs
    from bams3.parallel.workers import Workers, worker_count

    names = [*args.datasets, *(listed(args.list) if args.list else ())]
    refuse_inputs(args.output, *names, args.bed, args.list)
    datasets = open_readers(names)
    contigs = shared_contigs(datasets)
    options = PileupOptions(
        exclude=args.exclude, require=args.require_flags, any_of=args.incl_flags, min_mapq=args.min_MQ,
        min_length=args.min_length, min_quality=args.min_BQ, deletions=args.deletions, once=args.once,
    )  # fmt: skip
    region = one_region(args.region, contigs) if args.region else None
    bed = read_bed(args.bed, boundless(contigs)) if args.bed else None
    with Workers(worker_count(args.workers)) as workers, open_output(args.output) as file:
        write_depth(
            file, datasets, options, workers, region=region, bed=bed, all_positions=args.all_positions,
            header=args.header,
        )  # fmt: skip
