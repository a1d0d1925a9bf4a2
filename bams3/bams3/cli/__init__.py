"""The command line: thin; each command's options stand in the module of its group.

Only the module of the command that is called is imported: start-up is a feature.
"""

import gc
import io
import sys
from collections.abc import Sequence

from bams3.errors import Bams3Error
from bams3.shown import shown

# Command → (module, what it does); the order is that of --help.
COMMANDS = {
    "convert": ("convert", "BAM, CRAM or SAM to a dataset (or, with --batch, to a part of one)"),
    "merge": ("convert", "complete a dataset whose parts are all there"),
    "query": ("query", "reads of regions that pass filters: SAM, BAM, CRAM, or their number"),
    "count": ("query", "reads of every region of a BED file, in many datasets: a table"),
    "coverage": ("coverage", "depth, with mosdepth's options and files"),
    "cost": ("cost", "requests, bytes and price of an operation on a remote dataset"),
    "stats": ("info", "counts of a dataset, as samtools flagstat and idxstats"),
    "to-bam": ("query", "a dataset, or regions of it, as BAM: every record bit for bit"),
    "export": ("export", "columns of a dataset, or of regions of it, as Parquet"),
    "chunks": ("chunks", "list the chunks of a dataset, or a shard of them"),
    "map": ("chunks", "a command of yours on each chunk, whose records it reads"),
    "mapper": ("hadoop", "keys and numbers of chunks whose URIs it reads (Hadoop streaming)"),
    "reducer": ("hadoop", "sums of the numbers of each key"),
    "inspect": ("info", "what is in one chunk file"),
    "progress": ("progress", "how far a run of the workflow is"),
    "verify": ("info", "check every checksum and count; or every record, against its BAM"),
}

_HELP = """\
usage: bams3 COMMAND …
Alignments as independent, columnar, per-window chunks.

{commands}

bams3 COMMAND --help explains one. For example:
  bams3 convert NA12878.bam NA12878.bams3
  bams3 query NA12878.bams3 chr20:1M-2M | head
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. What a user can cause is one line on stderr, not a traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of contigs are bytes, whatever the locale
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    gc.set_threshold(100_000, 50, 50)  # a footer is many small objects, and no cycles
    command = f" {arguments[0]}" if arguments and arguments[0] in COMMANDS else ""
    try:
        code = _run(arguments)
        sys.stdout.flush()
        gc.freeze()  # all goes with the process: its end need not look for cycles
        return code
    except Bams3Error as error:
        return _fail(command, str(error))
    except BrokenPipeError:
        _drop_output()
        return 0
    except OSError as error:
        _drop_output()
        where = f"{error.filename}: " if error.filename else ""
        return _fail(command, f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        return _fail(command, "interrupted", 130)
    except MemoryError:
        return _fail(command, "out of memory; use fewer --workers")


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        width = max(map(len, COMMANDS))
        print(
            _HELP.format(
                commands="\n".join(f"  {name:{width}}  {what}" for name, (_, what) in COMMANDS.items())
            ),
            end="",
        )
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from bams3._version import __version__

        print(f"bams3 {__version__}")
        return 0
    if arguments[0] not in COMMANDS:
        return _fail("", f"{arguments[0]!r} is not a command; see bams3 --help", 2)
    from importlib import import_module

    module = import_module(f"bams3.cli.{COMMANDS[arguments[0]][0]}")
    try:
        code: int = module.run(arguments[0], arguments[1:])
        return code
    except SystemExit as stop:  # argparse: after --help, or a wrong option
        return int(stop.code or 0)


def _drop_output() -> None:
    from bams3.output.files import drop_output

    drop_output()


def _fail(command: str, message: str, code: int = 1) -> int:
    print(f"bams3{command}: {shown(message)}", file=sys.stderr)
    return code
