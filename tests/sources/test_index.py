"""BAI and CSI: every record in exactly one window, and indexes that don't fit."""

import itertools
import os
import random
import shutil
import struct
from pathlib import Path

import hostile
import pysam
import pytest
from bams3.bam.records import RecordBlock
from bams3.errors import SourceError
from bams3.sources.bam import open_source
from bams3.sources.files import input_at
from bams3.sources.index import Index
from hypothesis import given, settings

KINDS = ["bai", "csi"]
LAST = 2**31 - 1


def raw(block: RecordBlock) -> bytes:
    return bytes(memoryview(block.data)[block.offsets[0] : block.offsets[len(block)]])


def records(blocks) -> bytes:
    return b"".join(map(raw, blocks))


def indexed(path: Path, kind: str) -> Path:
    """Makes an index beside the file `path`, and returns its path."""
    index = path.with_name(f"{path.name}.{kind}")
    pysam.index(*(["-c"] if kind == "csi" else ["-b"]), "-o", str(index), str(path))
    return index


def windows_of(length: int, cuts: list[int]) -> list[tuple[int, int]]:
    cuts = sorted({0, max(length, 1), *(cut for cut in cuts if 0 < cut < length)})
    return list(itertools.pairwise(cuts))


@pytest.mark.parametrize("kind", KINDS)
def test_each_record_is_in_one_window(real_bam: Path, kind: str) -> None:
    chance = random.Random(1)
    with open_source(str(real_bam), index=str(indexed(real_bam, kind))) as source:
        taken = []
        counts = source.counts()
        for reference_id, (_, length) in enumerate(source.header.references):
            cuts = [chance.randrange(length) for _ in range(5)]
            if any(counts.references[reference_id]):  # and where records begin
                starts = [read.reference_start for read in reads(real_bam, reference_id, 0, length)]
                cuts += chance.choices(starts, k=15)
            taken += [records(source.window(reference_id, *window)) for window in windows_of(length, cuts)]
        assert b"".join(taken) + records(source.unplaced()) == records(source.blocks())


def reads(path: Path, reference_id: int, start: int, end: int) -> list[pysam.AlignedSegment]:
    with pysam.AlignmentFile(str(path)) as file:
        found = file.fetch(tid=reference_id, start=start, end=end)
        return [read for read in found if start <= read.reference_start < end]


@pytest.mark.parametrize("kind", KINDS)
def test_windows_hold_what_pysam_finds(real_bam: Path, kind: str) -> None:
    chance = random.Random(2)
    with open_source(str(real_bam), index=str(indexed(real_bam, kind))) as source:
        filled = [i for i, counts in enumerate(source.counts().references) if any(counts)]
        places = [(i, read.reference_start) for i in filled for read in reads(real_bam, i, 0, LAST)]
        for reference_id, somewhere in chance.choices(places, k=30):
            start = max(0, somewhere - chance.randrange(50_000))
            end = start + 1 + chance.randrange(100_000)
            expected = [read.query_name for read in reads(real_bam, reference_id, start, end)]
            found = [name for block in source.window(reference_id, start, end) for name in names(block)]
            assert found == expected


def names(block: RecordBlock) -> list[str]:
    data = memoryview(block.data)
    return [bytes(data[at + 36 : at + 35 + data[at + 12]]).decode() for at in block.offsets[:-1]]


@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_those_of_idxstats(real_bam: Path, kind: str) -> None:
    index = indexed(real_bam, kind)
    with open_source(str(real_bam), index=str(index)) as source:
        counts = source.counts()
    table = [line.split("\t") for line in pysam.idxstats(str(real_bam)).splitlines()]
    assert counts.references == [(int(row[2]), int(row[3])) for row in table[:-1]]
    assert counts.unplaced == int(table[-1][3])


@pytest.mark.parametrize("kind", KINDS)
@given(bam=hostile.bams())
@settings(max_examples=40)
def test_hostile_files_by_window(
    tmp_path_factory: pytest.TempPathFactory, kind: str, bam: hostile.Bam
) -> None:
    path = tmp_path_factory.mktemp("hostile") / "x.bam"
    path.write_bytes(bam.data())
    try:
        indexed(path, kind)
    except pysam.SamtoolsError:
        return  # BAI ends at 2^29, and htslib refuses what it does not find valid
    with open_source(str(path)) as source:
        taken = [
            records(source.window(reference_id, *window))
            for reference_id, (_, length) in enumerate(bam.references)
            for window in windows_of(length, [1, 2**14, 2**17, 2**20, 2**29, length // 2])
        ]
        assert b"".join(taken) + records(source.unplaced()) == b"".join(bam.records)


CONTIGS = [("a", 1 << 20), ("b", 1000), ("c", 1 << 20)]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A BAM of many blocks on two of three references, with a BAI."""
    places = [(ref, pos) for ref in (0, 2) for pos in range(-1, 900_000, 300)]
    made = [hostile.record(ref=ref, pos=pos, name=b"%d" % pos) for ref, pos in places]
    made += [hostile.record(name=b"u%d" % i) for i in range(500)]
    path = tmp_path / "x.bam"
    path.write_bytes(hostile.bam(b"", CONTIGS, made, block=5000))
    indexed(path, "bai")
    return path


def all_windows(path: Path) -> int:
    with open_source(str(path)) as source:
        blocks = [block for ref in range(3) for block in source.window(ref, 0, 1 << 20)]
        return sum(map(len, [*blocks, *source.unplaced()]))


@pytest.mark.parametrize("name", ["x.bam.bai", "x.bai", "x.bam.csi", "x.csi"])
def test_indexes_are_found_beside_the_file(small: Path, name: str) -> None:
    index = small.with_name("x.bam.bai")
    content = indexed(small, "csi").read_bytes() if name.endswith("csi") else index.read_bytes()
    for other in small.parent.glob("*.?[as]i"):
        other.unlink()
    small.with_name(name).write_bytes(content)
    assert all_windows(small) == 2 * 3001 + 500


def test_without_an_index_windows_are_refused(small: Path) -> None:
    small.with_name("x.bam.bai").unlink()
    with open_source(str(small)) as source:
        assert source.counts() is None
        with pytest.raises(SourceError, match=r"needs an index; .* samtools index"):
            list(source.window(0, 0, 10))


def test_an_older_index_only_warns(small: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert all_windows(small) == 6502
    assert not caplog.records
    os.utime(small.with_name("x.bam.bai"), (1, 1))
    assert all_windows(small) == 6502
    assert [record.getMessage() for record in caplog.records] == [
        f"The index file is older than the data file: {small}.bai"
    ]


def test_an_index_of_a_file_with_other_references_is_refused(small: Path) -> None:
    with pytest.raises(SourceError, match="3 references, the BAM 4"):
        Index.open(input_at(str(small)), None, n_ref=4)


def test_an_index_that_points_beyond_the_file_is_refused(small: Path) -> None:
    small.write_bytes(small.read_bytes()[:-20_000])
    with pytest.raises(SourceError, match="beyond the end of the BAM"):
        all_windows(small)


FOREIGN = {
    "other blocks": lambda pos: {"name": b"longer%d" % (pos * 7919)},
    "fewer records": lambda pos: {"tags": [hostile.tag("XX", "Z", b"x" * 40)]},
}


@pytest.mark.parametrize("fields", FOREIGN.values(), ids=FOREIGN)
def test_an_index_of_another_file_is_refused(small: Path, tmp_path: Path, fields) -> None:
    other = tmp_path / "other.bam"
    made = [hostile.record(ref=0, pos=pos, **fields(pos)) for pos in range(0, 900_000, 100)]
    other.write_bytes(hostile.bam(b"", CONTIGS, made, block=4000))
    shutil.copy(small.with_name("x.bam.bai"), f"{other}.bai")
    with pytest.raises(SourceError, match=r"the index of another file|not the index of"):
        all_windows(other)


def bai(*references: bytes, magic: bytes = b"BAI\1", count: int | None = None) -> bytes:
    return magic + struct.pack("<i", len(references) if count is None else count) + b"".join(references)


EMPTY = struct.pack("<ii", 0, 0)
BROKEN = {
    "empty": b"",
    "another file": b"hello, world",
    "no references": bai()[:6],
    "fewer than it says": bai(EMPTY, count=2),
    "negative references": bai(count=-1),
    "negative bins": bai(struct.pack("<ii", -1, 0)),
    "negative chunks": bai(struct.pack("<iIii", 1, 4681, -1, 0)),
    "chunks past the end": bai(struct.pack("<iIi", 1, 4681, 1 << 30)),
    "negative intervals": bai(struct.pack("<ii", 0, -1)),
    "intervals past the end": bai(struct.pack("<ii", 0, 1 << 30)),
    "impossible bin": bai(struct.pack("<iIiQQi", 1, 40_000, 1, 0, 0, 0)),
    "CSI cut": b"CSI\1" + bytes(8),
    "CSI with impossible sizes": b"CSI\1" + struct.pack("<iiii", 14, 30, 0, 1) + EMPTY,
    "CSI with negative aux": b"CSI\1" + struct.pack("<iiii", 14, 5, -4, 1) + EMPTY,
}


def test_an_index_that_gives_the_records_of_another_reference_is_refused(small: Path) -> None:
    header, record = len(hostile.bam_header(b"", CONTIGS)), len(hostile.record(name=b"-1"))
    bins = struct.pack("<iIiQQi", 1, 0, 1, header, header + record, 0)  # the first record, of reference 0
    index = small.with_name("x.bam.bai")
    index.write_bytes(bai(bins, EMPTY, EMPTY))
    with open_source(str(small)) as source:
        assert sum(map(len, source.window(0, 0, 10))) == 1
        with pytest.raises(SourceError, match="not the index of"):
            list(source.unplaced())
    index.write_bytes(bai(EMPTY, bins, EMPTY))
    with open_source(str(small)) as source, pytest.raises(SourceError, match="not the index of"):
        list(source.window(1, 0, 10))


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_damaged_indexes_are_refused(data: bytes) -> None:
    with pytest.raises(SourceError, match=r"^x\.bai: .*recreate it with samtools index$"):
        Index("x.bai", data, n_ref=1, file_size=1000).chunks_for(0, 0, 1000)


def test_every_single_cut_of_an_index_is_noticed(small: Path) -> None:
    data = small.with_name("x.bam.bai").read_bytes()
    for end in range(len(data) - 8):  # the last 8 bytes, the count of unplaced records, may be missing
        with pytest.raises(SourceError):
            Index("x.bai", data[:end], n_ref=3, file_size=small.stat().st_size)
    assert Index("x.bai", data[:-8], n_ref=3, file_size=small.stat().st_size).n_no_coor is None
    assert Index("x.bai", data, n_ref=3, file_size=small.stat().st_size).n_no_coor == 500


def test_an_index_without_metadata_has_no_counts(small: Path) -> None:
    data = bai(struct.pack("<iIiQQi", 1, 4681, 1, 0, 500, 0), EMPTY)
    index = Index("x.bai", data, n_ref=2, file_size=1000)
    assert index.counts() is None
    assert index.unplaced_offset() == 500
    assert Index("x.bai", bai(EMPTY), n_ref=1, file_size=1000).unplaced_offset() is None


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_of_windows(tmp_path: Path, kind: str) -> None:
    """Records that compress alike: a window's size is in proportion to their number."""
    chance = random.Random(1)
    counts = {(0, 0): 4000, (0, 1): 0, (0, 2): 1000, (0, 3): 8000, (1, 0): 2000, (1, 1): 0, (-1, 0): 3000}
    size = 1 << 18
    path = tmp_path / "x.bam"
    made = [
        hostile.record(
            ref=ref,
            pos=window * size + i * 30 if ref >= 0 else -1,
            flag=4,
            tags=[hostile.tag("ZZ", "Z", chance.randbytes(99).hex().encode())],
        )
        for (ref, window), count in counts.items()
        for i in range(count)
    ]
    path.write_bytes(hostile.bam(b"", [("a", 4 * size), ("b", 2 * size)], made))
    windows = [(ref, window * size, (window + 1) * size) for ref, window in counts]
    with open_source(str(path), index=str(indexed(path, kind))) as source:
        sizes = source.sizes(windows)
    whole = path.stat().st_size
    for found, count in zip(sizes, counts.values(), strict=True):
        assert abs(found - whole * count / len(made)) < 0.03 * whole


def test_sizes_without_an_index(tmp_path: Path) -> None:
    path = tmp_path / "x.bam"
    path.write_bytes(hostile.bam(b"", [("a", 9)], []))
    with open_source(str(path)) as source:
        assert source.sizes([(0, 0, 9), (-1, 0, 0)]) == [0, 0]
