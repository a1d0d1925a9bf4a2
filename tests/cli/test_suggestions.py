"""What people type who come from samtools and mosdepth, or mistype: it works, or the message names what does it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from bams3.cli import COMMANDS, main
from peers import DATA

import bams3


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("typed") / "d.bams3"
    bams3.convert(DATA / "illumina_wgs_NA12878.bam", path, level=1)
    return str(path)


MESSAGES = {
    "quary {d}": "did you mean 'query'?",
    "process {d}": "use: bams3 map",
    "QueryParallel {d}": "use: bams3 count",
    "query-parallel {d}": "in Python: bams3.query_parallel",
    "to-bams3 {d}": "use: bams3 convert",
    "query --chunk {d}": "instead of the dataset",
    "query --batch Ref:AWS_BATCH_JOB_ARRAY_INDEX {d}": "give --batch array/N",
    "query {d} Ref::AWS_BATCH_JOB_ARRAY_INDEX": "give --batch array/N",
    "merge --parallel 4 {d}": "in one thread",
    "merge --workers 4 {d}": "in one thread",
    "merge -c {d}": "takes no option",
    "flagstat {d}": "use: bams3 stats --flagstat",
    "index {d}": "use: bams3 convert",
    "fasta {d}": "use: bams3 query -u",
    "fixmate -m x y": "use: bams3 convert --sort --fixmate",
    "calmd {d}": "mnt -- samtools calmd mnt/NA12878.bam",
    "xyzzy": "run bams3 --help for the list",
    "query --reqire-flags=4 {d}": "did you mean --require-flags?",
    "query --s3-select {d}": "without S3 Select",
    "query --xyzzy {d}": "unrecognized arguments: --xyzzy",
    "query -q abc {d}": "-q/--min-MQ: invalid int value: 'abc'; bams3 query --help lists the options",
    "query": "the following arguments are required: DATASET",
    "coverage --d4 x {d}": "--bigwig FILE",
    "coverage {d}": "give the prefix",
}


@pytest.mark.parametrize("typed", MESSAGES)
def test_messages(dataset: str, capfd: pytest.CaptureFixture[str], typed: str) -> None:
    assert main(typed.format(d=dataset).split()) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert MESSAGES[typed] in line


@pytest.mark.parametrize(("workers", "warned"), [("auto", False), ("1", False), ("9999999", True)])
def test_more_workers_than_memory(
    dataset: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    workers: str,
    warned: bool,
) -> None:
    assert main(["query", "-c", "--parallel", workers, dataset]) == 0
    assert capfd.readouterr().out == "44091\n"
    assert [record.getMessage().partition(" may need")[0] for record in caplog.records] == [
        f"{workers} workers"
    ] * warned


@pytest.mark.parametrize("name", ["QueryParallel", "queryParallel", "ReadChunk"])
def test_names_in_other_cases(name: str) -> None:
    with pytest.raises(AttributeError, match=r"did you mean (query_parallel|read_chunk)\?$"):
        getattr(bams3, name)


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"query"}))
def test_h_is_help(capfd: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "-h"]) == 0
    assert capfd.readouterr().out.startswith(f"usage: bams3 {command}")


@pytest.mark.parametrize("words", [["--help"], ["-nh"], ["x", "-n", "-h"]])
def test_help_has_its_usage(capfd: pytest.CaptureFixture[str], words: list[str]) -> None:
    """Wherever it is asked for: without such a word, the usage is not made."""
    assert main(["coverage", *words]) == 0
    assert capfd.readouterr().out.startswith("usage: bams3 coverage [OPTION …] DATASET")


def test_other_names(dataset: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("query", "view", "query-stream"):
        assert main([name, "-c", dataset]) == 0
    first, *others = capfd.readouterr().out.split()
    assert [first] * 2 == others
    assert main(["stats", "-O", "json", dataset]) == 0
    assert capfd.readouterr().out.startswith("{")
    assert main(["mosdepth", "-n", "-t", "4", "-f", "none.fa", str(tmp_path / "positional"), dataset]) == 0
    assert main(["coverage", "-n", "-o", str(tmp_path / "option"), dataset]) == 0
    endings = {path.name.partition(".")[2] for path in tmp_path.glob("option.*")}
    assert endings
    for ending in endings:
        assert (tmp_path / f"option.{ending}").read_bytes() == (
            tmp_path / f"positional.{ending}"
        ).read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ["-e", "-pos <= -115922420"],
        ["-e", "-pos<=-115922420"],
        ["--filter", "-pos<=-115922420"],
        ["--filter=-pos<=-115922420"],
        ["-e", "-1*pos<=-115922420"],
    ],
)
def test_a_value_may_begin_with_a_hyphen(
    dataset: str, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main(["query", "-c", *words, dataset, "chr4"]) == 0
    assert capfd.readouterr().out == "7384\n"


@pytest.mark.parametrize("words", [["-e"], ["-e", "-c"], ["-q", "--filter"], ["-q", "-x5"]])
def test_an_option_is_no_value(dataset: str, capfd: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(["query", dataset, *words]) == 2
    assert re.search("expected one argument|invalid int value: '-x5'", capfd.readouterr().err)


@pytest.mark.parametrize(("typed", "named"), [("query", "query"), ("view", "query"), ("fastq", "fastq")])
def test_a_warning_names_its_command(dataset: str, typed: str, named: str) -> None:
    command = [sys.executable, "-m", "bams3", typed, dataset, "chr4:900M-901M"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == (
        f"bams3 {named}: region chr4:900M-901M: past the end of the contig, which has 191154276 bp\n"
    )
