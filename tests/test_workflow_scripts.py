"""The scripts of the workflow's rules: what ends one stands in its log and on standard error; names of samples."""

import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from workflows import ROOT

from bams3.errors import FormatError
from bams3.workflow.log import open_log

SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))


class Job(SimpleNamespace):
    """What Snakemake calls `snakemake`; asking it for what it has not been given fails."""

    def __getattr__(self, name: str) -> Any:
        raise FormatError(f"{name} is damaged\x1b")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    return tmp_path / "x.log"


def told(error: BaseException, log: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is told of an exception that ends a script, in its log as on standard error."""
    sys.excepthook(type(error), error, error.__traceback__)
    text = capsys.readouterr().err
    assert log.read_text() == text
    return text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_tells_what_ends_it(log: Path, capsys: pytest.CaptureFixture[str], script: Path) -> None:
    with pytest.raises(FormatError) as raised:
        runpy.run_path(str(script), {"snakemake": Job(log=[str(log)], rule="a_rule")})
    text = told(raised.value, log, capsys)
    assert text.startswith("a_rule: ")
    assert text.endswith(" is damaged\\x1b\n")
    assert text.count("\n") == 1
    assert script.read_text().split("import ")[1].startswith("open_log\n\n")  # before what may be missing


@pytest.mark.parametrize(
    ("error", "first", "last"),
    [
        (OSError(28, "No space left on device", "x.tsv"), "r: [Errno 28] No space left on device: 'x.tsv'", ""),
        (subprocess.CalledProcessError(3, ["bams3", "count", "x"]), "r: bams3 count failed (exit code 3); see LOG", ""),
        (subprocess.CalledProcessError(-9, ["bams3", "count"]), "r: bams3 count failed (signal 9); see LOG", ""),
        (ValueError("x\x1b"), "Traceback (most recent call last):", "ValueError: x\\x1b"),
    ],
)  # fmt: skip
def test_what_is_told(
    log: Path, capsys: pytest.CaptureFixture[str], error: Exception, first: str, last: str
) -> None:
    open_log(Job(log=[str(log)], rule="r"))
    try:
        raise error
    except type(error) as caught:
        lines = told(caught, log, capsys).splitlines()
    assert lines[0] == first.replace("LOG", str(log))
    assert lines[-1] == (last or lines[0])
