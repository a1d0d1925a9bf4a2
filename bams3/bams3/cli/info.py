"""bams3 stats, inspect, verify, repair."""

import sys
from typing import Any

from bams3.cli.bar import progress_bar
from bams3.cli.options import add_help, add_workers
from bams3.cli.parser import parser
from bams3.cli.reads import regions_of
from bams3.errors import UsageError
from bams3.shown import shown


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    return {"stats": _stats, "inspect": _inspect, "verify": _verify, "repair": _repair}[command](argv)


def _stats(argv: list[str]) -> int:
    options = parser(
        "stats",
        "Print statistics of a dataset from its manifest alone, or of the reads that overlap regions.\n"
        "The records are read only for regions and --samtools-stats.",
        "  bams3 stats --flagstat NA12878.bams3\n  bams3 stats -O json NA12878.bams3 chr20:1M-2M",
    )
    options.add_argument("dataset", metavar="DATASET", help="a dataset, or chunks of one")
    options.add_argument(
        "words", metavar="REGION", nargs="*", default=[], help="regions (default: everything)"
    )
    form = options.add_mutually_exclusive_group()
    form.add_argument("--flagstat", action="store_true", help="print the output of samtools flagstat")
    form.add_argument("--idxstats", action="store_true", help="print the output of samtools idxstats")
    form.add_argument(
        "--samtools-stats",
        action="store_true",
        help="print the sections of samtools stats on FLAGs, mapping qualities and insert sizes",
    )
    form.add_argument("--json", action="store_true", help="print all counts as JSON")
    options.add_argument(
        "-O",
        "--output-fmt",
        type=str.lower,
        choices=("default", "json", "tsv"),
        default="default",
        help="json: the same as --json; with --flagstat, json or tsv: as in samtools flagstat",
    )
    add_workers(options)
    add_help(options)
    args = options.parse_args(argv)
    if args.output_fmt != "default" and (args.idxstats or args.samtools_stats):
        raise UsageError("--idxstats and --samtools-stats have one format; leave -O out, or use --flagstat")
    if args.output_fmt == "tsv" and not args.flagstat:
        raise UsageError("-O tsv is a format of --flagstat; add it")

    from bams3.dataset.layout import INDEX
    from bams3.dataset.opening import inputs_of, open_reader
    from bams3.operations import stats

    inputs, texts = inputs_of([args.dataset, *args.words])
    dataset = open_reader(inputs, prefetch=(INDEX,) if texts or args.samtools_stats else ())
    regions = regions_of(dataset, texts, None)
    if args.samtools_stats:
        from bams3.operations.samtools_stats import samtools_stats

        with progress_bar("read", dataset.manifest.records if regions is None else None) as progress:
            text = samtools_stats(dataset, regions, args.workers, progress)
        sys.stdout.write(text)
        return 0
    counts = None if regions is None else stats.counts_in(dataset, regions, args.workers)
    if args.flagstat:
        text = stats.flagstat(counts or dataset.counts, args.output_fmt)
    elif args.idxstats:
        text = stats.idxstats(dataset, counts)
    else:
        style = stats.to_json if args.json or args.output_fmt == "json" else stats.summary
        text = style(dataset, counts)
    sys.stdout.write(text)
    return 0


def _inspect(argv: list[str]) -> int:
    options = parser(
        "inspect",
        "Describe the contents of chunk files.",
        "  bams3 inspect NA12878.bams3/data/chr20/001048576-002097152.chunk",
    )
    options.add_argument("chunks", metavar="CHUNK", nargs="+")
    options.add_argument("--json", action="store_true", help="print the whole footer as JSON")
    add_help(options)
    args = options.parse_args(argv)

    from bams3.operations import inspect

    for chunk in args.chunks:
        sys.stdout.write(inspect.to_json(chunk) if args.json else inspect.summary(chunk))
    return 0


def _verify(argv: list[str]) -> int:
    options = parser(
        "verify", "Check every checksum, count and window of a dataset.",
        "  bams3 verify --against NA12878.bam NA12878.bams3\n"
        "  bams3 verify --against NA12878.bam --receipt NA12878.receipt.json NA12878.bams3",
    )  # fmt: skip
    options.add_argument("datasets", metavar="DATASET", nargs="+", help="datasets, or chunks")
    options.add_argument(
        "--against",
        metavar="BAM",
        help="compare all records, in order, with this BAM, CRAM or SAM file",
    )
    options.add_argument(
        "--receipt",
        metavar="FILE",
        help="after the comparison, write a receipt to FILE (JSON with the checksums of both, which proves that the "
        "dataset can replace the file), and print a summary of it",
    )
    options.add_argument("-T", "--reference", metavar="FASTA", help="reference of a CRAM given to --against")
    options.add_argument(
        "--strict",
        action="store_true",
        help="also compare every file with its SHA-256; fail if a file has none, or if the manifest does not name it. "
        "With a signed manifest, this detects any forgery (docs/trust.md)",
    )
    add_workers(options)
    add_help(options)
    args = options.parse_args(argv)

    from bams3.dataset.opening import open_readers

    datasets = open_readers(args.datasets)
    if args.receipt and not (args.against and len(datasets) == 1):
        raise UsageError("--receipt needs one dataset, and --against with the file that it replaces")
    return max([_verified(dataset, args) for dataset in datasets])


def _verified(dataset: Any, args: Any) -> int:
    """Verify one dataset; return the exit code."""
    from bams3.operations.verify import verify

    receipt, problems = None, 0
    if args.receipt:
        from bams3.operations.receipt import Receipt

        receipt = Receipt(args.receipt, dataset, args.against, args.reference)
    with progress_bar("read", dataset.manifest.records) as progress:
        for problem in verify(
            dataset,
            args.against,
            workers=args.workers,
            reference=args.reference,
            progress=progress,
            strict=args.strict,
        ):
            print(shown(f"bams3 verify: {problem}"), file=sys.stderr)
            problems += 1
    if foreign := [] if args.strict else dataset.foreign():
        count = "1 file" if len(foreign) == 1 else f"{len(foreign)} files, such as"
        print(
            shown(f"bams3 verify: note: {dataset.uri}: not in the index: {count} {foreign[0]}"),
            file=sys.stderr,
        )
    if not problems:
        manifest = dataset.manifest
        print(
            f"{shown(dataset.uri)}: {manifest.records} records in {manifest.chunks} chunks, no problems found"
        )
        if receipt:
            print(receipt.write(args.workers))
    return 1 if problems else 0


def _repair(argv: list[str]) -> int:
    options = parser(
        "repair",
        "Rebuild the index, the manifest and the header of a dataset from its chunks, if they are missing or damaged.",
        "  bams3 repair NA12878.bams3\n  bams3 repair --header NA12878.bam NA12878.bams3",
    )
    options.add_argument("dataset", metavar="DATASET", help="the directory that holds data/, or its URI")
    options.add_argument(
        "--header",
        metavar="BAM",
        help="take the header from the original file, since chunks may have only a part of it",
    )
    add_workers(options)
    add_help(options)
    args = options.parse_args(argv)

    from bams3.operations.repair import repair

    with progress_bar("read") as progress:
        manifest, rebuilt, unknown = repair(
            args.dataset, header=args.header, workers=args.workers, progress=progress
        )
    for what in unknown if rebuilt else ():
        print(shown(f"bams3 repair: note: not known: {what}"), file=sys.stderr)
    done = f"rebuilt {', '.join(rebuilt)}" if rebuilt else "nothing to repair"
    print(f"{shown(args.dataset)}: {manifest.records} records in {manifest.chunks} chunks; {done}")
    return 0
