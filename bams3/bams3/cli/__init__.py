"""The command line, which is a thin layer. Each module defines the options of one command, or of a few related ones.

Only the module of the requested command is imported, to keep start-up fast.
"""

import errno
import gc
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from bams3 import standard_input, warned
from bams3.errors import Bams3Error, message_of
from bams3.shown import shown

# Module and description of each command, in the order of --help.
COMMANDS = {
    "convert": ("convert", "convert BAM, CRAM or SAM to a dataset, or to a part of it"),
    "merge": ("growing", "merge datasets and BAMs, or the parts of a conversion"),
    "append": ("growing", "append the reads of other inputs to a dataset"),
    "rewrite": ("rewrite", "write a new dataset with other windows, level, reads or tags"),
    "markdup": ("markdup", "mark duplicates in a dataset, as samtools markdup does"),
    "repair": ("info", "rebuild a dataset's index, manifest and header from its chunks"),
    "query": ("query", "extract or count reads of regions; write SAM, BAM or CRAM"),
    "count": ("query", "count reads per BED interval in many datasets; print a table"),
    "coverage": ("coverage", "compute depth, with mosdepth's options and output files"),
    "depth": ("depth", "print the depth at each position, as samtools depth does"),
    "bedcov": ("depth", "sum depth over intervals, as samtools bedcov does"),
    "coverage-table": ("depth", "print a line per contig, as samtools coverage does"),
    "pileup": ("pileup", "print the bases at each position, as samtools mpileup does"),
    "alleles": ("alleles", "count the bases of reads at known sites, for many datasets"),
    "relate": ("relate", "check identities: kinship, sex and contamination of samples"),
    "cost": ("cost", "estimate requests, bytes and price of an operation"),
    "stats": ("info", "print statistics, as samtools flagstat and idxstats do"),
    "checksum": ("checksum", "print checksums of all reads, as samtools checksum does"),
    "to-bam": ("query", "convert a dataset, or regions of it, back to BAM, bit for bit"),
    "fastq": ("fastq", "write reads as FASTQ, mates together, as samtools fastq does"),
    "mount": ("mount", "show datasets as BAM files, without converting them"),
    "serve": ("serve", "serve datasets as BAM files over HTTP, and in a browser"),
    "export": ("export", "export columns of a dataset, or of regions of it, to Parquet"),
    "chunks": ("chunks", "list the chunks of a dataset, or one shard of them"),
    "map": ("chunks", "run a command on every chunk, with its records as input"),
    "mapper": ("hadoop", "Hadoop-streaming mapper: read URIs, write keys and numbers"),
    "reducer": ("hadoop", "Hadoop-streaming reducer: sum the numbers of each key"),
    "inspect": ("info", "describe the contents of one chunk file"),
    "progress": ("progress", "show the progress of a workflow run"),
    "verify": ("info", "check every checksum, or compare every record with the BAM"),
}

ALIASES = {"view": "query", "query-stream": "query", "mosdepth": "coverage", "mpileup": "pileup"}
"""Other names for commands that users may know."""
INSTEAD = {
    "process": "bams3 map NA12878.bams3 -- COMMAND (a chunk can be given instead of the dataset)",
    "queryparallel": "bams3 count --regions BED NA12878.bams3 NA12891.bams3 (in Python: bams3.query_parallel)",
    "flagstat": "bams3 stats --flagstat NA12878.bams3",
    "idxstats": "bams3 stats --idxstats NA12878.bams3",
    "sort": "bams3 convert --sort in.bam NA12878.bams3",
    "to-bams3": "bams3 convert in.bam NA12878.bams3",
    "recompress": "bams3 rewrite --level 9 NA12878.bams3 small.bams3",
    "copy": "bams3 rewrite NA12878.bams3 copy.bams3",
    "upgrade": "bams3 rewrite NA12878.bams3 new.bams3",
    "index": "bams3 convert in.bam NA12878.bams3 (the dataset includes its index)",
    "ls": "bams3 chunks NA12878.bams3",
    "list": "bams3 chunks NA12878.bams3",
    "cat": "bams3 to-bam NA12878.bams3 -",
    "info": "bams3 stats NA12878.bams3",
    "fixmate": "bams3 convert --sort --fixmate in.bam NA12878.bams3",
    "quickcheck": "bams3 verify NA12878.bams3",
    "rmdup": "bams3 markdup -r NA12878.bams3 new.bams3",
    "bam2fq": "bams3 fastq NA12878.bams3",
    "fasta": "bams3 query -u NA12878.bams3 | samtools collate -O - | samtools fasta -",
    "collate": "bams3 query -u NA12878.bams3 | samtools collate -O -",
    **{
        name: f"bams3 mount NA12878.bams3 mnt -- samtools {name} mnt/NA12878.bam"
        for name in (
            "addreplacerg",
            "ampliconclip",
            "ampliconstats",
            "calmd",
            "consensus",
            "head",
            "phase",
            "reheader",
            "reset",
            "samples",
            "split",
            "targetcut",
            "tview",
        )
    },
}
"""Commands that users may look for, and what to use instead."""

_HELP = """\
usage: bams3 COMMAND …
Store alignments as independent columnar chunks, one per genomic window.

{commands}

Run bams3 COMMAND --help for the options of a command. For example:
  bams3 convert NA12878.bam NA12878.bams3
"""


_REFUSED = "can't start new thread", "failed to map segment from shared object", "not enough memory"
"""Messages of Python, the loader of kernels and zstd when the address space or the number of threads is limited."""

_signals: list[int] = []
"""Signals that have requested this process to end. While compiled modules of other packages are imported, they turn the
KeyboardInterrupt into other errors, such as that the module is missing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. For a mistake of the user, print one line on stderr, not a traceback.

    `argv`: the arguments; by default those of the process, which then ends after the command.
    """
    whole_process = argv is None
    arguments = list(sys.argv[1:] if argv is None else argv)
    if whole_process:
        _prepare_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # contig names are bytes, independent of the locale
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    if whole_process:
        _end_orderly()
        gc.set_threshold(100_000, 50, 50)  # a footer consists of many small objects without cycles
    if arguments:
        arguments[0] = ALIASES.get(arguments[0], arguments[0])
    command = f" {arguments[0]}" if arguments and arguments[0] in COMMANDS else ""
    warned.command = f"bams3{command}: "
    standard_input.watch(True)
    try:
        code = _run(arguments)
        sys.stdout.flush()
        if whole_process:
            gc.freeze()  # skip the final search for cycles
        return code
    except Bams3Error as error:
        return _fail(command, str(error))
    except BrokenPipeError:
        _drop_output()
        return 0
    except OSError as error:
        if error.errno is not None:  # an error of the operating system that does not name a file
            nameless = "the working directory" if error.errno == errno.ENOENT else "standard output"
            error.filename = error.filename or nameless
        return _fail(command, message_of(error))
    except KeyboardInterrupt as stop:
        return _fail(command, "interrupted", 128 + (stop.args[0] if stop.args else signal.SIGINT))
    except MemoryError:
        return _fail(command, "out of memory; use fewer --workers")
    except Exception as error:
        if not _signals and not any(each in str(error) for each in _REFUSED):
            raise
        return _fail(
            command,
            f"the system limits memory or threads ({error}); use fewer --workers, or raise the limit",
        )
    finally:
        warned.command = ""
        standard_input.watch(False)


class _Messages(io.FileIO):
    """Standard error. A message that can't be written is lost; the command goes on, with the same exit code."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _prepare_streams() -> None:
    """Open the standard streams that were closed (`>&-`). Otherwise, a file would get the descriptor, and printed text.

    Reading and writing fail as on closed streams, except that messages to standard error are lost, also if their reader
    has left (`2>&1 | head`).
    """
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest free descriptor, which is this one
    sys.stdin = sys.stdin or io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout = sys.stdout or io.TextIOWrapper(io.FileIO(1, "w", closefd=False))
    encoding = sys.stderr.encoding if sys.stderr else None
    messages: Any = _Messages(2, "w", closefd=False)
    sys.stderr = io.TextIOWrapper(messages, encoding, "backslashreplace", write_through=True)


def _end_orderly() -> None:
    """Make SIGTERM (from schedulers, `timeout`, containers) and SIGHUP end a command as Ctrl-C does.

    Then no temporary files and no child processes remain. Signals that are ignored (`nohup`) stay ignored.
    """

    def interrupt(number: int, _: object) -> None:
        _signals.append(number)
        raise KeyboardInterrupt(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)


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
    asked_alone = len(arguments) == 2 and arguments[0] in COMMANDS and arguments[1] == "--version"
    if asked_alone or arguments[0] in ("--version", "-V", "version"):
        from bams3._version import __version__

        print(f"bams3 {__version__}")
        return 0
    if arguments[0] not in COMMANDS:
        return _fail("", _unknown(arguments[0]), 2)
    from importlib import import_module

    module = import_module(f"bams3.cli.{COMMANDS[arguments[0]][0]}")
    try:
        code: int = module.run(arguments[0], arguments[1:])
        return code
    except SystemExit as stop:  # raised by argparse after --help or an invalid option
        return int(stop.code or 0)


def _unknown(command: str) -> str:
    if instead := INSTEAD.get(command) or INSTEAD.get(command.lower().replace("-", "")):
        return f"{command!r} is not a command; use: {instead}"
    from difflib import get_close_matches

    near = get_close_matches(command, [*COMMANDS, *ALIASES], 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{command!r} is not a command; {hint}run bams3 --help for the list"


def _drop_output() -> None:
    from bams3.output.files import drop_output

    drop_output()


def _fail(command: str, message: str, code: int = 1) -> int:
    if _signals:
        message, code = "interrupted", 128 + _signals[0]
    _drop_output()
    print(f"bams3{command}: {shown(message)}", file=sys.stderr)
    return code
