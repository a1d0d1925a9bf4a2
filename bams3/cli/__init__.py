"""The command line: thin; each command's options stand in the module of its group.

Only the module of the command that is called is imported: start-up is a feature.
"""

import os
import sys
from collections.abc import Sequence

from bams3.errors import Bams3Error

# Command → (module, what it does); the order is that of --help.
COMMANDS = {
    "convert": ("convert", "BAM, CRAM or SAM to a dataset (or, with --batch, to a part of one)"),
    "merge": ("convert", "complete a dataset whose parts are all there"),
    "query": ("query", "reads that overlap regions and pass filters: SAM, BAM, CRAM, or their number"),
    "coverage": ("coverage", "depth, with mosdepth's options and files"),
    "stats": ("info", "counts of a dataset, as samtools flagstat and idxstats"),
    "to-bam": ("query", "a dataset, or regions of it, as BAM: every record bit for bit"),
    "chunks": ("info", "list the chunks of a dataset, or a shard of them"),
    "inspect": ("info", "what is in one chunk file"),
    "verify": ("info", "check every checksum, count and window; or every record, against its BAM"),
}

_HELP = """\
usage: bams3 COMMAND …

Alignments as independent, columnar, per-window chunks.

{commands}

bams3 COMMAND --help explains one. For example:
  bams3 convert NA12878.bam NA12878.bams3
  bams3 query NA12878.bams3 chr20:1M-2M | head
  bams3 coverage NA12878.bams3 --by 500 -o out/NA12878
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. What a user can cause is one line on stderr, not a traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
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
        from bams3 import __version__

        print(f"bams3 {__version__}")
        return 0
    if arguments[0] not in COMMANDS:
        print(f"bams3: {arguments[0]!r} is not a command; see bams3 --help", file=sys.stderr)
        return 2
    return _run(arguments[0], arguments[1:])


def _run(command: str, arguments: list[str]) -> int:
    from importlib import import_module

    module = import_module(f"bams3.cli.{COMMANDS[command][0]}")
    try:
        code = module.run(command, arguments)
        sys.stdout.flush()
        return code
    except Bams3Error as error:
        return _fail(command, str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(command, f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        return _fail(command, "interrupted", 130)
    except MemoryError:
        return _fail(command, "out of memory; use fewer --workers")


def _fail(command: str, message: str, code: int = 1) -> int:
    print(f"bams3 {command}: {' '.join(message.split())}", file=sys.stderr)
    return code
