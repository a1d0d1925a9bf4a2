"""Every system call of every command fails once, in every way that it may, or is the last one before a kill."""

from __future__ import annotations

import errno
import gc
import multiprocessing
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from faults import shim
from faults.cases import CASES, STDOUT, Case, make_inputs
from faults.runs import Files, Ran, Runner

MANIFEST = "_metadata.json"
MAKES = {*shim.CHANGES} - {"write", "sync"}
"""What no command does that only prints."""
_ERROR = re.compile(f"bams3 [a-z-]+: (?!({'|'.join(map(os.strerror, errno.errorcode))})$)")
"""A line that says more than what the system says."""
_WARNING = re.compile(
    r"\w.*: (the number of records is not checked against the index$|complete, but files that it no longer needs)"
    "|^bams3 map: d.bams3/data/.*chunk: |^bams3 repair: note: |: the records of the (new )?dataset differ from "
)
_REST = re.compile(
    r"(^|/)(\.incomplete-[^/]+|\.bams3-[^/]+\.tmp|\.\w+\.bams3\.(new|old)/.+|\.[^/]+\.txt\.\w+/.*)$|/_parts/"
)
"""What may be left where a file can't be removed, or after a kill."""
_fork = multiprocessing.get_context("fork")


class Fault(NamedTuple):
    """Call number `at` of a case, of some kind, ends with `error`; `sticky`: all later ones do, too. `again`: the
    command is run again after it."""

    case: str
    at: int
    kind: str
    error: int
    sticky: bool
    again: bool = True

    def __str__(self) -> str:
        more = " and all later ones" if self.sticky else ""
        return f"{self.case}: call {self.at}, {self.kind}{more}: {shim.name_of(self.error)}"


class Good(NamedTuple):
    """A run without a fault: the files before and after it, and its calls."""

    before: Files
    after: Files
    calls: list[str]


def faults_of(name: str, calls: Sequence[str]) -> Iterator[Fault]:
    """All that can happen to the calls of a case. A kill before a call that changes nothing is one before the next. A
    file system that is read-only is so from the first call that would change it, other than printing."""
    if changes := [at for at, kind in enumerate(calls, 1) if kind in MAKES]:
        yield Fault(name, changes[0], calls[changes[0] - 1], errno.EROFS, True)
    for at, kind in enumerate(calls, 1):
        for number, error in enumerate(shim.ERRORS[kind]):
            yield Fault(name, at, kind, error, False, again=not number)
        if kind in shim.CHANGES:
            yield Fault(name, at, kind, shim.KILL, False)
        if kind in (*shim.CHANGES, "open", "read"):
            yield Fault(name, at, kind, errno.EIO, True)
        if kind in shim.TAKES_SPACE:
            yield Fault(name, at, kind, errno.ENOSPC, True)


class Campaign:
    """Runs of commands in a folder. `good`: those without a fault."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        self._inputs = folder / "inputs"
        self._inputs.mkdir()
        make_inputs(self._inputs)
        self.runner = Runner(folder, self._inputs)
        self.good = {name: self._good(CASES[name]) for name in names}

    def _good(self, case: Case) -> Good:
        runner = self.runner
        runner.begin(case.needs)
        runner.warm(case.words)
        runner.begin(case.needs)
        before = runner.files()
        ran = runner.run(case.words)
        if ran.code:
            raise RuntimeError(f"{case.name}: {ran.said}")
        if case.prints and not MAKES.isdisjoint(ran.calls):
            raise RuntimeError(f"{case.name}: it only prints, but changes a folder")
        return Good(before, runner.files(), ran.calls)

    def faults(self) -> list[Fault]:
        """All faults of all cases."""
        return [fault for name, good in self.good.items() for fault in faults_of(name, good.calls)]

    def run(self, faults: Sequence[Fault], workers: int, told: Callable[[str], None]) -> Counter[str]:
        """Let all happen; returns how often a run ended in which way. `told`: takes each failure."""
        found: Counter[str] = Counter()
        gc.freeze()  # forks share what the collector does not touch
        with _fork.Pool(workers, _begin, (self.good, self._folder, self._inputs)) as pool:
            for number, (outcome, wrong) in enumerate(pool.imap_unordered(_attempt, faults, 8), 1):
                found[outcome] += 1
                if wrong:
                    told(wrong)
                if number % 500 == 0:
                    print(f"{number:,} of {len(faults):,} runs", file=sys.stderr, flush=True)
        return found


_good: dict[str, Good] = {}
_runner: list[Runner] = []


def _begin(good: dict[str, Good], folder: Path, inputs: Path) -> None:
    """In a worker of the pool, at first."""
    _good.update(good)
    _runner.append(Runner(folder, inputs))


def _attempt(fault: Fault) -> tuple[str, str]:
    outcome, wrong = _judged(CASES[fault.case], _good[fault.case], fault, _runner[0])
    return outcome, wrong and f"{fault}: {wrong}"


def _is_rest(path: str) -> bool:
    return bool(_REST.search(path))


def _judged(case: Case, good: Good, fault: Fault, runner: Runner) -> tuple[str, str]:
    """How a run ended, and what is wrong with that; "" if nothing is."""
    runner.begin(case.needs)
    ran = runner.run(case.words, fault.at, fault.error, sticky=fault.sticky)
    if wrong := wrong_if_ended(case, good, fault, runner.files(), ran):
        return "wrong", wrong
    if not ran.fired:
        return "no fault", ""
    if not ran.code:
        return "done", ""
    killed = fault.error == shim.KILL
    wrong = fault.again and wrong_again(case, good, runner)
    return (
        ("wrong", f"{wrong} (after: {ran.said.strip()})")
        if wrong
        else ("killed" if killed else "refused", "")
    )


def wrong_if_ended(case: Case, good: Good, fault: Fault, files: Files, ran: Ran) -> str:
    """What is wrong with what a run says and leaves."""
    killed = fault.error == shim.KILL
    if "Traceback" in ran.said or "Exception ignored" in ran.said:
        return f"a traceback: {ran.said}"
    if ran.code < 0 and not killed:
        return f"ended by signal {-ran.code}"
    if ran.code == 0:
        more = files.keys() - good.after.keys()
        is_all = good.after.items() <= files.items() and (
            all(map(_is_rest, more))
            or (fault.kind in ("unlink", "close") and not any(_is_of(path, case.makes) for path in more))
        )
        return "" if is_all else f"exit code 0, but other results: {_difference(files, good.after)}"
    if "standard output" in ran.said and not good.after[STDOUT]:
        return f"a file without a name: {ran.said}"
    *warnings, line = ran.said.splitlines() or [""]
    if not killed and not (_ERROR.match(line) and all(map(_WARNING.search, warnings))):
        return f"exit code {ran.code} without one line that says where: {ran.said!r}"
    for name in case.makes:
        is_dead = killed or fault.sticky or "standard output" in ran.said
        if wrong := _wrong_result(name, good, files, is_dead=is_dead):
            return f"{wrong} ({ran.said.strip()})"
    changed = [
        path for path, data in good.before.items() if not _is_of(path, case.makes) and files.get(path) != data
    ]
    return f"an input changed: {changed}" if changed else ""


def _wrong_result(name: str, good: Good, files: Files, *, is_dead: bool) -> str:
    """What is wrong with a file or a dataset that a failed run leaves. `is_dead`: it could do nothing more,
    or only failed to print."""
    found, old, new = (below(name, each) for each in (files, good.before, good.after))
    if name.endswith(".bams3"):
        if MANIFEST not in found:
            return (
                ""
                if MANIFEST not in old or MANIFEST not in new
                else f"{name}: neither the old nor the new one"
            )
        for whole in (old, new):
            if found[MANIFEST] == whole.get(MANIFEST) and whole.items() <= found.items():
                return "" if whole is old or is_dead else f"{name}: complete, but the run failed"
        return f"{name}: opens, but is not whole: {_difference(found, new)}"
    for path in found:
        if not _is_rest(path) and found[path] not in (old.get(path), new.get(path)):
            return f"{path}: not whole"
    return f"{name}: removed" if old.keys() - found.keys() - (old.keys() - new.keys()) else ""


def _manifests(case: Case, good: Good) -> list[str]:
    return [f"{name}/{MANIFEST}" for name in case.makes if f"{name}/{MANIFEST}" in good.after]


def wrong_again(case: Case, good: Good, runner: Runner) -> str:
    """What is wrong with another run of a command that failed."""
    if case.adds and all(runner.files().get(path) == good.after[path] for path in _manifests(case, good)):
        return ""
    said = ""
    for option in ("", *case.then):
        command, *words = case.words
        words = [word for word in words if not (option and word in case.then)]
        ran = runner.run((command, *filter(None, [option]), *words))
        said = ran.said
        if not ran.code:
            files = runner.files()
            wanted = {
                path: good.after[path] for name in case.makes for path in _below_paths(name, good.after)
            }
            found = {path: files[path] for name in case.makes for path in _below_paths(name, files)}
            if case.prints:
                wanted, found = {STDOUT: good.after[STDOUT]}, {STDOUT: files[STDOUT]}
            found = {
                path: data for path, data in found.items() if not (path not in wanted and _is_rest(path))
            }
            return "" if found == wanted else f"another run has other results: {_difference(found, wanted)}"
    files = runner.files()
    if "exists" in said and all(files.get(name) == good.after[name] for name in case.makes):
        return ""  # only printing had failed
    return f"another run fails, too: {said.strip()}"


def _below_paths(name: str, files: Files) -> list[str]:
    return [path for path in files if _is_of(path, (name,))]


def below(name: str, files: Files) -> Files:
    """The files of a result, by their paths in it."""
    return {path.removeprefix(f"{name}/"): files[path] for path in _below_paths(name, files)}


def _is_of(path: str, names: Sequence[str]) -> bool:
    return any(path == name or path.startswith(f"{name}/") for name in names)


def _difference(found: Files, wanted: Files) -> str:
    parts = {
        "missing": sorted(wanted.keys() - found.keys()),
        "more": sorted(found.keys() - wanted.keys()),
        "other": sorted(path for path in found.keys() & wanted.keys() if found[path] != wanted[path]),
    }
    return "; ".join(f"{what} {', '.join(paths[:4])}" for what, paths in parts.items() if paths)


def new_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for a campaign, in memory if there is one: no run needs a disk."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
