"""Headers and indexes of remote datasets on this machine's disk."""

import os
from pathlib import Path
from typing import Any

import pytest
from bams3.dataset import cache
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error
from remote_datasets import asked


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: str) -> Path:
    monkeypatch.setenv(cache.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_header_and_index_are_read_once(remote: str, cached: Path) -> None:
    def read() -> Any:
        dataset = DatasetReader(remote)
        return dataset.index, dataset.header

    first, requests, _ = asked(read)
    assert (requests, len(entries(cached))) == (3, 2)
    assert asked(read)[:2] == (first, 1)
    for path in entries(cached):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert asked(read)[:2] == (first, 3)
    assert asked(read)[:2] == (first, 1)


def test_the_cache_is_bounded(remote: str, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = DatasetReader(remote)
    _ = dataset.index, dataset.header
    sizes = [path.stat().st_size for path in entries(cached)]
    monkeypatch.setenv(cache.SIZE, str(sum(sizes) + 9))
    for number in range(3):
        cache.Cache(str(cached), f"s3://other/{number}").put(bytes([number]) * 9)
        os.utime(entries(cached)[0])
    assert sum(path.stat().st_size for path in entries(cached)) <= sum(sizes) + 9
    monkeypatch.setenv(cache.SIZE, "0")
    cache.Cache(str(cached), "s3://other/x").put(b"x")
    assert cache.Cache(str(cached), "s3://other/x").get(1, 0x8CDC1683) is None
    monkeypatch.setenv(cache.SIZE, "much")
    with pytest.raises(Bams3Error, match="BAMS3_CACHE_BYTES=much"):
        cache.Cache(str(cached), "s3://other/x").put(b"x")
