"""A dataset is complete once the disk has it: what is synced before the manifest, and what fails after it."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from bams3.dataset import parts
from bams3.errors import DatasetError
from bams3.operations.convert import convert
from bams3.operations.merge import merge
from bams3.operations.repair import repair
from bams3.storage.local import LocalStorage

import bams3

BROKEN = errno.EIO
TEXT = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:c\tLN:3000000\n" + "".join(
    f"r{at}\t0\tc\t{at}\t60\t4M\t*\t0\t0\tACGT\tIIII\n" for at in (5, 2_500_000)
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in.sam").write_text(TEXT)
    return tmp_path / "in.sam"


def begun(dataset: Path) -> None:
    """A dataset without what a commit writes."""
    (dataset / "_metadata.json").unlink()
    (dataset / "_index/chunks.json.zst").unlink()


def converts(source: Path, dataset: Path) -> None:
    convert(source, dataset)


def repairs(source: Path, dataset: Path) -> None:
    convert(source, dataset)
    begun(dataset)
    repair(dataset)


@pytest.mark.parametrize("make", [converts, repairs])
def test_all_is_synced_before_the_manifest_and_after_it(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path, Path], None]
) -> None:
    done: list[str] = []
    sync, beside = LocalStorage.sync, LocalStorage._beside

    def synced(storage: LocalStorage) -> None:
        done.append("sync")
        sync(storage)

    def put(storage: LocalStorage, path: str) -> object:
        done.append(path)
        return beside(storage, path)

    monkeypatch.setattr(LocalStorage, "sync", synced)
    monkeypatch.setattr(LocalStorage, "_beside", put)
    make(source, tmp_path / "d")
    last = len(done) - 1 - done[::-1].index("_metadata.json")
    assert done[last - 1 :] == ["sync", "_metadata.json", "sync"]
    assert "_index/chunks.json.zst" in done[: last - 1]


@pytest.mark.parametrize("make", [converts, repairs])
def test_a_manifest_that_may_be_lost_is_taken_back(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path, Path], None]
) -> None:
    if make is repairs:
        convert(source, tmp_path / "d")
        begun(tmp_path / "d")
    sync = LocalStorage.sync

    def fails(storage: LocalStorage) -> None:
        if storage.exists("_metadata.json"):
            raise OSError(BROKEN, os.strerror(BROKEN), storage.root)
        sync(storage)

    monkeypatch.setattr(LocalStorage, "sync", fails)
    with pytest.raises(OSError, match=os.strerror(BROKEN)):
        repair(tmp_path / "d") if make is repairs else convert(source, tmp_path / "d")
    with pytest.raises(DatasetError):
        bams3.open(tmp_path / "d")


def test_what_can_not_be_removed_after_the_commit_is_a_warning(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(storage: LocalStorage, **_: bool) -> None:
        raise OSError(BROKEN, os.strerror(BROKEN), f"{storage.root}/_parts/plan.json")

    monkeypatch.setattr(parts, "delete_parts", fails)
    assert convert(source, tmp_path / "d")
    left = f"{tmp_path}/d/_parts/plan.json"
    message = f"{tmp_path}/d: complete, but files that it no longer needs could not be removed: {left}"
    assert message in caplog.text
    monkeypatch.undo()
    (
        tmp_path / "d/.incomplete-0123456789ab-_metadata.json"
    ).touch()  # of a kill between two calls of the system
    assert merge(tmp_path / "d").records == 2
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == [
        "_header.sam.zst", "_index", "_metadata.json", "data",
    ]  # fmt: skip
