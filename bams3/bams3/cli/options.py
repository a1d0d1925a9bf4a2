"""Options that several commands share, and the parsing of their values."""

import argparse
import os
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

from bams3.bam.flags import NAMES
from bams3.cli.parser import Options
from bams3.errors import UsageError
from bams3.named import opened
from bams3.standard_input import take


class _SetEnvironment(argparse.Action):
    """An option that sets an environment variable, so that child processes inherit it."""

    def __init__(self, *names: Any, variable: str, **options: Any) -> None:
        super().__init__(*names, **options)
        self.variable = variable

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        os.environ[self.variable] = values or self.const


OF_A_BAM = {
    "-O": "the output is a dataset; bams3 query -O FORMAT prints it in other formats",
    "-u": "the output is a dataset; --level 1 is the fastest",
    "--write-index": "a dataset has its own index; leave this option out",
    "--no-PG": "no @PG line is added; leave this option out",
}
"""What to do instead of using options of samtools for the BAM that it writes."""


def add_help(arguments: argparse.ArgumentParser) -> None:
    """Add the options for object storage and, as the last one, `--help`."""
    remote = arguments.add_argument_group("object storage (docs/object-storage.md)")
    remote.add_argument(
        "--no-sign-request", action=_SetEnvironment, variable="BAMS3_NO_SIGN_REQUEST", nargs=0, const="1",
        help="read public buckets without credentials",
    )  # fmt: skip
    remote.add_argument(
        "--request-payer", action=_SetEnvironment, variable="AWS_REQUEST_PAYER", choices=["requester"],
        help="agree to pay for requests to a requester-pays bucket",
    )  # fmt: skip
    remote.add_argument(
        "--log-requests", action=_SetEnvironment, variable="BAMS3_LOG_REQUESTS", metavar="FILE",
        help="append method, key, range, bytes, milliseconds and status of each request to FILE (-: standard error)",
    )  # fmt: skip
    short = () if "-h" in arguments._option_string_actions else ("-h",)
    arguments.add_argument(*short, "--help", action="help", help="show this help and exit")


def add_workers(arguments: argparse.ArgumentParser) -> None:
    """Add the option for the number of workers."""
    arguments.add_argument(
        "--workers",
        "--parallel",
        "--threads",
        "-@",
        dest="workers",
        action=_Workers,
        type=_workers,
        default="auto",
        metavar="N|auto",
        help="number of threads (auto, the default: all available cores, or as many as memory allows)",
    )


def add_level(arguments: argparse.ArgumentParser) -> None:
    """Add the options for the compression level, which `level_of` evaluates."""
    effort = arguments.add_mutually_exclusive_group()
    effort.add_argument(
        "--level",
        type=int,
        default=5,
        metavar="N",
        help="compression level, 1 (fast) to 9 (small); default 5",
    )
    effort.add_argument(
        "--profile", choices=("fast", "default", "small"), metavar="NAME",
        help="fast, default or small: shorthand for level 1, 5 or 9",
    )  # fmt: skip


def add_hash_paths(arguments: argparse.ArgumentParser) -> None:
    """Add the option for paths that do not reveal contigs and positions."""
    arguments.add_argument(
        "--hash-paths", action="store_true",
        help="give chunks paths that reveal neither contigs nor positions (docs/trust.md)",
    )  # fmt: skip


def level_of(args: argparse.Namespace) -> int:
    """Return the level that the options of `add_level` describe."""
    from bams3.codec.streams import PROFILES

    level: int = PROFILES[args.profile] if args.profile else args.level
    return level


def add_existing(arguments: Options, overwrite: str, resume: str) -> None:
    """Add the options for a dataset that exists or has been begun. `overwrite`, `resume`: their help texts."""
    existing = arguments.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help=overwrite)
    existing.add_argument("--resume", action="store_true", help=resume)


def add_decoding(arguments: argparse.ArgumentParser, default: str) -> None:
    """Add the options of a long-running process that decodes for other programs: its memory, and its workers.

    `default`: the default memory, for the help; the option itself is then None.
    """
    arguments.add_argument(
        "--memory", type=_mebibytes, metavar="MIB",
        help=f"MiB of decoded records to keep in memory for later requests (default: {default})",
    )  # fmt: skip
    add_workers(arguments)


def decode_for_long() -> None:
    """Prepare a long-running process: freed memory is kept for the next row group.

    Python's garbage collection gets its default thresholds back, because a response that a client no longer reads is
    part of a reference cycle, and keeps unsent data in memory.
    """
    import gc

    from bams3.buffer import keep_freed_memory

    keep_freed_memory()
    gc.freeze()
    gc.set_threshold(700, 10, 10)


def _mebibytes(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise UsageError(f"--memory {text}: give a positive number of MiB")
    return int(text) << 20


class _Workers(argparse.Action):
    """An option for the number of threads.

    With samtools' names for it, which count additional threads, 0 is one thread.
    """

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        from bams3.parallel.workers import worker_count

        by_samtools = option_string in ("-@", "--threads")
        setattr(namespace, self.dest, values or (1 if by_samtools else worker_count("0")))


def _workers(text: str) -> int:
    from bams3.parallel.workers import warn_of_memory, worker_count

    if text == "0":
        return 0  # `_Workers` decides
    count = worker_count(text)
    if text != "auto" or count == 1:  # with more cores, auto chooses as many workers as the memory allows
        warn_of_memory(count)
    return count


def add_shard(arguments: argparse.ArgumentParser) -> None:
    """Add the options that select a run of consecutive chunks; `shard_of` evaluates them."""
    from bams3.dataset.shards import BALANCES

    arguments.add_argument(
        "--shard", type=fraction, default=(1, 1), metavar="i/n|array/n",
        help="select shard i of n, a run of consecutive chunks; array/n takes i from the array job",
    )  # fmt: skip
    arguments.add_argument(
        "--balance", choices=BALANCES, default="bytes",
        help="quantity to balance shards by: bytes (default), reads, or bp of the genome (length)",
    )  # fmt: skip


def shard_of(datasets: Iterable[Any], args: Any) -> Any:
    """Return the chunks that the options of `add_shard` select."""
    from bams3.dataset.shards import shard

    number, of = args.shard
    return shard(datasets, number, of, args.balance)


def flag_bits(text: str) -> int:
    """Parse FLAG bits as samtools does: a number (decimal, 0x…, octal 0…) or names such as `UNMAP,DUP`."""
    try:
        bits = int(text, 8 if text.isdigit() and text.startswith("0") else 0)
    except ValueError:
        pass
    else:
        if not 0 <= bits < 1 << 16:
            raise argparse.ArgumentTypeError(f"{text} is not a FLAG: it must be from 0 to 0xffff")
        return bits
    bits = 0
    for name in text.upper().split(","):
        if name not in NAMES:
            raise argparse.ArgumentTypeError(
                f"{name!r} is not the name of a FLAG bit; give a number or names from {', '.join(NAMES)}"
            )
        bits |= NAMES[name]
    return bits


def listed(path: str) -> list[str]:
    """Read names, one per line, from a file or standard input. Raises UsageError if there are none."""
    with nullcontext(sys.stdin.buffer) if take(path) else opened(path, "rb") as file:
        names = [os.fsdecode(name) for name in map(bytes.strip, file.read().splitlines()) if name]
    if not names:
        raise UsageError(
            f"{'standard input' if path == '-' else path} lists no datasets; write one path or URI per line"
        )
    return names


def fraction(text: str) -> tuple[int, int]:
    """Parse `i/n` to (i, n), 1 ≤ i ≤ n; for `array/n`, i is the number of this task in its array job."""
    from bams3.dataset.layout import parse_fraction

    if text.startswith("array/"):
        from bams3.cli.arrays import task_number

        tasks = text.removeprefix("array/")
        if not tasks.isdecimal() or not int(tasks):
            raise argparse.ArgumentTypeError(
                f"{text!r}: give array/N, where N is the size of the array, such as array/8"
            )
        return task_number(int(tasks)), int(tasks)
    try:
        return parse_fraction(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
