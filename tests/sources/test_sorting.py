"""Sorting: the order and the header of samtools sort, whatever the order of the input, and with little memory."""

import random
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
from bam_blocks import Records, records_of
from bams3.bam.records import walk
from bams3.errors import SourceError
from bams3.parallel.workers import Workers
from bams3.sources import runs, sorting
from bams3.sources.apart import joined, split
from bams3.sources.inputs import LateDisorderError
from bams3.sources.sorting import SortedSource, sorted_header
from hypothesis import given, settings
from hypothesis import strategies as st

AMPLE = 1 << 30


def ordered(source: Any, memory: int = AMPLE, **options: Any) -> bytes:
    with Workers(2) as pool:
        return records_of(SortedSource(source, memory, **options).blocks(pool.map))


def key(record: bytes) -> tuple[int, int, int]:
    """As samtools compares records."""
    ref, pos = struct.unpack_from("<Ii", record, 4)
    return ref, pos, struct.unpack_from("<H", record, 18)[0] >> 4 & 1


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of few records, many merges, and runs that are joined."""
    for module, name, value in (
        (runs, "STEP", 1), (sorting, "FRAME", 300), (sorting, "BLOCK", 500), (sorting, "MOST_RUNS", 3),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[list[tuple[str, int]], list[bytes]]:
    """Records in any order, many of them at the same places."""
    bam = draw(hostile.bams())
    more = draw(st.lists(st.sampled_from(bam.records), max_size=10)) if bam.records else []
    return bam.references, draw(st.permutations([*bam.records, *more]))


@given(shuffled(), st.integers(1, 9), st.sampled_from([1, 3000, AMPLE]))
@settings(max_examples=60, deadline=None)
@pytest.mark.usefixtures("_small")
def test_the_order_is_that_of_samtools(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[list[tuple[str, int]], list[bytes]], block: int, memory: int
) -> None:  # fmt: skip
    contigs, given_ = made
    path = tmp_path_factory.mktemp("sort") / "x.bam"
    path.write_bytes(hostile.bam(b"", contigs, given_))
    pysam.sort("-u", "--no-PG", "-o", f"{path}.sorted", str(path), catch_stdout=False)
    expected = _records_in(Path(f"{path}.sorted"))
    found = ordered(Records(given_, contigs, block), memory)
    assert found == b"".join(sorted(given_, key=key))
    assert _without_bins(found) == _without_bins(expected)


def _records_in(path: Path) -> bytes:
    from bams3.sources.bam import open_source

    with open_source(str(path)) as source:
        return records_of(source.blocks())


def _without_bins(records: bytes) -> bytes:
    """samtools computes them anew."""
    data, at = bytearray(records), 0
    while at < len(data):
        data[at + 14 : at + 16] = b"\0\0"
        at += 4 + struct.unpack_from("<I", data, at)[0]
    return bytes(data)


def record(number: int, ref: int, pos: int, flag: int = 0, size: int = 0) -> bytes:
    return hostile.record(ref=ref, pos=pos, flag=flag, name=b"%d" % number, sequence=b"A" * size)


PLACES = [(0, 5, 16), (0, 5, 0), (1, 2**30, 0), (1, 0, 4), (1, -1, 4), (-1, 7, 4), (-1, -1, 20), (-1, -1, 4),
          (0, 999, 0), (0, 1000, 0), (0, 1001, 0), (2, 0, 0), (2, 3, 16), (-1, 0, 4), (0, -1, 20)]  # fmt: skip
HOSTILE = {
    "nothing": [],
    "one": [(0, 5, 0)],
    "ties": 40 * [(0, 5, 0), (0, 5, 16)],
    "nowhere": 40 * [(-1, -1, 4)],
    "nowhere, but": 9 * [(-1, 7, 4), (-1, -1, 20), (-1, -1, 4)],
    "everywhere": 5 * PLACES,
    "backwards": [(1, pos, pos & 16) for pos in range(5_000_000, 0, -9999)],
    "in order": [(1, pos, 0) for pos in range(0, 5_000_000, 9999)],
}


@pytest.mark.parametrize("memory", [1, 2000, AMPLE])
@pytest.mark.parametrize("places", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.usefixtures("_small")
def test_ties_stay_in_the_order_of_the_input(places: list[tuple[int, int, int]], memory: int) -> None:
    made = [record(number, *place) for number, place in enumerate(places)]
    assert ordered(Records(made), memory) == b"".join(sorted(made, key=key))


@pytest.mark.usefixtures("_small")
def test_ties_do_not_wait_for_each_other() -> None:
    """However many there are, a few frames of them are in memory."""
    source = Records([record(number, -1, -1) for number in range(1000)])
    found = list(SortedSource(source, 20_000).blocks())
    assert max(map(len, found)) < 50


@pytest.mark.parametrize("memory", [100_000, 1_000_000, AMPLE])
def test_many_records_of_many_sizes(memory: int) -> None:
    """Some longer than a page, a frame and the memory; in one window, and all over."""
    rng = random.Random(memory)
    made = [
        record(
            number, *rng.choice([(1, rng.randrange(50)), (1, rng.randrange(5_000_000)), (-1, -1)]), size=size
        )
        for number, size in enumerate(rng.choices([0, 100, 5000, 300_000], [50, 50, 2, 0.05], k=10_000))
    ]
    assert ordered(Records(made, block=1000), memory) == b"".join(sorted(made, key=key))


def test_what_is_in_order_is_passed_on() -> None:
    source = Records(
        [record(0, 0, 5), record(1, 0, 5), record(2, 0, 5, 16), record(3, 1, 0)], block=1, once=False
    )
    found = list(SortedSource(source, AMPLE).blocks())
    assert all(ours is theirs for ours, theirs in zip(found, source.given, strict=True))


@pytest.mark.parametrize("late", [(0, 4, 0), (0, 5, 0)], ids=["position", "strand"])
def test_late_disorder_is_sorted_when_the_source_is_read_again(late: tuple[int, int, int]) -> None:
    made = [record(0, 0, 5, 16), record(1, *late)]
    source = SortedSource(Records(made, block=1, once=False), AMPLE)
    with pytest.raises(LateDisorderError):
        list(source.blocks())
    assert records_of(source.blocks()) == made[1] + made[0]
    source = SortedSource(Records(made, block=2, once=False), AMPLE)
    assert records_of(source.blocks()) == made[1] + made[0]  # nothing was passed on yet


HEADERS = [
    b"", b"@SQ\tSN:a\tLN:9\n", b"@HD\tVN:1.6\n@SQ\tSN:a\tLN:9\n", b"@HD\tVN:1.0\tSO:queryname\tzz:1\n@SQ\tSN:a\tLN:9\n",
    b"@HD\tVN:1.6\tSO:unsorted\tGO:query\n@SQ\tSN:a\tLN:9\n@CO\t@HD\tSO:unsorted\n",
    b"@HD\tVN:1.6\tGO:query\tSO:coordinate\tSS:coordinate:x\n@SQ\tSN:a\tLN:9\n@RG\tID:a\n",
    b"@SQ\tSN:a\tLN:9\n@HD\tVN:1.6\tSS:queryname:natural\tSO:queryname\n@PG\tID:p\n",
    b"@HD\tVN:1.6\tSS:a\tGO:q\tSO:q\tSO:x\n@SQ\tSN:a\tLN:9\n",
]  # fmt: skip


@pytest.mark.parametrize("text", HEADERS)
def test_the_header_is_that_of_samtools(tmp_path: Path, text: bytes) -> None:
    path, contigs = tmp_path / "x.bam", [("a", 9)] if text else []
    path.write_bytes(hostile.bam(text, contigs, []))
    pysam.sort("--no-PG", "-o", f"{path}.sorted", str(path), catch_stdout=False)
    from bams3.sources.bam import open_source

    with open_source(f"{path}.sorted") as expected, open_source(str(path)) as source:
        assert sorted_header(source.header) == expected.header
        assert sorted_header(expected.header) == expected.header


# Temporary files


@given(shuffled())
@settings(max_examples=20, deadline=None)
def test_what_is_taken_apart_is_joined(made: tuple[list[tuple[str, int]], list[bytes]]) -> None:
    for block in Records(made[1], made[0], 7).given:
        assert records_of([joined(*split(block))]) == records_of([block])
        assert records_of([joined(*split(block[1:]))]) == records_of([block[1:]])


@given(st.lists(st.binary(max_size=120), min_size=3, max_size=3), st.integers(0, 255), st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_what_does_not_fit_is_not_joined(parts: list[bytes], byte: int, at: int) -> None:
    """Nonsense, and records of which one byte or one part has changed."""
    whole = split(walk(b"".join(record(number, 0, 5, size=9) for number in range(4)), 1)[0])
    other = bytearray(whole[2])
    other[at % len(other)] = byte
    for given_ in (parts, (whole[0], whole[1], bytes(other)), (parts[0], *whole[1:]), (*whole[:2], parts[2])):
        with suppress(ValueError):
            assert sum(map(len, split(joined(*given_)))) == sum(map(len, given_))


SHUFFLED = [record(number, 1, number * 7919 % 5_000_000) for number in range(2000)]


def test_temporary_files_have_no_name(tmp_path: Path) -> None:
    blocks = SortedSource(Records(SHUFFLED), 50_000, str(tmp_path)).blocks()
    next(blocks)
    assert list(tmp_path.iterdir()) == []


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are written whenever they take more than they may."""
    sizes = []

    class Watched(sorting.Buckets):
        def take(self) -> Any:
            sizes.append(self.size)
            return super().take()

    monkeypatch.setattr(sorting, "Buckets", Watched)
    ordered(Records(SHUFFLED, block=10), 50_000)
    assert len(sizes) > 2
    assert 50_000 < max(sizes) < 60_000


def test_no_space_for_temporary_files_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs.tempfile, "TemporaryFile", lambda dir: open("/dev/full", "wb"))  # noqa: SIM115
    with pytest.raises(SourceError, match=rf"^x\.bam: .*{tmp_path}: No space left on device; .*--tmp-dir"):
        ordered(Records(SHUFFLED), 50_000, folder=str(tmp_path))


CHANGES = {
    "cut": lambda data: data[:-1],
    "another byte": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_temporary_file_that_changes_is_noticed(change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read = runs.os.pread
    monkeypatch.setattr(runs.os, "pread", lambda *place: change(read(*place)))
    with pytest.raises(SourceError, match=r"^x\.bam: .* has changed"):
        ordered(Records(SHUFFLED), 50_000)
