"""What tests of the command line share: a command in this process, and inputs that no test changes."""

from pathlib import Path

import pytest
from command_line import Run, in_process, write_small
from peers import DATA

import bams3


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small(tmp_path_factory.mktemp("small"))


@pytest.fixture
def dataset(small: Path) -> str:
    return str(small / "small.bams3")


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("real") / "real.bams3"
    bams3.convert(DATA / "illumina_chr22_NA12878.bam", path)
    return str(path)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return in_process(capfd)
