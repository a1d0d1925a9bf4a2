"""bams3 depth, bedcov, coverage-table."""

import argparse
from typing import Any

from bams3.bam.flags import NOT_COUNTED
from bams3.cli.options import add_help, add_workers, flag_bits, listed
from bams3.cli.parser import explain, parser
from bams3.cli.reads import add_least, add_pileup_flags, add_wanted
from bams3.errors import UsageError

_DEPTH_EXAMPLE = """\
  bams3 depth -r chr20:1M-2M NA12878.bams3 | head
  bams3 depth -a -q 13 -Q 20 -b exons.bed NA12878.bams3 NA12891.bams3 > depth.tsv
output: that of samtools depth: contig, position (from 1), and the depth in each dataset"""

_BEDCOV_EXAMPLE = """\
  bams3 bedcov exons.bed NA12878.bams3 NA12891.bams3
  bams3 bedcov -j -d 10 -c -Q 20 exons.bed NA12878.bams3
output: that of samtools bedcov: the lines of the BED file, and the sum of the depths in each dataset"""

_TABLE_EXAMPLE = """\
  bams3 coverage-table NA12878.bams3
  bams3 coverage-table -q 20 -Q 13 -r chr20:1M-2M NA12878.bams3
output: that of samtools coverage: contig, start and end (from 1), number of reads, covered positions and their
percentage, mean depth, mean quality of bases, mean mapping quality"""

_HISTOGRAM = "only the table is printed; for a histogram: bams3 query -u DATASET | samtools coverage -m -"


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    return {"depth": _depth, "bedcov": _bedcov, "coverage-table": _table}[command](argv)


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
        help="also print positions of depth 0; -aa: also those of contigs without reads",
    )
    options.add_argument(
        "-b", dest="bed", metavar="BED", help="print only positions in the intervals of a BED file"
    )
    options.add_argument("-r", "--region", metavar="REGION", help="print only positions in this region")
    add_least(options, "-q", "BQ")
    add_least(options, "-Q", "MQ")
    options.add_argument(
        "-l", dest="min_length", type=int, default=0, metavar="N",
        help="count only reads of N bases or more, not counting soft clips",
    )  # fmt: skip
    options.add_argument(
        "-J", dest="deletions", action="store_true", help="also count reads at their deletions"
    )
    options.add_argument("-s", dest="once", action="store_true", help="count overlapping mates once")
    _add_flags(options)
    add_wanted(options, "--incl-flags", of="any")
    add_wanted(options, "--require-flags", of="all")
    options.add_argument(
        "-H", dest="header", action="store_true", help="print a line with the names of the columns"
    )
    _add_output(options)
    options.add_argument("-d", "-m", dest="ignored", metavar="N", help=argparse.SUPPRESS)  # as in samtools
    explain(options, {"-X": "a dataset includes its index; leave this option out"})
    add_workers(options)
    add_help(options)
    _printed_depth(options.parse_args(argv))
    return 0


def _add_flags(options: argparse.ArgumentParser) -> None:
    """Add the options for the FLAG bits of reads that do not count. The result is in `exclude`."""
    options.set_defaults(exclude=NOT_COUNTED)
    options.add_argument(
        "-G",
        "--excl-flags",
        action=_Exclude,
        type=flag_bits,
        metavar="FLAG",
        help="also leave out reads with any of these FLAG bits (by default: UNMAP, SECONDARY, QCFAIL, DUP)",
    )
    options.add_argument(
        "-g",
        action=_Exclude,
        type=flag_bits,
        metavar="FLAG",
        help="do not leave out reads because of these FLAG bits",
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
    from bams3.parallel.workers import Workers

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
    with Workers(args.workers) as workers, open_output(args.output) as file:
        write_depth(
            file, datasets, options, workers, region=region, bed=bed, all_positions=args.all_positions,
            header=args.header,
        )  # fmt: skip


def _bedcov(argv: list[str]) -> int:
    options = parser(
        "bedcov",
        "Sum the depth over each interval of a BED file, with the options and the output of samtools bedcov.",
        _BEDCOV_EXAMPLE,
    )
    options.add_argument("bed", metavar="BED", help="BED file of intervals, plain or gzipped")
    options.add_argument("datasets", metavar="DATASET", nargs="+", help="datasets, or chunks")
    add_least(options, "-Q", "MQ")
    _add_flags(options)
    options.add_argument(
        "-j",
        dest="skip_gaps",
        action="store_true",
        help="do not count reads at their deletions and skips (D and N)",
    )
    options.add_argument(
        "-d", dest="min_depth", type=int, metavar="N",
        help="also print the number of positions of depth N or more; implies -j",
    )  # fmt: skip
    options.add_argument("-c", dest="reads", action="store_true", help="also print the number of reads")
    options.add_argument(
        "-H", dest="header", action="store_true", help="print a line with the names of the columns"
    )
    _add_output(options)
    explain(
        options,
        {
            "-X": "a dataset includes its index; leave this option out",
            "--max-depth": "all reads count; filter them with -Q, -g and -G",
        },
    )
    add_workers(options)
    add_help(options)
    args = options.parse_args(argv)
    if args.min_depth is not None and args.min_depth < 1:
        raise UsageError(f"-d {args.min_depth}: give a depth of 1 or more")

    from bams3.dataset.opening import open_readers
    from bams3.operations.bedcov import BedcovOptions, write_bedcov
    from bams3.output.files import open_output, refuse_inputs
    from bams3.parallel.workers import Workers

    refuse_inputs(args.output, *args.datasets, args.bed)
    datasets = open_readers(args.datasets)
    chosen = BedcovOptions(args.exclude, args.min_MQ, args.skip_gaps, args.min_depth, args.reads, args.header)
    with Workers(args.workers) as workers, open_output(args.output) as file:
        write_bedcov(file, args.bed, datasets, chosen, workers)
    return 0


def _table(argv: list[str]) -> int:
    options = parser(
        "coverage-table",
        "Print coverage, depth and qualities of contigs or of a region, with the options and output of samtools "
        "coverage.",
        _TABLE_EXAMPLE,
    )
    options.add_argument("dataset", metavar="DATASET", nargs="+", help="a dataset, or chunks of one")
    options.add_argument("-r", "--region", metavar="REGION", help="print only a line for this region")
    add_least(options, "-q", "MQ")
    add_least(options, "-Q", "BQ")
    options.add_argument(
        "-l", "--min-read-len", type=int, default=0, metavar="N", help="count only reads of N bases or more"
    )
    add_pileup_flags(options)
    options.add_argument(
        "-d", "--depth", type=int, default=1_000_000, metavar="N",
        help="fail if more than N reads may lie at a position, where samtools would leave out some; 0: no limit "
        "(default 1000000)",
    )  # fmt: skip
    options.add_argument(
        "-H", "--no-header", action="store_true", help="do not print the names of the columns"
    )
    _add_output(options)
    explain(options, dict.fromkeys(("-m", "--histogram", "-A", "--ascii", "-w", "--n-bins"), _HISTOGRAM))
    explain(options, dict.fromkeys(("-D", "--plot-depth"), _HISTOGRAM.replace("-m", "-D")))
    explain(options, dict.fromkeys(("-b", "--bam-list"), "give one dataset; run the command once for each"))
    explain(options, {"--min-depth": "for positions of depth N or more, see bams3 bedcov -d N"})
    add_workers(options)
    add_help(options)
    args = options.parse_args(argv)

    from bams3.coverage.pileup import PileupOptions, one_region
    from bams3.dataset.opening import open_reader
    from bams3.operations.coverage_table import write_table
    from bams3.output.files import open_output, refuse_inputs
    from bams3.parallel.workers import Workers

    refuse_inputs(args.output, *args.dataset)
    dataset = open_reader(args.dataset)
    chosen = PileupOptions(
        exclude=args.ff, any_of=args.rf, min_mapq=args.min_MQ, min_length=args.min_read_len, soft_clips=True,
        min_quality=args.min_BQ, pileup=True,
    )  # fmt: skip
    region = one_region(args.region, dataset.references) if args.region else None
    with Workers(args.workers) as workers, open_output(args.output) as file:
        write_table(
            file, dataset, chosen, workers, region=region, deepest=args.depth, header=not args.no_header
        )
    return 0
