"""bams3 convert."""

import sys
from argparse import ArgumentParser
from typing import Any

from bams3.bam.lossy import QUALITIES
from bams3.cli.bar import progress_bar
from bams3.cli.markdup import add_markdup, wanted_markdup
from bams3.cli.options import (
    add_existing,
    add_hash_paths,
    add_help,
    add_level,
    add_workers,
    fraction,
    level_of,
)
from bams3.cli.parser import Options, parser

_CONVERT_EXAMPLE = """\
  bams3 convert NA12878.bam NA12878.bams3
  bwa mem ref.fa r1.fq r2.fq | bams3 convert --sort --fixmate - sample.bams3
  bams3 convert --batch 3/8 NA12878.bam NA12878.bams3   # one of eight jobs; then: bams3 merge NA12878.bams3"""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    args = _convert_options().parse_args(argv)

    from bams3.buffer import keep_freed_memory
    from bams3.operations.convert import convert
    from bams3.shown import shown
    from bams3.storage import is_remote

    if args.overwrite and is_remote(args.dataset) and sys.stderr.isatty():
        print(
            f"bams3 convert: {shown(args.dataset)}: an existing dataset will be removed before the new one is complete",
            file=sys.stderr,
        )
    keep_freed_memory()
    with progress_bar("B") as bar:
        convert(
            args.source, args.dataset, chunk_size=args.chunk_size, workers=args.workers, level=level_of(args),
            sort=args.sort, fixmate=args.fixmate, overwrite=args.overwrite, resume=args.resume,
            reference=args.reference, index=args.index, batch=args.batch, windows=args.window,
            allow_truncated=args.allow_truncated, progress=bar, expect=bar.expect if bar else None,
            verify=args.verify, qualities=args.qualities, drop_tags=args.drop_tags, memory=args.memory,
            tmp_dir=args.tmp_dir, hash_paths=args.hash_paths,
            markdup=wanted_markdup(args, " ".join(["bams3", "convert", *argv])),
        )  # fmt: skip
    return 0


def _convert_options() -> ArgumentParser:
    options = parser("convert", "Convert BAM, CRAM or SAM to a dataset.", _CONVERT_EXAMPLE)
    options.add_argument(
        "source",
        metavar="IN",
        help="BAM, CRAM or SAM, sorted by coordinate (or with --sort): a path or URI, a pipe, or - for standard input",
    )
    options.add_argument(
        "dataset", metavar="DATASET", help="the dataset (a directory) to write; usually named NAME.bams3"
    )
    options.add_argument(
        "--chunk-size",
        default="1M",
        metavar="SIZE",
        help="window size in bp: 256K, 512K, 1M (default), 2M, 4M or 8M",
    )
    add_workers(options)
    add_level(options)
    add_hash_paths(options)
    options.add_argument(
        "--verify", action="store_true",
        help="read the new chunks back, and compare them with the records of IN, before the dataset is complete",
    )  # fmt: skip
    source = options.add_argument_group("input")
    source.add_argument("-T", "--reference", metavar="FASTA", help="reference of a CRAM input")
    source.add_argument(
        "--index", metavar="FILE", help="BAI, CSI or CRAI index of IN (path or URI), if it is not next to IN"
    )
    source.add_argument(
        "--allow-truncated", action="store_true",
        help="accept a file without an end-of-file marker; bams3 stats reports the dataset as truncated",
    )  # fmt: skip
    _add_sort(options.add_argument_group("unsorted input (docs/from-the-aligner.md)"))
    add_markdup(options)
    add_existing(
        options.add_argument_group("a dataset that already exists"),
        "replace it. In a file system, the old one is removed when the new one is complete, so both need space; in "
        "object storage, it is removed first. With --batch or --window, convert that part again",
        "continue an interrupted conversion",
    )
    _add_parts(options.add_argument_group("a part of the dataset (finish with bams3 merge)"))
    add_lossy(options)
    add_help(options)
    return options


def _add_parts(options: Options) -> None:
    options.add_argument(
        "--batch", type=fraction, metavar="i/n|array/n", help="convert batch i of n, or the array job's batch"
    )
    options.add_argument(
        "--window", action="append", default=[], metavar="REGION",
        help="convert only this region, which must begin and end at chunk boundaries (_unplaced: reads without a "
        "position); can be repeated",
    )  # fmt: skip


def _add_sort(options: Options) -> None:
    options.add_argument(
        "--sort", action="store_true", help="sort the input by coordinate, as samtools sort does"
    )
    options.add_argument(
        "--fixmate", action="store_true",
        help="with --sort, for the output of an aligner: fill in mate fields, as samtools fixmate -m does",
    )  # fmt: skip
    options.add_argument(
        "--memory", metavar="SIZE",
        help="with --sort: memory for sorting, such as 4G; the rest goes to disk (default: a quarter of the memory)",
    )  # fmt: skip
    options.add_argument(
        "--tmp-dir",
        metavar="DIR",
        help="with --sort or --mark-supplementary: the folder for temporary files (default: $TMPDIR, or /tmp)",
    )


def add_lossy(options: ArgumentParser) -> Any:
    """Add the options that change records; return their group."""
    lossy = options.add_argument_group(
        "lossy conversion (recorded in the dataset; by default, every byte is kept)"
    )
    lossy.add_argument(
        "--qualities", choices=QUALITIES, metavar="HOW",
        help="replace each quality by the value of its bin: bin8 (Illumina's eight: 6 15 22 27 33 37 40; 0 and 1 "
        "stay) or illumina4 (those of NovaSeq: 2 12 23 37); crumble-like: replace by 40 only the qualities of bases "
        "that agree with a clear consensus of the reads (docs/lossy.md)",
    )  # fmt: skip
    lossy.add_argument(
        "--drop-tags", type=lambda text: text.split(","), default=[], metavar="TAG[,TAG...]",
        help="leave these tags out of all records, such as OQ,BI,BD",
    )  # fmt: skip
    return lossy
