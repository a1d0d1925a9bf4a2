"""A function on each chunk, by threads and other executors; and the same regions in many datasets."""

import multiprocessing
import pickle
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from bams3.api import dataset as api
from engines import run_bams3 as run
from servers.awaited import until

import bams3


@pytest.fixture(scope="module")
def dataset(engine_dataset: Path) -> api.Dataset:
    return bams3.open(engine_dataset)


def names_of(chunk: api.Chunk) -> list[str]:
    return list(chunk.query("qname")["qname"])


def fail_on_some(chunk: api.Chunk, failed: Path) -> str:
    """Those of chr1 fail, the first only after another one; `failed` is there from then on."""
    start = chunk.window[0]
    if chunk.contig == "chr1":
        until(lambda: start or failed.exists())
        failed.touch()
        raise ValueError(f"fails at {start}")
    return chunk.path


class Plain:
    """An executor with nothing but `submit`, whose futures have nothing more than is promised to be needed.

    `most`: items that were submitted at a time, and whose results nobody had taken.
    """

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(3)
        self.lock = threading.Lock()
        self.under_way = self.most = 0

    def submit(self, function: Callable[[Any], Any], item: Any) -> Any:
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        return Promise(self, self.pool.submit(function, item))

    def __enter__(self) -> "Plain":
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()


class Promise:
    def __init__(self, owner: Plain, future: "Future[Any]") -> None:
        self._owner, self._future = owner, future

    def result(self) -> Any:
        with self._owner.lock:
            self._owner.under_way -= 1
        return self._future.result()

    def cancel(self) -> None:
        self._future.cancel()

    def add_done_callback(self, function: Callable[[Any], None]) -> None:
        self._future.add_done_callback(lambda _: function(self))


EXECUTORS: dict[str, Callable[[], Any]] = {
    "threads": lambda: ThreadPoolExecutor(2),
    "processes": lambda: ProcessPoolExecutor(2),
    "nothing but submit": Plain,
}


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_map_by_threads_of_its_own(dataset: api.Dataset, workers: int) -> None:
    expected = [names_of(bams3.read_chunk(chunk.path)) for chunk in dataset.chunks]
    assert list(dataset.map(names_of, workers=workers)) == expected
    unordered = list(dataset.map(names_of, workers=workers, ordered=False))
    assert sorted(unordered) == sorted(expected)
    assert sum(map(len, expected)) == dataset.stats["records"]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("kind", EXECUTORS)
def test_map_by_executors(dataset: api.Dataset, kind: str, ordered: bool) -> None:
    expected = [names_of(bams3.read_chunk(chunk.path)) for chunk in dataset.chunks]
    with EXECUTORS[kind]() as executor:
        found = list(dataset.map(names_of, workers=2, executor=executor, ordered=ordered))
        shards = [dataset.map(names_of, executor=executor, shard=(i, 3)) for i in (1, 2, 3)]
        assert [names for shard in shards for names in shard] == expected
    assert (found if ordered else sorted(found)) == (expected if ordered else sorted(expected))


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("workers", [1, 2])
def test_few_chunks_are_begun_ahead(dataset: api.Dataset, workers: int, ordered: bool) -> None:
    with Plain() as executor:
        results = dataset.map(names_of, workers=workers, executor=executor, ordered=ordered)
        assert executor.most == 0
        for _ in results:
            pass
    assert executor.most == 2 * workers + 1 < len(dataset.chunks)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("kind", [None, *EXECUTORS])
def test_the_first_error_is_raised(
    dataset: api.Dataset, kind: str | None, ordered: bool, tmp_path: Path
) -> None:
    """Not that which is met first."""
    executor = EXECUTORS[kind]() if kind else None
    fail = partial(fail_on_some, failed=tmp_path / "failed")
    with pytest.raises(ValueError, match=r"^fails at 0$"):
        list(dataset.map(fail, workers=3, executor=executor, ordered=ordered))
    if executor:
        executor.__exit__(None, None, None)


@pytest.mark.parametrize("ordered", [True, False])
def test_leaving_map_early_ends_its_threads(dataset: api.Dataset, ordered: bool) -> None:
    before = set(threading.enumerate())
    results = dataset.map(names_of, workers=3, ordered=ordered)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("shard", [(0, 1), (3, 2)])
def test_shards_that_there_are_not(dataset: api.Dataset, shard: tuple[int, int]) -> None:
    with pytest.raises(bams3.Bams3Error, match="use i/n"):
        dataset.map(names_of, shard=shard)


def test_a_pickled_chunk_is_where_it_is(dataset: api.Dataset, tmp_path: Path) -> None:
    chunk = bams3.read_chunk(dataset.chunks[0].path)
    names = names_of(chunk)
    data = pickle.dumps(chunk)
    assert len(data) < 1000 < Path(chunk.path).stat().st_size
    assert names_of(pickle.loads(data)) == names
    copy = shutil.copy(chunk.path, tmp_path / "x.chunk")
    data = pickle.dumps(bams3.read_chunk(copy))
    copy.unlink()
    with pytest.raises(bams3.Bams3Error, match=r"x\.chunk.*missing"):
        names_of(pickle.loads(data))


# Many datasets


@pytest.mark.parametrize("workers", [1, 3])
def test_query_of_many_datasets(
    dataset: api.Dataset, engine_dataset: Path, tmp_path: Path, workers: int
) -> None:
    copy = shutil.copytree(engine_dataset, tmp_path / "copy.bams3")
    datasets = [dataset, copy, str(engine_dataset)]
    regions = ["chr2:1-5k", ("chr1", 0, 300_000), "_unplaced"]
    options: dict[str, Any] = {"fields": ["qname", "mapq"], "min_mapq": 20}
    tables = list(bams3.query_parallel(datasets, regions, workers, **options))
    expected = [dataset.query(region, **options) for _, region in product(datasets, regions)]
    assert [table["qname"].tolist() for table in tables] == [table["qname"].tolist() for table in expected]
    assert tables[1].records > 100


def test_query_of_many_tells_at_once_what_is_missing(dataset: api.Dataset, tmp_path: Path) -> None:
    with pytest.raises(bams3.Bams3Error, match="'chr9'"):
        bams3.query_parallel([dataset, dataset], ["chr1", "chr9"])
    with pytest.raises(bams3.Bams3Error, match="not a bams3 dataset"):
        bams3.query_parallel([dataset, tmp_path], ["chr1"])


def test_chunks_in_object_storage(remote: str, local: Path) -> None:
    """By processes, which are told the chunks' URIs, and by commands."""
    here = bams3.open(local)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        found = list(bams3.open(remote).map(names_of, workers=2, executor=executor))
    assert found == list(here.map(names_of))
    sam, own = (run("map", place, "--", "cat; echo {sample} {region}") for place in (remote, local))
    assert (sam.returncode, sam.stderr, sam.stdout) == (0, "", own.stdout)
    uris = run("chunks", "--format", "uri", remote).stdout.split()
    assert [bams3.read_chunk(uri).records for uri in uris] == [chunk.records for chunk in here.chunks]


def test_forked_processes_do_not_wait_for_ever_for_object_storage(remote: str) -> None:
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=fork) as executor, pytest.raises(bams3.Bams3Error, match="spawn"):
        list(bams3.open(remote).map(names_of, executor=executor))
