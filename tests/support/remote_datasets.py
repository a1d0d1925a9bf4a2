"""A dataset on disk and in an object store, for tests of remote reading; conftest.py imports the fixtures."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
from bams3.cli import main
from bams3.operations.convert import convert
from bams3.storage import open_storage
from bams3.storage.requests import totals

READS = 30_000
REGION = "chr1:300001-301000"


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30,000 reads that do not compress well, on two contigs and on none, with an index."""
    chance = random.Random(5)
    places = [(0, round(i * 999_000 / READS)) for i in range(READS)] + [(1, i * 40) for i in range(100)]
    records = [
        hostile.record(
            ref=ref, pos=pos, name=b"read%d" % chance.randrange(1 << 30), flag=chance.choice((0, 16, 1024)),
            mapq=chance.choice((0, 60)), cigar=[(80, 0)], sequence=bytes(chance.choices(b"ACGT", k=80)),
            quality=chance.randbytes(80).translate(bytes(i % 40 for i in range(256))),
            tags=[hostile.tag("NM", "C", chance.randrange(9)), hostile.tag("RG", "Z", chance.choice((b"a", b"b")))],
        )
        for ref, pos in places
    ]  # fmt: skip
    records += [hostile.record(ref=-1, pos=-1, flag=4, sequence=b"A", quality=None)] * 3
    path = tmp_path_factory.mktemp("source") / "in.bam"
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    pysam.index(str(path))
    return path


@pytest.fixture(scope="session")
def local(source: Path) -> Path:
    """The dataset on this machine's disk."""
    convert(source, source.parent / "d.bams3", chunk_size="512K")
    return source.parent / "d.bams3"


@pytest.fixture
def remote(local: Path, bucket: str) -> str:
    """The same dataset in a new bucket."""
    storage = open_storage(f"{bucket}/d.bams3")
    for path in local.rglob("*"):
        if path.is_file():
            storage.put(str(path.relative_to(local)), path.read_bytes())
    return f"{bucket}/d.bams3"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BAM of four chunks of 256K."""
    records = [hostile.good(0, pos) for pos in range(0, 600_000, 3000)] + [hostile.good(1, 5)]
    path = tmp_path_factory.mktemp("small") / "in.bam"
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    pysam.index(str(path))
    convert(path, path.with_suffix(".bams3"), chunk_size="256K")
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def asked(action: Callable[[], Any]) -> tuple[Any, int, int]:
    """What an action gives, and the requests and received bytes that it took."""
    before = totals()
    result = action()
    after = totals()
    return result, after.requests - before.requests, after.received - before.received


def printed(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    code = main([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    assert code == 0, err
    return out
