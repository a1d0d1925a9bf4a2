"""Options that several commands share, and the parsing of their values."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import takewhile
from typing import Any, NoReturn

from bams3.bam.flags import NAMES
from bams3.errors import UsageError
from bams3.named import opened
from bams3.shown import shown
from bams3.standard_input import take


def parser(command: str, description: str, example: str) -> argparse.ArgumentParser:
    """Return a parser whose help ends with an example; commands may define `-h` themselves."""
    return _Parser(
        f"bams3 {command}", description=description, epilog=f"example:\n{example}", add_help=False, allow_abbrev=False,
        formatter_class=_Help,
    )  # fmt: skip


argparse._ = str  # type: ignore[attr-defined]
"""In place of gettext, which would look for translations, and import locale for that, in every run."""

_ONE_THREAD = "this command runs in one thread; leave this option out"
INSTEAD = {
    "--s3-select": "bams3 reads only the columns that it needs, without S3 Select; leave this option out",
    "--chunk": "give the chunk (a path or a URI) instead of the dataset",
    "--parallel": _ONE_THREAD,
    "--workers": _ONE_THREAD,
    "--region": "give regions after the dataset: DATASET chr20:1M-2M",
    "--output-format": "use -O, such as -O bam",
    "--d4": "D4 is not supported; --bigwig FILE writes a bigWig file",
}
"""Options that people may look for, and what to use here."""


_ARRAY_INDEX = "AWS_BATCH_JOB_ARRAY_INDEX"
_TAGS = "TAG,…", "TAG[,TAG...]"
_USAGE = 4  # lines of a usage that names each option

Options = argparse._ActionsContainer
"""A parser, or a group of its options."""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and hide secrets, and which refuses to append the request log to another kind
    of file."""

    def parse_args(self, words: Sequence[str], *given: Any, **options: Any) -> Any:  # type: ignore[override]
        if any(_ARRAY_INDEX in word for word in takewhile("--".__ne__, words)):
            self.error(
                f"{_ARRAY_INDEX} is a variable; give --batch array/N, where N is the size of the array"
            )
        if not any(word.startswith("-") and "h" in word for word in words):  # no --help, -h or -xh
            # Only the help shows the usage, and argparse would make it in every run.
            self.usage = argparse.SUPPRESS
        arguments, unknown = self.parse_known_intermixed_args([*self._joined(words)], *given, **options)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._hint(unknown[0])}")
        if log := os.environ.get("BAMS3_LOG_REQUESTS", "-").removeprefix("-"):
            from bams3.output.files import refuse_foreign

            refuse_foreign(log, _is_of_requests, "a log of requests")
        return arguments

    def _joined(self, words: Sequence[str]) -> Iterator[str]:
        """Join an option and its value where the value begins with a hyphen: argparse would take it for an option."""
        rest = iter(words)
        for word in rest:
            action = self._option_string_actions.get(word)
            value = next(rest, None) if action and action.nargs is None else None
            if value is None or not value.startswith("-") or value in self._option_string_actions:
                yield from (word,) if value is None else (word, value)
            else:
                yield f"{word}={value}" if word.startswith("--") else f"{word}{value}"
            if word == "--":
                yield from rest

    def _get_values(self, action: Any, words: Any) -> Any:
        """Refuse an empty value: a shell makes it of a variable that is unset, and it must not turn off an option such
        as `--tokens` or `--region`. A list of tags may be empty, as in samtools, and so may what is by default."""
        if "" in words and action.default != "" and action.metavar not in _TAGS:
            name = " or ".join(action.option_strings) or action.metavar
            self.error(f"{name}: the value is empty; give one, or leave it out")
        return super()._get_values(action, words)

    def _hint(self, word: str) -> str:
        name = word.partition("=")[0]
        if name in INSTEAD:
            return f" ({INSTEAD[name]})"
        if not name.startswith("--"):
            return ""
        from difflib import get_close_matches

        near = get_close_matches(name, self._option_string_actions, 1)
        return f" (did you mean {near[0]}?)" if near else ""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {shown(message)}; {self.prog} --help lists the options\n")


def _is_of_requests(line: bytes) -> bool:
    fields = line.split(b"\t")
    return len(fields) == 6 and fields[0].isupper() and fields[3].isdigit()


class _Help(argparse.RawDescriptionHelpFormatter):
    """Sets the width itself: argparse would import shutil for it in every run, which takes longer than a query."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)

    def _format_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None) -> str:
        """Name the options only where they are few."""
        text = super()._format_usage(usage, actions, groups, prefix)
        if text.strip().count("\n") < _USAGE:
            return text
        needed = [action for action in actions if action.required or not action.option_strings]
        short = super()._format_usage(usage, needed, [], prefix)
        return short.replace(self._prog, f"{self._prog} [OPTION …]", 1)


def _columns() -> int:
    args = os.environ.get("COLUMNS", "")
    if args.isdecimal() and int(args):
        return int(args)
    try:
        return os.get_terminal_size().columns or 80
    except OSError:
        return 80


class _Explain(argparse.Action):
    """An option that is not supported: using it is an error that says what to do."""

    def __init__(self, *names: Any, instead: str, **options: Any) -> None:
        super().__init__(*names, **options)
        self.instead = instead

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        raise UsageError(f"{option_string} is not supported: {self.instead}")


def explain(arguments: argparse.ArgumentParser, instead: Mapping[str, str]) -> None:
    """Add options, not shown in the help, that are refused with what to do instead of them."""
    for name, what in instead.items():
        arguments.add_argument(name, action=_Explain, nargs="?", help=argparse.SUPPRESS, instead=what)


class EachBit(argparse.Action):
    """An option for FLAG bits that adds up if it is repeated, as in samtools view; its default counts if it is not."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        seen = vars(namespace).setdefault("repeatable", set())
        before = getattr(namespace, self.dest) if self.dest in seen else 0
        seen.add(self.dest)
        setattr(namespace, self.dest, before | values)


class _SetEnvironment(argparse.Action):
    """An option that sets an environment variable, so that child processes inherit it."""

    def __init__(self, *names: Any, variable: str, **options: Any) -> None:
        super().__init__(*names, **options)
        self.variable = variable

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        os.environ[self.variable] = values or self.const


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
    """Add the options of how hard to compress; `level_of` gives the level."""
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
    """Add the option that hides contigs and positions in paths."""
    arguments.add_argument(
        "--hash-paths", action="store_true",
        help="give chunks paths that tell neither contigs nor positions (docs/trust.md)",
    )  # fmt: skip


def level_of(args: argparse.Namespace) -> int:
    """The level that `add_level`'s options ask for."""
    from bams3.codec.streams import PROFILES

    level: int = PROFILES[args.profile] if args.profile else args.level
    return level


def add_existing(arguments: Options, overwrite: str, resume: str) -> None:
    """Add the options for a dataset that exists, or has been begun; `overwrite`, `resume`: what their help says."""
    existing = arguments.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help=overwrite)
    existing.add_argument("--resume", action="store_true", help=resume)


def add_decoding(arguments: argparse.ArgumentParser, default: str) -> None:
    """Add the options of a process that decodes for others as long as it lives: its memory (None: `default`) and its
    workers."""
    arguments.add_argument(
        "--memory", type=_mebibytes, metavar="MIB",
        help=f"MiB of decoded records to keep in memory for later reads (default: {default})",
    )  # fmt: skip
    add_workers(arguments)


def decode_for_long() -> None:
    """Prepare such a process: freed memory is kept for the next row group. But Python looks for cycles as often as it
    does by itself: an answer that a client no longer reads is one, and holds what was not sent."""
    import gc

    from bams3.buffer import keep_freed_memory

    keep_freed_memory()
    gc.freeze()
    gc.set_threshold(700, 10, 10)


def _mebibytes(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise UsageError(f"--memory {text}: give a positive number")
    return int(text) << 20


class _Workers(argparse.Action):
    """An option for the number of threads. By samtools' names of it, 0 is one thread: there, others are added to it."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        from bams3.parallel.workers import worker_count

        by_samtools = option_string in ("-@", "--threads")
        setattr(namespace, self.dest, values or (1 if by_samtools else worker_count("0")))


def _workers(text: str) -> int:
    from bams3.parallel.workers import warn_of_memory, worker_count

    if text == "0":
        return 0  # `_Workers` decides
    count = worker_count(text)
    if text != "auto" or count == 1:  # of more, auto takes as many as fit
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
        raise UsageError(f"{'standard input' if path == '-' else path} lists no datasets")
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


class _Bar:
    """A progress bar: calling it advances it."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def __call__(self, done: int) -> None:
        self._bar.update(done)

    def expect(self, total: int) -> None:
        """Take the total, which is known only now."""
        self._bar.total = total


@contextmanager
def progress_bar(unit: str, total: int | None = None) -> Iterator[_Bar | None]:
    """Yield a progress bar, which is shown after two seconds, or None without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=unit, unit_scale=True, delay=2, leave=False) as bar:
        yield _Bar(bar)


def progress_beside(output: str, unit: str, total: int | None = None) -> Any:
    """Return a progress bar, unless `output` (a path, or -) goes to the terminal too."""
    return nullcontext() if output == "-" and sys.stdout.isatty() else progress_bar(unit, total)
