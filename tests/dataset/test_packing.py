"""Headers and references as a dataset stores them, in this version and in the first."""

import json
import shutil
from base64 import b64encode
from pathlib import Path
from typing import Any

import forge
import hostile
import pytest
import zstandard
from bams3.cli import main
from bams3.dataset.layout import HEADER, METADATA, PLAIN_HEADER
from bams3.dataset.manifest import VERSION, Manifest, sealed
from bams3.dataset.packing import (
    header_text,
    longest_header,
    packed_references,
    stored_header,
    unpacked_references,
)
from bams3.dataset.reader import DatasetReader
from bams3.errors import DatasetError, FormatError, SourceError
from bams3.operations.repair import repair
from bams3.operations.verify import verify
from hypothesis import given
from hypothesis import strategies as st
from peers import DATA

import bams3

MANY = [[f"scaffold_{number}", 700 + number] for number in range(100)]
FIRST, PACKED = DATA / "golden/small.bams3", DATA / "golden/contigs.bams3"  # of format versions 1 and 2


def manifest(dataset: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((dataset / METADATA).read_bytes())
    return document


@given(st.lists(st.tuples(st.text(min_size=1), st.integers(0, 1 << 31)).map(list), max_size=99))
def test_references_come_back(references: list[list[Any]]) -> None:
    packed = packed_references(references)
    assert unpacked_references(packed, 2) == references
    assert len(json.dumps(packed)) <= len(json.dumps(references))


def test_only_many_references_are_packed() -> None:
    assert packed_references(MANY[:2]) == MANY[:2]
    assert isinstance(packed_references(MANY), str)
    assert unpacked_references(packed_references([["\udcff" * 9, 5]] * 9), 2) == [["\udcff" * 9, 5]] * 9


@given(st.binary(max_size=300), st.sampled_from([1, 2]))
def test_headers_come_back(text: bytes, version: int) -> None:
    stored = stored_header(text, version)
    assert header_text(stored, version) == text
    assert len(stored) <= longest_header(len(text))


def test_a_header_that_readers_would_refuse_is_refused() -> None:
    assert header_text(stored_header(bytes(16 << 20), 2), 2) == bytes(16 << 20)
    with pytest.raises(SourceError, match="readers would refuse it"):
        stored_header(bytes(18 << 20), 2)


def packed(data: bytes) -> str:
    return b64encode(data).decode()


@pytest.mark.parametrize(
    "references",
    [
        "",
        "!",
        packed(b"[]"),
        packed(zstandard.compress(b"[")),
        packed(zstandard.compress(b"[" * 100_000)),
        packed(zstandard.compress(bytes(1 << 26))),
        packed(zstandard.compress(b"7")),
        packed(zstandard.compress(json.dumps(MANY).encode()) + b"\0"),
        packed(zstandard.compress(json.dumps([*MANY, MANY[0]]).encode())),
        packed(zstandard.compress(json.dumps(MANY[:9]).encode())) + " ",
    ],
)  # fmt: skip
def test_damaged_references_are_one_line(references: str) -> None:
    document = manifest(PACKED) | {"references": references}
    document.pop("crc32")
    with pytest.raises(FormatError, match=r"damaged _metadata\.json"):
        Manifest.from_bytes(sealed(document), "x")


def test_packed_references_must_be_those_of_the_header(tmp_path: Path) -> None:
    shutil.copytree(PACKED, tmp_path / "d")
    other = packed_references([["scaffold_x", 5], *DatasetReader(PACKED).manifest.references[1:]])
    forge.rewrite(tmp_path / "d", METADATA, lambda document: document.update(references=other))
    with pytest.raises(FormatError, match="do not match the dataset's header"):
        DatasetReader(tmp_path / "d")


def as_first(dataset: Path) -> None:
    """Let a dataset be what version 1 of the format would have been."""
    (dataset / PLAIN_HEADER).write_bytes(zstandard.decompress((dataset / HEADER).read_bytes()))
    (dataset / HEADER).unlink()
    document = manifest(dataset) | {"version": 1, "references": DatasetReader(PACKED).manifest.references}
    document.pop("crc32")
    (dataset / METADATA).write_bytes(sealed(document))


def test_version_1_has_plain_text(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    shutil.copytree(PACKED, tmp_path / "d")
    as_first(tmp_path / "d")
    said = []
    for dataset in (PACKED, tmp_path / "d"):
        assert main(["query", "-h", str(dataset)]) == 0
        said.append(capsysbinary.readouterr().out)
    assert said[0] == said[1]
    told = (tmp_path / "d" / METADATA).read_bytes()
    assert Manifest.from_bytes(told, "d").to_bytes() == told


@pytest.mark.parametrize("dataset", [FIRST, PACKED])
def test_repair_keeps_the_version(dataset: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "d"))
    header = PLAIN_HEADER if dataset == FIRST else HEADER
    (copy / header).unlink()
    main(["to-bam", str(dataset), str(tmp_path / "x.bam")])
    assert repair(copy, header=tmp_path / "x.bam").rebuilt == [header]
    assert {path.name for path in copy.glob("_*")} == {path.name for path in dataset.glob("_*")}
    assert (copy / METADATA).read_bytes() == (dataset / METADATA).read_bytes()
    (copy / METADATA).unlink()
    repair(copy)
    assert manifest(copy)["version"] == VERSION
    (copy / PLAIN_HEADER).unlink(missing_ok=True)
    assert not list(verify(DatasetReader(copy), strict=True))
    assert DatasetReader(copy).header == DatasetReader(dataset).header


@pytest.mark.parametrize("batch", [None, (1, 1)])
def test_a_dataset_of_version_1_is_replaced(batch: tuple[int, int] | None, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(FIRST, tmp_path / "d"))
    main(["to-bam", "--write-index", str(FIRST), str(tmp_path / "x.bam")])
    bams3.convert(tmp_path / "x.bam", copy, batch=batch, overwrite=True)
    if batch:
        bams3.merge(copy)
    bams3.convert(tmp_path / "x.bam", tmp_path / "new")
    assert [*files(copy)] == [*files(tmp_path / "new")]


def files(dataset: Path) -> list[tuple[str, bytes]]:
    return sorted(
        (str(path.relative_to(dataset)), path.read_bytes()) for path in dataset.rglob("*") if path.is_file()
    )


def test_a_conversion_begun_by_version_1_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.bam").write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, [hostile.good()]))
    plan = tmp_path / "d/_parts/plan.json"
    plan.parent.mkdir(parents=True)
    told = {"header_id": "0" * 32, "references": [["c", 5]], "chunk_size": 1 << 20, "level": 5}
    plan.write_bytes(sealed(told | {"header_bytes": 1, "header_crc32": 1, "version": 1}))
    with pytest.raises(DatasetError, match="begun by a version of bams3 that writes format version 1"):
        bams3.convert(tmp_path / "x.bam", tmp_path / "d", resume=True)
