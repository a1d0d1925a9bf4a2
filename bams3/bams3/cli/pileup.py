"""bams3 pileup."""

from argparse import ArgumentParser
from typing import Any

from bams3.cli.options import add_help, add_workers
from bams3.cli.parser import Options, explain, parser
from bams3.cli.reads import add_pileup, pileup_of
from bams3.errors import UsageError

_EXAMPLE = """\
  bams3 pileup NA12878.bams3 chr20:1M-2M | head
  bams3 pileup -f ref.fa -q 20 -l sites.bed NA12878.bams3 > sites.pileup
output: that of samtools mpileup: contig, position (from 1), base of the reference, depth, bases, qualities"""

_EXPLAINED = {
    "-X": "a dataset includes its index; leave this option out",
    "-b": "run the command once for each dataset",
    **dict.fromkeys(
        (
            "-6", "--illumina1.3+", "-C", "--adjust-MQ", "-G", "--exclude-RG", "-M", "--output-mods",
            "--output-QNAME", "--output-extra", "--output-BP-5", "--output-sep", "--output-empty",
            "--no-output-ins", "--no-output-ins-mods", "--no-output-del", "--no-output-ends",
        ),
        "use samtools: bams3 query -u DATASET REGION | samtools mpileup … -",
    ),
}  # fmt: skip


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    _print(_options(command).parse_args(argv))
    return 0


def _options(command: str) -> ArgumentParser:
    options = parser(
        command,
        "Print the bases of the reads at each position, with the options and the output of samtools mpileup.",
        _EXAMPLE,
    )
    options.add_argument("dataset", metavar="DATASET", help="a dataset, or a chunk")
    options.add_argument(
        "regions", metavar="REGION", nargs="*", help="print the positions of these regions, one after another"
    )
    options.add_argument("-r", "--region", metavar="REGION", help="print the positions of this region")
    options.add_argument(
        "-l", "--positions", metavar="FILE",
        help="print only positions in a BED file, or in a list of contigs and positions (from 1)",
    )  # fmt: skip
    reads = options.add_argument_group("reads and bases")
    _add_qualities(reads)
    add_pileup(reads)
    reads.add_argument(
        "-d", "--max-depth", type=int, default=8000, metavar="N",
        help="leave out a read if N others lie at its start; 0: no limit (default 8000)",
    )  # fmt: skip
    reads.add_argument(
        "-R", "--ignore-RG", action="store_true", help="accepted, and ignored: read groups make no difference"
    )
    _add_output(options.add_argument_group("output"))
    explain(options, _EXPLAINED)
    add_workers(options)
    add_help(options)
    return options


def _add_qualities(options: Options) -> None:
    options.add_argument(
        "-f", "--fasta-ref", metavar="FASTA",
        help="print the bases of the reference, and . or , for bases equal to them; lower qualities by BAQ",
    )  # fmt: skip
    options.add_argument(
        "-B", "--no-BAQ", dest="no_baq", action="store_true", help="leave base qualities unchanged"
    )
    options.add_argument(
        "-E", "--redo-BAQ", dest="redo_baq", action="store_true",
        help="lower qualities by BAQ, even if reads have the tag BQ",
    )  # fmt: skip
    options.add_argument(
        "-Q", "--min-BQ", type=int, default=13, metavar="N", help="only bases of quality N or more (default 13)"
    )  # fmt: skip


def _add_output(options: Options) -> None:
    options.add_argument(
        "-a", dest="all_positions", action="count", default=0,
        help="also print positions without reads; -aa: also those of contigs without reads",
    )  # fmt: skip
    options.add_argument("-s", "--output-MQ", action="store_true", help="also print mapping qualities")
    options.add_argument(
        "-O", "--output-BP", action="store_true", help="also print the position of each base in its read"
    )
    options.add_argument(
        "--reverse-del", action="store_true", help="mark deletions of reads on the reverse strand with #, not *"
    )  # fmt: skip
    options.add_argument(
        "-o", "--output", default="-", metavar="FILE", help="output file (default: standard output)"
    )


def _print(args: Any) -> None:
    if args.no_baq and args.redo_baq:
        raise UsageError("-B and -E cannot be combined; give one of them")
    if args.max_depth < 0:
        raise UsageError(f"-d {args.max_depth}: give a depth of 0 or more")

    from bams3.alleles.reference import Fasta, Recalibration
    from bams3.bam.regions import read_bed
    from bams3.buffer import keep_freed_memory
    from bams3.coverage.pileup import boundless, one_region
    from bams3.dataset.opening import open_reader
    from bams3.operations.pileup import TextOptions, write_pileup
    from bams3.output.files import open_output, refuse_inputs
    from bams3.parallel.workers import Workers

    refuse_inputs(args.output, args.dataset, args.positions, args.fasta_ref)
    keep_freed_memory()
    dataset = open_reader([args.dataset])
    contigs = boundless(dataset.references)
    regions = [one_region(text, contigs) for text in (args.region, *args.regions) if text is not None]
    bed = read_bed(args.positions, contigs) if args.positions else None
    reads = pileup_of(args, max_depth=args.max_depth)
    text = TextOptions(args.min_BQ, args.output_MQ, args.output_BP, args.reverse_del, args.all_positions)
    reference = Fasta(args.fasta_ref) if args.fasta_ref else None
    recalibrate = None
    if reference and not args.no_baq:
        recalibrate = Recalibration(reference, dataset.references, redo=args.redo_baq)
    with Workers(args.workers) as workers, open_output(args.output) as file:
        write_pileup(
            file, dataset, reads, text, workers, regions=regions, bed=bed, reference=reference,
            recalibrate=recalibrate,
        )  # fmt: skip
