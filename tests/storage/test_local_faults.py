"""What files do when the system fails: errors name them, nothing is taken for missing, folders are synced."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from bams3.named import opened
from bams3.storage.beside import exchange, sync_folder
from bams3.storage.local import LocalStorage

BROKEN = OSError(errno.EIO, os.strerror(errno.EIO))


def fail(*_: object, **__: object) -> None:
    raise BROKEN


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(str(tmp_path / "d"))
    storage.put("data/x", bytes(range(256)))
    return storage


def test_a_range_that_comes_in_pieces_is_whole(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, at: pread(file, min(size, 10), at))
    assert storage.get_range("data/x", 3, 200) == bytes(range(3, 203))
    assert [bytes(part) for part in storage.get_ranges("data/x", [(250, 100), (0, 25)])] == [
        bytes(range(250, 256)), bytes(range(25)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "use"),
    [
        ("scandir", lambda storage: storage.sizes()),
        ("scandir", lambda storage: list(storage.links())),
        ("stat", lambda storage: storage.exists("data/x")),
        ("stat", lambda storage: storage.delete("data/x")),
    ],
)
def test_what_can_not_be_seen_is_not_taken_for_missing(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, call: str, use: Callable[[LocalStorage], object]
) -> None:
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        use(storage)


@pytest.mark.parametrize("path", ["y", "data/x/y", "data/y/z"])
def test_what_is_missing_does_not_exist(storage: LocalStorage, path: str) -> None:
    assert not storage.exists(path)
    assert storage.sizes(path) == {}
    storage.delete(path)


@pytest.mark.parametrize(
    ("call", "use"),
    [
        ("pread", lambda storage: storage.get_range("data/x", 0, 5)),
        ("fstat", lambda storage: storage.get("data/x")),
        ("fsync", lambda storage: storage.put("data/x", b"new")),
        ("replace", lambda storage: storage.put("data/x", b"new")),
        ("fsync", lambda storage: storage.put_all([("data/x", b"new"), ("data/z", b"")])),
    ],
)
def test_errors_name_the_file(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, call: str, use: Callable[[LocalStorage], object]
) -> None:
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        use(storage)
    assert caught.value.filename == f"{storage.root}/data/x"
    monkeypatch.undo()
    assert storage.sizes() == {"data/x": 256}
    assert [name for _, _, names in os.walk(storage.root) for name in names] == ["x"]


@pytest.mark.parametrize("mode", ["rb", "wb"])
def test_closing_matters_to_what_was_written(tmp_path: Path, mode: str) -> None:
    (tmp_path / "x").write_bytes(b"x")
    file = opened(str(tmp_path / "x"), mode)
    os.close(file.fileno())  # so that closing fails
    if mode == "rb":
        file.close()
    else:
        with pytest.raises(OSError, match="Bad file descriptor") as caught:
            file.close()
        assert caught.value.filename == str(tmp_path / "x")


def test_folders_whose_names_changed_are_synced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the folder that was there before."""
    synced: list[str] = []
    monkeypatch.setattr("bams3.storage.local.sync_folder", synced.append)
    storage = LocalStorage(str(tmp_path / "a" / "d"))
    storage.put("data/c/x", b"")
    storage.sync()
    assert sorted(synced) == [
        str(tmp_path),
        *(str(tmp_path / path) for path in ("a", "a/d", "a/d/data", "a/d/data/c")),
    ]
    storage.sync()
    assert len(synced) == 5
    storage.delete("data/c/x")
    storage.sync()
    assert str(tmp_path / "a/d/data/c") in synced[5:]


@pytest.mark.parametrize(("code", "passes"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_folder_that_can_not_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, passes: bool
) -> None:
    """Some file systems sync no folder."""

    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    sync_folder(str(tmp_path / "missing"))
    monkeypatch.setattr(os, "fsync", refuse)
    if passes:
        sync_folder(str(tmp_path))
    else:
        with pytest.raises(OSError, match=str(tmp_path)):
            sync_folder(str(tmp_path))


def test_two_folders_change_places(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if exchange(str(tmp_path / "a"), str(tmp_path / "b")):
        assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*/*")) == ["a/b", "b/a"]
    with pytest.raises(FileNotFoundError):
        exchange(str(tmp_path / "a"), str(tmp_path / "missing"))
