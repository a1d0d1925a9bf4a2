"""One run of a command in a forked process, which has imported everything, and what it leaves."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path

from bams3.cli import main

from faults import shim
from faults.cases import STDOUT, stable

LONGEST = 60  # seconds; a run takes some hundredths
Files = dict[str, bytes]
"""The files of a run, by path."""


@dataclass(frozen=True)
class Ran:
    """A run: its exit code (a signal is negative), what it said, and the calls that it made."""

    code: int
    said: str
    calls: list[str]
    fired: int


class Runner:
    """Runs commands in a folder below `folder`, with the files of `inputs`, and obeys the orders that it gets."""

    def __init__(self, folder: Path, inputs: Path) -> None:
        self._folder, self._inputs = folder / f"runs-{os.getpid()}", inputs
        self._folder.mkdir()
        self.root = self._folder / "root"
        self._said = self._folder / "stderr"
        self._orders = self._folder / "orders"
        self._modules = self._folder / "modules"

    @cached_property
    def control(self) -> shim.Control:
        """The orders."""
        return shim.Control.at_path(self._orders)

    def begin(self, needs: tuple[str, ...]) -> None:
        """Have nothing but some of the inputs."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        for name in needs:
            copy = shutil.copytree if (self._inputs / name).is_dir() else shutil.copyfile
            copy(self._inputs / name, self.root / name)

    def run(
        self, words: tuple[str, ...], at: int = 0, error: int = 0, *, sticky: bool = False, log: str = ""
    ) -> Ran:
        """Run a command; see `Control.order`."""
        self.control.order(self.root, at, error, sticky=sticky, log=log)
        child = os.fork()
        if not child:
            os._exit(self._inside(words))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        calls, fired = self.control.kinds_of_calls(), self.control.fired
        self.control.armed = 0
        return Ran(status, self._said.read_text(errors="replace"), calls, fired)

    def warm(self, words: tuple[str, ...]) -> None:
        """Import here what a command imports, so that forked processes need not."""
        self.control.armed = 0
        child = os.fork()
        if not child:
            os._exit(self._inside(words, at_first=True))
        os.waitpid(child, 0)
        for name in self._modules.read_text().split("\n"):
            with suppress(ImportError):
                import_module(name)

    def _inside(self, words: tuple[str, ...], *, at_first: bool = False) -> int:
        """Run a command, in a process of its own."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.alarm(LONGEST)
        gc.set_threshold(100_000, 50, 50)  # as a command does
        armed, self.control.armed = self.control.armed, 0
        os.chdir(self.root)
        os.environ["TMPDIR"] = str(self.root)
        for number, path in ((1, self.root / STDOUT), (2, self._said)):
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, number)
            os.close(file)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False, errors="backslashreplace", buffering=1)  # noqa: SIM115
        shim.use(self._orders)
        self.control.armed = armed
        try:
            code = main(list(words))
        except BaseException:
            traceback.print_exc()
            code = 1
        if at_first:
            self._modules.write_text("\n".join(sys.modules))
        try:
            sys.stdout.flush()
        except OSError:  # Python says so when it ends
            traceback.print_exc()
        return code

    def files(self) -> Files:
        """What is there now."""
        return {
            (path := os.path.relpath(os.path.join(folder, name), self.root)): stable(
                path, Path(folder, name).read_bytes()
            )
            for folder, _, names in os.walk(self.root)
            for name in names
        }
