"""Batches of `bams3 markdup` in an object store, whatever faults there are: what one run on a disk gives."""

from pathlib import Path
from typing import Any

import hostile
import pytest
from bams3.dataset.reader import DatasetReader
from bams3.duplicates.options import Markdup
from bams3.errors import Bams3Error, DatasetError
from bams3.operations.convert import convert
from bams3.operations.markdup import markdup, merge_marked
from bams3.storage import open_storage
from duplicate_bams import mate
from listings import contents
from servers.faults import PASSING, Faults

FAULTS = {"503": 23, "lost": 23, "etag": 17, "403": 13, "expired": 13}
"""Kinds of faults, and at every how many requests each is made."""
OPTIONS = Markdup(remove=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the dataset source.bams3 of four chunks, and what one run on a disk makes of it."""
    folder = tmp_path_factory.mktemp("source")
    contigs = [("one", 700_000), ("two", 300)]
    text = b"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:one\tLN:700000\n@SQ\tSN:two\tLN:300\n"
    made = [mate(at + shift, 0, 3, b"%d" % at) for at in (20, 262_140, 524_280) for shift in (0, 0, 9)]
    made += [mate(50, 0, 3, b"x", 1), mate(50, 0, 3, b"y", 1)]
    records = sorted(made, key=hostile.coordinate)
    (folder / "x.bam").write_bytes(hostile.bam(text, contigs, records))
    convert(folder / "x.bam", folder / "source.bams3", chunk_size="256K")
    numbers = OPTIONS._replace(statistics=str(folder / "numbers.json"), json=True, command="x")
    markdup(folder / "source.bams3", folder / "marked.bams3", numbers)
    return folder


@pytest.fixture
def uri(source: Path, bucket: str) -> str:
    """The source in a new bucket."""
    for path, data in contents(source / "source.bams3").items():
        open_storage(f"{bucket}/source.bams3").put(path, data)
    return f"{bucket}/source.bams3"


def objects(uri: str) -> dict[str, bytes]:
    storage = open_storage(uri)
    return {path: storage.get(path) for path in storage.list()}


def test_batches_in_a_bucket(uri: str, bucket: str, source: Path) -> None:
    expected, target = contents(source / "marked.bams3"), f"{bucket}/marked.bams3"
    for number in (3, 1, 2):
        markdup(uri, target, OPTIONS, batch=(number, 3), verify=True)
        with pytest.raises(DatasetError):
            DatasetReader(target)
    merge_marked(target, f"{bucket}/numbers.json", "x")
    assert objects(target) == expected
    assert open_storage(bucket).get("numbers.json") == (source / "numbers.json").read_bytes()


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_at_each_request(
    kind: str, uri: str, bucket: str, source: Path, faults: Faults, tmp_path: Path
) -> None:
    """The part or the dataset, or one line; and then the command can be tried again."""
    expected, numbers = contents(source / "marked.bams3"), str(tmp_path / "numbers.json")
    for at in range([*FAULTS].index(kind) % 3, 99, FAULTS[kind]):
        target, made = f"{bucket}/{kind}{at}.bams3", False
        Path(numbers).unlink(missing_ok=True)
        markdup(uri, target, OPTIONS, batch=(1, 2))
        steps: list[Any] = [
            lambda again, to=target: markdup(uri, to, OPTIONS, batch=(2, 2), overwrite=again),
            lambda _, to=target: merge_marked(to, numbers, "x"),
        ]
        faults.arm(kind, at=at)
        for step in steps:
            failed: Exception | None = None
            try:
                step(False)
            except (Bams3Error, OSError) as error:
                failed = error
            made = faults.times == 0
            if failed:
                assert kind not in PASSING
                assert "\n" not in str(failed)
                faults.disarm()
                step(True)
        faults.disarm()
        if kind not in PASSING:
            merge_marked(target, numbers, "x")  # removes what could not be removed after the commit
        assert objects(target) == expected
        assert Path(numbers).read_bytes() == (source / "numbers.json").read_bytes()
        if not made:
            assert at > 20
            break
