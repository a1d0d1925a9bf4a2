"""Objects that threads write while others begin."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest
from bams3.parallel.uploads import AHEAD, PENDING, TOGETHER, Uploads
from bams3.storage import open_storage

MANY = AHEAD + 3


def write(file: BinaryIO, items: Iterator[bytes]) -> int:
    return sum(map(file.write, items))


def refuse(file: BinaryIO, items: Iterator[bytes]) -> int:
    next(items)
    raise OSError("disk full")


def failing(number: int) -> Iterator[bytes]:
    yield from [b"x"] * number
    raise ValueError("no more")


def test_objects_are_complete_in_the_end(tmp_path: Path) -> None:
    with Uploads(open_storage(str(tmp_path))) as uploads:
        sizes = [uploads.write(str(number), write, [b"ab"] * number) for number in range(2 * PENDING)]
    assert [size() for size in sizes] == list(range(0, 4 * PENDING, 2))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        str(number): b"ab" * number for number in range(2 * PENDING)
    }


def test_small_objects_are_complete_in_the_end(tmp_path: Path) -> None:
    with Uploads(open_storage(str(tmp_path))) as uploads:
        lengths = [
            uploads.write_small(f"{number % 3}/{number}", partial(write, items=iter([b"ab", b"c" * number])))
            for number in range(2 * TOGETHER + 1)
        ]
        uploads.write("big", write, [b"x"])
    assert [length() for length in lengths] == list(range(2, 2 * TOGETHER + 3))
    assert {int(path.name): path.read_bytes() for path in tmp_path.glob("*/*")} == {
        number: b"ab" + b"c" * number for number in range(2 * TOGETHER + 1)
    }


@pytest.mark.parametrize("after", [0, TOGETHER * PENDING * 2])
def test_a_small_object_that_cannot_be_written_is_an_error(tmp_path: Path, after: int) -> None:
    def all_but_the_first(uploads: Uploads) -> None:
        for number in range(after + 1):
            function = write if number else refuse
            uploads.write_small(str(number), partial(function, items=iter([b"x"])))

    with pytest.raises(OSError, match="disk full"), Uploads(open_storage(str(tmp_path))) as uploads:
        all_but_the_first(uploads)
    assert not (tmp_path / "0").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("number", [1, MANY])
def test_an_object_that_cannot_be_written_is_an_error(tmp_path: Path, number: int) -> None:
    with pytest.raises(OSError, match="disk full"), Uploads(open_storage(str(tmp_path))) as uploads:
        uploads.write("x", refuse, [b"x"] * number)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("number", [0, 1, MANY])
@pytest.mark.parametrize("function", [write, refuse])
def test_an_object_whose_items_fail_does_not_appear(tmp_path: Path, number: int, function) -> None:
    with (
        pytest.raises(ValueError, match="no more"),
        Uploads(open_storage(str(tmp_path))) as uploads,
    ):
        uploads.write("x", function, failing(number))
    assert list(tmp_path.iterdir()) == []
