"""Signals that end a command: it cleans up, whichever of them a terminal, a scheduler or a container sends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ENDLESS = """
import os, shutil, sys
from threading import Event
from bams3.cli import main
from bams3.select import query

def endless(read):
    def blocks(*arguments):
        yield from (found := list(read(*arguments)))
        if "fastq" in sys.argv:
            copying.wait()
        os.kill(os.getpid(), number)
        while True:
            yield from found

    return blocks

def copied(*files):
    copying.set()
    copy(*files)

number, copying = int(sys.argv.pop(1)), Event()
copy, shutil.copyfileobj = shutil.copyfileobj, copied
query.query, query.reads = endless(query.query), endless(query.reads)
sys.exit(main())
"""
"""A command whose dataset never ends, but a signal comes after its last record; if it is `fastq`, while it copies what
samtools writes."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "words", ["to-bam {} out.bam", "query -O cram -o out.cram {}", "fastq -1 1.fq -2 2.fq.gz {}"]
)
def test_no_temporary_file_or_process_stays(
    small: Path, tmp_path: Path, words: str, number: signal.Signals
) -> None:
    command = [sys.executable, "-c", ENDLESS, str(int(number)), *words.format(small / "small.bams3").split()]
    child = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, preexec_fn=heard
    )
    assert (child.returncode, child.stderr) == (128 + number, f"bams3 {words.split()[0]}: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def heard() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in jobs in the background
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and nohup this one


def test_a_signal_that_is_ignored_stays_ignored(small: Path, tmp_path: Path) -> None:
    """As under nohup."""
    kill = ENDLESS.replace("while True:", "for _ in ():")
    command = [
        sys.executable,
        "-c",
        kill,
        str(int(signal.SIGHUP)),
        "to-bam",
        str(small / "small.bams3"),
        "x.bam",
    ]
    ignored = ["nohup", *command]
    child = subprocess.run(ignored, cwd=tmp_path, capture_output=True, timeout=60)
    assert child.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["x.bam"]
