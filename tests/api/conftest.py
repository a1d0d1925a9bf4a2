"""What tests of the Python interface share: real BAMs and odd records, as files and as datasets that are open."""

from collections.abc import Iterator
from pathlib import Path

import pysam
import pytest
from bams3.api import dataset as api
from odd_records import write_odd

import bams3


@pytest.fixture
def bam(real_bam: Path) -> Iterator[pysam.AlignmentFile]:
    with pysam.AlignmentFile(real_bam) as file:
        yield file


@pytest.fixture
def dataset(real_dataset: Path) -> api.Dataset:
    return bams3.open(real_dataset)


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_odd(tmp_path_factory.mktemp("odd"))


@pytest.fixture
def odd_dataset(odd: Path) -> api.Dataset:
    return bams3.open(odd.with_suffix(".bams3"))
