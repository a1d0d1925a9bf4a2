"""An older bams3 that meets what a newer one wrote says so in one line; docs/format.md has the policy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
import zstandard
from bams3.cli import main
from bams3.dataset.destination import remove, survey
from bams3.dataset.manifest import VERSIONS, sealed
from bams3.storage.local import LocalStorage
from forge import rewrite
from listings import contents
from peers import DATA

GOLDEN = DATA / "golden"
CHUNK = "data/chr1/000000000-001048576.chunk"
NEWER = {"version": 99, "surprise": [1]}
"""A newer version can have keys that are not known here."""


def of_next_version(path: Path) -> None:
    """Let a document be of a newer version, with a right checksum."""
    document = json.loads(path.read_text())
    document.pop("crc32")
    path.write_bytes(sealed(document | NEWER))


def of_next_magic(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[6] = data[-2] = 99
    path.write_bytes(data)


def with_encoding(path: Path) -> None:
    """Let a chunk have an encoding of a newer version."""
    dataset = path.parents[2]

    def change(document: Any) -> None:
        document["encodings"]["seq"] = "newer"

    rewrite(dataset, str(path.relative_to(dataset)), change)


def of_next_part(path: Path) -> None:
    """Let a coverage part be of a newer version, with other keys."""
    inflated = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    head = json.dumps({"runs": []} | NEWER).encode()
    path.write_bytes(zstandard.compress(head + b"\n" + inflated.partition(b"\n")[2]))


def of_next_counts(path: Path) -> None:
    path.write_text(path.read_text().replace("counts 1\t", "counts 2\t"))


def of_other_columns(path: Path) -> None:
    path.write_text(path.read_text().replace("Command", "Command\tCores"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each kind of file."""
    folder = tmp_path_factory.mktemp("versions")
    records = [hostile.good(0, pos) for pos in (5, 900)]
    (folder / "x.bam").write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    pysam.index(str(folder / "x.bam"))
    (folder / "sites.vcf").write_text("#CHROM\nchr1\t7\t.\tA\tC\n")
    for words in (
        "convert x.bam d", "convert --batch 1/1 x.bam parts", "coverage --batch 1/1 -o part d",
        "relate --count --sites sites.vcf -o x.counts d", "map --joblog log --output-dir made d -- true",
    ):  # fmt: skip
        assert main(in_folder(folder, words)) == 0
    return folder


def in_folder(folder: Path, words: str) -> list[str]:
    return [
        str(folder / word) if (folder / word).exists() or word in OUTPUTS else word for word in words.split()
    ]


OUTPUTS = ("d", "parts", "part", "x.counts", "log", "made", "out")
KINDS: list[tuple[str, str, Callable[[Path], None], str]] = [
    ("d/_metadata.json", "stats d", of_next_version, "dataset version 99 is not supported; update bams3 to read it"),
    ("d/_metadata.json", "repair d", of_next_version, "version 99 is not supported; update bams3 to read it, or"),
    (f"d/{CHUNK}", "repair d", of_next_magic, "unknown chunk version 99; update bams3"),
    (f"d/{CHUNK}", f"inspect d/{CHUNK}", of_next_magic, "unknown chunk version 99; update bams3"),
    (f"d/{CHUNK}", "query d -o out", with_encoding, "unknown encoding 'newer' of seq; update bams3"),
    ("parts/_parts/plan.json", "merge parts", of_next_version, "writes format version 99; finish it with"),
    ("parts/_parts/plan.json", "convert --resume x.bam parts", of_next_version, "writes format version 99; finish it"),
    ("part", "coverage -o out d --gather part", of_next_part, "a coverage part of version 99, but this bams3 reads"),
    ("x.counts", "relate --sites sites.vcf -o out x.counts", of_next_counts, "counted by another version of bams3"),
    ("log", "map --resume --joblog log --output-dir made d -- true", of_other_columns, "exists, and is not a job log"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "words", "change", "says"), KINDS)
def test_newer_files(
    folder: Path,
    name: str,
    words: str,
    change: Callable[[Path], None],
    says: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = folder / name
    before = {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}
    change(path)
    changed = {each: each.read_bytes() for each in before}
    try:
        assert main(in_folder(folder, words)) == 1
        said = capfd.readouterr().err
        assert says in said
        assert said.count("\n") == 1
        assert str(path.parent if path.name == "_metadata.json" else path) in said
        left = {each for each in folder.rglob("*") if each.is_file()} - before.keys()
        assert not left, "nothing is written for a file that isn't understood"
        assert {each: each.read_bytes() for each in before} == changed
    finally:
        for each, data in before.items():
            each.write_bytes(data)


@pytest.mark.parametrize("name", ["small", "contigs", "hashed", "shared", "appended"])
def test_one_of_any_version_that_is_half_removed(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was killed while it replaced a dataset can be repeated."""
    shutil.copytree(GOLDEN / f"{name}.bams3", tmp_path / "d")
    with monkeypatch.context() as patch:
        patch.setattr(LocalStorage, "delete_all", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            remove(survey(LocalStorage(str(tmp_path / "d"))))
    assert not (tmp_path / "d/_metadata.json").exists()
    assert main(["convert", "--overwrite", "-@", "1", str(folder / "x.bam"), str(tmp_path / "d")]) == 0
    assert contents(tmp_path / "d") == contents(folder / "d")


def test_there_is_a_golden_dataset_of_every_version() -> None:
    found = {json.loads(path.read_text())["version"] for path in GOLDEN.glob("*/_metadata.json")}
    assert found == set(VERSIONS)
