"""`verify --strict`: who signs the manifest vouches for every byte.

A person can make every CRC-32 right again. Here they do, and the SHA-256 in the manifest that was signed betrays them.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import forge
import hostile
import pytest
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from bams3.errors import DatasetError, FormatError, UsageError
from bams3.operations.convert import convert
from bams3.operations.repair import repair
from bams3.operations.verify import verify
from bams3.storage import open_storage
from forge import HEADER, INDEX, MANIFEST
from peers import DATA

CHUNK = "data/chr1/000000000-000262144.chunk"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strict")
    (folder / "x.bam").write_bytes(forge.bam())
    convert(folder / "x.bam", folder / "d.bams3", chunk_size="256K", workers=1)
    return folder / "d.bams3"


@pytest.fixture
def dataset(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "d.bams3"))


def problems(dataset: object, **options: bool) -> list[str]:
    return [line.removeprefix(f"{dataset}/") for line in verify(DatasetReader(dataset), **options)]


def flip(dataset: Path, path: str) -> None:
    data = bytearray((dataset / path).read_bytes())
    data[len(data) // 2] ^= 1
    (dataset / path).write_bytes(data)


def signed(dataset: Path, change: Callable[[Path], None]) -> None:
    """Make a change, and let the hashes in the manifest be those that were signed."""
    told = {key: value for key, value in forge.read(dataset, MANIFEST).items() if key.endswith("_sha256")}
    change(dataset)
    forge.rewrite(dataset, MANIFEST, lambda document: document.update(told))


def other_quality(dataset: Path) -> None:
    """Records of a chunk are others, and all checksums are theirs."""
    data = gzip.decompress(forge.bam()).replace(b"\x1e\x1e", b"\x1f\x1e", 1)
    (dataset.parent / "y.bam").write_bytes(hostile.bgzf(data))
    convert(dataset.parent / "y.bam", dataset, chunk_size="256K", workers=1, overwrite=True)


def swapped(dataset: Path) -> None:
    """The index vouches for a chunk by the hash of another one."""

    def swap(entries: list[list[object]]) -> None:
        entries[0][9], entries[1][9] = entries[1][9], entries[0][9]

    forge.rewrite(dataset, INDEX, swap)


def other_header(dataset: Path) -> None:
    forge.rewrite(dataset, HEADER, lambda text: text.replace(b"VN:1.6", b"VN:1.5"))


NOT_THAT = "its SHA-256 is not the one in"
NOT_NAMED = "the manifest does not name it; move it elsewhere"

# What is done to a dataset → what --strict says first.
CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit of a chunk": (lambda d: flip(d, CHUNK), f"{CHUNK}: {NOT_THAT} {INDEX}; restore it"),
    "another chunk": (
        lambda d: shutil.copy(d / "data/chr2/000000000-000262144.chunk", d / CHUNK),
        f"{CHUNK}: missing, or its length is wrong; restore it",
    ),
    "no chunk": (lambda d: (d / CHUNK).unlink(), f"{CHUNK}: missing, or its length is wrong; restore it"),
    "a byte more": (
        lambda d: (d / CHUNK).write_bytes((d / CHUNK).read_bytes() + b"\0"),
        f"{CHUNK}: missing, or its length is wrong; restore it",
    ),
    "a forged chunk and index": (
        lambda d: signed(d, lambda d: forge.rewrite(d, CHUNK, lambda footer: footer.update(header=""))),
        f"{INDEX}: {NOT_THAT} {MANIFEST}; restore it",
    ),
    "a forged hash": (lambda d: signed(d, swapped), f"{INDEX}: {NOT_THAT} {MANIFEST}; restore it"),
    "other records": (lambda d: signed(d, other_quality), f"{INDEX}: {NOT_THAT} {MANIFEST}; restore it"),
    "a file beside the chunks": (lambda d: (d / "data/chr1/x").touch(), f"data/chr1/x: {NOT_NAMED}"),
    "a file": (lambda d: (d / "_metadata.json.sig").touch(), f"_metadata.json.sig: {NOT_NAMED}"),
    "a plan": (lambda d: shutil.copytree(d / "_index", d / "_parts"), f"_parts/chunks.json.zst: {NOT_NAMED}"),
    "a link": (lambda d: (d / "data/chr9").symlink_to(d / "data/chr1"), f"data/chr9: {NOT_NAMED}"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_the_manifest_does_not_vouch_for(
    dataset: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change, first = CASES[case]
    assert problems(dataset, strict=True) == []
    change(dataset)
    assert problems(dataset, strict=True)[0] == first
    assert main(["verify", "--strict", str(dataset)]) == 1
    assert capsys.readouterr().err.startswith(f"bams3 verify: {dataset}/{first}\n")


def test_a_forged_header(dataset: Path) -> None:
    """The reader finds it itself: `header_id` is a hash, too."""
    signed(dataset, other_header)
    with pytest.raises(FormatError, match="do not match the dataset's header"):
        DatasetReader(dataset)


def test_without_strict_a_forged_dataset_passes(dataset: Path) -> None:
    """Nothing in it contradicts: only what was signed does."""
    signed(dataset, other_quality)
    assert problems(dataset) == []


@pytest.mark.parametrize("name", ["records", "contigs", "shared"])
def test_earlier_versions_have_none(name: str) -> None:
    (problem,) = problems(DATA / "golden" / f"{name}.bams3", strict=True)
    assert problem.startswith(f"{MANIFEST}: has no SHA-256 hashes, because an earlier version of bams3 wrote")


def test_a_chunk_alone_is_refused(dataset: Path) -> None:
    from bams3.dataset.opening import open_readers

    (chunk,) = open_readers([str(dataset / CHUNK)])
    with pytest.raises(UsageError, match="give the dataset to verify --strict"):
        list(verify(chunk, strict=True))


def test_in_an_object_store(dataset: Path, bucket: str) -> None:
    """With an object more than belongs to it."""
    copy, here = open_storage(f"{bucket}/d.bams3"), open_storage(str(dataset))
    for path in here.list():
        copy.put(path, here.get(path))
    assert problems(copy.root, strict=True) == []
    copy.put("data/x", b"")
    assert problems(copy.root, strict=True) == [f"data/x: {NOT_NAMED}"]


def test_repair_does_not_vouch_for_another_chunk(dataset: Path) -> None:
    before = (dataset / MANIFEST).read_bytes()
    shutil.copytree(dataset, dataset.parent / "other")
    other_quality(dataset.parent / "other")
    shutil.copy(dataset.parent / "other" / CHUNK, dataset / CHUNK)
    with pytest.raises(DatasetError, match=r"its chunks do not match _metadata\.json"):
        repair(dataset)
    assert (dataset / MANIFEST).read_bytes() == before
