"""What files are known by."""

import os
from pathlib import Path

import pytest
from bams3.workflow import identity


def written(path: Path, data: bytes, date: int = 1000) -> str:
    path.write_bytes(data)
    os.utime(path, (date, date))
    return str(path)


LARGE = 3 * identity.ENDS
BLOCK, SMALL = bytes(identity.BLOCK), bytes(identity.ENDS)

# (by, data and date of a file, data and date of another, are they known as the same?)
CASES = {
    "a date": (identity.stamp, (b"x", 1), (b"x", 2), False),
    "a size": (identity.stamp, (b"x", 1), (b"xy", 1), False),
    "other bytes of one size and date": (identity.stamp, (b"x", 1), (b"y", 1), True),
    "contents, other dates": (identity.contents, (b"x", 1), (b"x", 2), True),
    "contents": (identity.contents, (b"x", 1), (b"y", 1), False),
    "contents that begin the same": (identity.contents, (b"", 1), (b"\0", 1), False),
    "contents past a block": (identity.contents, (BLOCK + b"x", 1), (BLOCK + b"y", 1), False),
    "ends, other dates": (identity.ends, (b"x", 1), (b"x", 2), True),
    "the first end": (identity.ends, (b"x" + bytes(LARGE), 1), (bytes(LARGE + 1), 1), False),
    "the last end": (identity.ends, (bytes(LARGE) + b"x", 1), (bytes(LARGE + 1), 1), False),
    "a byte of a small file": (identity.ends, (SMALL + b"xyz", 1), (SMALL + b"xYz", 1), False),
    "a size, ends the same": (identity.ends, (bytes(LARGE), 1), (bytes(LARGE + 1), 1), False),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_known_as_the_same(tmp_path: Path, case: str) -> None:
    by, one, other, same = CASES[case]
    assert (by(written(tmp_path / "one", *one)) == by(written(tmp_path / "other", *other))) is same


@pytest.mark.parametrize("by", [identity.stamp, identity.contents, identity.ends])
def test_an_object_is_known_by_its_etag(bucket: str, by) -> None:
    from bams3.storage import open_storage

    found = []
    for data in (b"x", b"x", b"y"):
        open_storage(bucket).put("name", data)
        found.append(by(f"{bucket}/name"))
    assert found[0] == found[1] != found[2]
    with pytest.raises(FileNotFoundError):
        by(f"{bucket}/none")


@pytest.mark.parametrize(
    ("name", "data", "cram"),
    [
        ("x.bam", b"CRAM\3", True),
        ("x.cram", b"\x1f\x8b", False),
        ("x.cram", None, True),
        ("x.bam", None, False),
    ],
)
def test_a_cram_is_told_by_its_contents(tmp_path: Path, name: str, data: bytes | None, cram: bool) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    assert identity.is_cram(str(tmp_path / name)) is cram
