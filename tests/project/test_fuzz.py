"""Mutations of all that is read, on a small scale: see tests/fuzz, and CONTRIBUTING.md for a campaign."""

import itertools
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bams3.errors import FormatError
from every_stream import AT_LEVELS, CODECS, STREAMS
from fuzz.campaign import Campaign, attempt
from fuzz.commands import SPOILT, Commands
from fuzz.forged import FORGED, Forged
from fuzz.in_process import TARGETS
from fuzz.kernels import KERNELS
from fuzz.mutate import mutated
from fuzz.seeds import Seeds
from fuzz.targets import Target

TESTS = Path(__file__).parents[1]
MUTATIONS = 30  # of each kind of input
OF_COMMANDS = 20  # of each kind of file: commands take longer
CHECKED_INPUTS = 3000


def mutations(number: int = MUTATIONS) -> Iterator[random.Random]:
    """A source of chance for each mutation."""
    return map(random.Random, range(number))


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    return Commands(tmp_path_factory.mktemp("commands"))


@pytest.fixture(scope="module")
def seeds() -> Seeds:
    return Seeds(20)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", SPOILT)
def test_commands(commands: Commands, what: str) -> None:
    for chance in mutations(OF_COMMANDS):
        commands.read((what, chance.random()))


@pytest.mark.parametrize("path", FORGED)
def test_forged(tmp_path: Path, path: str) -> None:
    forged = Forged(tmp_path)
    for chance in mutations():
        forged.read((path, chance.random()))


def test_seeds_have_every_stream_and_codec(seeds: Seeds) -> None:
    names = {
        name
        for seed in seeds.seeds
        for chunk in seed.chunks
        for group in chunk.row_groups
        for name in group.raw
    }
    assert (STREAMS | AT_LEVELS.keys()) - names == set()
    assert set(seeds.codecs) == CODECS


@pytest.mark.parametrize("name", TARGETS)
def test_targets(seeds: Seeds, name: str) -> None:
    refused, target = 0, TARGETS[name]
    for chance in mutations():
        was_refused, what = attempt(target.read, target.make(seeds, chance))
        assert not what
        refused += was_refused
    assert refused


@pytest.mark.parametrize("name", KERNELS)
def test_kernels(seeds: Seeds, name: str) -> None:
    """Inputs to begin with are read, most changed ones are refused, and nothing else happens."""
    kernel, ended = KERNELS[name], set()
    for chance, data in zip(mutations(), itertools.cycle(kernel.inputs(seeds))):
        for each in (data, mutated(data, chance)):
            refused, what = attempt(kernel.read, each)
            assert not what
            ended.add(refused)
    assert ended == {True, False}


def crash(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang(_: object) -> None:
    signal.pause()


def refuse(_: object) -> None:
    raise FormatError("no")


def misbehave(_: object) -> None:
    raise IndexError("out of bounds")


class Unraisable:
    def __del__(self) -> None:
        raise IndexError("out of bounds")


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (refuse, []),
        (crash, ["x: killed by signal 9"]),
        (hang, ["x: hangs"]),
        (misbehave, ["x: IndexError: out of bounds"]),
        (lambda _: Unraisable() and None, ["x: ignored: IndexError('out of bounds')"]),
        (lambda _: bytearray(1 << 40), ["x: MemoryError"]),
    ],
)  # fmt: skip
def test_a_campaign_finds_what_goes_wrong(read, says: list[str], tmp_path: Path) -> None:
    """And goes on with the next input."""
    timeout = 0.5 if read is hang else 600  # of the others none takes long, however slow the machine is
    target = Target(1, lambda _, chance: chance.random(), read)
    job = Campaign({"x": target}, seeds=None, workers=2, timeout=timeout, folder=tmp_path)  # type: ignore[arg-type]
    assert job.run(4)["x"][:2] == (4, 4 if read is refuse else 0)
    assert [kind[: len(text)] for kind, text in zip(job.failures, says, strict=True)] == says
    assert list(job.failures.values()) == [4] * len(says)
    assert len(list(tmp_path.iterdir())) == min(4, 3 * len(says))


def test_the_checked_build(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A short campaign on the build whose kernels check every index."""
    checked = request.config.rootpath / "build/checked"
    if not (checked / ".built").exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "the checked build is missing; make test builds it"
        )
    options = ["--inputs", str(CHECKED_INPUTS), "--hostile-bams", "20", "--failures", str(tmp_path)]
    result = subprocess.run(
        [sys.executable, "-m", "fuzz", *options],
        env=os.environ | {"PYTHONPATH": f"{checked}{os.pathsep}{TESTS / 'support'}"}, cwd=TESTS,
        capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert str(checked) in result.stdout
