"""Reading record by record: damage on the way, leaving early, iterators side by side, threads."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pysam
import pytest
from alignments import busiest, texts
from bams3.api import dataset as api
from bams3.errors import FormatError

import bams3


@pytest.fixture
def damaged(real_dataset: Path, tmp_path: Path) -> api.Dataset:
    """A dataset whose chunks have a flipped byte in the middle."""
    copy = shutil.copytree(real_dataset, tmp_path / "damaged.bams3")
    for chunk in bams3.open(copy).chunks:
        data = bytearray(Path(chunk.path).read_bytes())
        data[len(data) // 2] ^= 1
        Path(chunk.path).write_bytes(data)
    return bams3.open(copy)


@pytest.mark.parametrize("workers", [1, 3])
def test_damage_met_while_fetching_is_raised(damaged: api.Dataset, workers: int) -> None:
    with pytest.raises(FormatError, match="damaged"):
        list(damaged.fetch(until_eof=True, workers=workers))


def test_damage_past_the_last_record_wanted_is_no_error(odd: Path, tmp_path: Path) -> None:
    copy = bams3.open(shutil.copytree(odd.with_suffix(".bams3"), tmp_path / "copy.bams3"))
    os.truncate(copy.chunks[1].path, 10)
    threads = set(threading.enumerate())
    records = copy.fetch()
    assert next(records).query_name == "r1"
    for feeding in set(threading.enumerate()) - threads:
        feeding.join()  # it has met the damage
    records.close()  # type: ignore[attr-defined]


def open_files() -> set[str]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # it is closed by now
            found.add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are counted by Linux's /proc")
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("how", ["break", "close", "error", "drop", "not started", "all"])
def test_leaving_fetch_early_leaves_nothing_behind(dataset: api.Dataset, workers: int, how: str) -> None:
    threads, files = set(threading.enumerate()), open_files()
    records = dataset.fetch(until_eof=True, workers=workers)
    if how == "break":
        for _ in records:
            break
    elif how == "error":
        with pytest.raises(ZeroDivisionError):
            [1 / 0 for _ in records]
    elif how == "all":
        assert sum(1 for _ in records) == dataset.stats["records"]
    elif how != "not started":
        next(records)
        if how == "close":
            records.close()  # type: ignore[attr-defined]
    del records
    assert set(threading.enumerate()) <= threads
    assert open_files() - files == set()


@pytest.mark.parametrize("workers", [1, 3])
def test_leaving_early_does_not_end_a_program_that_dies_of_sigpipe(
    dataset: api.Dataset, workers: int
) -> None:
    """As those do that print into `head` without a traceback."""
    if not hasattr(signal, "SIGPIPE"):
        pytest.skip("no SIGPIPE on this platform")
    code = (
        "import bams3, signal, sys\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
        "next(bams3.open(sys.argv[1]).fetch(until_eof=True, workers=int(sys.argv[2])))"
    )
    done = subprocess.run([sys.executable, "-c", code, dataset.uri, str(workers)], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_records_outlive_the_iterator(dataset: api.Dataset, bam: pysam.AlignmentFile) -> None:
    first = next(dataset.fetch())
    expected = next(bam.fetch())
    assert (first.to_string(), first.reference_name) == (expected.to_string(), expected.reference_name)


def test_two_iterators_side_by_side(dataset: api.Dataset) -> None:
    pairs = zip(dataset.fetch(), dataset.fetch(), strict=True)
    assert all(one.to_string() == other.to_string() for one, other in pairs)


def test_one_dataset_in_several_threads(bam: pysam.AlignmentFile, dataset: api.Dataset) -> None:
    contig = busiest(bam)
    starts = [record.reference_start for record in bam.fetch(contig)]
    starts = random.Random(4).choices(starts, k=16)

    def work(start: int) -> tuple[list[str], int, list[int], list[int]]:
        window = contig, start, start + 500
        return (
            texts(dataset.fetch(*window)),
            dataset.count(*window),
            dataset.coverage(*window).tolist(),
            dataset.query([window], ["mapq"])["mapq"].tolist(),
        )

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(work, starts))
    assert together == [work(start) for start in starts]
