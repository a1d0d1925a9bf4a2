"""Fixtures of the servers; each is started once for all tests that want it. tests/conftest.py imports them."""

import os
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from peers import need

from servers import moto, nginx
from servers.faults import Faults, faulty
from servers.slurm import PROGRAMS as SLURM_PROGRAMS
from servers.slurm import Slurm, slurm
from servers.swift import ACCESS_KEY, PROGRAMS, SECRET_KEY, swift


@pytest.fixture(scope="session")
def moto_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of moto's S3."""
    pytest.importorskip("obstore")
    with moto(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture(scope="session")
def swift_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of Swift's S3."""
    for program in PROGRAMS:
        need(program)
    with swift(tmp_path_factory.mktemp("swift")) as url:
        yield url


@pytest.fixture(scope="session")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The URL of nginx, and the directory that it serves."""
    need("nginx")
    root = tmp_path_factory.mktemp("www")
    for folder in (root, *root.parents):
        if folder.owner() == root.owner():
            folder.chmod(folder.stat().st_mode | 0o055)
    with nginx(tmp_path_factory.mktemp("nginx"), root) as url:
        yield url, root


@pytest.fixture(scope="session")
def slurm_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A SLURM cluster of three nodes."""
    for program in SLURM_PROGRAMS:
        need(program)
    if os.getuid():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("SLURM's daemons run as root")
    with slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def s3_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Sets the environment for an S3 at a URL, and nothing of the user's."""

    pytest.importorskip("boto3")
    monkeypatch.setattr("botocore.session.create_loader", _shared_loader)

    def point(url: str, access_key: str = "tester", secret_key: str = "the-secret") -> None:
        for name in [name for name in os.environ if name.startswith(("AWS_", "BAMS3_"))]:
            if name != "BAMS3_TEST_DATA":
                monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_key)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        monkeypatch.setattr("bams3.storage.requests.FIRST_PAUSE", 0.001)
        # One that an earlier test has slowed down would let fewer requests be under way.
        monkeypatch.setattr("bams3.storage.requests._limiter", None)

    return point


@cache
def _shared_loader(folders: str | None = None) -> Any:
    """Descriptions of services for all sessions of boto3: each would parse its own, for a quarter of a second."""
    from botocore.loaders import Loader

    return Loader(folders.split(os.pathsep) if folders else None)


def s3_client() -> Any:
    """boto3's client of the S3 that the environment points to."""
    return _s3_client(
        *(os.environ[f"AWS_{name}"] for name in ("ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    )


@cache
def _s3_client(url: str, access_key: str, secret_key: str) -> Any:
    """Kept, as making one takes longer than what tests ask of it."""
    import boto3.session
    from botocore.config import Config

    # Swift on a busy machine says now and then that it has not the time.
    config = Config(s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 10})
    session = boto3.session.Session(access_key, secret_key, region_name="us-east-1")
    return session.client("s3", endpoint_url=url, config=config)


def make_bucket() -> str:
    """A new bucket of the S3 that the environment points to: its URI."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    s3_client().create_bucket(Bucket=name)
    return f"s3://{name}"


@pytest.fixture
def bucket(moto_url: str, s3_at: Callable[..., None]) -> str:
    """The URI of a new bucket on moto, which the environment points to."""
    s3_at(moto_url)
    return make_bucket()


@pytest.fixture
def swift_bucket(swift_url: str, s3_at: Callable[..., None]) -> str:
    """The URI of a new bucket on Swift, which the environment points to."""
    s3_at(swift_url, ACCESS_KEY, SECRET_KEY)
    return make_bucket()


@pytest.fixture
def faults(bucket: str, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """A proxy that makes faults, before moto; the environment points to it, and `bucket` is there."""
    with faulty(moto_url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy
