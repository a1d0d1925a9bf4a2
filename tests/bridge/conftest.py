"""What the tests of the bridge share: a virtual BAM, its bytes, and a client of a server that has it."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from bams3.bridge.virtual_bam import VirtualBam
from bams3.dataset.reader import DatasetReader
from served import HANG, client
from servers.gatk import gatk as gatk_in
from servers.jars import is_fetched
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


@pytest.fixture
def gatk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of `servers.gatk` are on the PATH, if they have been fetched."""
    if is_fetched("gatk"):
        (tmp_path / "bin").mkdir()
        gatk_in(tmp_path / "bin")
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


@pytest.fixture
def connection() -> Iterator[Callable[[str, str], socket.socket]]:
    """Opens connections with a small buffer, and sends a request."""
    opened: list[socket.socket] = []

    def connect(url: str, path: str) -> socket.socket:
        place = urlsplit(url)
        found = socket.socket()
        opened.append(found)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        found.settimeout(HANG)
        found.connect((place.hostname, place.port))
        found.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return found

    yield connect
    for each in opened:
        each.close()
