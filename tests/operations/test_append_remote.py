"""bams3 append to a dataset in an object store: readers see the old dataset or the new one, whatever happens."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import pytest
from bams3.dataset import growth
from bams3.dataset.generations import split_path
from bams3.dataset.manifest import IN_GENERATIONS
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, DatasetError, FormatError
from bams3.operations.append import append
from bams3.operations.convert import convert
from bams3.operations.merge import merge_inputs
from bams3.operations.repair import repair
from bams3.operations.rewrite import rewrite
from bams3.operations.verify import verify
from bams3.storage import open_storage
from engines import run_bams3 as run
from forge import rewrite as rewrite_document
from listings import contents
from merging import CONTIGS, header
from reader.records import read_sam
from remote_datasets import asked, printed
from servers.faults import PASSING, Faults

SIZE: dict[str, Any] = {"chunk_size": "256K", "level": 1, "workers": 1}
RG = hostile.tag("RG", "Z", b"a")
PLACES = [(0, 7), (0, 262_144), (1, 1), (1, 800_000), (-1, -1)]
NEW = [(0, 9), (2, 3)]
TOUCHED = "data/c1/000000000-000262144.chunk"
BOTH = {"combine_read_groups": True, "combine_programs": True}


def made(folder: Path, name: str, places: list[tuple[int, int]]) -> Path:
    """A BAM with a record at each place."""
    records = [hostile.good(*place, tags=[RG]) for place in places]
    path = folder / f"{name}.bam"
    path.write_bytes(hostile.bam(header(CONTIGS, [b"a"], [b"p"]), CONTIGS, records))
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one.bam and two.bam, the dataset one.bams3, and merged.bams3 of both."""
    folder = tmp_path_factory.mktemp("inputs")
    convert(made(folder, "one", PLACES), folder / "one.bams3", **SIZE)
    merge_inputs([folder / "one.bams3", made(folder, "two", NEW)], folder / "merged.bams3", **SIZE)
    return folder


def put(folder: Path, uri: str) -> str:
    """Copy a dataset to a URI."""
    for path, data in contents(folder).items():
        open_storage(uri).put(path, data)
    return uri


def fetched(uri: str, folder: Path) -> Path:
    """Copy a dataset from a URI."""
    storage = open_storage(uri)
    for path in storage.list():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(storage.get(path))
    return folder


def objects(uri: str) -> dict[str, bytes]:
    storage = open_storage(uri)
    return {path: storage.get(path) for path in storage.list()}


def records_of(uri: Any) -> list[bytes]:
    reader = DatasetReader(uri)
    groups = (group for entry in reader.index for group in reader.chunk(entry).row_groups)
    return [bytes(group.block().data) for group in groups]


def test_it(inputs: Path, bucket: str, tmp_path: Path) -> None:
    uri = put(inputs / "one.bams3", f"{bucket}/one.bams3")
    append(uri, [inputs / "two.bam"], workers=1)
    assert list(verify(DatasetReader(uri), strict=True)) == []
    assert records_of(uri) == records_of(inputs / "merged.bams3")
