"""bams3 mapper, bams3 reducer."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bams3.cli.options import add_help
from bams3.cli.parser import parser
from bams3.cli.reads import add_depth, add_filters, depth_of, filter_of
from bams3.errors import UsageError
from bams3.standard_input import take

_MAPPER = """\
usage: bams3 mapper count [OPTION …]
       bams3 mapper coverage --by BED|N [OPTION …]
       bams3 mapper MODULE:FUNCTION

Hadoop-streaming mapper: read chunk URIs from standard input, write lines of a key, a tab and a number.

  count            count the reads of each contig that pass filters
  coverage         compute the mean depth of regions; each value is a line of mosdepth's regions file
  MODULE:FUNCTION  call FUNCTION(chunk) with a bams3.Chunk; it returns a mapping of keys to numbers. MODULE is in the
                   current directory or installed

options:
  --help           show this help and exit; count --help and coverage --help list their options

example:
  bams3 chunks --format uri NA12878.bams3 | bams3 mapper count -q 30 | sort | bams3 reducer
  bams3 chunks --format uri NA12878.bams3 | bams3 mapper coverage --by 500 | LC_ALL=C sort | cut -f 2-
"""
_COUNT_EXAMPLE = "  bams3 mapper count -q 30 -F DUP < chunks.txt"
_COVERAGE_EXAMPLE = """\
  bams3 mapper coverage --by 500 < chunks.txt
A region belongs to the chunk in which it begins. Keys sort in genome order."""
_REDUCER_EXAMPLE = """\
  sort counts.txt | bams3 reducer
Lines with the same key (everything before the last tab) must be adjacent, as after sort."""


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    take()
    with open(0, encoding="utf-8", errors="surrogateescape", newline="\n", closefd=False) as lines:
        made = {"mapper": _mapper, "reducer": _reducer}[command](argv, lines)
        sys.stdout.writelines(made)
    return 0


def _mapper(argv: list[str], lines: Iterable[str]) -> Iterator[str] | list[str]:
    if argv in (["--help"], ["-h"]):
        return [_MAPPER]
    what = argv[0] if argv else ""
    if what in _MAPPERS:
        mapper = _MAPPERS[what](argv[1:])
    elif ":" in what and len(argv) == 1:
        mapper = _own(what)
    else:
        raise UsageError("give count, coverage or MODULE:FUNCTION; see bams3 mapper --help")
    from bams3.operations.hadoop import mapped

    return mapped(lines, mapper)


def _count(argv: list[str]) -> Any:
    options = parser("mapper count", "Count the reads of each contig.", _COUNT_EXAMPLE)
    add_filters(options)
    add_help(options)
    args = options.parse_args(argv)

    from bams3.operations.hadoop import counts

    return counts(filter_of(args))


def _coverage(argv: list[str]) -> Any:
    options = parser(
        "mapper coverage", "Compute the mean depth of regions, identical to mosdepth's.", _COVERAGE_EXAMPLE
    )
    add_depth(options)
    add_help(options)
    args = options.parse_args(argv)
    if args.by is None:
        options.error("give --by BED|N")

    from bams3.coverage import CoverageOptions
    from bams3.operations.hadoop import regions

    return regions(CoverageOptions(**depth_of(args)))


_MAPPERS: dict[str, Callable[[list[str]], Any]] = {"count": _count, "coverage": _coverage}


def _own(what: str) -> Any:
    """Return a mapper that calls a function of a module. The module is searched in the current directory first."""
    from importlib import import_module

    module, _, function = what.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{what}: {error}; give MODULE:FUNCTION, with a module that is in this directory or installed"
        ) from None

    from bams3.api.chunk import Chunk
    from bams3.operations.hadoop import own

    return own(lambda stored: found(Chunk(stored)))


def _reducer(argv: list[str], lines: Iterable[str]) -> Iterator[str]:
    options = parser(
        "reducer",
        "Hadoop-streaming reducer: read lines of a key, a tab and a number; sum the numbers of each key.",
        _REDUCER_EXAMPLE,
    )
    add_help(options)
    options.parse_args(argv)

    from bams3.operations.hadoop import summed

    return summed(lines)
