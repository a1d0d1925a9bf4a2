"""Receipts of verify --against, and conversions that read what they have written again."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, DatasetError
from bams3.operations import convert as conversion
from bams3.operations.receipt import Receipt
from command_line import Run, in_process
from peers import DATA

import bams3

SOURCE = DATA / "illumina_chr22_NA12878.bam"


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return in_process(capfd)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with x.bam, and its dataset x.bams3."""
    folder = tmp_path_factory.mktemp("receipt")
    for ending in ("", ".bai"):
        shutil.copy(f"{SOURCE}{ending}", folder / f"x.bam{ending}")
    bams3.convert(folder / "x.bam", folder / "x.bams3")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working directory."""
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    monkeypatch.chdir(copy)
    return copy


def printed_by_samtools(path: Path, *options: str) -> dict[str, list[str]]:
    """Group → count and sums."""
    text = pysam.samtools.checksum(*options, str(path))  # type: ignore[attr-defined]
    rows = [line.split() for line in text.splitlines()[5:]]
    return {row[0]: row[2:] for row in rows}


def sums_in(document: dict[str, Any]) -> dict[str, list[str]]:
    groups = {"all": document["all"], **{group.pop("id") or "-": group for group in document["read_groups"]}}
    return {name: [str(value) for value in row.values()] for name, row in groups.items()}


def test_what_a_receipt_says(folder: Path, run: Run) -> None:
    code, text, errors = run("verify", "--against", "x.bam", "--receipt", "receipt.json", "x.bams3")
    assert (code, errors) == (0, "")
    document = json.loads((folder / "receipt.json").read_text())
    md5 = hashlib.md5((folder / "x.bam").read_bytes()).hexdigest()
    assert document["source"] == {"name": "x.bam", "size": (folder / "x.bam").stat().st_size, "md5": md5}
    identity = hashlib.sha256((folder / "x.bams3/_metadata.json").read_bytes()).hexdigest()
    assert (document["dataset"]["name"], document["dataset"]["id"]) == ("x.bams3", identity)
    header, records = DatasetReader("x.bams3").manifest.header_id, 3333
    assert (document["header_id"], document["records"]) == (header, records)
    assert sums_in(document["sums"]) == printed_by_samtools(folder / "x.bam")
    assert sums_in(document["all_sums"]) == printed_by_samtools(folder / "x.bam", "-a")
    assert document["versions"] == {
        "bams3": bams3.__version__,
        "format": 4,
        "samtools": pysam.__samtools_version__,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["time"])
    well, line = text.splitlines()
    assert well == "x.bams3: 3333 records in 1 chunks, no problems found"
    for told in ("x.bam ", md5, identity[:16], header[:16], "3333 records", document["time"], "receipt.json"):
        assert told in line


def test_a_file_without_reads(tmp_path: Path, run: Run) -> None:
    bam, dataset = tmp_path / "x.bam", tmp_path / "x.bams3"
    bam.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, []))
    bams3.convert(bam, dataset)
    assert run("verify", "--against", bam, "--receipt", tmp_path / "r.json", dataset)[0] == 0
    document = json.loads((tmp_path / "r.json").read_text())
    for name, options in (("sums", "-v"), ("all_sums", "-va")):
        zero, theirs = sums_in(document[name]), printed_by_samtools(bam, options)["all"]
        assert zero == {"all": ["0", *(f"{int(value, 16):08x}" for value in theirs[1:])]}


def test_datasets_of_earlier_versions(tmp_path: Path, run: Run) -> None:
    dataset, bam = DATA / "golden/edges.bams3", tmp_path / "edges.bam"
    assert run("to-bam", dataset, bam)[0] == 0
    assert run("verify", "--against", bam, "--receipt", tmp_path / "r.json", dataset)[0] == 0
    document = json.loads((tmp_path / "r.json").read_text())
    assert sums_in(document["sums"]) == printed_by_samtools(bam)
    assert sums_in(document["all_sums"]) == printed_by_samtools(bam, "-a")


def test_no_receipt_if_anything_differs(folder: Path, run: Run) -> None:
    records = list(pysam.AlignmentFile("x.bam"))
    records[-1].query_name += "x"
    with pysam.AlignmentFile("other.bam", "wb", template=pysam.AlignmentFile("x.bam")) as file:
        for record in records:
            file.write(record)
    code, text, errors = run("verify", "--against", "other.bam", "--receipt", "receipt.json", "x.bams3")
    assert (code, text) == (1, "")
    assert "record 3333" in errors
    assert not (folder / "receipt.json").exists()


REFUSED = {
    "--receipt r.json x.bams3": "and --against with the file",
    "--receipt r.json --against x.bam x.bams3 y.bams3": "--receipt needs one dataset",
    "--receipt x.bam --against x.bam x.bams3": "must not be overwritten",
    "--receipt x.bams3/r.json --against x.bam x.bams3": "must not contain other files",
    "--receipt there --against x.bam x.bams3": "a receipt is never replaced",
    "--receipt nowhere/r.json --against x.bam x.bams3": "the directory nowhere does not exist",
    "--receipt r.json --against - x.bams3": "instead of standard input",
    "--receipt r.json --against pipe x.bams3": "not a regular file",
    "--receipt r.json --against missing x.bams3": "missing",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_refused(folder: Path, words: str, run: Run) -> None:
    shutil.copytree("x.bams3", "y.bams3")
    Path("there").write_text("a receipt")
    os.mkfifo("pipe")
    before = {path: path.stat() for path in folder.rglob("*")}
    code, text, errors = run("verify", *words.split())
    assert (code, text) == (1, "")
    assert REFUSED[words] in errors
    assert errors.count("\n") == 1
    assert {path: path.stat() for path in folder.rglob("*")}.keys() == before.keys()


@pytest.mark.parametrize("changed", ["x.bam", "x.bams3/_metadata.json"])
def test_what_changes_meanwhile(folder: Path, changed: str) -> None:
    receipt = Receipt("r.json", DatasetReader("x.bams3"), "x.bam")
    if changed == "x.bam":
        Path(changed).write_bytes(Path(changed).read_bytes() + b"more")
    else:
        bams3.convert("x.bam", "x.bams3", chunk_size="2M", overwrite=True)
    with pytest.raises(Bams3Error, match=r"changed while it was compared"):
        receipt.write()
    assert not Path("r.json").exists()


def test_in_a_bucket(made: Path, bucket: str, run: Run) -> None:
    assert run("convert", made / "x.bam", f"{bucket}/x.bams3")[0] == 0
    storage = bams3.storage.open_storage(bucket)
    storage.put("x.bam", (made / "x.bam").read_bytes())
    words = ["verify", "--against", f"{bucket}/x.bam", "--receipt", f"{bucket}/r.json", f"{bucket}/x.bams3"]
    code, text, errors = run(*words)
    assert (code, errors) == (0, "")
    document = json.loads(storage.get("r.json"))
    etag = hashlib.md5((made / "x.bam").read_bytes()).hexdigest()  # of an object that was put at once
    assert document["source"] == {"name": f"{bucket}/x.bam", "size": SOURCE.stat().st_size, "etag": etag}
    assert etag in text
    assert "never replaced" in run(*words)[2]
    local, remote = (run("checksum", "-PCM", f"{where}/x.bams3")[1] for where in (made, bucket))
    assert local.splitlines()[1:] == remote.splitlines()[1:]
    assert "3327" in remote


# Conversions that read again


def damaging(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, a byte of each chunk reaches the disk changed."""
    write = conversion.write_chunk

    def wrong(file: Any, *arguments: Any, **options: Any) -> Any:
        entry = write(file, *arguments, **options)
        file.seek(300)
        file.write(b"wrong")
        return entry

    monkeypatch.setattr(conversion, "write_chunk", wrong)


def test_conversions_read_again(made: Path, tmp_path: Path, run: Run) -> None:
    assert run("convert", "--verify", made / "x.bam", tmp_path / "x.bams3") == (0, "", "")
    assert run("convert", "--verify", "--batch", "1/1", made / "x.bam", tmp_path / "y.bams3") == (0, "", "")
    assert run("merge", tmp_path / "y.bams3") == (0, "", "")
    for name in ("x", "y"):
        manifest = (tmp_path / f"{name}.bams3/_metadata.json").read_bytes()
        assert manifest == (made / "x.bams3/_metadata.json").read_bytes()


@pytest.mark.parametrize("batch", [None, (1, 1)])
def test_damage_is_found_before_the_commit(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: tuple[int, int] | None
) -> None:
    damaging(monkeypatch)
    bams3.convert(made / "x.bam", tmp_path / "not.bams3", batch=batch)
    with pytest.raises(DatasetError, match=r"data/.*when the new chunks were read back"):
        bams3.convert(made / "x.bam", tmp_path / "x.bams3", batch=batch, verify=True)
    with pytest.raises(DatasetError):
        bams3.open(tmp_path / "x.bams3")
    assert list((tmp_path / "x.bams3").glob("_parts/0*")) == []
    monkeypatch.undo()
    bams3.convert(made / "x.bam", tmp_path / "x.bams3", resume=True, verify=True)
    assert len(bams3.open(tmp_path / "x.bams3").chunks) == 1


def test_a_dataset_stays_if_its_successor_is_damaged(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bams3.convert(made / "x.bam", tmp_path / "x.bams3", level=1)
    before = (tmp_path / "x.bams3/_metadata.json").read_bytes()
    damaging(monkeypatch)
    with pytest.raises(DatasetError, match="read back"):
        bams3.convert(made / "x.bam", tmp_path / "x.bams3", overwrite=True, verify=True)
    assert (tmp_path / "x.bams3/_metadata.json").read_bytes() == before
    assert os.listdir(tmp_path) == ["x.bams3"]
