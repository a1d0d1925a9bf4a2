"""What the tests of the bridge share: a virtual BAM, its bytes, and a client of a server that has it."""

from pathlib import Path

import pytest
from bams3.bridge.virtual_bam import VirtualBam
from bams3.dataset.reader import DatasetReader
from served import client
from starlette.testclient import TestClient
from virtual_bams import whole


@pytest.fixture(scope="module")
def bam(local: Path) -> VirtualBam:
    return VirtualBam(DatasetReader(local))


@pytest.fixture(scope="module")
def data(bam: VirtualBam) -> bytes:
    return whole(bam)


@pytest.fixture(scope="module")
def http(local: Path) -> TestClient:
    return client(local)
