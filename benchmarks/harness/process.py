"""Measurement of whole processes: CPU seconds, wall seconds, and peak memory.

The peak that Linux reports for a child is at least the memory that its parent occupied when it started the child. So
this process stays small: it does not import numpy and pysam, and leaves what needs them to children.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

BAMS3 = str(Path(sys.executable).with_name("bams3"))
ENOUGH = 3  # number of rounds of slow commands
LONG = 60  # commands are slow if these rounds together take longer than this many seconds


class CommandError(Exception):
    """A measured command failed."""


@dataclass(frozen=True)
class Command:
    """A process to measure. `writes`: removed before each run. `stdout`: file for its standard output."""

    argv: Sequence[str | Path]
    writes: Path | None = None
    stdout: Path | None = None


@dataclass(frozen=True)
class Usage:
    """What a process used.

    `cpu`: CPU seconds (user and system, including children). `wall`: wall seconds. `peak`: peak resident memory of the
    largest process, in MB (10^6 bytes).
    """

    cpu: float
    wall: float
    peak: float


def run(command: Command) -> Usage:
    """Run a command once. Raises CommandError if it fails."""
    if command.writes:
        remove(command.writes)
    argv = [str(argument) for argument in command.argv]
    with open(command.stdout or os.devnull, "wb") as stdout, tempfile.TemporaryFile() as stderr:
        start = time.perf_counter()
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            stderr.seek(0)
            said = stderr.read().decode(errors="replace").strip()
            raise CommandError(f"{' '.join(argv)}: exit code {child.returncode}: {said}")
    return Usage(used.ru_utime + used.ru_stime, wall, used.ru_maxrss * 1024 / 1e6)


def turns(rounds: int) -> Iterator[int]:
    """Yield the numbers of the rounds: `rounds` of them, or only three if these take more than a minute."""
    start = time.perf_counter()
    for number in range(rounds):
        if number >= ENOUGH and time.perf_counter() - start > LONG:
            return
        yield number


def measure(commands: Callable[[int], Sequence[Command]], rounds: int) -> list[Usage]:
    """Return the medians of each of `commands(round)`.

    In every round, all commands run one after the other, so that other load on the machine affects all of them equally.
    """
    runs = [[run(command) for command in commands(number)] for number in turns(rounds)]
    return [
        Usage(*map(statistics.median, zip(*map(astuple, usages), strict=True)))
        for usages in zip(*runs, strict=True)
    ]


def output(*argv: str | Path, all_of_it: bool = False) -> str:
    """Return the standard output of a command that is not measured. `all_of_it`: also standard error, after it."""
    result = subprocess.run(
        [str(argument) for argument in argv], capture_output=True, text=True, errors="replace"
    )
    if result.returncode:
        raise CommandError(f"{' '.join(map(str, argv))}: {result.stderr.strip()}")
    return result.stdout + result.stderr * all_of_it


def remove(path: Path) -> None:
    """Remove a file or a directory, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def size(path: Path) -> int:
    """Return the number of bytes of a file, or of all files below a directory."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
