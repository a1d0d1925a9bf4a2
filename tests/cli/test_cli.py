"""The command line: its help, exit codes and messages; what commands say of datasets and chunks."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bams3.cli import COMMANDS
from command_line import Run
from engines import BAMS3
from peers import DATA

import bams3

REAL = DATA / "illumina_chr22_NA12878.bam"


# Help


def test_help_fits(run: Run) -> None:
    code, text, errors = run("--help")
    lines = text.splitlines()
    assert (code, errors) == (0, "")
    assert len(lines) < 37
    assert [line for line in lines if len(line) > 80] == []
    assert set(COMMANDS) <= set(re.findall(r"^  ([a-z-]+)  ", text, re.MULTILINE))


GROUP = r"\n\n(\w[^\n]*):\n(  -.*?)(?=\n\n)"  # a heading, and the options below


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


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained(run: Run, command: str) -> None:
    """Where there are many, under headings that a reader can choose from."""
    text = run(command, "--help")[1]
    groups = {title: re.split(r"\n(?=  -)", rest) for title, rest in re.findall(GROUP, text, re.DOTALL)}
    assert "options" in groups
    for entries in groups.values():
        assert [entry for entry in entries if not re.search(r" {2,}\S.*\S", entry[3:])] == []
    if text.count("\n") > 60:
        assert text.startswith(f"usage: bams3 {command} [OPTION …] ")
        assert len(groups["options"]) < 12


@pytest.mark.parametrize("threads", ["-@ 0", "-@0", "--threads 0", "--threads=0"])
def test_samtools_adds_no_thread_to_one(run: Run, small: Path, threads: str) -> None:
    code, text, errors = run("query", "-c", *threads.split(), small / "small.bams3")
    assert (code, errors) == (0, "")
    assert int(text) > 0


def test_version(run: Run) -> None:
    assert (
        run("--version")
        == run("version")
        == run("query", "--version")
        == (0, f"bams3 {bams3.__version__}\n", "")
    )


# Errors

USAGE = {
    "nothing": ([], ""),
    "unknown command": (["tview"], "'tview' is not a command"),
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
    "empty region": (["depth", "-r", "", "{dataset}"], "-r or --region: the value is empty"),
    "empty list of tokens": (["serve", "--tokens=", "{dataset}"], "--tokens: the value is empty"),
    "empty dataset": (["rewrite", "", "{here}/x.bams3"], "DATASET: the value is empty"),
    "empty region, of several": (["query", "{dataset}", "chr1", ""], "REGION: the value is empty"),
}  # fmt: skip

FAILURES = {
    "not a dataset": (["stats", "{here}"], "not a bams3 dataset"),
    "no dataset there": (["query", "{here}/none.bams3"], "no such file or directory"),
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
    "map's empty command": (["map", "{dataset}", "--", " "], "the command is empty"),
    "map's suffix": (["map", "--output-dir", "{here}/x", "--suffix", "/x", "{dataset}", "--", "cat"], "suffix /x: "),
    "map's folder is a file": (["map", "--output-dir", "{here}/a.bed", "{dataset}", "--", "cat"], "a.bed: not a dir"),
    "map into object storage": (["map", "--output-dir", "s3://x/y", "{dataset}", "--", "cat"], "s3://x/y: not on"),
    "map of one dataset twice": (
        ["map", "--output-dir", "{here}/x", "{dataset}", "{dataset}", "--", "cat"], "a folder of its own",
    ),
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
    "dataset in a dataset": (["convert", "{bam}", "{dataset}/x"], "lies in the dataset"),
    "dataset over a file": (["convert", "{bam}", "{here}/a.bed"], "a.bed: not a directory"),
    "dataset to standard output": (["convert", "{bam}", "-"], "can't be written to standard output"),
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
    "not a FASTA": (["pileup", "-f", "{here}/a.bed", "{dataset}"], "a.bed`; give a FASTA file that is not"),
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
    assert text.endswith(": 14 records in 8 chunks, no problems found\n")
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
