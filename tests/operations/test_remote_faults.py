"""Every fault at every request of whole commands: the right result, or one line that says what is wrong."""

from pathlib import Path
from typing import Any

import pytest
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from bams3.errors import DatasetError, FormatError
from bams3.storage import open_storage
from remote_datasets import REGION, files
from servers.faults import PASSING, Faults

import bams3

CONVERT = ["--chunk-size", "512K", "-@2", "{s}/in.bam", "{s}/out.bams3"]

# Command → its steps; {s} is the place in the store, with a dataset and a small BAM, {o} a directory of its own.
COMMANDS: dict[str, list[list[str]]] = {
    "query": [["query", "-h", "{s}/d.bams3", REGION, "chr2"]],
    "a file": [["query", "-e", "[NM] < 3", "-o", "{o}/out.bam", "{s}/d.bams3", REGION]],
    "count": [["query", "-c", "-e", "[NM] < 3", "-r", "a", "{s}/d.bams3", "chr1"]],
    "coverage": [["coverage", "--by", "1000", "-o", "{o}/out", "{s}/d.bams3"]],
    "rewrite": [["rewrite", "-@2", "{s}/s.bams3", "{s}/out.bams3"]],
    "merge": [["merge", "-c", "-p", "-@2", "{s}/s.bams3", "{s}/in.bam", "{s}/out.bams3"]],
    "convert": [*(["convert", "--batch", f"{i}/2", *CONVERT] for i in (1, 2)), ["merge", "{s}/out.bams3"]],
}

# Kinds of faults, and at how many requests one after another.
FAULTS = [("503", 3), *((kind, 1) for kind in (*PASSING[3:], "corrupt", "whole", "etag", "403", "expired"))]
MANY = {"convert": 5, "merge": 9, "rewrite": 9}
"""Commands with many requests: each request meets some of the faults, and each fault one of so many requests."""


def is_told(name: str, kind: str) -> bool:
    """May a fault be an error? Damage of a source is; that of a dataset is mended by reading again."""
    return kind not in PASSING and (kind, name in ("convert", "merge")) != ("corrupt", False)


@pytest.fixture
def place(remote: str, bucket: str, small: Path, faults: Faults) -> str:
    for path in (small, Path(f"{small}.bai")):
        open_storage(bucket).put(f"in{path.name[2:]}", path.read_bytes())
    for path, data in files(small.with_suffix(".bams3")).items():
        open_storage(f"{bucket}/s.bams3").put(path, data)
    return bucket


@pytest.mark.parametrize(("kind", "times"), FAULTS)
@pytest.mark.parametrize("name", COMMANDS)
def test_each_fault_at_each_request_of_a_command(
    name: str,
    kind: str,
    times: int,
    place: str,
    faults: Faults,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BAMS3_TIMEOUT", "0.5" if kind == "stall" else "60")

    def outcome(number: int) -> tuple[bool, Any, str, int]:
        """Did it go well, what it gave, what it said, and its requests, of which the `number`-th met the fault."""
        folder = tmp_path / str(number)
        folder.mkdir()
        storage = open_storage(place)
        storage.delete_all(storage.list("out.bams3"))
        faults.arm(kind if number else "", at=number - 1, times=times)
        steps = ([word.format(s=place, o=folder) for word in step] for step in COMMANDS[name])
        code = next((code for code in map(main, steps) if code), 0)
        requests, said = len(faults.disarm()), capfd.readouterr()
        return code == 0, (said.out, files(folder), made(place)), said.err, requests

    well, expected, *_ = outcome(0)
    assert well
    assert any(expected)
    step = MANY.get(name, 1)
    for number in range(1 + FAULTS.index((kind, times)) % step, 99, step):
        well, found, error, requests = outcome(number)
        if well:
            assert found == expected
            assert not error
        else:
            assert is_told(name, kind), error
            assert error.startswith("bams3 ")
            assert error.count("\n") == 1
            assert "Traceback" not in error
            assert not found[1]
            assert found[2] in (None, expected[2])
        if requests < number:
            assert number > 3
            return
    pytest.fail("endless requests")


def made(place: str) -> dict[str, bytes] | None:
    """The dataset that a command made, if it opens: all but its parts."""
    storage = open_storage(f"{place}/out.bams3")
    try:
        DatasetReader(storage.root)
    except DatasetError:
        return None
    return {path: storage.get(path) for path in storage.list() if not path.startswith("_parts/")}


def read_region(dataset: str) -> list[str]:
    return [str(read) for read in bams3.open(dataset).fetch(region=REGION)]


def read_coverage(dataset: str) -> Any:
    return [bams3.open(dataset).coverage(name).tolist() for name in ("chr1", "chr2")]


def test_damage_that_stays_is_refused(remote: str) -> None:
    storage, dataset = open_storage(remote), DatasetReader(remote)
    group = next(dataset.row_groups(0, 300_000, 300_001))
    data = bytearray(storage.get(group.chunk.path))
    data[group.cold[0] + 5] ^= 1
    storage.put(group.chunk.path, bytes(data))
    with pytest.raises(FormatError, match="damaged"):
        read_region(remote)
    assert len(read_coverage(remote)) == 2


def test_a_chunk_of_another_dataset_is_refused(remote: str) -> None:
    storage, (first, second, *_) = open_storage(remote), DatasetReader(remote).index
    storage.put(first.path, storage.get(second.path))
    with pytest.raises(FormatError, match="another dataset"):
        read_region(remote)
