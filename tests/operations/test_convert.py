"""Convert: what is refused, what is left behind, and going on after a stop."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hostile
import pysam
import pytest
from bams3.chunk import writer
from bams3.dataset.manifest import sealed
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, DatasetError, SourceError, UsageError
from bams3.operations.convert import convert
from bams3.operations.merge import merge
from bams3.parallel import limits, workers
from bams3.parallel.workers import worker_count
from conversions import KILLED, fails
from engines import run_bams3 as run
from listings import contents
from malformed import malformed
from peers import DATA


def no_dataset(path: Path) -> None:
    with pytest.raises(DatasetError):
        DatasetReader(path)


@pytest.fixture(scope="module")
def simple(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sorted, indexed BAM of two contigs and some reads with no position."""
    path = tmp_path_factory.mktemp("simple") / "simple.bam"
    records = [hostile.good(0, pos) for pos in range(0, 999_000, 37)]
    records += [hostile.good(1, pos) for pos in range(0, 4900, 7)]
    records += [hostile.good(-1, -1, flag=4, cigar=[])] * 1000
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    pysam.index(str(path))
    return path


@pytest.mark.parametrize(
    ("what", "data"), malformed(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_malformed_input_is_refused(what: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.bam"
    path.write_bytes(data)
    said = set()
    for threads in (1, 3):
        with pytest.raises(SourceError) as error:
            convert(path, tmp_path / "d.bams3", workers=threads)
        said.add(str(error.value))
        no_dataset(tmp_path / "d.bams3")
    assert len(said) == 1
    assert "\n" not in min(said)
    assert str(path) in min(said)
    assert path.read_bytes() == data


def test_the_first_fault_is_named_whatever_the_workers(tmp_path: Path) -> None:
    """A record out of order, and in another portion behind it a damaged block, a cut block, or both."""
    good = [hostile.good(0, pos) for pos in range(0, 500_000, 10)]
    late = hostile.good(0, 3, name=b"late")
    whole = hostile.bam(hostile.TEXT, hostile.CONTIGS, [*good, late, *good])
    damaged = whole[: len(whole) * 15 // 16] + b"damage" + whole[len(whole) * 15 // 16 + 6 :]
    path = tmp_path / "x.bam"
    for data in (whole, damaged, damaged[:-9], whole[:-9]):
        path.write_bytes(data)
        for threads in (1, 2, 5):
            with pytest.raises(SourceError, match=r"x\.bam: not sorted .* record 50001 \(late\)"):
                convert(path, tmp_path / "d.bams3", workers=threads)


def test_streams_that_do_not_fit_in_memory(simple: Path, tmp_path: Path, monkeypatch) -> None:
    convert(simple, tmp_path / "d.bams3")
    monkeypatch.setattr(writer, "SPILL", 100)
    convert(simple, tmp_path / "e.bams3")
    assert contents(tmp_path / "d.bams3") == contents(tmp_path / "e.bams3")


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_workers_changes_nothing(real_bam: Path, real_dataset: Path, tmp_path, threads) -> None:
    convert(real_bam, tmp_path / "d.bams3", workers=threads)
    assert contents(tmp_path / "d.bams3") == contents(real_dataset)


def test_unsorted_input_names_the_record_and_sort(tmp_path: Path) -> None:
    path = tmp_path / "unsorted.bam"
    path.write_bytes(
        hostile.bam(hostile.TEXT, hostile.CONTIGS, [hostile.good(pos=9), hostile.good(pos=5, name=b"late")])
    )
    line = fails(run("convert", path, tmp_path / "d.bams3"))
    assert "late" in line
    assert "--sort" in line
    assert run("convert", "--sort", path, tmp_path / "e.bams3").returncode == 0
    assert DatasetReader(tmp_path / "e.bams3").manifest.records == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--chunk-size", "3M"], "256K"),
        (["--workers", "0"], "workers"),
        (["--level", "99"], "level"),
        (["--batch", "1/2", "--window", "chr1"], "cannot be combined"),
        (["--window", "chr1:5-1000000"], "multiples of"),
        (["--window", "chr9"], "chr9"),
    ],
)
def test_options_that_do_not_fit(simple: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    assert says in fails(run("convert", *arguments, simple, tmp_path / "d.bams3"))
    no_dataset(tmp_path / "d.bams3")


def test_a_missing_file(tmp_path: Path) -> None:
    assert "nowhere.bam" in fails(run("convert", tmp_path / "nowhere.bam", tmp_path / "d.bams3"))
    assert not (tmp_path / "d.bams3").exists()


def test_an_existing_dataset_is_safe(simple: Path, tmp_path: Path) -> None:
    target = tmp_path / "d.bams3"
    convert(simple, target)
    before = contents(target)
    for options in ({}, {"resume": True}):
        with pytest.raises(DatasetError, match="overwrite"):
            convert(simple, target, **options)
    assert contents(target) == before
    convert(simple, target, overwrite=True, level=1)
    assert contents(target) != before


def test_overwrite_spares_what_is_not_ours(simple: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DatasetError, match=r"thesis\.tex"):
        convert(simple, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


def test_batches_make_the_same_dataset(simple: Path, tmp_path: Path) -> None:
    convert(simple, tmp_path / "whole.bams3", chunk_size="256K")
    for number in (3, 1, 2):
        convert(simple, tmp_path / "parts.bams3", chunk_size="256K", batch=(number, 3))
        no_dataset(tmp_path / "parts.bams3")
    merge(tmp_path / "parts.bams3")
    assert contents(tmp_path / "parts.bams3") == contents(tmp_path / "whole.bams3")
    merge(tmp_path / "parts.bams3")  # again: nothing to do


def test_a_batch_can_be_repeated(simple: Path, tmp_path: Path) -> None:
    """Only records that differ are written again, as of another file with the same header."""
    other, target = tmp_path / "other.bam", tmp_path / "d.bams3"
    other.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, [hostile.good(0, 5)]))
    pysam.index(str(other))
    convert(other, tmp_path / "whole.bams3")
    for source in (simple, simple, other):
        for number in (1, 2):
            convert(source, target, batch=(number, 2))
            before = contents(target)
            with pytest.raises(DatasetError, match="begun from another file"):
                convert(source, target, batch=(number, 2), level=1)
            assert contents(target) == before
    merge(target)
    assert contents(target) == contents(tmp_path / "whole.bams3")


@pytest.mark.parametrize("parts", [[["chr1", "_unplaced"], ["chr2:1-5000"]], [["."]]], ids=["two", "all"])
def test_windows_make_the_same_dataset(simple: Path, tmp_path: Path, parts: list[list[str]]) -> None:
    convert(simple, tmp_path / "whole.bams3")
    for windows in parts:
        convert(simple, tmp_path / "parts.bams3", windows=windows)
    merge(tmp_path / "parts.bams3")
    assert contents(tmp_path / "parts.bams3") == contents(tmp_path / "whole.bams3")


def test_real_batches(real_bam: Path, real_dataset: Path, tmp_path: Path) -> None:
    for number in range(1, 5):
        convert(real_bam, tmp_path / "parts.bams3", batch=(number, 4))
    merge(tmp_path / "parts.bams3")
    assert contents(tmp_path / "parts.bams3") == contents(real_dataset)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda d: (d / "_parts/000002-of-000002.json").unlink(), "not been converted yet"),
        (
            lambda d: shutil.copy(d / "_parts/000002-of-000002.json", d / "_parts/000009-of-000009.json"),
            "two parts",
        ),
        (lambda d: next(d.glob("data/chr2/*")).unlink(), "missing or incomplete"),
        (lambda d: os.truncate(next(d.glob("data/chr2/*")), 99), "missing or incomplete"),
        (lambda d: (d / "_parts/000002-of-000002.json").write_text("{"), "damaged part"),
        (lambda d: shutil.rmtree(d / "_parts"), "no parts"),
        (lambda d: (d / "_parts/plan.json").write_text("[]"), "damaged"),
    ],
)
def test_merge_says_what_is_missing(simple: Path, tmp_path: Path, spoil, says: str) -> None:
    target = tmp_path / "d.bams3"
    for number in (1, 2):
        convert(simple, target, chunk_size="256K", batch=(number, 2))
    spoil(target)
    assert says in fails(run("merge", target))
    no_dataset(target)


def test_parts_of_different_files_do_not_mix(simple: Path, tmp_path: Path) -> None:
    convert(simple, tmp_path / "d.bams3", batch=(1, 2))
    other = tmp_path / "other.bam"
    other.write_bytes(hostile.bam(b"@CO\tother\n" + hostile.TEXT, hostile.CONTIGS, [hostile.good()]))
    pysam.index(str(other))
    for source, options in ((other, {}), (simple, {"level": 9}), (simple, {"chunk_size": "8M"})):
        with pytest.raises(DatasetError, match="another"):
            convert(source, tmp_path / "d.bams3", batch=(2, 2), **options)
    for source, options in ((other, {}), (simple, {"level": 9})):
        convert(simple, tmp_path / "d.bams3", batch=(1, 2), overwrite=True)
        convert(source, tmp_path / "d.bams3", batch=(2, 2), overwrite=True, **options)
        assert "000001-of-000002.json: from a run of another source" in fails(
            run("merge", tmp_path / "d.bams3")
        )


def test_an_index_that_lacks_reads_is_found_out(simple: Path, tmp_path: Path) -> None:
    """The index counts the records of every contig; a part that has fewer does not become a dataset."""
    records = [hostile.good(0, pos) for pos in range(0, 90_000, 9)]
    path = tmp_path / "x.bam"
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    pysam.index(str(path))
    convert(path, tmp_path / "d.bams3", batch=(1, 1))
    part = tmp_path / "d.bams3/_parts/000001-of-000001.json"
    document = json.loads(part.read_text()) | {"source_counts": [[0, 10001]]}
    document.pop("crc32")
    part.write_bytes(sealed(document))
    with pytest.raises(DatasetError, match="10000 records of chr1"):
        merge(tmp_path / "d.bams3")


@pytest.mark.parametrize("file", [1, 2, 3, 5, 6, 7, 8])
def test_killed_and_resumed(tmp_path: Path, file: int) -> None:
    """kill -9 at any moment: no dataset; --resume finishes with the bytes of an undisturbed run."""
    path, target = tmp_path / "many.bam", tmp_path / "d.bams3"
    record = hostile.good(0, 0)
    records = [record[:8] + pos.to_bytes(4, "little") + record[12:] for pos in range(0, 900_000, 30)]
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    convert(path, tmp_path / "undisturbed.bams3", chunk_size="256K", level=8)
    options = ["--chunk-size", "256K", "--level", "8", "--workers", "1"]
    words = [sys.executable, "-c", KILLED, str(file), "convert", *options, str(path), str(target)]
    assert subprocess.run(words).returncode == -signal.SIGKILL
    no_dataset(target)
    assert run("convert", "--resume", *options, path, target).returncode == 0
    assert contents(target) == contents(tmp_path / "undisturbed.bams3")


def test_resume_does_not_trust_damage(simple: Path, tmp_path: Path) -> None:
    """Chunks that a stopped run left are taken only where every byte is right."""
    convert(simple, tmp_path / "good.bams3")
    convert(simple, tmp_path / "d.bams3", batch=(1, 1))
    for chunk in (tmp_path / "d.bams3/data").rglob("*.chunk"):
        data = bytearray(chunk.read_bytes())
        data[len(data) // 2] ^= 1
        chunk.write_bytes(data)
    convert(simple, tmp_path / "d.bams3", resume=True)
    assert contents(tmp_path / "d.bams3") == contents(tmp_path / "good.bams3")


@pytest.mark.parametrize("room", [100_000, 100])
def test_disk_full(tmp_path: Path, room: int) -> None:
    """A write that fails, of a chunk or of anything smaller, is one line, and no dataset."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    source = DATA / "illumina_chr22_NA12878.bam"
    line = fails(run("convert", source, tmp_path / "d.bams3", preexec_fn=limit))
    assert "File too large" in line
    assert str(tmp_path / "d.bams3") in line
    no_dataset(tmp_path / "d.bams3")
    assert not list((tmp_path / "d.bams3").rglob(".incomplete*"))


def test_numbers_of_workers() -> None:
    assert worker_count("3") == 3
    assert worker_count("auto") >= 1
    for wrong in ("0", "many", "-1"):
        with pytest.raises(UsageError):
            worker_count(wrong)


V1, V2 = "4:memory:/a/b\n2:cpu,cpuacct:/a/b\n0::/\n", "0::/a/b\n"
MACHINES = {
    "no limits": (V2, {}, (8, 10_240)),
    "no files": (None, {}, (8, 10_240)),
    "version 2": (V2, {"a/b/cpu.max": "250000 100000\n", "a/b/memory.max": "700\n"}, (2, 700)),
    "version 2, unlimited": (V2, {"a/b/cpu.max": "max 100000\n", "a/b/memory.max": "max\n"}, (8, 10_240)),
    "of a group above": (V2, {"a/cpu.max": "400000 100000\n", "a/b/cpu.max": "max 100000\n"}, (4, 10_240)),
    "less than a core": (V2, {"a/b/cpu.max": "50000 100000\n"}, (1, 10_240)),
    "a container's own root": (V2, {"cpu.max": "300000 100000\n", "memory.max": "9"}, (3, 9)),
    "version 1": (
        V1,
        {"cpu/a/b/cpu.cfs_quota_us": "300000", "cpu/a/b/cpu.cfs_period_us": "100000",
         "memory/a/memory.limit_in_bytes": "800"},
        (3, 800),
    ),
    "version 1, unlimited": (
        V1,
        {"cpu/a/b/cpu.cfs_quota_us": "-1", "cpu/a/b/cpu.cfs_period_us": "100000",
         "memory/a/b/memory.limit_in_bytes": "9223372036854771712"},
        (8, 10_240),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("own", "files", "expected"), MACHINES.values(), ids=MACHINES)
def test_limits_of_the_machine(own, files, expected, tmp_path: Path, monkeypatch, caplog) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal:  99 kB\nMemAvailable:  10 kB\n")
    if own is not None:
        (tmp_path / "proc/self/cgroup").write_text(own)
    for name, text in files.items():
        (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cgroup" / name).write_text(text)
    monkeypatch.setattr(limits, "PROC", tmp_path / "proc")
    monkeypatch.setattr(limits, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    cores, memory = expected
    assert limits.available_cores() == cores
    assert limits.available_memory() == memory
    monkeypatch.setattr(workers, "BASE_MEMORY", 50)
    monkeypatch.setattr(workers, "WORKER_MEMORY", 100)
    fitting = max(1, min(cores, (memory - 50) // 100))
    assert worker_count("auto") == fitting
    for count, warned in ((fitting, memory < 150), ((memory - 50) // 100 + 1, True)):
        caplog.clear()
        workers.warn_of_memory(max(count, 1))
        said = [record.getMessage().partition(" may")[0] for record in caplog.records]
        assert said == ["1 worker" if count < 2 else f"{count} workers"] * warned


def test_python_errors_are_ours(tmp_path: Path) -> None:
    with pytest.raises(Bams3Error):
        convert(tmp_path, tmp_path / "d.bams3")


def begun(source: Path, target: Path, count: int, **options) -> None:
    for number in range(1, count + 1):
        convert(source, target, batch=(number, count), overwrite=True, **options)


@pytest.mark.parametrize(
    "before",
    [
        lambda source, target: convert(source, target, chunk_size="256K"),
        lambda source, target: convert(source, target, chunk_size="256K", level=1),
        lambda source, target: convert(source, target, chunk_size="256K", level=1, batch=(1, 2)),
        lambda source, target: convert(source, target, chunk_size="512K", batch=(1, 3)),
        lambda source, target: convert(source, target, chunk_size="256K", windows=["chr1"]),
    ],
    ids=[
        "complete",
        "complete, other level",
        "begun, other level",
        "begun, other size",
        "a window",
    ],
)
def test_batches_are_converted_again_whatever_is_there(simple: Path, tmp_path: Path, before) -> None:
    convert(simple, tmp_path / "whole.bams3", chunk_size="256K")
    before(simple, tmp_path / "d.bams3")
    begun(simple, tmp_path / "d.bams3", 2, chunk_size="256K")
    no_dataset(tmp_path / "d.bams3")
    merge(tmp_path / "d.bams3")
    assert contents(tmp_path / "d.bams3") == contents(tmp_path / "whole.bams3")


def test_batches_at_the_same_time_leave_each_other_alone(simple: Path, tmp_path: Path) -> None:
    convert(simple, tmp_path / "whole.bams3", chunk_size="256K")
    convert(simple, tmp_path / "d.bams3", chunk_size="256K", level=1)
    options = {"chunk_size": "256K", "overwrite": True, "workers": 1}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: convert(simple, tmp_path / "d.bams3", batch=(n, 4), **options), range(1, 5)))
    merge(tmp_path / "d.bams3")
    assert contents(tmp_path / "d.bams3") == contents(tmp_path / "whole.bams3")


def test_a_batch_that_can_not_begin_leaves_the_dataset_whole(simple: Path, tmp_path: Path) -> None:
    convert(simple, tmp_path / "d.bams3")
    before = contents(tmp_path / "d.bams3")
    bad = tmp_path / "bad.bam"
    bad.write_bytes(simple.read_bytes()[:40])
    for source in (bad, tmp_path / "none.bam"):
        with pytest.raises(SourceError):
            convert(source, tmp_path / "d.bams3", batch=(1, 2), overwrite=True)
    assert contents(tmp_path / "d.bams3") == before
