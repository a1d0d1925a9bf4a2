"""bams3 stats, inspect, verify."""

import sys

from bams3.cli.options import add_help, add_workers, parser, progress_bar
from bams3.shown import shown


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    return {"stats": _stats, "inspect": _inspect, "verify": _verify}[command](argv)


def _stats(argv: list[str]) -> int:
    options = parser(
        "stats",
        "Print a dataset's statistics from its manifest alone; only --samtools-stats reads the records.",
        "  bams3 stats --flagstat NA12878.bams3",
    )
    options.add_argument("dataset", metavar="DATASET")
    form = options.add_mutually_exclusive_group()
    form.add_argument("--flagstat", action="store_true", help="print the output of samtools flagstat")
    form.add_argument("--idxstats", action="store_true", help="print the output of samtools idxstats")
    form.add_argument(
        "--samtools-stats",
        action="store_true",
        help="print the sections of samtools stats on FLAGs, mapping qualities and insert sizes",
    )
    form.add_argument("--json", action="store_true", help="print all counts as JSON")
    add_workers(options, "--workers")
    add_help(options)
    args = options.parse_args(argv)

    from bams3.dataset.reader import DatasetReader
    from bams3.operations import stats

    if args.samtools_stats:
        from bams3.operations.samtools_stats import samtools_stats
        from bams3.parallel.workers import worker_count

        dataset = DatasetReader(args.dataset)
        with progress_bar("read", dataset.manifest.records) as progress:
            text = samtools_stats(dataset, worker_count(args.workers), progress)
        sys.stdout.write(text)
        return 0
    manifest = DatasetReader(args.dataset, prefetch=()).manifest
    if args.flagstat:
        text = stats.flagstat(manifest.counts)
    elif args.idxstats:
        text = stats.idxstats(manifest)
    else:
        text = stats.to_json(manifest) if args.json else stats.summary(manifest)
    sys.stdout.write(text)
    return 0


def _inspect(argv: list[str]) -> int:
    options = parser(
        "inspect",
        "Describe the contents of one chunk file.",
        "  bams3 inspect NA12878.bams3/data/chr20/001048576-002097152.chunk",
    )
    options.add_argument("chunk", metavar="CHUNK")
    options.add_argument("--json", action="store_true", help="print the whole footer as JSON")
    add_help(options)
    args = options.parse_args(argv)

    from bams3.operations import inspect

    sys.stdout.write(inspect.to_json(args.chunk) if args.json else inspect.summary(args.chunk))
    return 0


def _verify(argv: list[str]) -> int:
    options = parser(
        "verify", "Check every checksum, count and window of a dataset.",
        "  bams3 verify --against NA12878.bam NA12878.bams3",
    )  # fmt: skip
    options.add_argument("dataset", metavar="DATASET")
    options.add_argument(
        "--against", metavar="BAM", help="compare every record with this BAM, CRAM or SAM file"
    )
    options.add_argument("-T", "--reference", metavar="FASTA", help="reference of a CRAM given to --against")
    add_workers(options, "--workers")
    add_help(options)
    args = options.parse_args(argv)

    from bams3.dataset.reader import DatasetReader
    from bams3.operations.verify import verify
    from bams3.parallel.workers import worker_count

    dataset = DatasetReader(args.dataset)
    problems = 0
    with progress_bar("read", dataset.manifest.records) as progress:
        for problem in verify(
            dataset,
            args.against,
            workers=worker_count(args.workers),
            reference=args.reference,
            progress=progress,
        ):
            print(shown(f"bams3 verify: {problem}"), file=sys.stderr)
            problems += 1
    if not problems:
        manifest = dataset.manifest
        print(f"{shown(dataset.uri)}: {manifest.records} records in {manifest.chunks} chunks, all well")
    return 1 if problems else 0
