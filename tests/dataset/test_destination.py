"""Only what is a dataset's own is replaced or deleted: foreign files in every place, links, overwriting that fails."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import hostile
import pytest
from bams3.chunk.footer import MAGIC
from bams3.dataset.destination import beside, remove, survey
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, DatasetError
from bams3.operations.append import append
from bams3.operations.convert import convert
from bams3.operations.merge import merge
from bams3.operations.verify import verify
from bams3.storage import Storage, open_storage
from bams3.storage.local import LocalStorage
from conversions import fails
from engines import run_bams3 as run

PRECIOUS = b"of somebody"
# Where a file of somebody may be. The last has the path of a chunk of the dataset.
PLACES = [
    "data/raw/reads.fastq",
    "data/reads.fastq",
    "data/chr1/notes",
    "data/chr1/000000001-001048577.chunk",
    "data/_unplaced/x.chunk",
    "_parts/notes.json",
    "_parts/a/b.json",
    "_index/notes",
    "_metadata.json/x",
    "README.md",
    ".incomplete-notes",
    "data/chr1/000000000-001048576.chunk",
]
WAYS: dict[str, dict[str, Any]] = {
    "whole": {},
    "resume": {"resume": True},
    "overwrite": {"overwrite": True},
    "batch": {"batch": (1, 1)},
    "batch, resume": {"batch": (1, 1), "resume": True},
    "batch, overwrite": {"batch": (1, 1), "overwrite": True},
    "window": {"windows": ["chr1"]},
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BAM with its index: two contigs, and a read without position."""
    folder = tmp_path_factory.mktemp("source")
    text = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:3000000\n@SQ\tSN:chr2\tLN:100\n"
    for contig, at in (("chr1", 5), ("chr1", 2_500_000), ("chr2", 7)):
        text += f"r{at}\t0\t{contig}\t{at}\t60\t4M\t*\t0\t0\tACGT\tIIII\n"
    (folder / "in.sam").write_text(text + "u\t4\t*\t0\t0\t*\t*\t0\t0\tACGT\tIIII\n")
    import pysam

    pysam.view("-b", "-o", str(folder / "in.bam"), str(folder / "in.sam"), catch_stdout=False)
    pysam.index(str(folder / "in.bam"))
    return folder / "in.bam"


def held(storage: Storage) -> dict[str, bytes]:
    """Path → bytes of all that is there, temporary files of ours too."""
    if "://" not in storage.root:
        top = Path(storage.root)
        return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    return {path: storage.get(path) for path in storage.list()}


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty place, on disk and in an object store."""
    if request.param == "disk":
        return open_storage(str(tmp_path / "place"))
    return open_storage(f"{request.getfixturevalue('bucket')}/place")


@pytest.mark.parametrize("path", PLACES)
def test_a_folder_of_somebody_is_not_written_to(source: Path, place: Storage, path: str) -> None:
    place.put(path, PRECIOUS)
    for name, options in WAYS.items():
        with pytest.raises(DatasetError) as raised:
            convert(source, place.root, **options)
        assert path in str(raised.value) or name == "whole"
        assert held(place) == {path: PRECIOUS}, name
    with pytest.raises(DatasetError):
        merge(place.root)
    assert held(place) == {path: PRECIOUS}


@pytest.mark.parametrize("path", [path for path in PLACES if path != "_metadata.json/x"])
@pytest.mark.parametrize("complete", [True, False], ids=["complete", "begun"])
def test_what_is_foreign_in_a_dataset_stays(source: Path, place: Storage, path: str, complete: bool) -> None:
    convert(source, place.root, **({} if complete else {"batch": (1, 1)}))
    place.put(path, PRECIOUS)
    for options in WAYS.values():
        with suppress(Bams3Error):
            convert(source, place.root, **options)
        assert held(place)[path] == PRECIOUS
    with suppress(Bams3Error):
        merge(place.root)
    assert held(place)[path] == PRECIOUS


@pytest.mark.parametrize("former", [{"chunk_size": "256K"}, {"level": 1}], ids=["chunk size", "level"])
def test_batches_take_the_place_of_another_dataset(
    source: Path, place: Storage, former: dict[str, Any]
) -> None:
    """What was the former one's goes, and only that."""
    convert(source, place.root, **former)
    place.put("README.md", PRECIOUS)
    for number in (1, 2):
        convert(source, place.root, batch=(number, 2), overwrite=True)
    merge(place.root)
    found = held(place)
    assert found.pop("README.md") == PRECIOUS
    place.delete("README.md")
    convert(source, place.root, overwrite=True)
    assert held(place) == found


def test_a_chunk_of_another_dataset_is_foreign(source: Path, place: Storage, tmp_path: Path) -> None:
    other = tmp_path / "other.sam"
    other.write_text("@HD\tSO:coordinate\n@SQ\tSN:chr1\tLN:9\nx\t0\tchr1\t2\t60\t4M\t*\t0\t0\tACGT\tIIII\n")
    convert(other, tmp_path / "other.bams3")
    path = "data/chr1/000000000-001048576.chunk"
    chunk = (tmp_path / "other.bams3" / path).read_bytes()
    assert chunk.startswith(MAGIC)
    convert(source, place.root, batch=(1, 2))
    place.put(path, chunk)
    for action in (
        lambda: convert(source, place.root, resume=True),
        lambda: convert(source, place.root, overwrite=True),
    ):
        with pytest.raises(DatasetError, match="000000000-001048576"):
            action()
        assert place.get(path) == chunk


LINKS = ["data", "data/chr1", "_parts", "_index", "_header.sam.zst", "data/chr1/000000000-001048576.chunk"]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("complete", [True, False], ids=["complete", "begun"])
def test_links_are_refused(source: Path, tmp_path: Path, link: str, complete: bool) -> None:
    """A dataset of a stranger may have them; nothing behind one is touched."""
    dataset, victim = tmp_path / "d.bams3", tmp_path / "victim"
    convert(source, dataset, **({} if complete else {"batch": (1, 1)}))
    shutil.copytree(dataset, victim)
    (victim / "thesis.txt").write_bytes(PRECIOUS)
    target = dataset / link
    shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    target.symlink_to(victim / link if (victim / link).exists() else victim)
    before = held(open_storage(str(victim)))
    actions: list[Callable[[], Any]] = [lambda: merge(dataset)]
    actions += [lambda o=options: convert(source, dataset, **o) for options in WAYS.values()]
    for action in actions:
        with pytest.raises(DatasetError, match=f"{link}: a symbolic link"):
            action()
        assert held(open_storage(str(victim))) == before


def test_the_dataset_itself_may_be_a_link(source: Path, tmp_path: Path) -> None:
    (tmp_path / "disk" / "d.bams3").mkdir(parents=True)
    (tmp_path / "d.bams3").symlink_to(tmp_path / "disk" / "d.bams3")
    for options in ({}, {"overwrite": True}):
        convert(source, tmp_path / "d.bams3", **options)
        assert (tmp_path / "d.bams3").is_symlink()
        assert os.listdir(tmp_path / "disk") == ["d.bams3"]


def test_a_link_to_nothing(source: Path, tmp_path: Path) -> None:
    (tmp_path / "d.bams3").symlink_to(tmp_path / "unmounted")
    for options in ({}, {"overwrite": True}):
        with pytest.raises(DatasetError, match=r"unmounted, which does not exist; create that folder"):
            convert(source, tmp_path / "d.bams3", **options)
    assert not (tmp_path / "unmounted").exists()


def damaged(source: Path, kind: str) -> Path:
    data = source.read_bytes()
    bad = source.with_name(f"{kind}.bam")
    if kind == "truncated":
        bad.write_bytes(data[: len(data) // 2])
    elif kind == "no end":
        bad.write_bytes(data[:-28])
    elif kind == "unsorted":
        bad = bad.with_suffix(".sam")
        head, rows = [], []
        for line in source.with_name("in.sam").read_text().splitlines():
            (head if line.startswith("@") else rows).append(line)
        bad.write_text("\n".join([*head, *reversed(rows)]) + "\n")
    return bad


@pytest.mark.parametrize("kind", ["truncated", "no end", "unsorted", "missing"])
def test_an_old_dataset_outlives_a_source_that_fails(source: Path, tmp_path: Path, kind: str) -> None:
    convert(source, tmp_path / "d.bams3")
    before = held(open_storage(str(tmp_path)))
    fails(run("convert", "--overwrite", damaged(source, kind), tmp_path / "d.bams3"))
    assert held(open_storage(str(tmp_path))) == before


@pytest.mark.parametrize("kind", ["truncated", "no end", "missing"])
@pytest.mark.parametrize("there", [False, True])
def test_a_source_that_fails_leaves_no_folder(source: Path, tmp_path: Path, kind: str, there: bool) -> None:
    """Unless it was there before: `ls *.bams3` lists datasets."""
    if there:
        (tmp_path / "d.bams3").mkdir()
    with pytest.raises(Bams3Error):
        convert(damaged(source, kind), tmp_path / "d.bams3")
    assert held(open_storage(str(tmp_path))) == {}
    assert (tmp_path / "d.bams3").exists() == there


_KILLED = """
import os, signal, sys
from bams3.dataset import destination
from bams3.operations import convert
kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "write":
    convert.parts.commit = kill
elif sys.argv[3] == "rename":  # on a file system that can't exchange folders
    destination.exchange = lambda *_: False
    rename = os.rename
    os.rename = lambda old, new: rename(old, new) if new.endswith(".old") else kill()
else:
    destination._clear = kill
convert.convert(sys.argv[1], sys.argv[2], overwrite=True, level=1)
"""


@pytest.mark.parametrize("moment", ["write", "rename", "clear"])
def test_an_old_dataset_outlives_a_kill(source: Path, tmp_path: Path, moment: str) -> None:
    """And the next run begins where that left off: nothing of it stays."""
    dataset = tmp_path / "d.bams3"
    convert(source, dataset)
    old = held(open_storage(str(dataset)))
    command = [sys.executable, "-c", _KILLED, source, dataset, moment]
    assert subprocess.run(list(map(str, command))).returncode == -signal.SIGKILL
    there = {"write": dataset, "rename": Path(beside(str(dataset), "old")), "clear": dataset}[moment]
    assert (held(open_storage(str(there))) == old) == (moment != "clear")
    convert(source, dataset, overwrite=True)
    assert held(open_storage(str(tmp_path))) == {f"d.bams3/{path}": data for path, data in old.items()}


@pytest.mark.parametrize("name", [".nfs000000000020a1d2001b8b01", ".fuse_hidden0000000500000003"])
def test_what_a_file_system_keeps_for_a_reader_is_in_nobodys_way(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """NFS gives a file that somebody has open another name instead of removing it. It has no exchange of two folders,
    either."""
    monkeypatch.setattr("bams3.dataset.destination.exchange", lambda *_: False)
    dataset = tmp_path / "d.bams3"
    for _ in range(3):
        convert(source, dataset, overwrite=True)
        (dataset / "data/chr1" / name).touch()
    assert list(verify(DatasetReader(str(dataset)), strict=True)) == []
    append(dataset, [source])
    kept = list(tmp_path.rglob(name))
    assert len(kept) > 1
    for path in kept:
        path.unlink()
    convert(source, dataset, overwrite=True)
    assert {path.partition("/")[0] for path in held(open_storage(str(tmp_path)))} == {"d.bams3"}


def test_a_removal_that_is_interrupted_can_be_repeated(source: Path, tmp_path: Path, monkeypatch) -> None:
    convert(source, tmp_path / "d.bams3")
    there = survey(open_storage(str(tmp_path / "d.bams3")))
    monkeypatch.setattr(LocalStorage, "delete_all", lambda *_: fail("killed"))
    with pytest.raises(OSError, match="killed"):
        remove(there)
    monkeypatch.undo()
    remove(survey(open_storage(str(tmp_path / "d.bams3"))))
    assert held(open_storage(str(tmp_path))) == {}


def fail(what: str) -> None:
    raise OSError(what)


@pytest.mark.parametrize("way", ["overwrite", "batch, overwrite"])
def test_a_dataset_whose_manifest_is_gone_is_overwritten(source: Path, place: Storage, way: str) -> None:
    """Snakemake deletes it with --delete-all-output; the chunks still say whose they are."""
    convert(source, place.root)
    before = held(place)
    place.delete("_metadata.json")
    with pytest.raises(DatasetError):
        convert(source, place.root)
    convert(source, place.root, **WAYS[way])
    if "batch" in way:
        merge(place.root)
    assert held(place) == before


@pytest.mark.parametrize("way", ["overwrite", "batch, overwrite"])
@pytest.mark.parametrize("change", ["a file", "another chunk size", "other alignments"])
def test_what_may_not_be_the_dataset_whose_manifest_is_gone_stays(
    source: Path, place: Storage, tmp_path: Path, way: str, change: str
) -> None:
    convert(source, place.root, chunk_size="256K" if change == "another chunk size" else "1M")
    place.delete("_metadata.json")
    if change == "a file":
        place.put("data/chr1/notes", PRECIOUS)
    if change == "other alignments":
        import pysam

        pysam.samtools.reheader(
            "-c", "cat; echo '@CO	other'", str(source), save_stdout=str(tmp_path / "in.bam")
        )
        pysam.index(str(tmp_path / "in.bam"))
        source = tmp_path / "in.bam"
    before = held(place)
    with pytest.raises(DatasetError, match=r"_metadata.json, .* has been deleted; delete the rest"):
        convert(source, place.root, **WAYS[way])
    assert held(place) == before


def test_what_is_not_a_dataset_is_not_the_place_of_a_successor(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "d.bams3")
    foreign = tmp_path / ".d.bams3.new" / "data" / "x"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(PRECIOUS)
    with pytest.raises(DatasetError, match=r"\.d\.bams3\.new"):
        convert(source, tmp_path / "d.bams3", overwrite=True)
    assert foreign.read_bytes() == PRECIOUS


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"format": "other"}'])
@pytest.mark.parametrize("path", ["_metadata.json", "_parts/plan.json"])
def test_whose_a_place_is_that_can_not_be_read_is_not_known(
    source: Path, tmp_path: Path, damage: bytes, path: str
) -> None:
    (tmp_path / "d" / path).parent.mkdir(parents=True)
    (tmp_path / "d" / path).write_bytes(damage)
    for options in WAYS.values():
        with pytest.raises(DatasetError):
            convert(source, tmp_path / "d", **options)
    assert held(open_storage(str(tmp_path / "d"))) == {path: damage}


class CaselessStorage(LocalStorage):
    """A file system that does not tell upper case from lower case."""

    def exists(self, path: str) -> bool:
        return super().exists(path) or super().exists(path.lower())


@pytest.mark.parametrize(
    ("names", "caseless", "works"),
    [(("chr1", "CHR1"), True, False), (("chr1", "CHR1"), False, True), (("chr1", "chr2"), True, True)],
)
def test_contigs_that_differ_in_case(
    names: tuple[str, str], caseless: bool, works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = [hostile.good(ref, 5) for ref in (0, 1)]
    (tmp_path / "in.bam").write_bytes(hostile.bam(b"", [(name, 900) for name in names], reads))
    if caseless:
        monkeypatch.setattr("bams3.operations.convert.open_storage", CaselessStorage)
    if works:
        convert(tmp_path / "in.bam", tmp_path / "d")
        return
    with pytest.raises(DatasetError, match="chr1 and CHR1 differ only in case"):
        convert(tmp_path / "in.bam", tmp_path / "d")
    assert not [path for path in (tmp_path / "d").rglob("*") if path.is_file()]
