"""The parser of command-line arguments: errors, help, and refused options, with advice on what to use instead."""

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, NoReturn

from bams3.errors import UsageError
from bams3.shown import shown


def parser(command: str, description: str, example: str) -> argparse.ArgumentParser:
    """Return a parser whose help ends with an example; commands may define `-h` themselves."""
    return _CommandParser(
        f"bams3 {command}", description=description, epilog=f"example:\n{example}", add_help=False, allow_abbrev=False,
        formatter_class=_Help,
    )  # fmt: skip


argparse._ = str  # type: ignore[attr-defined]
"""Replaces gettext, which would look for translations in every run, and would import locale for this."""

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
"""Options that users may look for, and what to use instead."""

_ARRAY_INDEX = "AWS_BATCH_JOB_ARRAY_INDEX"
_TAGS = "TAG,…", "TAG[,TAG...]"
_USAGE = 4  # most lines of a usage that lists every option

Options = argparse._ActionsContainer
"""A parser, or a group of its options."""


class _CommandParser(argparse.ArgumentParser):
    """A parser whose errors take one line and hide secrets.

    It also refuses to append the log of requests to a file of another kind.
    """

    def parse_args(self, words: Sequence[str], *given: Any, **options: Any) -> Any:  # type: ignore[override]
        if any(_ARRAY_INDEX in word for word in takewhile("--".__ne__, words)):
            self.error(
                f"{_ARRAY_INDEX} is the name of a variable, not a number; give --batch array/N, where N is the size of "
                "the array"
            )
        if not any(word.startswith("-") and "h" in word for word in words):  # no --help, -h or -xh
            # Only the help shows the usage, but argparse would format it in every run.
            self.usage = argparse.SUPPRESS
        arguments, unknown = self.parse_known_intermixed_args([*self._joined(words)], *given, **options)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._hint(unknown[0])}")
        if log := os.environ.get("BAMS3_LOG_REQUESTS", "-").removeprefix("-"):
            from bams3.output.files import refuse_foreign

            refuse_foreign(log, _is_of_requests, "a log of requests")
        return arguments

    def _joined(self, words: Sequence[str]) -> Iterator[str]:
        """Join an option and its value if the value begins with a hyphen: argparse would mistake it for an option."""
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
        """Refuse an empty value.

        In a shell, an unset variable becomes an empty value, which must not turn off an option such as `--tokens` or
        `--region`. Lists of tags may be empty, as in samtools, and so may options whose default is empty.
        """
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
    """A formatter that sets the width. argparse would import shutil for this, which takes longer than a query."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)

    def _format_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None) -> str:
        """List the options only if there are few."""
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
    """An option that is not supported. Using it is an error, whose message says what to do instead."""

    def __init__(self, *names: Any, instead: str, **options: Any) -> None:
        super().__init__(*names, **options)
        self.instead = instead

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        raise UsageError(f"{option_string} is not supported: {self.instead}")


def explain(arguments: argparse.ArgumentParser, instead: Mapping[str, str]) -> None:
    """Add options that are not shown in the help, and that are refused with advice on what to do instead."""
    for name, what in instead.items():
        arguments.add_argument(name, action=_Explain, nargs="?", help=argparse.SUPPRESS, instead=what)


class EachBit(argparse.Action):
    """An option for FLAG bits.

    If it is repeated, bits are added, as in samtools view; the default holds if it is not given.
    """

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        seen = vars(namespace).setdefault("repeatable", set())
        before = getattr(namespace, self.dest) if self.dest in seen else 0
        seen.add(self.dest)
        setattr(namespace, self.dest, before | values)
