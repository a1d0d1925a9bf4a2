"""bams3 rewrite."""

from argparse import BooleanOptionalAction

from bams3.cli.bar import progress_bar
from bams3.cli.convert import add_lossy
from bams3.cli.options import add_help, add_workers
from bams3.cli.parser import parser

_EXAMPLE = """\
  bams3 rewrite --level 9 NA12878.bams3 small.bams3
  bams3 rewrite --region chr20 --keep-tags RG,NM s3://bucket/NA12878.bams3 chr20.bams3"""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser(
        command,
        "Write a new dataset from another; what does not change is copied. Without options, it is a copy in the "
        "current format.",
        _EXAMPLE,
    )  # fmt: skip
    options.add_argument("inputs", metavar="DATASET", nargs="+", help="the dataset, or chunks of one dataset")
    options.add_argument("out", metavar="OUT", help="the dataset to write, at another path or URI")
    options.add_argument(
        "--chunk-size", metavar="SIZE", help="window size: 256K, 512K, 1M, 2M, 4M or 8M (default: unchanged)"
    )
    options.add_argument(
        "--level", type=int, metavar="N", help="compression level, 1 (fast) to 9 (small); default: unchanged"
    )
    options.add_argument(
        "--region", action="append", default=[], metavar="REGION",
        help="only reads that overlap this region; can be repeated",
    )  # fmt: skip
    options.add_argument(
        "-L", "--regions-file", metavar="BED", help="only reads that overlap the intervals of a BED file"
    )
    options.add_argument(
        "--hash-paths", action=BooleanOptionalAction, default=None,
        help="whether paths of chunks hide contigs and positions, as in bams3 convert (default: as in the input)",
    )  # fmt: skip
    options.add_argument("--verify", action="store_true", help="read the new chunks back, and compare them")
    options.add_argument("--overwrite", action="store_true", help="replace OUT if it is a dataset")
    add_workers(options)
    lossy = add_lossy(options)
    lossy.add_argument(
        "--keep-tags", type=lambda text: text.split(","), default=[], metavar="TAG[,TAG...]",
        help="keep only these tags in all records",
    )  # fmt: skip
    lossy.add_argument(
        "--drop-rg", action="append", default=[], metavar="ID",
        help="leave out the reads of this read group, and its @RG line; can be repeated",
    )  # fmt: skip
    add_help(options)
    args = options.parse_args(argv)

    from bams3.buffer import keep_freed_memory
    from bams3.operations.rewrite import rewrite

    keep_freed_memory()
    with progress_bar("B") as bar:
        rewrite(
            args.inputs, args.out, chunk_size=args.chunk_size, level=args.level, regions=args.region,
            regions_file=args.regions_file, qualities=args.qualities, drop_tags=args.drop_tags,
            keep_tags=args.keep_tags, drop_read_groups=args.drop_rg, workers=args.workers,
            hash_paths=args.hash_paths, overwrite=args.overwrite, verify=args.verify, progress=bar,
            expect=bar.expect if bar else None,
        )  # fmt: skip
    return 0
