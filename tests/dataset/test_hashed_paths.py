"""Hashed paths: whoever lists a dataset, whole or in the making, learns no contig and no position."""

import gzip
import json
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import forge
import hostile
import pysam
import pytest
from bams3.cli import main
from bams3.dataset.manifest import HASHED_PATHS
from bams3.dataset.plan import Plan, agreed, read_plan, write_plan
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, DatasetError, FormatError
from bams3.operations.append import append
from bams3.operations.convert import convert
from bams3.operations.markdup import markdup
from bams3.operations.merge import merge, merge_inputs
from bams3.operations.repair import repair
from bams3.operations.rewrite import rewrite
from bams3.operations.verify import verify
from bams3.storage import open_storage
from bams3.storage.local import LocalStorage
from listings import contents
from peers import DATA
from reader.records import read_sam

SIZE: dict[str, Any] = {"chunk_size": "256K", "workers": 1}
HASHED = SIZE | {"hash_paths": True}
MAY_BE = re.compile(
    r"_metadata\.json|(_header|_index/chunks)(\.[0-9a-f]{16})?\.(sam|json)\.zst|data/[0-9a-f]{32}(\.[0-9a-f]{16})?\.chunk|"
    r"_parts/(plan|former-[0-9a-f]{32}-\d+|append-[0-9a-f]{16}|\d{6}-of-\d{6}|[0-9a-f]{32})\.json"
)
"""What a listing may show."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BAM with its index, and its datasets with plain and with hashed paths."""
    folder = tmp_path_factory.mktemp("hashed")
    (folder / "x.bam").write_bytes(forge.bam())
    pysam.index(str(folder / "x.bam"))
    convert(folder / "x.bam", folder / "plain.bams3", **SIZE)
    convert(folder / "x.bam", folder / "hashed.bams3", **HASHED)
    return folder


def check(dataset: Any, *, hashes: bool = True) -> list[str]:
    """A dataset is whole, and its paths are of one kind; returns the paths of its chunks."""
    reader = DatasetReader(dataset)
    assert list(verify(reader, strict=True)) == []
    assert (reader.manifest.version == HASHED_PATHS) == hashes
    if hashes:
        listed(open_storage(str(dataset)).list())
    return [entry.path for entry in reader.objects]


def listed(paths: Any) -> None:
    for path in paths:
        assert MAY_BE.fullmatch(path), path


def sam(dataset: Any) -> bytes:
    return forge.answer_records(DatasetReader(dataset))


def parts_of(source: Path, dataset: Path, **ways: Any) -> None:
    """Write a part, and look at the listing."""
    convert(source, dataset, **HASHED, **ways)
    listed(contents(dataset))


def in_batches(source: Path, dataset: Path) -> None:
    for number in (2, 1, 3):
        parts_of(source, dataset, batch=(number, 3))
    merge(dataset)


def in_windows(source: Path, dataset: Path) -> None:
    """One of them twice."""
    for window in ("chr1:1-262144", "chr1:262145-", "_unplaced", "chr1:1-262144"):
        parts_of(source, dataset, windows=[window], resume=True)
    with pytest.raises(DatasetError, match="1 windows have not been converted yet"):
        merge(dataset)
    parts_of(source, dataset, windows=["chr2"])
    merge(dataset)


def interrupted(source: Path, dataset: Path) -> None:
    """What is there is found again."""
    parts_of(source, dataset, batch=(1, 2))
    there = contents(dataset / "data")
    (dataset / "_parts/000001-of-000002.json").unlink()
    convert(source, dataset, **HASHED, resume=True)
    assert there.items() <= contents(dataset / "data").items()


def overwritten(source: Path, dataset: Path) -> None:
    """A part of a whole dataset is written again, then all of it."""
    convert(source, dataset, **HASHED)
    before = contents(dataset / "data")
    parts_of(source, dataset, batch=(1, 1), overwrite=True)
    merge(dataset)
    assert before.keys().isdisjoint(contents(dataset / "data"))
    convert(source, dataset, **HASHED, overwrite=True)


WAYS = [in_batches, in_windows, interrupted, overwritten]


@pytest.mark.parametrize("make", WAYS)
def test_every_conversion(make: Callable[[Path, Path], None], folder: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "d.bams3"
    make(folder / "x.bam", dataset)
    assert len(check(dataset)) == len(DatasetReader(folder / "plain.bams3").objects)
    assert sam(dataset) == sam(folder / "plain.bams3")
    assert b"path_key" not in b"".join(contents(dataset).values())
    rewrite(dataset, tmp_path / "plain.bams3", hash_paths=False, workers=1)
    assert contents(tmp_path / "plain.bams3") == contents(folder / "plain.bams3")


def test_each_dataset_has_other_paths(folder: Path, tmp_path: Path) -> None:
    convert(folder / "x.bam", tmp_path / "d.bams3", **HASHED)
    assert {*check(folder / "hashed.bams3")}.isdisjoint(check(tmp_path / "d.bams3"))


def lane(path: Path) -> Path:
    """A BAM with the header of the other one, and a read more."""
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, [hostile.good(0, 7, name=b"new")]))
    return path


def rewritten(source: Path, target: Path) -> None:
    rewrite(source, target, level=1, workers=1)


def chosen(source: Path, target: Path) -> None:
    rewrite(source, target, regions=["chr1"], workers=1)


def marked(source: Path, target: Path) -> None:
    """In batches, of reads without mates."""
    lone, bam = target.with_suffix(".lone"), target.with_suffix(".bam")
    records = [hostile.good(0, pos) for pos in (7, 7, 300_000)]
    bam.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    convert(bam, lone, **SIZE, hash_paths=DatasetReader(source).manifest.version == HASHED_PATHS)
    for number in (1, 2):
        markdup(lone, target, batch=(number, 2), workers=1)
    merge(target)


def merged(source: Path, target: Path) -> None:
    merge_inputs([lane(target.with_suffix(".bam")), source], target, **SIZE)


def grown(source: Path, target: Path) -> None:
    shutil.copytree(source, target)
    before = {entry.path for entry in DatasetReader(target).objects}
    append(target, [lane(target.with_suffix(".bam"))], combine_programs=True, workers=1)
    same = before & {*check(target, hashes=DatasetReader(source).manifest.version == HASHED_PATHS)}
    assert len(same) == len(before) - (DatasetReader(source).manifest.version == HASHED_PATHS)


@pytest.mark.parametrize("make", [rewritten, chosen, marked, merged, grown])
def test_what_is_made_of_a_dataset(make: Callable[[Path, Path], None], folder: Path, tmp_path: Path) -> None:
    """It has hashed paths, and the records that the same command makes of plain ones."""
    for name in ("hashed", "plain"):
        make(folder / f"{name}.bams3", tmp_path / f"{name}.bams3")
        check(tmp_path / f"{name}.bams3", hashes=name == "hashed")
    assert sam(tmp_path / "hashed.bams3") == sam(tmp_path / "plain.bams3")


def test_appends_in_a_store(folder: Path, tmp_path: Path, bucket: str) -> None:
    uri, storage = f"{bucket}/d.bams3", open_storage(f"{bucket}/d.bams3")
    for path, data in contents(folder / "hashed.bams3").items():
        storage.put(path, data)
    for _ in range(2):
        append(uri, [lane(tmp_path / "lane.bam")], workers=1)
    paths = check(uri)
    assert sum(path.count(".") == 2 for path in paths) == 1
    assert {*storage.list("data")} == {*paths}
    for path in storage.list():
        place = tmp_path / "d.bams3" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(storage.get(path))
    for path in (tmp_path / "d.bams3").rglob("chunks*"):
        path.unlink()
    repair(tmp_path / "d.bams3")
    assert check(tmp_path / "d.bams3") == paths
    append(tmp_path / "d.bams3", [lane(tmp_path / "lane.bam")], workers=1)
    assert {path.count(".") for path in check(tmp_path / "d.bams3")} == {1}
    assert DatasetReader(tmp_path / "d.bams3").manifest.records == DatasetReader(uri).manifest.records + 1


def test_repair_needs_no_key(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "hashed.bams3", tmp_path / "d.bams3")
    before = contents(tmp_path / "d.bams3")
    shutil.rmtree(tmp_path / "d.bams3/_index")
    (tmp_path / "d.bams3/_metadata.json").unlink()
    repair(tmp_path / "d.bams3")
    assert contents(tmp_path / "d.bams3") == before


def test_contigs_that_share_windows(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rewrite(DATA / "golden/joined.bams3", tmp_path / "d.bams3", hash_paths=True, workers=1)
    check(tmp_path / "d.bams3")
    assert read_sam(tmp_path / "d.bams3") == gzip.decompress((DATA / "golden/joined.sam.gz").read_bytes())
    stored = DatasetReader(tmp_path / "d.bams3")
    assert stored.manifest.joined
    contig = next(entry.contigs for entry in stored.objects if entry.contigs)[0]
    name = stored.references[contig][0]
    for dataset in ("golden/joined.bams3", "d.bams3"):
        place = tmp_path / dataset if dataset[0] == "d" else DATA / dataset
        assert main(["query", str(place), name]) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[: len(out) // 2] == out[len(out) // 2 :] != []


def test_files_of_map_are_named_after_windows(folder: Path, tmp_path: Path) -> None:
    for name in ("plain", "hashed"):
        words = [
            "map",
            str(folder / f"{name}.bams3"),
            "--output-dir",
            str(tmp_path / name),
            "--",
            "echo {region}",
        ]
        assert main(words) == 0
    assert contents(tmp_path / "hashed") == contents(tmp_path / "plain")


@pytest.mark.parametrize(
    "path",
    [
        "data/" + 32 * "0" + ".chunk",
        "data/notes",
        "data/chr1/000000000-000262144.chunk",
        "data/_unplaced/000000.chunk",
    ],
)
@pytest.mark.parametrize("way", [{"resume": True}, {"batch": (2, 2)}, {"overwrite": True}], ids=str)
def test_foreign_files_stay(path: str, way: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    """A file of somebody is refused, whatever its path."""
    dataset = tmp_path / "d.bams3"
    if "overwrite" in way:
        convert(folder / "x.bam", dataset, **HASHED)
    else:
        convert(folder / "x.bam", dataset, **HASHED, batch=(1, 2))
    (dataset / path).parent.mkdir(exist_ok=True)
    (dataset / path).write_bytes(b"precious")

    def end() -> None:
        convert(folder / "x.bam", dataset, **HASHED, **way)
        merge(dataset)

    with pytest.raises(DatasetError, match=re.escape(path)):
        end()
    assert (dataset / path).read_bytes() == b"precious"


def test_a_chunk_with_a_plain_path_is_foreign(folder: Path, tmp_path: Path) -> None:
    """Even if it is of the same reads."""
    convert(folder / "x.bam", tmp_path / "d.bams3", **HASHED, batch=(1, 1))
    (tmp_path / "d.bams3/data/_unplaced").mkdir()
    path = "data/_unplaced/000000.chunk"
    shutil.copyfile(folder / "plain.bams3" / path, tmp_path / "d.bams3" / path)
    with pytest.raises(DatasetError, match=path):
        merge(tmp_path / "d.bams3")
    assert (tmp_path / "d.bams3" / path).exists()


def swapped(entries: list[list[Any]]) -> None:
    entries[0][0], entries[1][0] = entries[1][0], entries[0][0]


def other(path: Any) -> Callable[[list[list[Any]]], None]:
    def change(entries: list[list[Any]]) -> None:
        entries[0][0] = path

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (swapped, "chunk"),
        (lambda entries: other(entries[1][0])(entries), "two chunks with the same path"),
        (other(None), "invalid path"),
        (other(""), "not a hashed path"),
        (other("data/chr1/000000000-000262144.chunk"), "not a hashed path"),
        (other("data/../../" + 32 * "0" + ".chunk"), "not a hashed path"),
        (other("data/" + 32 * "A" + ".chunk"), "not a hashed path"),
        (other("data/" + 32 * "0" + ".chunk\n"), "not a hashed path"),
    ],
)
def test_forged_paths(change: Any, said: str, folder: Path, tmp_path: Path) -> None:
    """Paths that lead elsewhere are refused at once, others when the chunk is read."""
    shutil.copytree(folder / "hashed.bams3", tmp_path / "d.bams3")
    forge.rewrite(tmp_path / "d.bams3", forge.INDEX, change)
    assert forge.complains(tmp_path / "d.bams3")
    with pytest.raises(FormatError, match=said):
        sam(tmp_path / "d.bams3")


def test_writers_agree_on_a_key(folder: Path, tmp_path: Path) -> None:
    storage, header = LocalStorage(str(tmp_path / "d.bams3")), DatasetReader(folder / "plain.bams3").header
    ours, theirs, plain = (Plan.of(header, 1 << 18, 5, hash_paths=hashes) for hashes in (True, True, False))
    assert ours.path_key != theirs.path_key
    assert write_plan(storage, ours, header.text, join=True) == ours
    for plan in (theirs, ours):
        assert write_plan(storage, plan, header.text, join=True) == ours
    for plan in (plain, replace(theirs, level=1)):
        assert agreed(storage, plan) == plan
        with pytest.raises(DatasetError, match="kind of paths"):
            write_plan(storage, plan, header.text, join=True)
    with pytest.raises(DatasetError, match="another process has begun"):
        write_plan(storage, theirs, header.text, join=False)


def test_parts_of_different_keys_are_merged(folder: Path, tmp_path: Path) -> None:
    """Two batches that begin to overwrite at the same moment may not see each other's plan."""
    dataset = tmp_path / "d.bams3"
    for number in (1, 2):
        convert(folder / "x.bam", dataset, **HASHED, batch=(number, 2))
        plan = read_plan(LocalStorage(str(dataset)))
        (dataset / "_parts/plan.json").write_bytes(replace(plan, path_key=64 * str(number)).to_bytes())
    merge(dataset)
    check(dataset)
    assert sam(dataset) == sam(folder / "plain.bams3")


@pytest.mark.parametrize("key", ["", "0", 64 * "x", 7, None])
def test_invalid_keys(key: Any, folder: Path, tmp_path: Path) -> None:
    convert(folder / "x.bam", tmp_path / "d.bams3", **HASHED, batch=(1, 2))
    forge.rewrite(tmp_path / "d.bams3", "_parts/plan.json", lambda plan: plan.update(path_key=key))
    with suppress(DatasetError) if key == "" else pytest.raises(DatasetError, match="invalid path_key"):
        read_plan(LocalStorage(str(tmp_path / "d.bams3")))
    with pytest.raises(Bams3Error):
        convert(folder / "x.bam", tmp_path / "d.bams3", **HASHED, batch=(2, 2))


def test_versions_before_know_no_key(folder: Path, tmp_path: Path) -> None:
    convert(folder / "x.bam", tmp_path / "d.bams3", **SIZE, batch=(1, 2))
    plan = json.loads((tmp_path / "d.bams3/_parts/plan.json").read_text())
    assert "path_key" not in plan
    forge.rewrite(tmp_path / "d.bams3", "_parts/plan.json", lambda plan: plan.update(path_key=64 * "0"))
    with pytest.raises(DatasetError, match="invalid path_key"):
        read_plan(LocalStorage(str(tmp_path / "d.bams3")))
