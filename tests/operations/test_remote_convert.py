"""Datasets written straight to an object store, whatever faults, kills and other writers do."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from bams3.dataset import layout, parts
from bams3.dataset.plan import read_plan
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, DatasetError, UsageError
from bams3.operations.convert import convert
from bams3.operations.merge import merge
from bams3.operations.verify import verify
from bams3.storage import open_storage
from remote_datasets import asked, files
from servers.awaited import until
from servers.faults import PASSING, Faults
from servers.fixtures import s3_client

FAULTS = (*(kind for kind in PASSING if kind != "stall"), "corrupt", "whole", "etag", "403", "501", "expired")


def objects(uri: str) -> dict[str, bytes]:
    storage = open_storage(uri)
    return {path: storage.get(path) for path in storage.list()}


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_at_each_request_of_a_conversion(
    kind: str, small: Path, bucket: str, faults: Faults
) -> None:
    """The whole dataset, or an error and nothing that opens; what is left can be gone on with, or replaced."""
    expected = files(small.with_suffix(".bams3"))
    # A fault that passes is met below the conversion, whatever the request is for: each kind of these at a quarter,
    # the others at every second request.
    step = 4 if kind in PASSING else 2
    for number in range(FAULTS.index(kind) % step, 99, step):
        target, error = f"{bucket}/{kind}{number}.bams3", None
        faults.arm(kind, at=number)
        try:
            convert(small, target, chunk_size="256K")
        except (Bams3Error, OSError) as raised:
            error = raised
        made = faults.times == 0
        faults.disarm()
        if error:
            assert kind not in PASSING
            assert "\n" not in str(error)
            if "_metadata.json" in objects(target):  # it was the cleaning up after the commit
                assert merge(target).records == 201
            else:
                with pytest.raises(DatasetError):
                    DatasetReader(target)
                resume = number % 4 < 2
                convert(small, target, chunk_size="256K", resume=resume, overwrite=not resume)
        elif kind not in PASSING:
            merge(target)  # removes what could not be removed after the commit
        assert objects(target) == expected
        if not made:
            assert number > 8
            return
    pytest.fail("endless requests")


def test_a_dataset_in_a_dataset(small: Path, bucket: str) -> None:
    convert(small, f"{bucket}/outer.bams3")
    before = objects(bucket)
    with pytest.raises(UsageError, match=r"lies in the dataset .*/outer\.bams3"):
        convert(small, f"{bucket}/outer.bams3/inner.bams3")
    assert objects(bucket) == before


def test_parts(small: Path, bucket: str) -> None:
    target = f"{bucket}/parts.bams3"
    for number in (3, 1, 2):
        convert(small, target, chunk_size="256K", batch=(number, 3))
    before = objects(bucket)
    convert(small, target, chunk_size="256K", batch=(1, 3))
    assert objects(bucket) == before
    _, requests, _ = asked(lambda: merge(target))
    assert objects(target) == files(small.with_suffix(".bams3"))
    assert requests <= 16  # of which 4 read plan and parts, and none asks for a chunk
    assert not list(verify(DatasetReader(target)))


def test_a_store_that_lists_late(small: Path, bucket: str, faults: Faults) -> None:
    """What is not listed yet is missing, but never left out; later, the dataset is complete."""
    target = f"{bucket}/late.bams3"
    faults.arm("late")
    for number in (1, 2):
        convert(small, target, chunk_size="256K", batch=(number, 2))
    with pytest.raises(DatasetError):
        merge(target)
    with pytest.raises(DatasetError):
        DatasetReader(target)
    faults.disarm()
    merge(target)
    assert objects(target) == files(small.with_suffix(".bams3"))


def test_of_two_writers_one_wins(small: Path, bucket: str) -> None:
    """Whichever way they run, the dataset is whole, and all but one are told."""
    for number in (2, 3, 10):
        target, errors = f"{bucket}/{number}.bams3", []

        def write(target: str = target, errors: list[Exception] = errors) -> None:
            try:
                convert(small, target, chunk_size="256K")
            except Exception as raised:
                errors.append(raised)

        threads = [threading.Thread(target=write) for _ in range(number)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [type(error) for error in errors] == [DatasetError] * (number - 1)
        assert objects(target) == files(small.with_suffix(".bams3"))


def test_two_that_commit(small: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest is created on condition that there is none."""
    target = f"{bucket}/d.bams3"
    convert(small, target, chunk_size="256K", batch=(1, 1))
    storage = type(open_storage(target))
    put = storage.put

    def commit_between(self: Any, path: str, data: bytes) -> None:
        put(self, path, data)
        if path.startswith("_index"):
            monkeypatch.setattr(storage, "put", put)
            merge(target)

    monkeypatch.setattr(storage, "put", commit_between)
    with pytest.raises(DatasetError, match="another process has completed it"):
        merge(target)
    assert objects(target) == files(small.with_suffix(".bams3"))


def test_another_that_begins_anew(small: Path, bucket: str) -> None:
    """What a slow writer wrote is not committed over what a new one, of another plan, has begun."""
    target = f"{bucket}/d.bams3"
    convert(small, target, chunk_size="256K", batch=(1, 1))
    storage = open_storage(target)
    plan = read_plan(storage)
    done = parts.read_parts(storage, plan)
    storage.put(layout.PLAN, storage.get(layout.PLAN) + b" ")
    with pytest.raises(DatasetError, match="another process has restarted it"):
        parts.commit(storage, plan, done)
    with pytest.raises(DatasetError):
        DatasetReader(target)


@pytest.mark.parametrize("profile", ["none", ""])
def test_what_can_not_be_asked_for_leftovers_is_no_error(
    small: Path, bucket: str, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    """Keys in the environment go before a profile, which need not be there; what lists uploads wants it."""
    monkeypatch.setenv("AWS_PROFILE", profile)
    convert(small, f"{bucket}/d.bams3", chunk_size="256K")
    assert not list(verify(DatasetReader(f"{bucket}/d.bams3")))


def test_a_killed_run_is_gone_on_with(small: Path, bucket: str, faults: Faults) -> None:
    target = f"{bucket}/d.bams3"
    faults.mute = "_metadata.json"
    run = subprocess.Popen(
        [sys.executable, "-m", "bams3", "convert", "--chunk-size", "256K", str(small), target]
    )
    until(
        lambda: any(request.method == "PUT" and "data" in request.path for request in list(faults.requests)),
        lambda: run.poll() is None,
    )
    run.send_signal(signal.SIGKILL)
    run.wait()
    faults.mute = ""
    with pytest.raises(DatasetError, match=r"incomplete|not a bams3 dataset"):
        DatasetReader(target)
    with pytest.raises(DatasetError, match="not empty"):
        convert(small, target, chunk_size="256K")
    convert(small, target, chunk_size="256K", resume=True)
    assert objects(target) == files(small.with_suffix(".bams3"))


def test_what_was_done_is_not_encoded_again(
    small: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bams3.operations import convert as module

    target = f"{bucket}/d.bams3"
    convert(small, target, chunk_size="256K", batch=(1, 1))
    encoded: list[Any] = []
    monkeypatch.setattr(module, "compress_row_group", lambda *a: encoded.append(a))
    convert(small, target, chunk_size="256K", resume=True)
    assert not encoded
    assert objects(target) == files(small.with_suffix(".bams3"))


def test_uploads_that_were_left_are_removed(small: Path, bucket: str) -> None:
    client, name = s3_client(), bucket.removeprefix("s3://")
    client.create_multipart_upload(Bucket=name, Key="d.bams3/data/_unplaced/000009.chunk")
    convert(small, f"{bucket}/d.bams3", chunk_size="256K")
    assert not client.list_multipart_uploads(Bucket=name).get("Uploads")


def test_a_dataset_that_was_replaced_is_read_again(
    small: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache of headers and indexes does not stand in the way."""
    monkeypatch.setenv("BAMS3_CACHE", str(tmp_path))
    target = f"{bucket}/d.bams3"
    for chunk_size in ("512K", "256K"):
        convert(small, target, chunk_size=chunk_size, overwrite=True)
        assert DatasetReader(target).index[0].end == int(chunk_size[:3]) << 10
