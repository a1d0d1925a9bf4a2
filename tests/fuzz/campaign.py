"""Many inputs on all cores: worker processes, a watchdog, and a file for every failure."""

from __future__ import annotations

import faulthandler
import multiprocessing
import pickle
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bams3.errors import Bams3Error

from fuzz.blocks import LARGEST, MOST, counter, remade, size
from fuzz.seeds import Seeds
from fuzz.targets import Target

TIMEOUT = 60.0  # seconds; an input takes milliseconds
MEMORY = 4 << 30  # bytes of address space of a worker
KEPT = 3  # files of failures that say the same

_fork = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Failure:
    """An input that made a target fail; `made` is what the target read."""

    seed: int
    number: int
    target: str
    what: str
    made: Any

    @property
    def kind(self) -> str:
        """What it shares with other failures."""
        return f"{self.target}: {self.what.strip().splitlines()[-1][:200]}"


class Done(NamedTuple):
    """Inputs of a target, how many of them were refused, and the CPU seconds that they took."""

    inputs: int
    refused: int
    seconds: float


@dataclass
class Campaign:
    """Inputs 0, 1, 2 … of `seed` on `workers` processes."""

    targets: dict[str, Target]
    seeds: Seeds
    seed: int = 1
    workers: int = 1
    timeout: float = TIMEOUT
    folder: Path | None = None
    """Where failures are saved."""
    progress: Callable[[str], None] = lambda line: None
    failures: Counter[str] = field(default_factory=Counter)
    """How many of each kind."""
    blocks: Any = field(default_factory=counter)
    """See `blocks.counter`: if there is one, it guides the choice of inputs."""
    kept: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)
    """What each worker reads now."""

    def choose(self, number: int) -> tuple[str, random.Random]:
        """The target of an input, and the chance that makes it."""
        chance = random.Random(f"{self.seed} {number}")
        shares = [target.share for target in self.targets.values()]
        return chance.choices(list(self.targets), shares)[0], chance

    def run(self, inputs: int) -> dict[str, Done]:
        """What was done, by target; `failures` has what went wrong."""
        workers = [_Worker(self, slot, inputs) for slot in range(self.workers)]
        started = told = time.monotonic()
        while sum(worker.watch() for worker in workers):
            time.sleep(0.02)
            if time.monotonic() - told > 30:
                told = time.monotonic()
                done = sum(worker.done for worker in workers)
                self.progress(
                    f"{done:,} inputs, {done / (told - started):,.0f}/s, {self.failures.total()} failures"
                )
        by_column = [
            [getattr(worker, name) for worker in workers] for name in ("tried", "refused", "seconds")
        ]
        return {
            name: Done(*(sum(column[i] for column in columns) for columns in by_column))
            for i, name in enumerate(self.targets)
        }

    def fail(self, number: int, what: str, made: Any = None) -> None:
        """Count and save a failure. `made`: the input, if it does not follow from the number."""
        name, chance = self.choose(number)
        if made is None:
            made = self.targets[name].make(self.seeds, chance)
        failure = Failure(self.seed, number, name, what, made)
        self.failures[failure.kind] += 1
        if self.failures[failure.kind] == 1:
            self.progress(f"input {number}: {failure.kind}")
        if self.folder and self.failures[failure.kind] <= KEPT:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / f"{name}-{self.seed}-{number}.pickle").write_bytes(pickle.dumps(failure))


def attempt(read: Callable[[Any], None], made: Any) -> tuple[bool, str]:
    """(was it refused?, what went wrong: "" if nothing did)."""
    ignored: list[str] = []
    sys.unraisablehook = lambda info: ignored.append(f"ignored: {info.exc_value!r} in {info.object!r}")
    try:
        read(made)
    except Bams3Error:
        return True, "".join(ignored)
    except Exception:
        return False, traceback.format_exc()
    finally:
        sys.unraisablehook = sys.__unraisablehook__
    return False, "".join(ignored)


class _Worker:
    """A process that takes every `workers`-th input; another takes over after one that kills or stops it."""

    def __init__(self, campaign: Campaign, slot: int, inputs: int) -> None:
        self._campaign, self._inputs = campaign, inputs
        self._now = _fork.RawArray("q", [slot])
        self._since = _fork.RawArray("d", [0.0])
        self.tried = _fork.RawArray("q", len(campaign.targets))
        self.refused = _fork.RawArray("q", len(campaign.targets))
        self.seconds = _fork.RawArray("d", len(campaign.targets))
        self._reached: defaultdict[str, list[Any]] = defaultdict(list)
        self._ran = 0
        self._made = Path(campaign.kept.name, f"made-{slot}")
        self._finished = False
        self._start(slot)

    @property
    def done(self) -> int:
        """Inputs so far."""
        return sum(self.tried)

    def _start(self, first: int) -> None:
        self._now[0], self._since[0] = first, time.monotonic()
        self._failed, sending = _fork.Pipe(duplex=False)
        self._process = _fork.Process(target=self._run, args=(first, sending))
        self._process.start()
        sending.close()

    def watch(self) -> bool:
        """Is there more to do? Fetches failures; restarts the process if an input killed it, or takes too long."""
        if self._finished:
            return False
        hangs = time.monotonic() - self._since[0] > self._campaign.timeout
        ended = not self._process.is_alive()
        if hangs and not ended:
            self._process.kill()
            self._process.join()
        self._fetch()
        if not hangs and not ended:
            return True
        if ended and self._process.exitcode == 0:
            self._finished = True
            return False
        number = self._now[0]
        ending = f"killed by signal {-(self._process.exitcode or 0)}" if ended else "hangs"
        made = pickle.loads(self._made.read_bytes()) if self._made.exists() else None
        self._campaign.fail(number, ending, made)
        self._finished = number + self._campaign.workers >= self._inputs
        if self._finished:
            return False
        self._start(number + self._campaign.workers)
        return True

    def _fetch(self) -> None:
        try:
            while self._failed.poll():
                self._campaign.fail(*self._failed.recv())
        except EOFError:
            pass

    def _run(self, first: int, failed: Any) -> None:
        """In the process."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if not self._campaign.blocks:  # the sanitizers have limits and handlers of their own
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            faulthandler.enable()
        campaign, places = self._campaign, {name: i for i, name in enumerate(self._campaign.targets)}
        for number in range(first, self._inputs, campaign.workers):
            self._now[0], self._since[0] = number, time.monotonic()
            name, chance = campaign.choose(number)
            at, target, started = places[name], campaign.targets[name], time.process_time()
            self.tried[at] += 1
            made = self._chosen(name, target, chance)
            refused, what = attempt(target.read, made)
            self._keep(name, made)
            self.refused[at] += refused
            self.seconds[at] += time.process_time() - started
            if what:
                failed.send((number, what, made if campaign.blocks else None))

    def _chosen(self, name: str, target: Target, chance: random.Random) -> Any:
        """An input: made anew, or of one that reached more blocks than those before it."""
        blocks, before = self._campaign.blocks, self._reached[name]
        if before and chance.random() < 0.5:
            made = remade(chance.choice(before), chance)
        else:
            made = target.make(self._campaign.seeds, chance)
        if blocks:
            self._made.write_bytes(pickle.dumps(made))  # in case that it ends the process
            self._ran = blocks.contents.value
        return made

    def _keep(self, name: str, made: Any) -> None:
        """Keep an input if it reached blocks that did not run before."""
        blocks, before = self._campaign.blocks, self._reached[name]
        if blocks and blocks.contents.value > self._ran and len(before) < MOST and 0 < size(made) < LARGEST:
            before.append(made)
