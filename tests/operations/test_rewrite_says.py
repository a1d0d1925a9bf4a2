"""rewrite: what it refuses, damage that it meets, and errors after which nothing is left."""

import re
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from bams3.cli import main
from bams3.operations import copying
from bams3.operations.convert import convert
from bams3.operations.rewrite import rewrite
from listings import contents
from peers import DATA


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "d.bams3"
    convert(DATA / "illumina_wgs_NA12878.bam", path)
    return path


REFUSED = {
    "in place": (["d.bams3", "d.bams3"], "can't be rewritten in place"),
    "a slash": (["--overwrite", "d.bams3", "../{name}/d.bams3/"], "can't be rewritten in place"),
    "a link": (["--overwrite", "link", "d.bams3"], "can't be rewritten in place"),
    "a link to OUT": (["--overwrite", "d.bams3", "file://{here}/link"], "can't be rewritten in place"),
    "in the dataset": (["d.bams3", "d.bams3/data/e.bams3"], "it lies in d.bams3"),
    "around it": (["--overwrite", "d.bams3", "."], "it holds d.bams3"),
    "a chunk of it": (["--overwrite", "d.bams3/data/chr4/115343360-116391936.chunk", "d.bams3"], "it holds d.bams3"),
    "S3": (["s3://bucket/d.bams3/", "s3://bucket//d.bams3"], "can't be rewritten in place"),
    "a web address": (["https://bucket.s3.amazonaws.com/d", "s3://bucket/d"], "can't be rewritten in place"),
    "no dataset": (["nothing", "e.bams3"], "no such file or directory"),
    "two datasets": (["d.bams3", "link", "e.bams3"], "give one dataset"),
    "something there": (["d.bams3", "full"], "full is not empty; use --overwrite"),
    "a level": (["--level", "0", "d.bams3", "e.bams3"], "level 0: choose one"),
    "a size": (["--chunk-size", "3M", "d.bams3", "e.bams3"], "chunk size '3M'"),
    "tags twice": (["--keep-tags", "NM", "--drop-tags", "MD", "d.bams3", "e.bams3"], "cannot be combined"),
    "regions twice": (["--region", "chrX", "-L", "x.bed", "d.bams3", "e.bams3"], "cannot be combined"),
    "no tag": (["--keep-tags", "", "d.bams3", "e.bams3"], "'' is not the name of a tag"),
    "no read group": (["--drop-rg", "zz", "d.bams3", "e.bams3"], "no read group 'zz'"),
    "no contig": (["--region", "chr99", "d.bams3", "e.bams3"], "unknown contig 'chr99'"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(
    words: list[str], message: str, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    shutil.copytree(dataset, tmp_path / "d.bams3")
    (tmp_path / "link").symlink_to("d.bams3")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "none")
    before = contents(tmp_path)
    assert main(["rewrite", *(word.format(name=tmp_path.name, here=tmp_path) for word in words)]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("bams3 rewrite: ")
    assert message in line
    assert contents(tmp_path) == before


@pytest.mark.parametrize("options", [{}, {"level": 1}, {"regions": ["chr4", "chrX"]}], ids=str)
def test_damage(
    options: dict[str, Any], dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(dataset, tmp_path / "d")
    last = max((tmp_path / "d/data/chrX").iterdir())
    data = bytearray(last.read_bytes())
    data[len(data) // 3] ^= 1
    last.write_bytes(data)
    words = (
        ["--level", "1"]
        if "level" in options
        else ["--region", "chr4", "--region", "chrX"]
        if options
        else []
    )
    shutil.copytree(dataset, tmp_path / "old")
    for out, more in (("new", []), ("old", ["--overwrite"])):
        assert main(["rewrite", *words, *more, str(tmp_path / "d"), str(tmp_path / out)]) == 1
        (line,) = capfd.readouterr().err.splitlines()
        assert re.search(r"is damaged \((checksum|its SHA-256 .*)\); restore the chunk", line)
    assert not contents(tmp_path / "new")
    assert contents(tmp_path / "old") == contents(dataset)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=str)
def test_what_was_written_before_an_error_is_removed(
    error: BaseException, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [None]

    def until_then(*given: Any) -> Any:
        if not left:
            raise error
        left.pop()
        return sha256(*given)

    monkeypatch.setattr(copying, "sha256", until_then)
    with pytest.raises(type(error)):
        rewrite(dataset, tmp_path / "e", workers=1)
    assert not contents(tmp_path / "e")
