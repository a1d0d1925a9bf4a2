"""bams3 coverage."""

from typing import Any

from bams3.cli.options import add_depth, add_help, depth_of, fraction, parser, progress_bar
from bams3.errors import UsageError

_EXAMPLE = """\
  bams3 coverage NA12878.bams3 -o out/NA12878                  # per base
  bams3 coverage NA12878.bams3 -n --by 500 -o out/NA12878      # means of windows of 500 bp
  bams3 coverage NA12878.bams3 -n --by exome.bed --thresholds 1,10,30 -o out/NA12878
files: PREFIX.per-base.bed.gz, .regions.bed.gz, .quantized.bed.gz, .thresholds.bed.gz, .mosdepth.summary.txt,
.mosdepth.global.dist.txt, .mosdepth.region.dist.txt; all as mosdepth 0.3.3 writes them"""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser(command, "Depth of coverage, with mosdepth's options and files.", _EXAMPLE)
    options.add_argument("dataset", metavar="DATASET")
    options.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="PREFIX",
        help="of the files to write (a part's name with --batch)",
    )
    options.add_argument("-c", "--chrom", metavar="NAME", help="only this contig")
    options.add_argument("-n", "--no-per-base", action="store_true", help="do not write depth per base")
    add_depth(options)
    options.add_argument("-a", "--fragment-mode", action="store_true", help="whole fragments of proper pairs")
    options.add_argument(
        "-q", "--quantize", metavar="SEGMENTS", help="write depth in bins, for example 0:1:4:100:"
    )
    options.add_argument(
        "-T", "--thresholds", metavar="N,…", help="bases of each region covered by at least N reads"
    )
    options.add_argument("-R", "--read-groups", metavar="ID,…", help="only these read groups")
    share = options.add_mutually_exclusive_group()
    share.add_argument(
        "--batch",
        type=fraction,
        metavar="i/n|array/n",
        help="write depth of the i-th of n equal runs of windows, to a part",
    )
    share.add_argument("--gather", nargs="+", metavar="PART", help="take depth from the parts of all batches")
    add_help(options)
    args = options.parse_args(argv)
    _coverage(args)
    return 0


def _coverage(args: Any) -> None:
    from bams3.buffer import keep_freed_memory
    from bams3.coverage import (
        CoverageOptions,
        Gathered,
        parse_quantize,
        parse_thresholds,
        read_group_filter,
        write_coverage,
        write_part,
    )
    from bams3.dataset.reader import DatasetReader

    keep_freed_memory()
    dataset = DatasetReader(args.dataset)
    options = CoverageOptions(
        **depth_of(args), chrom=args.chrom, fragment_mode=args.fragment_mode, per_base=not args.no_per_base,
        quantize=parse_quantize(args.quantize) if args.quantize else (),
        thresholds=parse_thresholds(args.thresholds) if args.thresholds else (),
    )  # fmt: skip
    read_groups = args.read_groups.split(",") if args.read_groups else []
    accept = read_group_filter(read_groups) if read_groups else None
    if args.batch:
        from bams3.output.files import open_output, refuse_inputs

        refuse_inputs(args.output, args.dataset, args.by)
        if options.fragment_mode:
            raise UsageError(
                "--fragment-mode does not go with --batch: a fragment's reads may lie in two batches"
            )
        with open_output(args.output) as file:
            write_part(file, dataset, dataset.windows(*args.batch), options, read_groups, accept)
        return
    pieces_of = Gathered(args.gather, dataset, options, read_groups) if args.gather else None
    from bams3.parallel.workers import watched

    with progress_bar("read", dataset.manifest.records) as progress:
        write_coverage(
            args.output,
            dataset.references,
            lambda contigs: (
                watched(groups, lambda group: group.records, progress)
                for groups in dataset.contigs_row_groups(contigs)
            ),
            options,
            accept=accept,
            pieces_of=pieces_of,
            inputs=(args.dataset, *(args.gather or ())),
        )
