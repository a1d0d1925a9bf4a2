"""The command line: its help, exit codes and messages; flags, regions and formats as samtools takes them; pipes."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pysam
import pytest
from bams3.bam.flags import NAMES as FLAG_NAMES
from bams3.cli import COMMANDS, main
from bams3.cli.options import flag_bits
from conftest import DATA
from engines import BAMS3

import bams3

BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
REAL = DATA / "illumina_chr22_NA12878.bam"
LARGE = DATA / "illumina_wgs_NA12878.bam"  # more than a pipe takes, in any format


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with small.bam, its index and small.bams3: a read at each 500,000th base of four contigs."""
    contigs = {"chr1": 3_000_000, "chr2": 2_000_000, "chr3": 1_000_000, "HLA-A*01:01": 500}
    header = pysam.AlignmentHeader.from_dict(
        {
            "HD": {"VN": "1.6", "SO": "coordinate"},
            "SQ": [{"SN": n, "LN": length} for n, length in contigs.items()],
        }
    )
    flags = [0, 16, 1024, 99, 147, 256, 512, 2048]
    path = tmp_path_factory.mktemp("small") / "small.bam"
    with pysam.AlignmentFile(path, "wb", header=header) as file:
        number = 0
        for name, length in contigs.items():
            for position in range(100, length, 500_000):
                flag, mapq = flags[number % len(flags)], 10 * (number % 7)
                text = (
                    f"r{number}\t{flag}\t{name}\t{position}\t{mapq}\t4M\t*\t0\t0\tACGT\tIIII\tNM:i:{number}"
                )
                file.write(pysam.AlignedSegment.fromstring(text, header))
                number += 1
        file.write(pysam.AlignedSegment.fromstring("lost\t4\t*\t0\t0\t*\t*\t0\t0\tAC\tII", header))
    pysam.index(str(path))
    bams3.convert(path, path.with_suffix(".bams3"))
    return path.parent


@pytest.fixture
def dataset(small: Path) -> str:
    return str(small / "small.bams3")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("real") / "real.bams3"
    bams3.convert(REAL, path)
    return str(path)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("large") / "large.bams3"
    bams3.convert(LARGE, path)
    return str(path)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in this process: (exit code, what it wrote to stdout, to stderr)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        return (code, *capfd.readouterr())

    return call


Run = Callable[..., tuple[int, str, str]]

# Help


def test_help_fits(run: Run) -> None:
    code, text, errors = run("--help")
    lines = text.splitlines()
    assert (code, errors) == (0, "")
    assert len(lines) < 30
    assert [line for line in lines if len(line) > 80] == []
    assert set(COMMANDS) <= set(re.findall(r"^  ([a-z-]+)  ", text, re.MULTILINE))


def examples_of(text: str) -> Iterator[list[str]]:
    """The words of every call of bams3 in a help text's examples, `*` made two words as a shell may."""
    for line in re.findall(r"^  ((?:.*\| )?bams3 .*)", text, re.MULTILINE):
        parts = " ".join(map(shlex.quote, shlex.split(line, comments=True))).split(" '|' ")
        for words in map(shlex.split, parts):
            if words[0] == "bams3":
                yield [part for word in words[1:] for part in ([word, word] if "*" in word else [word])]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_examples_are_valid(run: Run, command: str, tmp_path: Path) -> None:
    code, text, _ = run(*command.split(), "--help")
    examples = list(examples_of(text))
    assert code == 0
    assert examples
    assert not command or command in {words[0] for words in examples}
    for words in examples:  # their files do not exist: all but that must be right
        done = subprocess.run(
            [*BAMS3, *words], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        expected = 0 if words[0] in ("mapper", "reducer") else 1  # these read what there is
        assert done.returncode == expected, (words, done.stderr)


def test_every_option_is_explained(run: Run) -> None:
    for command in COMMANDS:
        options = re.search(r"\noptions:\n(.*?)\n\n", run(command, "--help")[1], re.DOTALL)
        assert options, command
        entries = re.split(r"\n(?=  -)", options[1])
        assert [entry for entry in entries if not re.search(r" {2,}\S.*\S", entry[3:])] == [], command


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"bams3 {bams3.__version__}\n", "")


# Errors

USAGE = {
    "nothing": ([], ""),
    "unknown command": (["mpileup"], "'mpileup' is not a command"),
    "unknown option": (["stats", "--nope", "{dataset}"], "--nope"),
    "abbreviated option": (["stats", "--idx", "{dataset}"], "--idx"),
    "no dataset": (["query"], "DATASET"),
    "too much": (["repair", "{dataset}", "chr1"], "chr1"),
    "two forms": (["stats", "--json", "--flagstat", "{dataset}"], "not allowed with"),
    "unknown flag name": (["query", "-F", "DUPE", "{dataset}"], "'DUPE' is not the name of a FLAG bit"),
    "flag past 16 bits": (["query", "-f", "65536", "{dataset}"], "65536"),
    "flag below 0": (["query", "-F=-1", "{dataset}"], "-1"),
    "mapq": (["query", "-q", "high", "{dataset}"], "'high'"),
    "format": (["query", "-O", "fasta", "{dataset}"], "fasta"),
    "count's regions": (["count", "{dataset}"], "--regions"),
    "shard": (["chunks", "--shard", "3/2", "{dataset}"], "3/2"),
    "shard from 1": (["chunks", "--shard", "0/2", "{dataset}"], "0/2"),
    "array of nothing": (["chunks", "--shard", "array/0", "{dataset}"], "array/0"),
    "array of what": (["query", "--batch", "array/x", "{dataset}"], "array/x"),
    "map of no command": (["map", "{dataset}"], "a command after --"),
    "map of nothing": (["map", "{dataset}", "--"], "a command after --"),
    "level": (["to-bam", "--level", "10", "{dataset}", "x.bam"], "10"),
    "level and profile": (["convert", "--level", "1", "--profile", "fast", "x", "x.bams3"], "not allowed with"),
    "no such profile": (["convert", "--profile", "tiny", "x.bam", "x.bams3"], "tiny"),
    "overwrite and resume": (["convert", "--overwrite", "--resume", "x.bam", "x.bams3"], "not allowed with"),
}  # fmt: skip

FAILURES = {
    "not a dataset": (["stats", "{here}"], "not a bams3 dataset"),
    "no dataset there": (["query", "{here}/none.bams3"], "not a bams3 dataset"),
    "unknown contig": (["query", "{dataset}", "chr9"], "'chr9'"),
    "start > end": (["query", "-c", "{dataset}", "chr3:200-100"], "past the end"),
    "not a region": (["query", "-c", "{dataset}", "chr3:x-y"], "chr3:x-y"),
    "run of contigs with a gap": (["query", "-c", "{dataset}", "chr1-22"], "'chr4'"),
    "BED and regions": (
        ["export", "--parquet", "{here}/x.parquet", "-L", "{here}/a.bed", "{dataset}", "chr1"], "cannot be combined",
    ),
    "no such BED": (["query", "-L", "{here}/none.bed", "{dataset}"], "none.bed"),
    "filter": (["query", "-e", "mapq >", "{dataset}"], "column 7"),
    "filter's field": (["query", "-c", "-e", "depth > 1", "{dataset}"], "depth"),
    "workers": (["query", "--parallel", "0", "{dataset}"], "workers '0'"),
    "count of nothing": (["count", "--regions", "{here}/a.bed"], "no dataset"),
    "count in no dataset": (["count", "--regions", "{here}/a.bed", "{dataset}", "{here}"], "{here}: not a"),
    "count of no regions": (["count", "--regions", "{here}/none.bed", "{dataset}"], "none.bed"),
    "count of no list": (["count", "--regions", "{here}/a.bed", "--datasets", "{here}/none"], "{here}/none: No such"),
    "map in no dataset": (["map", "{here}", "--", "cat"], "{here}: not a"),
    "no such command": (["map", "{dataset}", "--", "nothing-that-runs", "-"], "nothing-that-runs: command not found"),
    "output of map": (["map", "{dataset}", "--", "tee", "{{output}}"], "--output-dir"),
    "resume of what": (["map", "--resume", "{dataset}", "--", "cat"], "--joblog"),
    "fields": (["map", "--input-fmt", "arrow", "--fields", "pos,depth", "{dataset}", "--", "cat"], "'depth'"),
    "retries": (["map", "--retries", "-1", "{dataset}", "--", "cat"], "--retries -1"),
    "output folder": (["query", "-o", "{here}/none/x.sam", "{dataset}"], "{here}/none/x.sam: "),
    "output is a folder": (["query", "-o", "{here}", "{dataset}"], "{here}: "),
    "no input": (["convert", "{here}/none.bam", "{here}/x.bams3"], "none.bam: No such file"),
    "not alignments": (["convert", "{here}/a.bed", "{here}/x.bams3"], "a.bed"),
    "chunk size": (["convert", "--chunk-size", "3", "{bam}", "{here}/x.bams3"], "256K"),
    "level of a dataset": (["convert", "--level", "99", "{bam}", "{here}/x.bams3"], "from 1 (fast) to 9"),
    "convert's workers": (["convert", "--workers", "x", "{bam}", "{here}/x.bams3"], "workers 'x'"),
    "dataset exists": (["convert", "{bam}", "{dataset}"], "--overwrite"),
    "nothing to merge": (["merge", "{here}/none.bams3"], "no parts"),
    "no such chunk": (["inspect", "{here}/none.chunk"], "{here}/none.chunk: "),
    "no such chunk at the root": (["inspect", "/none.chunk"], " /none.chunk: "),
    "not a chunk": (["inspect", "{bam}"], "small.bam"),
    "coverage folder": (["coverage", "-o", "{here}/none/x", "{dataset}"], "none"),
    "coverage contig": (["coverage", "-c", "chr9", "-o", "{here}/x", "{dataset}"], "'chr9'"),
    "coverage BED": (["coverage", "-b", "{here}/none.bed", "-o", "{here}/x", "{dataset}"], "none.bed"),
    "thresholds": (["coverage", "-b", "9", "-T", "a", "-o", "{here}/x", "{dataset}"], "'a'"),
    "quantize": (["coverage", "-q", "a", "-o", "{here}/x", "{dataset}"], "'a'"),
    "verify against nothing": (["verify", "--against", "{here}/none.bam", "{dataset}"], "none.bam"),
    "to-bam folder": (["to-bam", "{dataset}", "{here}/none/x.bam"], "{here}/none/x.bam: "),
}  # fmt: skip


def filled(words: list[str], small: Path, here: Path) -> list[str]:
    (here / "a.bed").write_text("chr1\t0\t200\n")
    places = {"dataset": small / "small.bams3", "bam": small / "small.bam", "here": here}
    return [word.format(**places) for word in words]


@pytest.mark.parametrize("case", list(USAGE))
def test_usage_errors_exit_with_2(run: Run, small: Path, tmp_path: Path, case: str) -> None:
    words, message = USAGE[case]
    code, text, errors = run(*filled(words, small, tmp_path))
    assert code == 2
    assert message in (errors.splitlines() or [text])[-1]
    assert not errors or text == ""


@pytest.mark.parametrize("case", list(FAILURES))
def test_other_errors_are_one_line_and_exit_with_1(run: Run, small: Path, tmp_path: Path, case: str) -> None:
    words, message = FAILURES[case]
    words = filled(words, small, tmp_path)
    code, text, errors = run(*words)
    assert (code, text) == (1, "")
    assert re.fullmatch(rf"bams3 {words[0]}: .+\n", errors), errors
    assert message.format(here=tmp_path) in errors
    assert os.listdir(tmp_path) == ["a.bed"]  # nothing is left


# query


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("0", 0), ("4", 4), ("0x400", 0x400), ("0X400", 0x400), ("010", 8), ("DUP", 0x400), ("dup,UNMAP", 0x404),
        ("PAIRED,PROPER_PAIR", 3), (",".join(FLAG_NAMES), 0xFFF), ("65535", 65535),
    ],
)  # fmt: skip
def test_flags(text: str, bits: int) -> None:
    assert flag_bits(text) == bits


@pytest.mark.parametrize(
    "options",
    [
        "", "-F DUP,UNMAP", "-F 0x400", "-f 16", "-f PAIRED,READ1", "-F 03", "-q 30", "-f 1 -F 16 -q 10", "-e flag.dup",
        "-e mapq>=20&&[NM]<9", "-F SECONDARY -e 'pos > 1000000'",
    ],
)  # fmt: skip
def test_filters_are_those_of_samtools(
    run: Run, samtools: Callable[..., bytes], small: Path, dataset: str, options: str
) -> None:
    expected = samtools("view", *shlex.split(options), small / "small.bam").decode()
    assert run("query", dataset, *shlex.split(options)) == (0, expected, "")
    assert run("query", "-c", *shlex.split(options), dataset) == (0, f"{len(expected.splitlines())}\n", "")


@pytest.mark.parametrize(
    ("regions", "names"),
    [
        ([], "0 1 2 3 4 5 6 7 8 9 10 11 12 lost"),
        (["chr2"], "6 7 8 9"),
        (["chr1:1-500,102"], "0 1"),
        (["chr1:1,000,000-2,000,000"], "2 3"),
        (["chr1:1M-2M"], "2 3"),
        (["chr1:1.5M-2.6m"], "3 4 5"),
        (["chr1:500k-0.5M"], ""),
        (["chr1:2500100"], "5"),
        (["chr1:2M-"], "4 5"),
        (["chr1:-1M"], "0 1"),
        (["chr1-3"], "0 1 2 3 4 5 6 7 8 9 10 11"),
        (["chr2-3"], "6 7 8 9 10 11"),
        (["*"], "0 1 2 3 4 5 6 7 8 9 10 11 12"),
        (["."], "0 1 2 3 4 5 6 7 8 9 10 11 12 lost"),
        (["HLA-A*01:01"], "12"),
        (["{HLA-A*01:01}:1-200"], "12"),
        (["HLA-A*01:01:1-99"], ""),
        (["chr3", "chr1:1-200", "chr3:1-200", "chr1"], "0 1 2 3 4 5 10 11"),
    ],
)
def test_regions(run: Run, dataset: str, regions: list[str], names: str) -> None:
    code, text, errors = run("query", dataset, *regions)
    found = [line.split("\t")[0].removeprefix("r") for line in text.splitlines()]
    assert (code, " ".join(found), errors) == (0, names, "")
    assert run("query", "-c", dataset, *regions) == (0, f"{len(found)}\n", "")


def test_regions_of_a_file(run: Run, dataset: str, tmp_path: Path) -> None:
    (tmp_path / "r.bed").write_text("chr3\t0\t1000\nchr1\t0\t100\textra\nchr9\t0\t5\n")
    code, text, _ = run("query", dataset, "-L", tmp_path / "r.bed")
    assert (code, [line.split("\t")[0] for line in text.splitlines()]) == (0, ["r0", "r10"])


def test_batches_partition_the_reads(run: Run, dataset: str) -> None:
    whole = run("query", dataset)[1]
    for of in (1, 2, 5, 20):
        assert "".join(run("query", "--batch", f"{i}/{of}", dataset)[1] for i in range(1, of + 1)) == whole


# count

COUNTED = """#comment
chr1\t0\t3000000\twhole
chr1\t0\t1600000
chr1\t499999\t500500
chr2\t100\t100\tpoint
chr1\t1500000\t9000000\tpast-the-end
HLA-A*01:01\t90\t110
chr3\t100\t200\tnothing
chr1\t499999\t500500\tagain
"""


@pytest.mark.parametrize(
    "options", ["", "-q 30", "-F DUP,UNMAP -f 16", "--filter [NM]<3||mapq>50", "-r nobody"]
)
def test_count(
    run: Run, samtools: Callable[..., bytes], small: Path, dataset: str, tmp_path: Path, options: str
) -> None:
    (tmp_path / "r.bed").write_text(COUNTED)
    (tmp_path / "list").write_text(f"{dataset}\n\n")
    words = ["--regions", tmp_path / "r.bed", *options.split()]
    code, text, errors = run("count", *words, "--datasets", tmp_path / "list", dataset)
    header, *rows = [line.split("\t") for line in text.splitlines()]
    assert (code, errors, header) == (0, "", ["#contig", "start", "end", "name", dataset, dataset])
    assert [row[:4] for row in rows] == [
        [*line.split("\t"), "."][:4] for line in COUNTED.splitlines() if line[0] != "#"
    ]
    for contig, start, end, _, *counts in rows:
        (tmp_path / "one.bed").write_text(f"{contig}\t{start}\t{end}\n")
        view = samtools(
            "view",
            "-c",
            *options.replace("--filter", "-e").split(),
            "-L",
            tmp_path / "one.bed",
            small / "small.bam",
        )
        assert counts == [view.decode().strip()] * 2, (contig, start, end)
    for more in (["--parallel", "1"], ["--parallel", "3"]):
        assert run("count", *words, *more, dataset, dataset)[1] == text


def test_count_of_listed_datasets(dataset: str, tmp_path: Path) -> None:
    (tmp_path / "r.bed").write_text("chr2\t0\t600000\nchr3\t5\t7\n")
    command = [*BAMS3, "count", "--regions", str(tmp_path / "r.bed"), "--datasets", "-"]
    done = subprocess.run(command, input=f"{dataset}\n", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"#contig\tstart\tend\t{dataset}\nchr2\t0\t600000\t2\nchr3\t5\t7\t0\n"


def test_count_names_the_dataset_that_lacks_a_contig(
    run: Run, dataset: str, real: str, tmp_path: Path
) -> None:
    (tmp_path / "r.bed").write_text("chr1\t0\t10\n")
    code, text, errors = run("count", "--regions", tmp_path / "r.bed", dataset, real)
    assert (code, text) == (1, "")
    assert f"{real}: unknown contig 'chr1'" in errors


MAGIC = {"sam": b"@HD", "bam": b"\x1f\x8b\x08\x04", "ubam": b"\x1f\x8b\x08\x04", "cram": b"CRAM"}


@pytest.mark.parametrize(
    ("options", "format"),
    [
        (["-o", "x.bam"], "bam"), (["-o", "x.cram"], "cram"), (["-h", "-o", "x.sam"], "sam"),
        (["-h", "-o", "x.txt"], "sam"), (["-h", "-O", "sam", "-o", "x.bam"], "sam"),
        (["-O", "bam", "-o", "x.sam"], "bam"), (["-O", "ubam", "-o", "x.bam"], "ubam"),
        (["-O", "cram", "-o", "x"], "cram"),
    ],
)  # fmt: skip
def test_formats(
    run: Run, samtools: Callable[..., bytes], real: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    options: list[str], format: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run("query", *options, real) == (0, "", "")
    assert [path for path in os.listdir() if path == options[-1]] == os.listdir()
    data = Path(options[-1]).read_bytes()
    assert data.startswith(MAGIC[format])
    assert (len(data) > 1_000_000) == (format in ("sam", "ubam"))  # of the same reads
    assert samtools("view", "--no-PG", options[-1]) == samtools("view", REAL)


@pytest.mark.parametrize("format", ["bam", "ubam", "cram"])
def test_formats_on_stdout(samtools: Callable[..., bytes], real: str, format: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("wb") as file:
        done = subprocess.run([*BAMS3, "query", "-O", format, real], stdout=file, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert samtools("view", out) == samtools("view", REAL)


def test_headers(run: Run, samtools: Callable[..., bytes], small: Path, dataset: str) -> None:
    header = samtools("view", "-H", "--no-PG", small / "small.bam").decode()
    assert run("query", "-H", dataset, "chr1") == (0, header, "")
    assert run("query", "-h", dataset, "chr3")[1].startswith(header + "r10\t")
    assert not run("query", dataset)[1].startswith("@")


def test_to_bam(run: Run, samtools: Callable[..., bytes], real: str, tmp_path: Path) -> None:
    assert run("to-bam", real, tmp_path / "x.bam") == (0, "", "")
    assert samtools("view", "-h", "--no-PG", tmp_path / "x.bam") == samtools("view", "-h", "--no-PG", REAL)
    assert run("to-bam", "--pg", "--level", "1", real, tmp_path / "y.bam", "q:1-200") == (0, "", "")
    assert b"\tCL:bams3 to-bam --pg" in samtools("view", "-H", tmp_path / "y.bam")
    assert os.listdir(tmp_path) in (["x.bam", "y.bam"], ["y.bam", "x.bam"])


# Pipes

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
    assert re.fullmatch(rf"bams3 {words.split()[0]}: .*No space left on device\n", done.stderr), done.stderr


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


# chunks, inspect, verify, stats


def test_chunks(run: Run, dataset: str) -> None:
    code, text, _ = run("chunks", dataset)
    rows = [line.split("\t") for line in text.splitlines()]
    assert (code, [row[1] for row in rows]) == (0, [
        "chr1:1-1048576", "chr1:1048577-2097152", "chr1:2097153-3000000", "chr2:1-1048576", "chr2:1048577-2000000",
        "chr3:1-1000000", "{HLA-A*01:01}:1-500", "_unplaced",
    ])  # fmt: skip
    assert [int(row[2]) for row in rows] == [3, 2, 1, 3, 1, 2, 1, 1]
    assert all(os.path.getsize(row[0]) == int(row[3]) for row in rows)
    for row in rows:  # the regions are those that query takes
        assert int(run("query", "-c", dataset, row[1])[1]) == int(row[2])


def test_formats_of_chunks(run: Run, dataset: str) -> None:
    rows = [line.split("\t") for line in run("chunks", dataset)[1].splitlines()]
    uris, regions = (run("chunks", "--format", name, dataset)[1].splitlines() for name in ("uri", "region"))
    assert (uris, regions) == ([row[0] for row in rows], [row[1] for row in rows])
    described = json.loads(run("chunks", "--format", "json", dataset)[1])
    assert [[*map(str, chunk.values())] for chunk in described] == rows
    assert {tuple(chunk) for chunk in described} == {("uri", "region", "records", "bytes")}


def test_chunks_of_many_datasets(run: Run, dataset: str, real: str) -> None:
    assert run("chunks", dataset, real)[1] == run("chunks", dataset)[1] + run("chunks", real)[1]


@pytest.mark.parametrize("balance", ["bytes", "reads", "length"])
@pytest.mark.parametrize("of", [1, 2, 3, 7, 8, 9, 50])
def test_shards_partition_the_chunks(run: Run, dataset: str, real: str, of: int, balance: str) -> None:
    options = ["--balance", balance, dataset, real]
    shards = [run("chunks", "--shard", f"{i}/{of}", *options) for i in range(1, of + 1)]
    assert {(code, errors) for code, _, errors in shards} == {(0, "")}
    assert "".join(text for _, text, _ in shards) == run("chunks", dataset, real)[1]


@pytest.mark.parametrize(
    ("balance", "expected"),
    # reads are 3 2 1 3 1 2 1 1, windows 1 1 0.86 1 0.91 1 0 0 (M)
    [("reads", [1, 2, 2, 3]), ("length", [1, 2, 1, 4])],
)
def test_what_shards_have_equally_much_of(run: Run, dataset: str, balance: str, expected: list[int]) -> None:
    shards = [run("chunks", "--balance", balance, "--shard", f"{i}/4", dataset)[1] for i in range(1, 5)]
    assert [text.count("\n") for text in shards] == expected


def test_inspect(run: Run, dataset: str) -> None:
    path = bams3.open(dataset).chunks[0].path
    code, text, _ = run("inspect", path)
    assert code == 0
    assert "chr1:1-1048576" in text
    assert re.search(r"records +3\n", text)
    code, text, _ = run("inspect", "--json", path)
    assert (code, json.loads(text)["row_groups"][0]["min_pos"]) == (0, 99)


def test_verify(run: Run, small: Path, dataset: str, tmp_path: Path) -> None:
    assert run("verify", dataset)[0] == 0
    code, text, errors = run("verify", "--against", small / "small.bam", dataset)
    assert (code, errors) == (0, "")
    assert text.endswith(": 14 records in 8 chunks, all well\n")
    copy = shutil.copytree(dataset, tmp_path / "copy.bams3")
    chunk = Path(bams3.open(copy).chunks[1].path)
    data = bytearray(chunk.read_bytes())
    data[20] ^= 1
    chunk.write_bytes(data)
    code, text, errors = run("verify", copy)
    assert (code, text) == (1, "")
    assert chunk.name in errors
    assert all(line.startswith("bams3 verify: ") for line in errors.splitlines())
    assert run("verify", "--against", REAL, dataset)[0] == 1


def test_stats(run: Run, samtools: Callable[..., bytes], small: Path, dataset: str) -> None:
    bam = small / "small.bam"
    assert run("stats", "--flagstat", dataset) == (0, samtools("flagstat", bam).decode(), "")
    assert run("stats", "--idxstats", dataset) == (0, samtools("idxstats", bam).decode(), "")
    counts: dict[str, Any] = json.loads(run("stats", "--json", dataset)[1])
    theirs = json.loads(samtools("flagstat", "-O", "json", bam))
    for quality in ("QC-passed reads", "QC-failed reads"):
        ours = counts["flagstat"][quality]
        assert ours.items() <= theirs[quality].items()
    assert (counts["records"], counts["unplaced"], len(counts["references"])) == (14, 1, 4)
    code, text, _ = run("stats", dataset)
    assert (code, "records     14" in text) == (0, True)
