"""bams3 coverage."""

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from typing import Any

from bams3.cli.bar import progress_bar
from bams3.cli.options import add_help, fraction
from bams3.cli.parser import Options, parser
from bams3.cli.reads import add_depth, depth_of
from bams3.errors import UsageError

_EXAMPLE = """\
  bams3 coverage NA12878.bams3 -o out/NA12878                  # per base
  bams3 coverage NA12878.bams3 -n --by 500 -o out/NA12878      # mean of every 500-bp window
  bams3 coverage NA12878.bams3 -n --by exome.bed --thresholds 1,10,30 -o out/NA12878
  bams3 coverage NA12878.bams3 --bigwig NA12878.bw             # per base, for a genome browser
  bams3 coverage NA12878.bams3 --bigwig NA12878.bw --bin 50 --normalize CPM
files: PREFIX.per-base.bed.gz, .regions.bed.gz, .quantized.bed.gz, .thresholds.bed.gz, .mosdepth.summary.txt,
.mosdepth.global.dist.txt, .mosdepth.region.dist.txt; all identical to those of mosdepth 0.3.3"""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = _options(command)
    args = options.parse_args(argv)
    if args.bigwig is not None:
        _check_bigwig(args)
    elif args.bin or args.normalize or args.effective_genome_size:
        raise UsageError(
            "--bin, --normalize and --effective-genome-size are for --bigwig; give --bigwig FILE"
        )
    elif args.output is None and len(args.dataset) > 1:
        args.output = args.dataset.pop(0)
    if args.output is None and args.bigwig is None:
        options.error("give the prefix of the output files: -o PREFIX")
    _coverage(args)
    return 0


def _options(command: str) -> ArgumentParser:
    options = parser(
        command, "Compute depth of coverage, with mosdepth's options and output files.", _EXAMPLE
    )
    options.add_argument("dataset", metavar="DATASET", nargs="+", help="a dataset, or chunks of one")
    options.add_argument(
        "-o", "--output", metavar="PREFIX",
        help="prefix of the output files (with --batch: the name of the part file); as in mosdepth, it may also stand "
        "before DATASET",
    )  # fmt: skip
    options.add_argument("-c", "--chrom", metavar="NAME", help="process only this contig")
    options.add_argument("-n", "--no-per-base", action="store_true", help="do not write per-base depth")
    options.add_argument(
        "-t", "--threads", "-@", "--workers", "--parallel", dest="workers", type=_threads, default=1, metavar="N|auto",
        help="number of threads for decoding (default: 1)",
    )  # fmt: skip
    options.add_argument(
        "-f", "--fasta", metavar="FASTA", help="accepted for compatibility with mosdepth, but has no effect"
    )
    reads = add_depth(options)
    reads.add_argument(
        "-a", "--fragment-mode", action="store_true", help="count whole fragments of proper pairs"
    )
    reads.add_argument("-R", "--read-groups", metavar="ID,…", help="count only reads of these read groups")
    options.add_argument(
        "-q", "--quantize", metavar="SEGMENTS", help="write depth quantized into bins, such as 0:1:4:100:"
    )
    options.add_argument(
        "-T", "--thresholds", metavar="N,…", help="write the number of bases per region with depth N or more"
    )
    _add_bigwig(options.add_argument_group("bigWig, instead of mosdepth's files"))
    share = options.add_argument_group("batches").add_mutually_exclusive_group()
    share.add_argument(
        "--batch", type=fraction, metavar="i/n|array/n",
        help="write the depth of batch i of n to a part file; finish with --gather",
    )  # fmt: skip
    share.add_argument("--gather", nargs="+", metavar="PART", help="combine the part files of all batches")
    add_help(options)
    return options


def _add_bigwig(options: Options) -> None:
    options.add_argument(
        "--bigwig", metavar="FILE", help="write only this bigWig file: depth per base, or reads in bins (--bin)"
    )  # fmt: skip
    options.add_argument(
        "--bin", type=_positive, metavar="SIZE", help="count reads in bins of SIZE bp, as bamCoverage does"
    )
    options.add_argument(
        "--normalize", choices=("RPGC", "CPM", "BPM", "RPKM"),
        help="scale the counts of --bin, as bamCoverage --normalizeUsing does",
    )  # fmt: skip
    options.add_argument(
        "--effective-genome-size", type=_positive, metavar="BP",
        help="number of bases of the genome that reads can be aligned to, for --normalize RPGC",
    )  # fmt: skip


def _positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 62:
        raise UsageError(f"{text!r}: give a positive number of bases")
    return int(text)


def _threads(text: str) -> int:
    from bams3.parallel.workers import worker_count

    return worker_count("1" if text == "0" else text)  # 0 is mosdepth's default


def _check_bigwig(args: Any) -> None:
    """Raise UsageError for options that cannot be combined with --bigwig, or that need another one."""
    others = {
        "--output": args.output, "--no-per-base": args.no_per_base, "--by": args.by, "--use-median": args.use_median,
        "--quantize": args.quantize, "--thresholds": args.thresholds, "--batch": args.batch,
        "--gather": args.bin and args.gather,
    }  # fmt: skip
    for option, given in others.items():
        if given:
            beside = "--bin" if option == "--gather" else "--bigwig"
            raise UsageError(
                f"{option} and {beside} cannot be combined; run the command once with each of them"
            )
    if args.normalize and not args.bin:
        raise UsageError("--normalize scales the numbers of reads in bins; give --bin too, such as --bin 50")
    if args.effective_genome_size and not args.normalize:
        raise UsageError("--effective-genome-size is for --normalize RPGC; leave it out")


def _coverage(args: Any) -> None:
    from bams3.buffer import keep_freed_memory
    from bams3.coverage import CoverageOptions, parse_quantize, parse_thresholds, read_group_filter
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
    write = _write_part if args.batch else _write
    write(args, dataset, options, read_groups, accept)


def _write_part(args: Any, dataset: Any, options: Any, read_groups: list[str], accept: Any) -> None:
    """Write the depth of a batch of windows."""
    from bams3.coverage.parts import write_part
    from bams3.output.files import open_output, refuse_inputs

    refuse_inputs(args.output, *args.dataset, args.by)
    if options.fragment_mode:
        raise UsageError(
            "--fragment-mode and --batch cannot be combined: the reads of a fragment may lie in two batches"
        )
    with open_output(args.output) as file:
        write_part(file, dataset, dataset.windows(*args.batch), options, read_groups, accept)


def _write(args: Any, dataset: Any, options: Any, read_groups: list[str], accept: Any) -> None:
    """Write mosdepth's files, or a bigWig file."""
    from bams3.coverage import write_coverage
    from bams3.parallel.workers import Workers, watched

    stretches_of = None
    if args.gather:
        from bams3.coverage.parts import Gathered

        stretches_of = Gathered(args.gather, dataset, options, read_groups)

    def decoded(group: Any) -> Any:
        for column in options.columns:
            getattr(group, column)
        return group

    with (
        Workers(args.workers) as workers,
        progress_bar("read", dataset.manifest.records * (2 if args.normalize else 1)) as progress,
    ):

        def row_groups_of(contigs: Sequence[int]) -> Iterator[Any]:
            for groups in dataset.contigs_row_groups(contigs, options.unneeded):
                ready = workers.map(decoded, groups) if workers.count > 1 else groups
                yield watched(ready, lambda group: group.records, progress)

        inputs = (*args.dataset, *(args.gather or ()))
        given: Any = {"accept": accept, "stretches_of": stretches_of, "inputs": inputs}
        if args.bigwig is None:
            write_coverage(args.output, dataset.references, row_groups_of, options, **given)
            return
        from bams3.coverage.bigwig import BinOptions, write_bigwig

        bins = BinOptions(args.bin, args.normalize, args.effective_genome_size) if args.bin else None
        write_bigwig(args.bigwig, dataset.references, row_groups_of, options, bins, **given)
