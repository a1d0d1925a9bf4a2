"""bams3 append DATASET IN...: the records of a merge, in files of which only those with new reads are written again."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import hostile
import pytest
from bams3.chunk.writer import compress_row_group
from bams3.dataset.destination import alone
from bams3.dataset.layout import SMALL_ROW_GROUP
from bams3.dataset.manifest import VERSION
from bams3.dataset.opening import open_reader
from bams3.dataset.reader import DatasetReader
from bams3.errors import DatasetError, SourceError, UsageError
from bams3.operations import convert as converting
from bams3.operations.append import append
from bams3.operations.convert import convert
from bams3.operations.merge import merge_inputs
from bams3.operations.repair import repair
from bams3.operations.verify import verify
from conversions import KILLED, fails
from engines import run_bams3 as run
from forge import rewrite
from hypothesis import given, settings
from listings import contents
from merging import CONTIGS, Input, header, inputs, write_inputs
from reader.records import read_sam

SIZE: dict[str, Any] = {"chunk_size": "256K", "level": 1, "workers": 1}
RG = hostile.tag("RG", "Z", b"a")
PLACES = [(0, 7), (0, 262_144), (1, 1), (1, 800_000), (-1, -1)]
BOTH = {"combine_read_groups": True, "combine_programs": True}


def made(folder: Path, name: str, places: list[tuple[int, int]], text: bytes = b"", **options: Any) -> Path:
    """A dataset with a record at each place, and its BAM beside it."""
    text = text or header(CONTIGS, [b"a"], [b"p"])
    records = [hostile.good(*place, tags=[RG]) for place in places]
    (folder / f"{name}.bam").write_bytes(hostile.bam(text, CONTIGS, records))
    convert(folder / f"{name}.bam", folder / f"{name}.bams3", **(SIZE | options))
    return folder / f"{name}.bams3"


def edit_manifest(dataset: Path, **changes: Any) -> None:
    """Change keys of a manifest; None removes one."""

    def changed(document: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in (document | changes).items() if value is not None}

    rewrite(dataset, "_metadata.json", changed)


def files(dataset: Path) -> dict[str, int]:
    """The chunks, and which files they are."""
    return {str(path.relative_to(dataset / "data")): path.stat().st_ino for path in dataset.rglob("*.chunk")}


def records_of(dataset: Path) -> list[bytes]:
    reader = DatasetReader(dataset)
    groups = (group for entry in reader.index for group in reader.chunk(entry).row_groups)
    return [bytes(group.block().data) for group in groups]


def test_row_groups_without_new_reads_are_not_encoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another header wrote the chunk."""
    places = [(0, at) for at in (7, 200_000) for _ in range(SMALL_ROW_GROUP)]
    dataset = made(tmp_path, "d", places)
    encoded: list[int] = []

    def counted(block: Any, *of: Any) -> Any:
        encoded.append(len(block))
        return compress_row_group(block, *of)

    monkeypatch.setattr(converting, "compress_row_group", counted)
    for number, text in enumerate((b"", header(CONTIGS, [b"b"], [b"p"])), 1):
        added = made(tmp_path, f"lane{number}", [(0, 200_000)], text).with_suffix(".bam")
        merge_inputs([dataset, added], tmp_path / f"merged{number}", **SIZE, **BOTH)
        encoded.clear()
        append(dataset, [added], workers=1, **BOTH)
        assert encoded == [SMALL_ROW_GROUP + number]
        assert records_of(dataset) == records_of(tmp_path / f"merged{number}")


@settings(max_examples=12, deadline=None)
@given(inputs())
def test_the_records_are_those_of_a_merge(drawn: list[Input]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_inputs(folder, drawn)
        given = [
            path.with_suffix(".bams3") if each.is_dataset else path
            for path, each in zip(paths, drawn, strict=True)
        ]
        for path, each in zip(paths, drawn, strict=True):
            if each.is_dataset or path == paths[0]:
                convert(path, path.with_suffix(".bams3"), **SIZE)
        grown = paths[0].with_suffix(".bams3")
        before = records_of(grown)
        try:
            merge_inputs([grown, *given[1:]], folder / "merged", **SIZE)
        except SourceError:
            old = contents(grown)
            with pytest.raises(SourceError, match="its contigs are not in the order"):
                append(grown, given[1:], workers=1)
            assert contents(grown) == old
            return
        old = contents(grown)
        append(grown, given[1:], workers=1)
        if not any(each.records for each in drawn[1:]):
            assert contents(grown) == old
            return
        reader, merged = DatasetReader(grown), DatasetReader(folder / "merged")
        assert reader.header == merged.header
        assert list(verify(reader)) == []
        if not any(b"unknown" in record or b"PGZq" in record or b"PGZp" in record for record in before):
            assert records_of(grown) == records_of(folder / "merged")
            assert (reader.counts, reader.manifest.sums) == (merged.counts, merged.manifest.sums)


@pytest.mark.parametrize("options", [{}, BOTH], ids=["a new header", "the same header"])
def test_only_windows_with_new_reads_are_written(tmp_path: Path, options: dict[str, bool]) -> None:
    one, two = made(tmp_path, "one", PLACES), made(tmp_path, "two", [(1, 1), (2, 3)])
    before, bytes_before, was = files(one), contents(one), DatasetReader(one).manifest
    manifest = append(one, [two], **options)
    after, bytes_after = files(one), contents(one)
    touched = {"c2/000000000-000262144.chunk", "c3/000000000-000262144.chunk"}
    assert {path for path in after if after[path] != before.get(path)} == touched
    for path in set(before) - touched:
        assert bytes_after[f"data/{path}"] == bytes_before[f"data/{path}"]
    if options:
        assert (manifest.version, manifest.earlier_header_ids) == (VERSION, ())
        merge_inputs([tmp_path / "one.bam", two], tmp_path / "merged", **SIZE, **options)
        assert bytes_after == contents(tmp_path / "merged")
    else:
        assert (manifest.version, manifest.earlier_header_ids) == (VERSION, (was.header_id,))
    assert run("verify", one).returncode == 0
    assert read_sam(one).decode() == run("query", "-h", one).stdout
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_of_two_appends_at_a_time_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = made(tmp_path, "one", PLACES), made(tmp_path, "two", [(0, 9)])
    before = contents(one)
    with alone(str(one)), pytest.raises(DatasetError, match="another process is appending to it"):
        append(one, [two])
    assert contents(one) == before

    def too_late(folder: int, _: int) -> None:
        """The other process ends just before the lock is taken."""
        monkeypatch.undo()
        append(one, [two])

    monkeypatch.setattr("fcntl.flock", too_late)
    with pytest.raises(DatasetError, match="has replaced it in the meantime"):
        append(one, [two])
    assert DatasetReader(one).manifest.records == len(PLACES) + 1
    append(one, [two])
    assert DatasetReader(one).manifest.records == len(PLACES) + 2

    def without_locks(folder: int, _: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr("fcntl.flock", without_locks)
    append(one, [two])
    assert DatasetReader(one).manifest.records == len(PLACES) + 3


def test_it_grows_again_and_again(tmp_path: Path) -> None:
    one, two = made(tmp_path, "one", PLACES), made(tmp_path, "two", [(0, 9)])
    merge_inputs([one, two], tmp_path / "merged", **SIZE)
    ids = [DatasetReader(one).manifest.header_id]
    for _ in range(3):
        manifest = append(one, [two])
        assert list(manifest.earlier_header_ids) == ids
        ids.append(manifest.header_id)
        assert list(verify(DatasetReader(one))) == []
    merge_inputs([one, one], tmp_path / "twice", **SIZE)
    assert DatasetReader(tmp_path / "twice").manifest.records == 2 * (len(PLACES) + 3)
    assert DatasetReader(tmp_path / "twice").manifest.version == VERSION
    convert(tmp_path / "two.bam", one, overwrite=True, **SIZE)
    assert contents(one) == contents(two)


def test_readers_that_had_opened_the_old_one(tmp_path: Path) -> None:
    """They are told so, and not that something is damaged."""
    one, two = made(tmp_path, "one", PLACES), made(tmp_path, "two", [(0, 9)])
    late, early = DatasetReader(one), DatasetReader(one)
    changed = early.index[0]
    append(one, [two])
    for wanted in (lambda: late.index, lambda: early.chunk(changed).footer):
        with pytest.raises(DatasetError, match="was replaced after it had been opened; open it again"):
            wanted()


def test_chunks_of_a_grown_dataset_alone(tmp_path: Path) -> None:
    """Those that lie in it are read together, whatever header they were written with."""
    one, two = made(tmp_path, "one", PLACES), made(tmp_path, "two", [(0, 9)])
    append(one, [two])
    chunks = sorted(one.rglob("*.chunk"))
    assert open_reader(chunks).manifest.records == len(PLACES) + 1
    assert run("query", "-c", *chunks).stdout == f"{len(PLACES) + 1}\n"
    for chunk in chunks[:2]:
        shutil.copy(chunk, tmp_path)
    with pytest.raises(UsageError, match="not from the same dataset"):
        open_reader([tmp_path / chunk.name for chunk in chunks[:2]])


def test_repair_needs_the_manifest_of_a_grown_dataset(tmp_path: Path) -> None:
    one, two = made(tmp_path, "one", PLACES), made(tmp_path, "two", [(0, 9)])
    append(one, [two])
    before = contents(one)
    (one / "_index/chunks.json.zst").unlink()
    repair(one)
    assert contents(one) == before
    (one / "_metadata.json").unlink()
    with pytest.raises(DatasetError, match=r"restore _metadata\.json if reads were appended"):
        repair(one)


@pytest.mark.parametrize(
    "changes",
    [
        {"earlier_header_ids": []},
        {"earlier_header_ids": ["x"]},
        {"earlier_header_ids": "0" * 32},
        {"earlier_header_ids": ["0" * 32]},
        {"version": 2},
        {"version": 3},
        {"version": 5},
    ],
)
def test_a_false_manifest(tmp_path: Path, changes: dict[str, Any]) -> None:
    one, two = made(tmp_path, "one", PLACES), made(tmp_path, "two", [(0, 9)])
    append(one, [two])
    edit_manifest(one, **changes)
    assert run("verify", one).returncode == 1


def test_what_it_refuses(tmp_path: Path) -> None:
    one, two = (
        made(tmp_path, "one", PLACES),
        made(tmp_path, "two", [(0, 9)], text=header(CONTIGS[::-1], [], [])),
    )
    before = contents(one)
    refused: list[tuple[list[Any], str]] = [
        ([one, one], "both the dataset and an input"),
        ([one, next(one.rglob("*.chunk"))], "both the dataset and an input"),
        ([tmp_path / "one.bam", two], "not a bams3 dataset"),
        ([one, tmp_path / "none.bam"], "No such file"),
    ]
    for words, says in refused:
        assert says in fails(run("append", *words))
    (one / "mine.txt").write_text("of the user")
    assert "mine.txt in it does not belong to a dataset" in fails(run("append", one, tmp_path / "two.bam"))
    (one / "mine.txt").unlink()
    unsorted = [hostile.good(0, 9), hostile.good(0, 7)]
    (tmp_path / "u.bam").write_bytes(hostile.bam(hostile.TEXT, CONTIGS, unsorted))
    assert "use bams3 convert --sort, or sort it" in fails(run("append", one, tmp_path / "u.bam"))
    (chunk := one / "data/c1/000262144-000524288.chunk").rename(tmp_path / "chunk")
    assert f"{chunk}: the chunk is missing" in run("append", one, tmp_path / "two.bam").stderr
    (tmp_path / "chunk").rename(chunk)
    edit_manifest(one, partial_header=True)
    assert "its header was rebuilt" in fails(run("append", one, two))
    edit_manifest(one, partial_header=None)
    assert contents(one) == before
    many = [(f"d{number}", 1000) for number in range(5000)]
    (tmp_path / "many.bam").write_bytes(hostile.bam(b"", many, []))
    assert "so many contigs that some share chunks" in fails(run("append", one, tmp_path / "many.bam"))


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    one, two = made(tmp_path, "one", PLACES), made(tmp_path, "two", [(0, 9)])
    shutil.copytree(one, tmp_path / "linked")
    append(tmp_path / "linked", [two])
    (tmp_path / "_parts").mkdir()
    with monkeypatch.context() as patch:
        link = os.link
        patch.setattr(
            os, "link", lambda old, new: no_link() if str(old).endswith(".chunk") else link(old, new)
        )
        append(one, [two])
    assert contents(one) == contents(tmp_path / "linked")


@pytest.mark.parametrize("ending", [".bam", ".bams3"])
def test_nothing_to_append(tmp_path: Path, ending: str) -> None:
    """Not even the header changes."""
    one, none = made(tmp_path, "one", PLACES), made(tmp_path, "none", [], header(CONTIGS, [b"new"], []))
    before, was = contents(one), files(one)
    said = run("append", one, none.with_suffix(ending), none)
    assert said.returncode == 0
    assert said.stderr == (
        f"bams3 append: {one}: nothing to append: the inputs have no reads; the dataset is unchanged\n"
    )
    assert (contents(one), files(one)) == (before, was)
    append(one, [none, made(tmp_path, "two", [(0, 9)])])
    assert b"ID:new" in DatasetReader(one).header.text


def test_killed_at_any_file(tmp_path: Path) -> None:
    """The old dataset is whole, or the new one; the next run clears up, and makes what an undisturbed one makes."""
    one, two = made(tmp_path, "one", PLACES), made(tmp_path, "two", [(0, 9)])
    shutil.copytree(one, tmp_path / "undisturbed")
    append(tmp_path / "undisturbed", [two])
    old, new = contents(one), contents(tmp_path / "undisturbed")
    for file in range(1, 20):
        died = subprocess.run(
            [sys.executable, "-c", KILLED, str(file), "append", str(one), str(two)]
        ).returncode
        if died == 0:
            break
        assert died == -9
        if one.exists():  # otherwise it died between two renames
            assert contents(one) in (old, new)
        if one.exists() and contents(one) == new:
            break
    else:
        pytest.fail("it never ends")
    assert file > 8
    for dataset in (one, tmp_path / "undisturbed"):
        append(dataset, [two], **BOTH)
    assert contents(one)["_header.sam.zst"] == contents(tmp_path / "undisturbed")["_header.sam.zst"]
    assert list(verify(DatasetReader(one), strict=True)) == []
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
