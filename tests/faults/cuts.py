"""The power fails at every moment of a run: nothing opens that is not right to the byte."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

from faults.campaign import MANIFEST, Good, below, wrong_again
from faults.cases import CASES, Case, stable
from faults.power import Disk, entries_of
from faults.runs import Files, Runner

_PART = "_parts/000002-of-000002.json"
MARKS = {
    "batch": f"half.bams3/{_PART}", "markdup-batch": f"marks.bams3/{_PART}", "merge-batch": f"shared.bams3/{_PART}",
    "receipt": "receipt.json",
} | {
    name: f"{CASES[name].makes[0]}/{MANIFEST}"
    for name in (
        "convert", "convert-threads", "convert-verify", "sort", "resume", "merge", "overwrite", "batch-overwrite",
        "markdup-merge", "repair", "append", "merge-inputs", "rewrite", "rewrite-lossy", "markdup", "hashed",
        "append-hashed", "merge-batches",
    )
}  # fmt: skip
"""By case, the file that says that the result is whole."""
REPLACE = ("overwrite", "append", "append-hashed", "rewrite-lossy")
"""The cases in which a dataset stays until another one is in its place."""


class Cuts:
    """The run of a case, and the states that a power cut during it may leave."""

    def __init__(self, case: Case, good: Good, runner: Runner) -> None:
        self._case, self._good, self._runner = case, good, runner
        self._mark = MARKS[case.name]
        runner.begin(case.needs)
        self._before = Disk.of(runner.root)
        log = runner.root.with_name("log")
        log.unlink(missing_ok=True)
        ran = runner.run(case.words, log=str(log))
        if ran.code:
            raise RuntimeError(f"{case.name}: {ran.said}")
        self.entries = list(entries_of(log, runner.root))

    def run(self, states: int, again: int, seed: int, told: Callable[[str], None]) -> Counter[str]:
        """Judge so many states, from every moment; of `again` of them, run the command again."""
        found: Counter[str] = Counter()
        chance = random.Random(f"{seed} {self._case.name}")
        each = states // (len(self.entries) + 1) + 1
        numbers = count()
        every = max(1, each * (len(self.entries) + 1) // again) if again else 0
        for at, disk in self._moments():
            for _ in range(each):
                files = disk.after_a_cut(chance)
                wrong = self._wrong(files)
                if not wrong and every and next(numbers) % every == 0:
                    found["run again"] += 1
                    wrong = self._wrong_again(files)
                if wrong:
                    told(f"{self._case.name}: power cut after change {at}: {wrong}")
                found["wrong" if wrong else "whole" if self._mark in files else "not there"] += 1
        if wrong := self._wrong_at_end(disk):
            told(f"{self._case.name}: power cut after its end: {wrong}")
        return found

    def _moments(self) -> Iterator[tuple[int, Disk]]:
        disk = self._before
        yield 0, disk
        for at, entry in enumerate(self.entries, 1):
            disk.apply(entry)
            yield at, disk

    def _wrong(self, files: Files) -> str:
        """What is wrong with a state; "" if nothing is."""
        old, new = self._good.before, self._good.after
        files = {path: stable(path, data) for path, data in files.items()}
        mark = files.get(self._mark)
        if mark is None:
            return "neither the old nor the new dataset" if self._case.name in REPLACE else ""
        name = self._case.makes[0]
        for whole in (old, new):
            if mark == whole.get(self._mark):
                return (
                    ""
                    if _whole(name, whole).items() <= below(name, files).items()
                    else "there, but not whole"
                )
        return f"{self._mark} is neither the old nor the new one"

    def _wrong_at_end(self, disk: Disk) -> str:
        name = self._case.makes[0]
        wanted = _whole(name, self._good.after).items()
        files = {path: stable(path, data) for path, data in disk.for_sure().items()}
        return "" if wanted <= below(name, files).items() else "what was done is lost"

    def _wrong_again(self, files: Files) -> str:
        """What is wrong with another run."""
        shutil.rmtree(self._runner.root)
        for path, data in files.items():
            place = self._runner.root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        if self._mark in files and self._case.name not in (
            "batch",
            "markdup-batch",
            "receipt",
            "repair",
            "merge",
        ):
            ran = self._runner.run(("verify", self._case.makes[0]))
            return "" if not ran.code else f"verify: {ran.said}"
        return wrong_again(self._case, self._good, self._runner)


def _whole(name: str, files: Files) -> Files:
    """A result without what only its conversion needs, unless that is the result."""
    found = below(name, files)
    return {
        path: data for path, data in found.items() if MANIFEST not in found or not path.startswith("_parts/")
    }
