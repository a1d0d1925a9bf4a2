"""What people type who come from samtools and mosdepth, or mistype: it works, or the message names what does it."""

from pathlib import Path

import pytest
from bams3.cli import COMMANDS, main
from conftest import DATA

import bams3


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("typed") / "d.bams3"
    bams3.convert(DATA / "illumina_wgs_NA12878.bam", path, level=1)
    return str(path)


MESSAGES = {
    "quary {d}": "did you mean 'query'?",
    "process {d}": "instead: bams3 map",
    "flagstat {d}": "instead: bams3 stats --flagstat",
    "index {d}": "instead: bams3 convert",
    "xyzzy": "run bams3 --help for the list",
    "query --reqire-flags=4 {d}": "did you mean --require-flags?",
    "query --s3-select {d}": "without S3 Select",
    "query --xyzzy {d}": "unrecognized arguments: --xyzzy",
    "coverage {d}": "give the prefix",
}


@pytest.mark.parametrize("typed", MESSAGES)
def test_messages(dataset: str, capfd: pytest.CaptureFixture[str], typed: str) -> None:
    assert main(typed.format(d=dataset).split()) == 2
    assert MESSAGES[typed] in capfd.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"query"}))
def test_h_is_help(capfd: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "-h"]) == 0
    assert capfd.readouterr().out.startswith(f"usage: bams3 {command}")


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
