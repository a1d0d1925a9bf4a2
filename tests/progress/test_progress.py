"""The progress of a run of the workflow: what is counted and estimated, and what a user sees of it."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bams3.cli import main
from bams3.progress.run import FILE, Progress, duration, line, read_state
from forked import run_snakemake
from workflows import CONFIG, ROOT, SNAKEFILE, configure

Event = tuple[Any, ...]
PLAN = {"convert": 4, "merge": 2, "total": 6}
TWO_DONE = [
    ("start", 1, "convert", {"sample": "S1"}, 0), ("finish", 1, 10),
    ("start", 2, "convert", {"sample": "S2"}, 0), ("finish", 2, 10),
]  # fmt: skip
FAILED = [("start", 3, "convert", {"sample": "S3"}, 10), ("fail", 3, "convert", ["a.log"])]


@pytest.mark.parametrize(
    ("events", "now", "text"),
    [
        ([], 0, "0 of 6 jobs (0%), 0 running"),
        # Two jobs of 10 s at a time: two more, and two of a rule whose jobs are not known, take 20 s.
        (TWO_DONE, 10, "2 of 6 jobs (33%), 12 jobs/min, 0 running, about 20 s left"),
        # Of a job that runs since 5 s another 5 s are left.
        ([*TWO_DONE, ("start", 3, "convert", {}, 10)], 15,
         "2 of 6 jobs (33%), 8 jobs/min, 1 running, about 21 s left"),
        # It has taken longer than such jobs do: nothing of it is left, as far as one knows.
        ([*TWO_DONE, ("start", 3, "convert", {}, 10)], 40,
         "2 of 6 jobs (33%), 3 jobs/min, 1 running, about 24 s left"),
        ([*TWO_DONE, *FAILED], 10, "2 of 6 jobs (33%), 12 jobs/min, 1 failed, 0 running, about 20 s left"),
        ([*TWO_DONE, *FAILED, ("start", 3, "convert", {}, 10)], 10,
         "2 of 6 jobs (33%), 12 jobs/min, 1 running, about 20 s left"),
        ([("finish", 9, 5)], 10, "0 of 6 jobs (0%), 0 running"),  # of a job that it was not told of
    ],
)  # fmt: skip
def test_a_run(events: list[Event], now: float, text: str):
    run = Progress(0)
    run.plan(PLAN)
    for name, *arguments in events:
        getattr(run, name)(*arguments)
    assert line(run.state(now)) == text


def test_a_run_of_nothing():
    run = Progress(0)
    run.plan({"total": 0})
    assert line(run.state(0, ended=True)) == "0 of 0 jobs (0%), ended after 0 s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (59.6, "1 min"), (3570, "1 h 0 min"), (12_000, "3 h 20 min"), (200_000, "2 d 7 h")],
)  # fmt: skip
def test_spans_of_time(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no progress.json; run the workflow with `--logger bams3`"),
        (b"", "not a progress file; delete or rename it, so that the next run writes one"),
        (b"\x00", "not a progress file"),
        (b"[]", "not a progress file"),
        (b'{"jobs": 1}', "not a progress file"),
    ],
)
def test_what_is_not_progress(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, message: str
):
    if content is not None:
        (tmp_path / "progress.json").write_bytes(content)
    assert main(["progress", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert message in said.err


def on_a_terminal(command: list[str], **options: Any) -> tuple[int, str]:
    """Its exit code, and what it writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, **options) as child:
        os.close(theirs)
        said = b""
        try:
            while data := os.read(ours, 1 << 16):
                said += data
        except OSError:  # its other end is closed
            pass
    os.close(ours)
    return child.returncode, said.decode()


def test_a_run_on_a_terminal(project: Path, commands: dict[str, str], capsys: pytest.CaptureFixture[str]):
    """One line below the log; what failed is named, and the run is gone on with."""
    process = {"command": "test ! -e {sample}.bad && bams3 inspect {chunk} > {output}"}
    configure(project, CONFIG | {"process": process})
    (project / "S1.bad").touch()
    profile = str(ROOT / "profiles" / "local")
    command = [sys.executable, "-m", "snakemake", "-s", str(SNAKEFILE), "--profile", profile, "--cores", "2"]
    code, said = on_a_terminal(command, cwd=project, env=commands | {"TERM": "xterm"})
    assert code == 1
    lines = [text.rstrip("\r").rpartition("\x1b[K")[2] for text in said.rstrip().split("\n")]
    assert re.fullmatch(r"8 of 11 jobs \(73%\), [\d.e+]+ jobs/min, 2 failed, ended after \d+ s", lines[-1]), (
        said[-500:]
    )
    assert re.search(r"\x1b\[K5 of 11 jobs \(45%\), .*, about \d+ s left", said)

    assert main(["progress", str(project / "results")]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == lines[-1]
    rows = {row.split("\t")[0]: row.split("\t")[1:4] for row in told if not row.startswith("failed")}
    assert rows["process_batch"] == ["4", "2", "0"]
    assert rows["convert_batch"] == ["4", "4", "0"]
    failed = sorted(row.split("\t") for row in told if row.startswith("failed"))
    assert [row[0] for row in failed] == [f"failed: process_batch S1, 00000{i}-of-000002" for i in (1, 2)]
    assert all((project / log).is_file() for _, *logs in failed for log in logs)

    (project / "S1.bad").unlink()
    done = run_snakemake(project, commands, *command[3:], "--quiet", "rules")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^3 of 3 jobs \(100%\), .*, about 0 s left$", done.stderr, re.MULTILINE)
    state = read_state(str(project / "results"))
    assert (state["done"], state["jobs"], state["ended"], state["failed"]) == (3, 3, True, [])
    assert main(["progress", "--json", str(project / "results")]) == 0
    assert json.loads(capsys.readouterr().out) == state


def test_progress_is_left_alone(project: Path, commands: dict[str, str]):
    """By a dry run, and by one that is to be quiet about it."""
    configure(project, CONFIG)
    profile = str(ROOT / "profiles" / "local")
    for options in (["--dry-run"], ["--quiet", "progress", "--until", "convert_batch"]):
        ran = run_snakemake(project, commands, "-s", str(SNAKEFILE), "--profile", profile, *options)
        assert ran.returncode == 0, ran.stderr
        assert not (project / "results" / "progress.json").exists()


@pytest.mark.parametrize(
    ("place", "said"), [("foreign", "not a progress file"), ("dataset", "lies in the dataset")]
)
def test_progress_replaces_nothing_of_others(place: str, said: str, tmp_path: Path) -> None:
    from bams3.errors import Bams3Error
    from bams3.progress.handler import _refuse_foreign

    results = tmp_path / place
    results.mkdir()
    _refuse_foreign(str(results))
    name = FILE if place == "foreign" else "_metadata.json"
    (results / name).write_text('{"format": "bams3"}')
    with pytest.raises(Bams3Error, match=said):
        _refuse_foreign(str(results))
