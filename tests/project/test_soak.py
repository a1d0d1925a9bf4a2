"""What `make soak` says of samples, and a short soak: see tests/soak, and CONTRIBUTING.md for an hour of it."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from bams3.operations.convert import convert
from peers import DATA, need
from served import serving
from soak.load import Server, Truth
from soak.watch import ALLOWED, Sample, sample, verdict

TESTS = Path(__file__).parents[1]
MIB = 1 << 20


def samples(memory, descriptors=lambda n: 9, threads=lambda n: 5) -> list[Sample]:
    """Sixty samples, a minute apart."""
    return [Sample(60.0 * n, int(memory(n)), descriptors(n), threads(n)) for n in range(60)]


@pytest.mark.parametrize(
    ("taken", "flat"),
    [
        (samples(lambda n: 100 * MIB), True),
        (samples(lambda n: min(n, 15) * 20 * MIB), True),  # caches fill
        (samples(lambda n: 100 * MIB + n % 7 * 30 * MIB), True),
        (samples(lambda n: 100 * MIB + n * MIB / 2), False),
        (samples(lambda n: 100 * MIB, descriptors=lambda n: 9 + n // 6), False),
        (samples(lambda n: 100 * MIB, threads=lambda n: 5 + n // 10), False),
        (samples(lambda n: 100 * MIB)[:1], True),
    ],
)
def test_what_grows(taken: list[Sample], flat: bool) -> None:
    told, line = verdict(taken)
    assert told is flat
    assert all(name in line for name in ALLOWED)


def test_children_count() -> None:
    """A process is sampled with those that it started."""
    pipe = subprocess.PIPE
    with subprocess.Popen(["sh", "-c", "cat; :"], stdin=pipe, stdout=pipe, bufsize=0) as shell:
        assert shell.stdin
        assert shell.stdout
        shell.stdin.write(b"x")
        assert shell.stdout.read(1) == b"x"  # from its child
        assert sample(shell.pid, 0).threads == 2
        shell.communicate()


@pytest.mark.parametrize("what", [["--minutes", "0.05"], ["--convert", "500"], ["--kills", "2"]])
def test_a_short_soak(what: list[str]) -> None:
    need("fusermount3")
    paths = [str(TESTS / "support"), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "soak", "--every", "0.5", "--clients", "1", *what],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)}, cwd=TESTS, capture_output=True, text=True,
    )  # fmt: skip
    assert "WRONG" not in done.stdout, done.stdout + done.stderr
    assert ("reads are in the dataset" if "--convert" in what else ", 0 wrong") in done.stdout, done.stderr


def test_answers_that_are_given_up_leave_nothing(tmp_path: Path) -> None:
    """They are cycles of objects, which hold what was not sent. A command that ends soon need not look for cycles."""
    dataset, chance = tmp_path / "x.bams3", random.Random(1)
    convert(DATA / "illumina_wgs_NA12878.bam", dataset, workers=1)
    with serving("--memory", 32, "--workers", 1, dataset) as server:
        client, held = Server(server.url, Truth(dataset, tmp_path)), []
        for _ in range(2):
            for _ in range(250):
                client.give_up(chance)
            held.append(sample(server.process.pid, 0).memory)
    assert held[1] - held[0] < 8 * MIB
