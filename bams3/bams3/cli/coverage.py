"""bams3 coverage."""

from typing import Any

from bams3.cli.options import add_depth, add_help, depth_of, fraction, parser, progress_bar
from bams3.errors import UsageError

_EXAMPLE = """\
  bams3 coverage NA12878.bams3 -o out/NA12878                  # per base
  bams3 coverage NA12878.bams3 -n --by 500 -o out/NA12878      # mean of every 500-bp window
  bams3 coverage NA12878.bams3 -n --by exome.bed --thresholds 1,10,30 -o out/NA12878
files: PREFIX.per-base.bed.gz, .regions.bed.gz, .quantized.bed.gz, .thresholds.bed.gz, .mosdepth.summary.txt,
.mosdepth.global.dist.txt, .mosdepth.region.dist.txt; all identical to those of mosdepth 0.3.3"""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser(
        command, "Compute depth of coverage, with mosdepth's options and output files.", _EXAMPLE
    )
    options.add_argument("dataset", metavar="DATASET", nargs="+", help="a dataset, or chunks of one")
    options.add_argument(
        "-o",
        "--output",
        metavar="PREFIX",
        help="prefix of the output files (with --batch: the name of the part file); as in mosdepth, it may also stand "
        "before DATASET",
    )
    options.add_argument("-c", "--chrom", metavar="NAME", help="process only this contig")
    options.add_argument("-n", "--no-per-base", action="store_true", help="do not write per-base depth")
    options.add_argument("-t", "--threads", metavar="N", help="accepted as in mosdepth, without effect")
    options.add_argument("-f", "--fasta", metavar="FASTA", help="accepted as in mosdepth, without effect")
    add_depth(options)
    options.add_argument(
        "-a", "--fragment-mode", action="store_true", help="count whole fragments of proper pairs"
    )
    options.add_argument(
        "-q", "--quantize", metavar="SEGMENTS", help="write depth quantized into bins, such as 0:1:4:100:"
    )
    options.add_argument(
        "-T", "--thresholds", metavar="N,…", help="write the number of bases per region with depth N or more"
    )
    options.add_argument("-R", "--read-groups", metavar="ID,…", help="count only reads of these read groups")
    share = options.add_mutually_exclusive_group()
    share.add_argument(
        "--batch",
        type=fraction,
        metavar="i/n|array/n",
        help="write the depth of batch i of n to a part file; finish with --gather",
    )
    share.add_argument("--gather", nargs="+", metavar="PART", help="combine the part files of all batches")
    add_help(options)
    args = options.parse_args(argv)
    if args.output is None and len(args.dataset) > 1:
        args.output = args.dataset.pop(0)
    if args.output is None:
        options.error("give the prefix of the output files: -o PREFIX")
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
    from bams3.dataset.opening import open_reader

    keep_freed_memory()
    dataset = open_reader(args.dataset)
    options = CoverageOptions(
        **depth_of(args), chrom=args.chrom, fragment_mode=args.fragment_mode, per_base=not args.no_per_base,
        quantize=parse_quantize(args.quantize) if args.quantize else (),
        thresholds=parse_thresholds(args.thresholds) if args.thresholds else (),
    )  # fmt: skip
    read_groups = args.read_groups.split(",") if args.read_groups else []
    accept = read_group_filter(read_groups) if read_groups else None
    if args.batch:
        from bams3.output.files import open_output, refuse_inputs

        refuse_inputs(args.output, *args.dataset, args.by)
        if options.fragment_mode:
            raise UsageError(
                "--fragment-mode and --batch cannot be combined: the reads of a fragment may lie in two batches"
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
            inputs=(*args.dataset, *(args.gather or ())),
        )
