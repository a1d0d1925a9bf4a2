"""`main`, as a program that goes on after it calls it."""

import gc
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from bams3.cli import main
from zstandard import ZstdError

from bams3 import temporary


def test_the_garbage_collector_is_left_as_it_was(capfd: pytest.CaptureFixture[str]):
    before = gc.get_freeze_count(), gc.get_threshold()
    assert main(["--version"]) == 0
    assert (gc.get_freeze_count(), gc.get_threshold()) == before


@pytest.mark.parametrize("exists", [True, False])
def test_where_temporary_files_go(
    exists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A TMPDIR that can't be used is told once."""
    wanted = tmp_path / "scratch"
    if exists:
        wanted.mkdir()
    monkeypatch.setenv("TMPDIR", str(wanted))
    monkeypatch.setattr(tempfile, "tempdir", None)
    temporary.folder.cache_clear()
    try:
        found = {temporary.folder(), temporary.folder()}
    finally:
        temporary.folder.cache_clear()
    assert found == {tempfile.gettempdir()}
    assert (found == {str(wanted)}) == exists
    assert len(caplog.messages) == (not exists)
    assert all(f"TMPDIR is {wanted}, which is not a folder" in message for message in caplog.messages)


def test_all_temporary_files_go_there() -> None:
    made = [
        (str(path), call)
        for path in Path(temporary.__file__).parent.rglob("*.py")
        for call in re.findall(r"(?:Temporary(?:File|Directory)|mks?temp|mkdtemp)\(.*", path.read_text())
    ]
    assert len(made) > 5
    assert [each for each in made if "dir=" not in each[1]] == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "out of memory; use fewer --workers"),
        (
            RuntimeError("can't start new thread"),
            "the system limits memory or threads (can't start new thread); ",
        ),
        (
            ImportError("x.so: failed to map segment from shared object"),
            "the system limits memory or threads (x.so",
        ),
        (
            ZstdError("cannot compress: Allocation error : not enough memory"),
            "the system limits memory or threads (cannot compress: ",
        ),
        (OSError(24, "Too many open files", "x"), "x: Too many open files; raise the limit (ulimit -n)"),
        (RuntimeError("another"), ""),
        (ImportError("another"), ""),
    ],
)
def test_what_the_system_refuses(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Limits of memory and of threads are told in one line; other errors of these kinds are not hidden."""

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("bams3.cli.info.run", refuse)
    if not said:
        with pytest.raises(type(error)):
            main(["stats", "x"])
        return
    assert main(["stats", "x"]) == 1
    line = capfd.readouterr().err
    assert line.startswith(f"bams3 stats: {said}")
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    "error", ["ImportError('x')", "UsageError('x')", "OSError(2, 'x')", "SystemError('x')"]
)
@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_what_a_signal_becomes_is_told_as_a_signal(signal: str, error: str) -> None:
    """Such as a KeyboardInterrupt while a compiled module is imported, which says that another one is missing."""
    code = f"""
import signal, sys
import bams3.cli.info
from bams3.errors import UsageError
def run(*_):
    try:
        signal.raise_signal(signal.{signal})
    except KeyboardInterrupt:
        raise {error}
bams3.cli.info.run = run
sys.argv = ["bams3", "stats", "x"]
sys.exit(bams3.cli.main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    expected = {"SIGINT": 130, "SIGTERM": 143}[signal]
    assert (done.returncode, done.stderr) == (expected, "bams3 stats: interrupted\n")
