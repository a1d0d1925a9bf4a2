"""Options that several commands share, and how their values are read."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NoReturn

from bams3.bam.flags import NAMES
from bams3.errors import UsageError
from bams3.shown import shown


def parser(command: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser whose help ends with an example; `-h` is left to the commands."""
    return _Parser(
        f"bams3 {command}", description=description, epilog=f"example:\n{example}", add_help=False, allow_abbrev=False,
        formatter_class=_Help,
    )  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """Shows of what was given nothing that is secret. A log of requests goes to no file of another kind."""

    def parse_args(self, *given: Any, **options: Any) -> Any:
        arguments = super().parse_args(*given, **options)
        if log := os.environ.get("BAMS3_LOG_REQUESTS", "-").removeprefix("-"):
            from bams3.output.files import refuse_foreign

            refuse_foreign(log, _is_of_requests, "a log of requests")
        return arguments

    def error(self, message: str) -> NoReturn:
        super().error(shown(message))


def _is_of_requests(line: bytes) -> bool:
    fields = line.split(b"\t")
    return len(fields) == 6 and fields[0].isupper() and fields[3].isdigit()


class _Help(argparse.RawDescriptionHelpFormatter):
    """Told its width: argparse would import shutil for it, in every run, which takes longer than a query's work."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    args = os.environ.get("COLUMNS", "")
    if args.isdecimal() and int(args):
        return int(args)
    try:
        return os.get_terminal_size().columns or 80
    except OSError:
        return 80


class _SetEnvironment(argparse.Action):
    """An option that is an environment variable by another name, so that child processes have it too."""

    def __init__(self, *names: Any, variable: str, **options: Any) -> None:
        super().__init__(*names, **options)
        self.variable = variable

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        os.environ[self.variable] = values or self.const


def add_help(arguments: argparse.ArgumentParser) -> None:
    """The options for object storage, and `--help`, last in the list."""
    remote = arguments.add_argument_group("object storage (docs/object-storage.md)")
    remote.add_argument(
        "--no-sign-request", action=_SetEnvironment, variable="BAMS3_NO_SIGN_REQUEST", nargs=0, const="1",
        help="read public buckets, without credentials",
    )  # fmt: skip
    remote.add_argument(
        "--request-payer", action=_SetEnvironment, variable="AWS_REQUEST_PAYER", choices=["requester"],
        help="pay for requests to a bucket whose owner does not",
    )  # fmt: skip
    remote.add_argument(
        "--log-requests", action=_SetEnvironment, variable="BAMS3_LOG_REQUESTS", metavar="FILE",
        help="append to a file (-: standard error) method, key, range, bytes, milliseconds, status of each request",
    )  # fmt: skip
    arguments.add_argument("--help", action="help", help="show this and exit")


def add_workers(arguments: argparse.ArgumentParser, *names: str) -> None:
    """`--workers N|auto`, with other names for it."""
    arguments.add_argument(
        *names,
        "-@",
        dest="workers",
        default="auto",
        metavar="N|auto",
        help="threads (auto: all available cores)",
    )


def add_shard(arguments: argparse.ArgumentParser) -> None:
    """The options that choose a run of chunks; `shard_of` reads them."""
    from bams3.dataset.shards import BALANCES

    arguments.add_argument(
        "--shard", type=fraction, default=(1, 1), metavar="i/n|array/n",
        help="only the i-th of n runs of consecutive chunks; array/n: i is this array job's task",
    )  # fmt: skip
    arguments.add_argument(
        "--balance", choices=BALANCES, default="bytes",
        help="what shards have equally much of: bytes (default), reads, or bp of the genome (length)",
    )  # fmt: skip


def shard_of(datasets: Iterable[Any], args: Any) -> Any:
    """The chunks of the datasets that the options of `add_shard` choose."""
    from bams3.dataset.shards import shard

    number, of = args.shard
    return shard(datasets, number, of, args.balance)


def add_filters(arguments: argparse.ArgumentParser) -> None:
    """The options that choose reads, as in samtools view; `filter_of` reads them."""
    arguments.add_argument(
        "-f", "--require-flags", type=flag_bits, default=0, metavar="FLAG", help="with all of these bits"
    )
    arguments.add_argument(
        "-F", "--exclude-flags", type=flag_bits, default=0, metavar="FLAG", help="with none of these"
    )
    arguments.add_argument(
        "-q", "--min-MQ", type=int, default=0, metavar="N", help="mapping quality of at least N"
    )
    arguments.add_argument("-r", "--read-group", metavar="ID", help="of this read group")
    arguments.add_argument("-e", "--filter", "--expr", metavar="EXPR", help="samtools' filter expression")


def filter_of(args: Any) -> Any:
    """The `RecordFilter` of the options of `add_filters`."""
    from bams3.select.query import RecordFilter

    return RecordFilter(
        args.require_flags, args.exclude_flags, args.min_MQ, args.read_group, _expression(args.filter)
    )


def _expression(text: str | None) -> Any:
    if text is None:
        return None
    from bams3.select.filters import Expression

    return Expression(text)


def add_depth(arguments: argparse.ArgumentParser) -> None:
    """mosdepth's options for depth of regions; `depth_of` reads them."""
    arguments.add_argument("-b", "--by", metavar="BED|N", help="regions of a BED file, or windows of N bp")
    arguments.add_argument(
        "-F", "--flag", type=flag_bits, default=1796, metavar="FLAG", help="without these bits (default 1796)"
    )
    arguments.add_argument(
        "-i", "--include-flag", type=flag_bits, default=0, metavar="FLAG", help="with any of these bits"
    )
    arguments.add_argument(
        "-x", "--fast-mode", action="store_true", help="reads from start to end; mates that overlap count twice"
    )  # fmt: skip
    arguments.add_argument(
        "-Q", "--mapq", type=int, default=0, metavar="N", help="mapping quality of at least N"
    )
    arguments.add_argument(
        "-l", "--min-frag-len", type=int, default=-1, metavar="N", help="fragments of at least N bp"
    )
    arguments.add_argument(
        "-u", "--max-frag-len", type=int, default=-1, metavar="N", help="fragments of at most N bp"
    )
    arguments.add_argument(
        "-m", "--use-median", action="store_true", help="medians of regions instead of means"
    )


def depth_of(args: Any) -> dict[str, Any]:
    """What `CoverageOptions` is told by the options of `add_depth`."""
    return {
        "by": args.by, "exclude_flags": args.flag, "include_flags": args.include_flag, "min_mapq": args.mapq,
        "min_fragment": args.min_frag_len, "max_fragment": args.max_frag_len, "fast_mode": args.fast_mode,
        "use_median": args.use_median,
    }  # fmt: skip


def add_regions(arguments: argparse.ArgumentParser) -> None:
    """Regions as words, or of a BED file; `regions_of` reads them."""
    arguments.add_argument("regions", metavar="REGION", nargs="*", help="default: everything")
    arguments.add_argument(
        "-L", "--regions-file", metavar="BED", help="reads that overlap the intervals of a BED file"
    )


def regions_of(dataset: Any, texts: list[str], bed: str | None) -> Any:
    """Regions of the command line and of a BED file; None for everything."""
    from bams3.bam.regions import parse_regions, read_bed

    if not texts and bed is None:
        return None
    if bed is None:
        return parse_regions(texts, dataset.references)
    intervals = read_bed(bed, dataset.references)
    if not texts:
        return intervals
    raise UsageError("give regions or -L, not both")


def flag_bits(text: str) -> int:
    """FLAG bits as samtools reads them: a number (decimal, 0x, 0 for octal), or names: `UNMAP,DUP`."""
    try:
        bits = int(text, 8 if text.isdigit() and text.startswith("0") else 0)
    except ValueError:
        pass
    else:
        if not 0 <= bits < 1 << 16:
            raise argparse.ArgumentTypeError(f"{text} is not a set of flags: they have 16 bits")
        return bits
    bits = 0
    for name in text.upper().split(","):
        if name not in NAMES:
            raise argparse.ArgumentTypeError(f"{name!r} is not a flag; give a number or {', '.join(NAMES)}")
        bits |= NAMES[name]
    return bits


def fraction(text: str) -> tuple[int, int]:
    """`i/n` → (i, n), 1 ≤ i ≤ n; `array/n`: i is the number of this task of an array job."""
    from bams3.dataset.layout import parse_fraction

    if text.startswith("array/"):
        from bams3.cli.arrays import task_number

        tasks = text.removeprefix("array/")
        if not tasks.isdecimal() or not int(tasks):
            raise argparse.ArgumentTypeError(f"{text!r}: give array/N with the array's size, such as array/8")
        return task_number(int(tasks)), int(tasks)
    try:
        return parse_fraction(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


@contextmanager
def progress_bar(unit: str, total: int | None = None) -> Iterator[Callable[[int], Any] | None]:
    """Where to report progress: a bar on a terminal, from the third second on; None in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=unit, unit_scale=True, delay=2, leave=False) as bar:
        yield bar.update


def progress_beside(output: str, unit: str, total: int | None = None) -> Any:
    """A progress bar, unless what is written goes to the same terminal (`output`: a path, or -)."""
    return nullcontext() if output == "-" and sys.stdout.isatty() else progress_bar(unit, total)
