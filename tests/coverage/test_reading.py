"""What coverage reads from a disk, and that threads change nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from bams3.storage.local import LocalStorage
from peers import DATA

import bams3

Ranges = dict[str, list[tuple[int, int]]]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reading") / "d.bams3"
    bams3.convert(DATA / "illumina_wgs_NA12878.bam", path, level=1)
    return path


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ranges]:
    """The ranges that are read, by path."""
    found: Ranges = {}
    get_ranges = LocalStorage.get_ranges

    def noted(self: LocalStorage, path: str, wanted: list[tuple[int, int]]) -> object:
        found.setdefault(path, []).extend(wanted)
        return get_ranges(self, path, wanted)

    monkeypatch.setattr(LocalStorage, "get_ranges", noted)
    return found


# Options → whether MAPQ is read
READ = {"": False, "-Q 1": True, "-x": False, "-a": False, "-t 2": False, "-t 2 -Q 20": True}


@pytest.mark.parametrize("options", READ)
def test_mapq_is_read_if_it_is_filtered(dataset: Path, ranges: Ranges, tmp_path: Path, options: str) -> None:
    assert main(["coverage", "-n", *options.split(), "-o", str(tmp_path / "x"), str(dataset)]) == 0
    alone = 0
    for entry in DatasetReader(dataset).index:
        for group in DatasetReader(dataset).chunk(entry).row_groups:
            stream = group.entry.streams["mapq"]
            if stream.crc32 is not None:  # it does not share a checksum
                alone += 1
                end = stream.offset + stream.stored
                parts = [(start, start + length) for start, length in ranges[entry.path]]
                assert any(a < end and stream.offset < b for a, b in parts) == READ[options]
    assert alone > 1


@pytest.mark.parametrize("options", ["", "-x", "-a", "-n -Q 20 --by 500", "-c chrX -R 20FUK.1"])
def test_threads_change_nothing(dataset: Path, tmp_path: Path, options: str) -> None:
    for threads in ("0", "1", "3"):
        folder = tmp_path / threads
        folder.mkdir()
        words = ["coverage", *options.split(), "-t", threads, "-o", str(folder / "x"), str(dataset)]
        assert main(words) == 0
    files = {path.name: path.read_bytes() for path in (tmp_path / "1").iterdir()}
    assert len(files) > 1
    for threads in ("0", "3"):
        assert {path.name: path.read_bytes() for path in (tmp_path / threads).iterdir()} == files
