"""bams3 chunks, bams3 map."""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from bams3.cli.bar import progress_beside
from bams3.cli.options import add_help, add_shard, add_workers, shard_of
from bams3.cli.parser import parser
from bams3.errors import UsageError
from bams3.shown import is_plain, shown

_CHUNKS_EXAMPLE = """\
  bams3 chunks NA12878.bams3
  bams3 chunks --format uri *.bams3 | parallel bams3 inspect
  bams3 chunks --shard 3/16 --format uri NA12878.bams3
output: URI, region (as bams3 query accepts it), number of records and bytes of each chunk, tab-separated"""
_CHUNK_FORMATS = ("uri", "region", "tsv", "json")

_MAP_EXAMPLE = """\
  bams3 map NA12878.bams3 -- samtools view -c -f 4 -
  bams3 map --output-dir out --suffix .bcf NA12878.bams3 -- 'bcftools mpileup -f ref.fa - | bcftools call -mv -Ob'
  bams3 map --input-fmt none --output-dir out --joblog log --resume NA12878.bams3 -- ./count.py {chunk}
placeholders: {chunk}, {region} and {sample} are replaced by the chunk's values, and {output} by the path of the
chunk's file in DIR. Without {output}, the standard output of the command becomes that file. The environment variables
BAMS3_CHUNK, BAMS3_REGION, BAMS3_SAMPLE and BAMS3_OUTPUT have the same values. A command given as a single word is run
by bash; write its placeholders without quotes, or use "$BAMS3_REGION" where quotes are needed"""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    return {"chunks": _chunks, "map": _map}[command](argv)


def _chunks(argv: list[str]) -> int:
    options = parser("chunks", "List the chunks of datasets, or one shard of them.", _CHUNKS_EXAMPLE)
    options.add_argument("datasets", metavar="DATASET", nargs="+")
    add_shard(options)
    options.add_argument(
        "--format", choices=_CHUNK_FORMATS, default="tsv",
        help="print only URIs (uri) or regions (region), or all columns (tsv, default; json)",
    )  # fmt: skip
    add_help(options)
    args = options.parse_args(argv)

    from bams3.dataset.opening import open_readers

    chunks = shard_of(open_readers(args.datasets), args)
    described = [
        {
            "uri": dataset.chunk_uri(entry), "region": dataset.region(entry), "records": entry.records,
            "bytes": entry.size,
        }
        for dataset, entry in chunks
    ]  # fmt: skip
    if args.format == "json":
        import json

        print("[", ",\n ".join(map(json.dumps, described)), "]", sep="")
        return 0
    for chunk in described:
        row = [*chunk.values()] if args.format == "tsv" else [chunk[args.format]]
        if not all(is_plain(str(field)) for field in row):
            raise UsageError(
                f"{chunk['uri']}: the name contains control characters; list chunks with --format json"
            )
        print(*row, sep="\t")
    return 0


def _map(argv: list[str]) -> int:
    from bams3.select.schema import RECORD_FIELDS

    of_sam = ",".join(name for name in RECORD_FIELDS if name != "endpos")
    options = parser(
        "map", "Run a command once per chunk, with the chunk's records on its standard input.", _MAP_EXAMPLE
    )
    options.usage = "bams3 map [OPTION …] DATASET … -- COMMAND [ARGUMENT …]"
    options.add_argument("datasets", metavar="DATASET", nargs="+", help="datasets, or chunks")
    options.add_argument(
        "--input-fmt", choices=("sam", "bam", "arrow", "none"), default="sam",
        help="format of the records on standard input: SAM (default), BAM, an Arrow stream, or none at all",
    )  # fmt: skip
    options.add_argument(
        "--fields", default=of_sam, metavar="NAME,…",
        help="columns of the Arrow stream, with tags as [NM] (default: SAM's columns)",
    )  # fmt: skip
    options.add_argument("--no-header", action="store_true", help="send SAM without its header")
    options.add_argument(
        "--output-dir",
        metavar="DIR",
        help="write one file per chunk to DIR (default: all output, in order, to standard output)",
    )
    options.add_argument("--suffix", default="", metavar="TEXT", help="suffix of the file names")
    options.add_argument(
        "--retries", type=int, default=0, metavar="N", help="run a failed command up to N more times"
    )
    options.add_argument(
        "--joblog", metavar="FILE", help="log every command to FILE, in the format of GNU parallel"
    )
    options.add_argument(
        "--resume", action="store_true", help="skip the chunks that the job log records as done"
    )
    add_shard(options)
    add_workers(options)
    add_help(options)
    end = argv.index("--") if "--" in argv else len(argv)
    args = options.parse_args(argv[:end])
    if not argv[end + 1 :]:
        options.error("give a command after --")
    if args.resume and not args.joblog:
        raise UsageError("--resume needs --joblog FILE, which records the chunks that are done")
    if args.retries < 0:
        raise UsageError(f"--retries {args.retries}: give 0 or a positive number")
    return _mapped(args, argv[end + 1 :])


def _mapped(args: Any, words: list[str]) -> int:
    from bams3.dataset.layout import HEADER, INDEX
    from bams3.dataset.opening import open_readers
    from bams3.operations.joblog import JobLog
    from bams3.operations.map_command import ChunkCommand, ChunkJob, Outcome, alignments

    senders: dict[str, Callable[[], Any]] = {
        "sam": lambda: alignments("sam", with_header=not args.no_header),
        "bam": lambda: alignments("ubam"),  # a pipe needs no compression
        "arrow": lambda: _arrow(args.fields.split(",")),
        "none": lambda: None,
    }
    command = ChunkCommand(
        words,
        sender=senders[args.input_fmt](),
        directory=args.output_dir,
        suffix=args.suffix,
        retries=args.retries,
    )
    datasets = open_readers(args.datasets, prefetch=(INDEX, HEADER))
    _refuse_shared_files(command, datasets)
    jobs = [ChunkJob(number, *chunk) for number, chunk in enumerate(shard_of(datasets, args), 1)]
    sent = {"sam": "sam --no-header" if args.no_header else "sam", "arrow": f"arrow {args.fields}"}

    def logged(job: ChunkJob) -> str:
        return f"{command.line_of(job)} {shown(sent.get(args.input_fmt, args.input_fmt))}"

    failed: list[Outcome] = []
    kept_log = JobLog(args.joblog, resume=args.resume) if args.joblog else nullcontext()
    with _signals_taken(command.interrupt), kept_log as log:
        if log:
            jobs = [job for job in jobs if not log.has(logged(job), command.file_of(job))]
        with progress_beside(args.output_dir or "-", "chunk", len(jobs)) as progress:
            for outcome in command.on_each(jobs, args.workers):
                if outcome.error is not None:
                    failed.append(outcome)
                _hand_on(outcome)
                if log:
                    log.write(outcome, logged(outcome.job))
                if progress:
                    progress(1)
    for outcome in sorted(failed, key=lambda outcome: outcome.job.number):
        print(shown(f"bams3 map: {outcome.job.chunk}: {outcome.error}"), file=sys.stderr)
    if failed:
        print(f"bams3 map: failed on {len(failed)} of {len(jobs)} chunks", file=sys.stderr)
    return 1 if failed else 0


def _refuse_shared_files(command: Any, datasets: list[Any]) -> None:
    """Raise UsageError if chunks of two datasets, in this shard or not, would have the same file."""
    from bams3.operations.map_command import ChunkJob

    writers: dict[str, str] = {}
    for dataset in datasets if len(datasets) > 1 else ():
        for entry in dataset.index:
            job = ChunkJob(0, dataset, entry)
            if (path := command.file_of(job)) is None:
                return
            if path in writers:
                raise UsageError(
                    f"{path}: would be the file of {writers[path]} and of {job.chunk}; run bams3 map once for each "
                    "dataset, with a folder of its own"
                )
            writers[path] = job.chunk


@contextmanager
def _signals_taken(handler: Callable[..., None]) -> Iterator[None]:
    """Context manager: handle Ctrl-C and SIGTERM, unless they are ignored."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    taken = [number for number in numbers if before[number] != signal.SIG_IGN]
    try:
        for number in taken:
            signal.signal(number, handler)
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])


def _arrow(fields: list[str]) -> Any:
    """Return a sender that writes the columns of a chunk as an Arrow stream."""
    from bams3.api.chunk import Chunk
    from bams3.extras import need
    from bams3.select.schema import checked_fields

    names = checked_fields(fields)
    need("pyarrow", "--input-fmt arrow")
    import pyarrow.ipc

    def send(job: Any, pipe: Any) -> None:
        table = Chunk(job.dataset.chunk(job.entry)).to_arrow(names)
        with pyarrow.ipc.new_stream(pipe, table.schema) as stream:
            stream.write_table(table)

    return send


def _hand_on(outcome: Any) -> None:
    """Copy a command's output to standard output if the command succeeded."""
    if outcome.output:
        with outcome.output as printed:
            if outcome.error is None:
                printed.seek(0)
                shutil.copyfileobj(printed, sys.stdout.buffer)
