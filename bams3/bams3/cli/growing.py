"""bams3 merge, bams3 append."""

from argparse import ArgumentParser

from bams3.cli.bar import progress_bar
from bams3.cli.options import (
    OF_A_BAM,
    add_existing,
    add_hash_paths,
    add_help,
    add_level,
    add_workers,
    fraction,
    level_of,
)
from bams3.cli.parser import explain, parser

_MERGE_EXAMPLE = """\
  bams3 merge -cp chr*.bams3 sample.bams3
  bams3 merge -cp --batch 3/8 lane*.bams3 sample.bams3   # one of eight jobs; then: bams3 merge sample.bams3
  bams3 merge NA12878.bams3   # after bams3 convert --batch or --window, markdup --batch or merge --batch"""


_INSTEAD = OF_A_BAM | {
    "-f": "OUT is the last argument; --overwrite replaces it",
    "-o": "OUT is the last argument",
    "-b": "give the inputs as arguments: bams3 merge $(cat FILE) OUT",
    "-R": "merge all reads; bams3 rewrite --region REGION then makes a smaller dataset",
    "-n": "the reads of a dataset are sorted by coordinate",
}
"""What to do instead of using some options of samtools merge."""

_OF_INPUTS = (
    "combine_read_groups", "combine_programs", "seed", "read_group_of_file", "chunk_size", "workers", "level",
    "profile", "overwrite", "resume", "reference", "hash_paths", "batch",
)  # fmt: skip
"""Options of merge that are valid only with inputs."""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    return _append(argv) if command == "append" else _merge(argv)


def _merge_options() -> ArgumentParser:
    options = parser(
        "merge",
        "Merge inputs into a dataset, as samtools merge does, or complete one that was converted in parts.",
        _MERGE_EXAMPLE,
    )
    options.usage = "bams3 merge [OPTION...] IN... OUT\n       bams3 merge DATASET"
    options.add_argument(
        "paths", metavar="IN... OUT", nargs="+",
        help="datasets, or sorted BAM, CRAM or SAM files; last, the new dataset",
    )  # fmt: skip
    _add_ids(options)
    options.add_argument(
        "-r", dest="read_group_of_file", action="store_true",
        help="set the read group of all reads to the name of their file",
    )  # fmt: skip
    options.add_argument(
        "--chunk-size",
        default="1M",
        metavar="SIZE",
        help="window size in bp; default 1M",
    )
    options.add_argument(
        "--batch", type=fraction, metavar="i/n|array/n",
        help="merge batch i of n, or the array job's batch; finish with bams3 merge OUT",
    )  # fmt: skip
    add_workers(options)
    add_level(options)
    add_hash_paths(options)
    add_existing(
        options, "replace an existing dataset, as bams3 convert does", "continue an interrupted merge"
    )
    options.add_argument("-T", "--reference", metavar="FASTA", help="reference of CRAM inputs")
    options.add_argument(
        "--markdup-stats", metavar="FILE",
        help="after bams3 markdup --batch: write the number of duplicates of each kind (.json: as JSON)",
    )  # fmt: skip
    explain(options, _INSTEAD)
    add_help(options)
    return options


def _merge(argv: list[str]) -> int:
    options = _merge_options()
    args = options.parse_args(argv)
    if len(args.paths) == 1:
        without = options.parse_args(["--", *args.paths])
        if any(getattr(args, name) != getattr(without, name) for name in _OF_INPUTS):
            options.error(
                "merge DATASET completes its parts in one thread, and takes no option but --markdup-stats; leave the "
                "others out, or give IN... OUT"
            )
        _complete(args.paths[0], args.markdup_stats, argv)
        return 0
    if args.markdup_stats:
        options.error("--markdup-stats is for merge DATASET, after bams3 markdup --batch; leave it out")
    from bams3.buffer import keep_freed_memory
    from bams3.operations.merge import merge_inputs

    keep_freed_memory()
    with progress_bar("B") as bar:
        merge_inputs(
            args.paths[:-1], args.paths[-1], chunk_size=args.chunk_size, workers=args.workers, level=level_of(args),
            overwrite=args.overwrite, resume=args.resume, reference=args.reference,
            combine_read_groups=args.combine_read_groups, combine_programs=args.combine_programs,
            read_group_of_file=args.read_group_of_file, seed=args.seed, hash_paths=args.hash_paths,
            batch=args.batch, progress=bar,
        )  # fmt: skip
    return 0


def _complete(dataset: str, statistics: str | None, argv: list[str]) -> None:
    """Complete the parts of a dataset."""
    if statistics:
        from bams3.operations.markdup import merge_marked

        merge_marked(dataset, statistics, " ".join(["bams3", "merge", *argv]))
    else:
        from bams3.operations.merge import merge

        merge(dataset)


def _append(argv: list[str]) -> int:
    options = parser(
        "append",
        "Append the reads of other inputs to a dataset. Only windows with new reads are rewritten.",
        "  bams3 append NA12878.bams3 lane3.bam",
    )
    options.add_argument("dataset", metavar="DATASET", help="path or URI of the dataset that grows")
    options.add_argument(
        "inputs", metavar="IN", nargs="+", help="datasets, BAM, CRAM and SAM files, sorted by coordinate"
    )
    _add_ids(options)
    add_workers(options)
    options.add_argument("-T", "--reference", metavar="FASTA", help="reference of CRAM inputs")
    add_help(options)
    args = options.parse_args(argv)

    from bams3.buffer import keep_freed_memory
    from bams3.operations.append import append

    keep_freed_memory()
    with progress_bar("B") as bar:
        append(
            args.dataset, args.inputs, workers=args.workers, reference=args.reference,
            combine_read_groups=args.combine_read_groups, combine_programs=args.combine_programs, seed=args.seed,
            progress=bar,
        )  # fmt: skip
    return 0


def _add_ids(options: ArgumentParser) -> None:
    options.add_argument(
        "-c", dest="combine_read_groups", action="store_true",
        help="combine @RG lines with the same ID, instead of changing their IDs",
    )  # fmt: skip
    options.add_argument(
        "-p", dest="combine_programs", action="store_true", help="combine @PG lines with the same ID"
    )
    options.add_argument(
        "-s",
        dest="seed",
        type=int,
        default=0,
        metavar="N",
        help="seed for the numbers in changed IDs; default 0",
    )
