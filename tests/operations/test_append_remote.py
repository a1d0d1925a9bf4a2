"""bams3 append to a dataset in an object store: readers see the old dataset or the new one, whatever happens."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
from bams3.bridge.virtual_bam import VirtualBam
from bams3.dataset.generations import split_path
from bams3.dataset.growth import Growth
from bams3.dataset.manifest import IN_GENERATIONS, VERSION
from bams3.dataset.opening import open_reader
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, DatasetError, FormatError
from bams3.operations.append import append
from bams3.operations.convert import convert
from bams3.operations.merge import merge, merge_inputs
from bams3.operations.repair import repair
from bams3.operations.rewrite import rewrite
from bams3.operations.verify import verify
from bams3.storage import open_storage
from bams3.storage.remote import RemoteStorage
from listings import contents
from merging import CONTIGS, header
from pages import run, taken_by
from reader.records import read_sam
from remote_datasets import printed
from servers.faults import PASSING, Faults
from virtual_bams import whole

SIZE: dict[str, Any] = {"chunk_size": "256K", "level": 1, "workers": 1}
RG = hostile.tag("RG", "Z", b"a")
PLACES = [(0, 7), (0, 262_144), (1, 1), (1, 800_000), (-1, -1)]
NEW = [(0, 9), (2, 3)]
TOUCHED = "data/c1/000000000-000262144.chunk"
BOTH: dict[str, Any] = {"combine_read_groups": True, "combine_programs": True, "workers": 1}
FAULTS = {
    "lost": 8,
    "503": 20,
    "reset": 20,
    "cut": 20,
    "corrupt": 9,
    "etag": 9,
    "403": 5,
    "501": 9,
    "expired": 7,
}
"""Kinds of faults, and at every how many requests each is made: those that pass are met below the append."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one.bam and two.bam, the dataset one.bams3, and merged.bams3 of both; the same with fewer chunks:
    few and new."""
    folder = tmp_path_factory.mktemp("inputs")
    for name, places in (("one", PLACES), ("two", NEW), ("few", PLACES[:3:2]), ("new", NEW[:1])):
        records = [hostile.good(*place, tags=[RG]) for place in places]
        data = hostile.bam(header(CONTIGS, [b"a"], [b"p"]), CONTIGS, records)
        (folder / f"{name}.bam").write_bytes(data)
        pysam.index(str(folder / f"{name}.bam"))
    for name in ("one", "few"):
        convert(folder / f"{name}.bam", folder / f"{name}.bams3", **SIZE)
    merge_inputs([folder / "one.bam", folder / "two.bam"], folder / "merged.bams3", **SIZE | BOTH)
    return folder


@pytest.fixture
def one(inputs: Path, bucket: str) -> str:
    """The first dataset, in a new bucket."""
    return put(inputs / "one.bams3", f"{bucket}/one.bams3")


def put(folder: Path, uri: str) -> str:
    for path, data in contents(folder).items():
        open_storage(uri).put(path, data)
    return uri


def objects(uri: str) -> dict[str, bytes]:
    storage = open_storage(uri)
    return {path: storage.get(path) for path in storage.list()}


def fetched(uri: str, folder: Path) -> Path:
    for path, data in objects(uri).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def records_of(dataset: Any) -> list[bytes]:
    reader = DatasetReader(dataset)
    groups = (group for entry in reader.index for group in reader.chunk(entry).row_groups)
    return [bytes(group.block().data) for group in groups]


def killed(uri: str, bam: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin an append that writes everything but the manifest."""
    with monkeypatch.context() as patch:
        patch.setattr(RemoteStorage, "put_over", lambda *_, **__: 1 // 0)
        patch.setattr(Growth, "undo", lambda _: None)
        with pytest.raises(ZeroDivisionError):
            append(uri, [bam], workers=1)


def is_clean(uri: str) -> bool:
    """Whether all is well, and nothing is there that the manifest does not name."""
    return list(verify(DatasetReader(uri), strict=True)) == []


@pytest.mark.parametrize("options", [{"workers": 1}, BOTH], ids=["a new header", "the same header"])
def test_only_what_is_new_is_written(
    one: str, inputs: Path, faults: Faults, tmp_path: Path, options: dict[str, Any]
) -> None:
    before = objects(one)
    faults.arm("")
    manifest = append(one, [inputs / "two.bam"], **options)
    asked = faults.disarm()
    after = objects(one)
    assert (manifest.version, len(manifest.generation)) == (IN_GENERATIONS, 16)
    assert is_clean(one)
    untouched = {path for path in before if path.startswith("data/") and path != TOUCHED}
    assert {path: after[path] for path in untouched} == {path: before[path] for path in untouched}
    assert not [request for request in asked if any(path in request.path for path in untouched)]
    new = after.keys() - before.keys()
    assert {split_path(path)[1] for path in new} == {manifest.generation}
    assert {split_path(path)[0] for path in new} == {
        TOUCHED, "data/c3/000000000-000262144.chunk", "_header.sam.zst", "_index/chunks.json.zst",
    }  # fmt: skip
    assert before.keys() - after.keys() == {TOUCHED, "_header.sam.zst", "_index/chunks.json.zst"}
    merge_inputs([inputs / "one.bams3", inputs / "two.bam"], tmp_path / "merged", **SIZE | options)
    assert records_of(one) == records_of(tmp_path / "merged")
    assert DatasetReader(one).counts == DatasetReader(tmp_path / "merged").counts
    writes = [request for request in asked if request.method != "GET"]
    assert len(writes) <= 11


def test_the_page(inputs: Path, bucket: str, tmp_path: Path, commands: dict[str, str]) -> None:
    put(inputs / "one.bams3", f"{bucket}/lane1.bams3")
    shutil.copy(inputs / "two.bam", tmp_path / "lane2.bam")
    (code,) = taken_by(__file__, "docs/growing.md")
    variables = os.environ | {name: commands[name] for name in ("PATH", "PYTHONPATH")}
    run(code.replace("s3://bucket", bucket), "sh", tmp_path, variables)
    assert DatasetReader(f"{bucket}/lane1.bams3").manifest.records == len(PLACES + NEW)


def test_it_is_a_dataset_for_all(
    one: str, inputs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What reads and writes datasets does so, in the store and on a disk."""
    for _ in range(2):
        append(one, [inputs / "two.bam"], **BOTH)
    merge_inputs([inputs / "merged.bams3", inputs / "two.bam"], tmp_path / "merged", **SIZE | BOTH)
    assert is_clean(one)
    assert len({split_path(path)[1] for path in objects(one)}) == 2
    assert DatasetReader(one).opening(header=True)[3:] == [0, 0]  # in vain, before the manifest is there
    local = fetched(one, tmp_path / "local")
    text = printed(capfd, "query", "-h", one)
    assert text == printed(capfd, "query", "-h", tmp_path / "merged")
    assert read_sam(local).decode() == text
    chunks = sorted(local.rglob("*.chunk"))
    assert open_reader(chunks).manifest.records == len(PLACES) + 4
    assert printed(capfd, "map", local, "--output-dir", tmp_path / "made", "--", "true") == ""
    assert (tmp_path / "made/c1-000000000-000262144").is_file()
    merge_inputs([local], tmp_path / "again", **SIZE)
    rewrite(one, tmp_path / "rewritten", workers=1)
    assert contents(tmp_path / "again") == contents(tmp_path / "rewritten") == contents(tmp_path / "merged")
    bam = VirtualBam(DatasetReader(one))
    assert whole(bam) == whole(VirtualBam(DatasetReader(tmp_path / "merged")))
    manifest = append(local, [inputs / "two.bam"], **BOTH)
    assert (manifest.version, manifest.generation) == (VERSION, "")
    append(tmp_path / "merged", [inputs / "two.bam"], **BOTH)
    assert contents(local) == contents(tmp_path / "merged")
    convert(inputs / "two.bam", one, overwrite=True, **SIZE)
    assert is_clean(one)
    assert not [path for path in objects(one) if split_path(path)[1]]


def test_batches_replace_it(one: str, inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(one, [inputs / "two.bam"], **BOTH)
    killed(one, inputs / "two.bam", monkeypatch)
    convert(inputs / "one.bam", one, windows=["c1", "c2", "c3", "_unplaced"], overwrite=True, **SIZE)
    merge(one)
    assert objects(one) == contents(inputs / "one.bams3")


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_at_each_request(kind: str, inputs: Path, bucket: str, faults: Faults) -> None:
    """The new dataset, or one line and the old one; and then it can be tried again."""
    uri, bam = put(inputs / "few.bams3", f"{bucket}/few.bams3"), inputs / "new.bam"
    old = DatasetReader(uri).manifest.records
    for number in range([*FAULTS].index(kind) % 3, 99, FAULTS[kind]):
        error = None
        faults.arm(kind, at=number)
        try:
            append(uri, [bam], **BOTH)
        except (Bams3Error, OSError) as raised:
            error = raised
        made = faults.times == 0
        faults.disarm()
        reader = DatasetReader(uri)
        assert list(verify(reader)) == []
        if error:
            assert kind not in PASSING
            assert "\n" not in str(error)
        assert reader.manifest.records in ((old, old + 1) if error else (old + 1,))
        old = reader.manifest.records
        if not made:
            assert number > 15
            break
        if kind not in PASSING:  # it may have been removing what the commit made useless
            old = append(uri, [bam], **BOTH).records
    assert is_clean(uri)


def test_a_store_that_lists_late(one: str, inputs: Path, faults: Faults) -> None:
    """The old dataset stays; later, it can be tried again, and what was written is removed."""
    before = DatasetReader(one).manifest
    faults.arm("late")
    with pytest.raises(DatasetError, match="missing or incomplete"):
        append(one, [inputs / "two.bam"], **BOTH)
    assert DatasetReader(one).manifest == before
    faults.disarm()
    append(one, [inputs / "two.bam"], **BOTH)
    assert is_clean(one)


def _after(
    uri: str, bam: Path, patch: pytest.MonkeyPatch, then: Callable[[], None] = lambda: None
) -> Callable[..., Any]:
    """A commit before which another append, which is not patched, ends."""
    put_over = RemoteStorage.put_over

    def too_late(*words: Any, **options: Any) -> Any:
        patch.undo()
        append(uri, [bam], **BOTH)
        then()
        return put_over(*words, **options)

    return too_late


CONTENDED = {
    "changed": ("", "another process has changed it in the meantime, so nothing was appended; try again"),
    "a conflict": (
        "409",
        "another process has changed it in the meantime, so nothing was appended; try again",
    ),
    "a lost answer": ("lost", "it is not known whether the reads were appended; compare bams3 stats"),
}


@pytest.mark.parametrize("case", CONTENDED)
def test_of_two_appends_at_a_time_one_is_refused(
    case: str, one: str, inputs: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one commits when all has been written but the manifest."""
    kind, says = CONTENDED[case]
    found = RemoteStorage._fetch

    def as_before(self: RemoteStorage, path: str, span: Any) -> Any:
        """The manifest, still unchanged when it is compared."""
        data, meta = found(self, path, span)
        return (old, meta | {"e_tag": etag}) if path == "_metadata.json" and faults.kind else (data, meta)

    old, told = found(open_storage(one), "_metadata.json", None)  # type: ignore[arg-type]
    etag = told["e_tag"]
    monkeypatch.setattr(RemoteStorage, "_fetch", as_before)
    with monkeypatch.context() as patch:
        late = _after(one, inputs / "two.bam", patch, lambda: faults.arm(kind, method="PUT"))
        patch.setattr(RemoteStorage, "put_over", late)
        with pytest.raises(DatasetError, match=says):
            append(one, [inputs / "two.bam"], **BOTH)
    faults.disarm()
    assert records_of(one) == records_of(inputs / "merged.bams3")
    if kind == "lost":  # what the other one might name stays until the next append
        append(one, [inputs / "two.bam"], **BOTH)
    assert is_clean(one)


def test_nothing_to_append(one: str, inputs: Path, tmp_path: Path) -> None:
    """The dataset keeps its version of the format."""
    (tmp_path / "none.bam").write_bytes(hostile.bam(header(CONTIGS, [b"new"], []), CONTIGS, []))
    before = objects(one)
    assert append(one, [tmp_path / "none.bam"]).version < IN_GENERATIONS
    assert objects(one) == before


def test_appends_all_at_once(one: str, inputs: Path) -> None:
    """None is lost: as many reads are there as those that were not refused say."""
    refused: list[Exception] = []

    def grow() -> None:
        try:
            append(one, [inputs / "two.bam"], **BOTH)
        except DatasetError as error:
            refused.append(error)

    threads = [threading.Thread(target=grow) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert DatasetReader(one).manifest.records == len(PLACES) + len(NEW) * (10 - len(refused))
    assert len(refused) < 10
    append(one, [inputs / "two.bam"], **BOTH)
    assert is_clean(one)


def test_a_killed_append(one: str, inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves the old dataset, and objects that the next command which writes there removes."""
    before = objects(one)
    killed(one, inputs / "two.bam", monkeypatch)
    left = objects(one).keys() - before.keys()
    assert len(left) == 5
    assert {path: data for path, data in objects(one).items() if path not in left} == before
    assert list(verify(DatasetReader(one))) == []
    storage = open_storage(one)
    storage.delete("_index/chunks.json.zst")
    assert repair(one).rebuilt == ["_index/chunks.json.zst"]
    assert objects(one).keys() - left == before.keys()
    append(one, [inputs / "two.bam"], **BOTH)
    assert is_clean(one)
    killed(one, inputs / "two.bam", monkeypatch)
    convert(inputs / "one.bam", one, overwrite=True, **SIZE)
    assert objects(one) == before


def test_what_is_not_of_the_dataset_stays(one: str, inputs: Path) -> None:
    foreign = ["notes", "data/c1/x.chunk", "data/c1/000262144-000524288.0123456789abcdef.chunk"]
    for path in foreign:
        open_storage(one).put(path, b"mine")
    append(one, [inputs / "two.bam"], **BOTH)
    assert [objects(one)[path] for path in foreign] == [b"mine"] * 3
    with pytest.raises(DatasetError, match="does not belong to a dataset"):
        convert(inputs / "one.bam", one, overwrite=True, **SIZE)


def test_a_reader_that_had_opened_the_old_one(one: str, inputs: Path) -> None:
    """It reads what stays, and is told why it can't read the rest; so it is if the dataset was converted again."""
    (before, late), said = (
        (DatasetReader(one) for _ in range(2)),
        "the dataset was replaced after it had been opened",
    )
    with pytest.raises(FormatError, match="missing"):
        DatasetReader(one).chunk(before.index[0]._replace(path="data/c1/none.chunk")).footer  # noqa: B018
    served = VirtualBam(DatasetReader(one))
    append(one, [inputs / "two.bam"], **BOTH)
    with pytest.raises(DatasetError, match=said):
        whole(served)
    assert VirtualBam(DatasetReader(one)).etag != served.etag
    for entry in before.index[1:]:
        assert next(before.chunk(entry).row_groups).block()
    with pytest.raises(DatasetError, match=said):
        before.chunk(before.index[0]).footer  # noqa: B018
    late._early.clear()
    with pytest.raises(DatasetError, match=said):
        late.objects  # noqa: B018
    with pytest.raises(DatasetError, match=said):
        late.header  # noqa: B018
    reader = DatasetReader(one)
    assert len(reader.index) == 6
    convert(inputs / "two.bam", one, overwrite=True, **SIZE)
    with pytest.raises(DatasetError, match=said):
        reader.chunk(reader.index[1]).footer  # noqa: B018


def test_a_store_without_conditional_writes(
    one: str, inputs: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another append may need that commits at the same moment is left until the next append."""
    storage = open_storage(one)
    assert isinstance(storage, RemoteStorage)
    assert storage.keeps_conditions("_metadata.json")
    faults.arm("501", method="PUT")
    assert not storage.keeps_conditions("_metadata.json")
    monkeypatch.setattr(RemoteStorage, "keeps_conditions", lambda *_: False)
    before = objects(one)
    append(one, [inputs / "two.bam"], **BOTH)
    assert before.items() - {("_metadata.json", before["_metadata.json"])} <= objects(one).items()
    append(one, [inputs / "two.bam"], **BOTH)
    assert not objects(one).keys() & {TOUCHED, "_header.sam.zst", "_index/chunks.json.zst"}
    with monkeypatch.context() as patch:
        patch.setattr(RemoteStorage, "put_over", _after(one, inputs / "two.bam", patch))
        with pytest.raises(DatasetError, match="so nothing was appended"):
            append(one, [inputs / "two.bam"], **BOTH)
    assert DatasetReader(one).manifest.records == len(PLACES) + 3 * len(NEW)
    assert list(verify(DatasetReader(one))) == []
