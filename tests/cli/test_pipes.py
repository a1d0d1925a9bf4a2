"""What commands do if their reader leaves early, or is gone, or a disk is full; progress is no output."""

import os
import re
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("query {} nowhere", 1),
        ("verify --against {}/header {}", 1),
        ("map {} -- false", 1),
        ("query -c {} chr1:9M", 0),  # with a warning
        ("stats --nothing {}", 2),
    ],
)
def test_the_reader_of_messages_may_be_gone(dataset: str, words: str, code: int) -> None:
    """As in `bams3 verify … 2>&1 | head -1`: the exit code tells of a failure all the same."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        command = [*BAMS3, *words.format(dataset, dataset).split()]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=gone, env=BUFFERED, check=False)
    assert done.returncode == code
    assert done.stdout == (b"" if code else b"0\n")


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


CLOSED = {
    "stdout, counting": (">&-", ["query", "-c", "{dataset}"], 1, "standard output: Bad file descriptor"),
    "stdout, records": (
        ">&-",
        ["query", "-O", "bam", "{dataset}"],
        1,
        "standard output: Bad file descriptor",
    ),
    "stdout, help": (">&-", ["--help"], 1, "standard output: Bad file descriptor"),
    "stdout, to a file": (">&-", ["query", "-o", "{here}/out.sam", "{dataset}"], 0, ""),
    "stdin": ("<&-", ["convert", "-", "{here}/d.bams3"], 1, "standard input: Bad file descriptor"),
    "stderr, failing": ("2>&-", ["query", "-c", "{dataset}", "nowhere"], 1, ""),
    "stderr, warning": ("2>&-", ["query", "-c", "{dataset}", "chr1:9M"], 0, ""),
    "all, with a child": ("<&- >&- 2>&-", ["convert", "--sort", "{small}", "{here}/d.bams3"], 0, ""),
}


@pytest.mark.parametrize("case", CLOSED)
def test_standard_streams_that_are_closed(small: Path, dataset: str, tmp_path: Path, case: str) -> None:
    """No file gets the descriptor of a closed stream, so no message and no output goes into it."""
    closed, words, code, says = CLOSED[case]
    here = {"dataset": dataset, "small": str(small / "small.bam"), "here": str(tmp_path)}
    command = [sys.executable, "-m", "bams3", *(word.format(**here) for word in words)]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert done.stdout == ("0\n" if case == "stderr, warning" else "")
    assert re.fullmatch(rf"bams3.*: {says}\n" if says else "", done.stderr)
    if (tmp_path / "d.bams3").exists():
        assert list(bams3.open(tmp_path / "d.bams3").fetch()) == list(bams3.open(dataset).fetch())


@pytest.mark.parametrize(
    "words",
    [
        "query -c -L - {dataset}",
        "query -c -L - {dataset} chr1",
        "bedcov - {dataset}",
        "depth -b - {dataset}",
        "count --regions - {dataset}",
        "query -c -N ^- {dataset}",
        "query -c -N ^/dev/stdin {dataset}",
    ],
)
def test_intervals_from_a_pipe(dataset: str, tmp_path: Path, words: str) -> None:
    """As `samtools view -L -` reads them; and names."""
    bed = tmp_path / "x.bed"
    bed.write_text("chr1\t0\t200\nchr1\t300\t400\n")
    command = [sys.executable, "-m", "bams3", *words.format(dataset=dataset).split()]
    found = subprocess.run(command, input=bed.read_bytes(), capture_output=True, check=True).stdout
    of_file = [re.sub(r"^(\^?)(-|/dev/stdin)$", rf"\1{bed}", word) for word in command]
    assert found == subprocess.run(of_file, capture_output=True, check=True).stdout
    assert found not in (b"", b"0\n")


TWICE = {
    "a chunk and intervals": ("query -c -L - /dev/stdin", "chunk"),
    "two BAMs": ("merge - - {here}/x.bams3", "BAM"),
    "a list and intervals": ("count --regions - --datasets -", "list"),
    "chunks and intervals": ("mapper coverage --by /dev/fd/0", "list"),
}


@pytest.mark.parametrize("case", TWICE)
def test_standard_input_is_read_once(dataset: str, small: Path, tmp_path: Path, case: str) -> None:
    words, what = TWICE[case]
    chunk = bams3.open(dataset).chunks[0].path
    given = {
        "chunk": Path(chunk).read_bytes(),
        "BAM": (small / "small.bam").read_bytes(),
        "list": f"{chunk}\n".encode(),
    }
    command = [*BAMS3, *words.format(here=tmp_path).split()]
    done = subprocess.run(command, input=given[what], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"two inputs of the command are standard input" in done.stderr
    assert (done.stdout, done.stderr.count(b"\n"), list(tmp_path.iterdir())) == (b"", 1, [])


def test_a_working_directory_that_was_removed(small: Path, tmp_path: Path) -> None:
    script = 'cd "$1" && rmdir "$1" && exec "$2" -m bams3 convert "$3" new.bams3'
    words = [str(tmp_path / "gone"), sys.executable, str(small / "small.bam")]
    (tmp_path / "gone").mkdir()
    done = subprocess.run(["sh", "-c", script, "sh", *words], capture_output=True, text=True, check=False)
    said = "bams3 convert: the working directory: No such file or directory\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
