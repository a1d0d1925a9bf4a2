"""What commands do if their reader leaves early, or is gone, or a disk is full; progress is no output."""

import os
import re
import subprocess

import pytest
from engines import BAMS3
from peers import DATA

import bams3

BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
LARGE = DATA / "illumina_wgs_NA12878.bam"  # more than a pipe takes, in any format


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("large") / "large.bams3"
    bams3.convert(LARGE, path)
    return str(path)


LONG = {
    "sam": ["query", "-h", "{}"],
    "bam": ["query", "-O", "bam", "{}"],
    "ubam": ["query", "-O", "ubam", "--parallel", "3", "{}"],
    "cram": ["query", "-O", "cram", "{}"],
    "to-bam": ["to-bam", "--level", "0", "{}", "-"],
}


@pytest.mark.parametrize("case", list(LONG))
def test_a_reader_may_leave_early(large: str, case: str) -> None:
    """As `head -1` does: after the first bytes of more than a pipe takes."""
    words = [word.format(large) for word in LONG[case]]
    with subprocess.Popen([*BAMS3, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(3)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    "words",
    ["--help", "--version", "query --help", "stats {}", "chunks {}", "query -c {}", "query {}"],
)
def test_a_reader_may_be_gone_at_once(dataset: str, words: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        command = [*BAMS3, *words.format(dataset).split()]
        done = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, env=BUFFERED)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
@pytest.mark.parametrize(
    "words",
    ["stats {} > /dev/full", "query {}", "query -O bam {}", "query -O cram {}", "query -c {} > /dev/full"],
)
def test_a_full_disk_is_one_line(real: str, words: str) -> None:
    with open("/dev/full", "wb") as full:
        command = [*BAMS3, *words.partition(" > ")[0].format(real).split()]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=BUFFERED)
    assert done.returncode == 1
    assert re.fullmatch(
        rf"bams3 {words.split()[0]}: standard output: No space left on device\n", done.stderr
    ), done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["query", "{}"],
        ["query", "-O", "ubam", "{}"],
        ["to-bam", "{}", "-"],
        ["verify", "{}"],
        ["map", "{}", "--", "cat"],
    ],
)
def test_progress_is_not_on_stdout(real: str, words: list[str]) -> None:
    """On a terminal (a pseudo-terminal's end as stderr) stdout has what it has in a pipe."""
    pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
    command = [*BAMS3, *(word.format(real) for word in words)]
    master, terminal = pty.openpty()
    try:
        on_terminal = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, check=True).stdout
    finally:
        os.close(master)
        os.close(terminal)
    assert on_terminal == subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    assert on_terminal
