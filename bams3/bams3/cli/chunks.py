"""bams3 chunks, bams3 map."""

import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from bams3.cli.options import add_help, add_shard, add_workers, parser, progress_beside, shard_of
from bams3.errors import UsageError
from bams3.shown import is_plain, shown

_CHUNKS_EXAMPLE = """\
  bams3 chunks NA12878.bams3
  bams3 chunks --format uri *.bams3 | parallel bams3 inspect
  bams3 chunks --shard 3/16 --format uri NA12878.bams3
output: URI, region (bams3 query takes it), records and bytes of each chunk, tab-separated"""
_CHUNK_FORMATS = ("uri", "region", "tsv", "json")

_MAP_EXAMPLE = """\
  bams3 map NA12878.bams3 -- samtools view -c -f 4 -
  bams3 map --output-dir out --suffix .bcf NA12878.bams3 -- 'bcftools mpileup -f ref.fa - | bcftools call -mv -Ob'
  bams3 map --input-fmt none --output-dir out --joblog log --resume NA12878.bams3 -- ./count.py {chunk}
{chunk}, {region}, {sample} are replaced, and {output} by the chunk's file in DIR (without it, that has what is
printed); BAMS3_CHUNK, BAMS3_REGION, BAMS3_SAMPLE and BAMS3_OUTPUT are in the environment. One word is a line for bash:
placeholders there have no quotes around them; within quotes write "$BAMS3_REGION" instead"""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    return {"chunks": _chunks, "map": _map}[command](argv)


def _chunks(argv: list[str]) -> int:
    options = parser("chunks", "List the chunks of datasets, or a shard of them.", _CHUNKS_EXAMPLE)
    options.add_argument("datasets", metavar="DATASET", nargs="+")
    add_shard(options)
    options.add_argument(
        "--format", choices=_CHUNK_FORMATS, default="tsv", help="uri, region, json, or all in columns (tsv, default)"
    )  # fmt: skip
    add_help(options)
    args = options.parse_args(argv)

    from bams3.dataset.reader import DatasetReader

    chunks = shard_of([DatasetReader(name) for name in args.datasets], args)
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
            raise UsageError(f"{chunk['uri']}: no line can hold this name; list chunks with --format json")
        print(*row, sep="\t")
    return 0


def _map(argv: list[str]) -> int:
    from bams3.select.schema import RECORD_FIELDS

    of_sam = ",".join(name for name in RECORD_FIELDS if name != "endpos")
    options = parser("map", "Run a command once for each chunk, whose records it reads.", _MAP_EXAMPLE)
    options.usage = "bams3 map [OPTION …] DATASET -- COMMAND [ARGUMENT …]"
    options.add_argument("dataset", metavar="DATASET")
    options.add_argument(
        "--input-fmt", choices=("sam", "bam", "arrow", "none"), default="sam",
        help="of the records on standard input: SAM (default), BAM, an Arrow stream, or nothing",
    )  # fmt: skip
    options.add_argument(
        "--fields", default=of_sam, metavar="NAME,…", help="columns of Arrow, also tags as [NM] (default: SAM's)"
    )  # fmt: skip
    options.add_argument("--no-header", action="store_true", help="SAM without its header")
    options.add_argument(
        "--output-dir", metavar="DIR", help="a file for each chunk; default: all in order on standard output"
    )
    options.add_argument("--suffix", default="", metavar="TEXT", help="ending of the names of these files")
    options.add_argument(
        "--retries", type=int, default=0, metavar="N", help="run a command that fails N times more"
    )
    options.add_argument(
        "--joblog", metavar="FILE", help="a line for each command, as GNU parallel writes it"
    )
    options.add_argument(
        "--resume", action="store_true", help="leave out the chunks that the log says are done"
    )
    add_shard(options)
    add_workers(options, "--parallel", "--workers")
    add_help(options)
    end = argv.index("--") if "--" in argv else len(argv)
    args = options.parse_args(argv[:end])
    if not argv[end + 1 :]:
        options.error("give a command after --")
    if args.resume and not args.joblog:
        raise UsageError("--resume needs --joblog FILE, which tells what is done")
    if args.retries < 0:
        raise UsageError(f"--retries {args.retries}: give a number from 0")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # that too is to end the commands
    return _mapped(args, argv[end + 1 :])


def _mapped(args: Any, words: list[str]) -> int:
    from bams3.dataset.layout import HEADER, INDEX
    from bams3.dataset.reader import DatasetReader
    from bams3.operations.joblog import JobLog
    from bams3.operations.map_command import ChunkCommand, ChunkJob, Outcome, alignments
    from bams3.parallel.workers import worker_count

    workers = worker_count(args.workers)
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
    dataset = DatasetReader(args.dataset, prefetch=(INDEX, HEADER))
    jobs = [ChunkJob(number, *chunk) for number, chunk in enumerate(shard_of([dataset], args), 1)]
    failed: list[Outcome] = []
    with JobLog(args.joblog, resume=args.resume) if args.joblog else nullcontext() as log:
        if log:
            jobs = [job for job in jobs if not log.has(command.line_of(job), command.file_of(job))]
        with progress_beside(args.output_dir or "-", "chunk", len(jobs)) as progress:
            for outcome in command.on_each(jobs, workers):
                if outcome.error is not None:
                    failed.append(outcome)
                _hand_on(outcome)
                if log:
                    log.write(outcome, command.line_of(outcome.job))
                if progress:
                    progress(1)
    for outcome in sorted(failed, key=lambda outcome: outcome.job.number):
        print(shown(f"bams3 map: {outcome.job.chunk}: {outcome.error}"), file=sys.stderr)
    if failed:
        print(f"bams3 map: failed on {len(failed)} of {len(jobs)} chunks", file=sys.stderr)
    return 1 if failed else 0


def _arrow(fields: list[str]) -> Any:
    """Sends the columns of a chunk as an Arrow stream."""
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
    """Print what a command printed, if it succeeded."""
    if outcome.output:
        with outcome.output as printed:
            if outcome.error is None:
                printed.seek(0)
                shutil.copyfileobj(printed, sys.stdout.buffer)
