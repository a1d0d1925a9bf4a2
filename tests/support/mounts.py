"""Mounted datasets, and a limit for those who wait for them; test files import the fixtures."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from peers import need

LIMIT = 600  # seconds that only a hang reaches
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGCHLD")


@pytest.fixture(autouse=True)
def fuse() -> None:
    need("fusermount3")


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    """Whatever a test waits for, it fails when it has hung."""

    def fail(*_: object) -> None:
        pytest.fail(f"hung for {LIMIT} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def running(*words: object, ignored: str = "") -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """`bams3 mount`, which has printed its first line; it is killed in the end, with all that it started.

    `ignored`: a signal that it ignores from its start.
    """
    options: dict[str, Any] = {
        "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True,
        "start_new_session": True,
    }  # fmt: skip

    def prepare() -> (
        None
    ):  # what the tests' process ignores, since it runs in the background, would be inherited
        for name in SIGNALS:
            signal.signal(signal.Signals[name], signal.SIG_IGN if name == ignored else signal.SIG_DFL)

    command = ["bams3", "mount", *map(str, words)]
    with subprocess.Popen(command, preexec_fn=prepare, **options) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), process.communicate()[1]
            yield process, process.stdout
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def mounted(*sources: object, at: Path) -> Iterator[Path]:
    """The folder in which sources are mounted."""
    with running(*sources, at, "--", "sh", "-c", "echo; read line") as (process, _):
        yield at
        _, said = process.communicate()
        assert (process.returncode, said) == (1, "")  # nothing to read
    assert not at.exists()


def mount(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bams3", "mount", *map(str, words)], capture_output=True, text=True)
