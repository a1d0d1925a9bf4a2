"""A virtual BAM is the BAM: its bytes, its index, and what clients find by it."""

import gzip
import os
import random
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
from bams3.bridge.blocks import AROUND, FEW, LEAD, MOST, PAGE, Stored, lead_of, stored_size
from bams3.bridge.decoder import Decoder
from bams3.bridge.virtual_bam import VirtualBam, index_kind
from bams3.chunk import tiles
from bams3.chunk.row_group import RowGroup
from bams3.dataset.reader import DatasetReader
from bams3.errors import DatasetError, FormatError, UsageError
from bams3.operations.convert import convert
from bams3.output.alignments import bam_bytes
from bams3.select.query import RecordFilter, query
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from remote_datasets import asked
from virtual_bams import fetched, index_counts, places, whole, written

EXAMPLES = int(os.environ.get("BAMS3_EXAMPLES", "40"))


@pytest.fixture
def every_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups list all of their tiles, however few bytes these have."""
    monkeypatch.setattr(tiles, "LEAST_BYTES", 1)


@given(st.one_of(st.integers(0, 3 * MOST), st.integers(FEW - 2, FEW + 2)), st.booleans(), st.data())
def test_any_range_of_stored_blocks(size: int, apart: bool, data: st.DataObject) -> None:
    text = random.Random(size).randbytes(size)
    blocks = bytes(Stored(text, apart=apart))
    assert gzip.decompress(blocks) == text
    assert stored_size(size, apart=apart) == len(blocks)
    assert len(blocks) % PAGE == 0
    if apart:
        assert blocks.startswith(lead_of(size))
        assert len(lead_of(size)) > 15 * PAGE or size <= FEW
    start, end = sorted(data.draw(st.tuples(*2 * [st.integers(0, len(blocks))])))
    assert bytes(Stored(text, start, end, apart=apart)) == blocks[start:end]


SIZES = [(size, False) for size in (*range(MOST - 20, MOST + 20), *range(2 * MOST - 9, 2 * MOST + 9))]
SIZES += [(FEW + size, True) for size in (0, 1, 2, MOST - 1, MOST, MOST + 1, 2 * MOST, 2 * MOST + 1)]


@pytest.mark.parametrize(("size", "apart"), SIZES)
def test_lengths_of_blocks(size: int, apart: bool) -> None:
    """They fill pages, and each is as long as it says, which is at most 64 KiB."""
    blocks = bytes(Stored(bytes(size), apart=apart))
    at, found = 0, b""
    while at < len(blocks):
        length = int.from_bytes(blocks[at + 16 : at + 18], "little") + 1
        found += gzip.decompress(blocks[at : at + length])
        at += length
    assert found == bytes(size)
    assert at == len(blocks) == stored_size(size, apart=apart)
    assert at % PAGE == 0


def same_as_the_bam(original: Path, dataset: Path, folder: Path, regions: int) -> None:
    """Compare bytes, counts and the reads of random regions, with each kind of index that can describe them."""
    reader = DatasetReader(dataset)
    converted_back = b"".join(bam_bytes(query(reader, None, RecordFilter()), reader.header))
    assert gzip.decompress(whole(VirtualBam(reader))) == converted_back
    at = places(original, regions)
    try:
        pysam.index("-c", str(original))
    except pysam.SamtoolsError:
        return  # htslib cannot index it, such as two reads at −1
    wanted, counts = fetched(original, at), index_counts(original)
    for kind in {index_kind(reader), "csi"}:
        path = folder / f"{kind}.bam"
        written(dataset, path, kind)
        assert fetched(path, at) == wanted
        assert index_counts(path) == counts


def test_real_bams(real_bam: Path, real_dataset: Path, tmp_path: Path) -> None:
    same_as_the_bam(shutil.copy(real_bam, tmp_path), real_dataset, tmp_path, 50)


def test_many_row_groups(source: Path, local: Path, tmp_path: Path) -> None:
    assert sum(len(entry.row_groups) for entry in DatasetReader(local).index) > 4
    same_as_the_bam(shutil.copy(source, tmp_path), local, tmp_path, 50)


@pytest.mark.usefixtures("every_tile")
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile.bams())
def test_hostile_bams(bam: hostile.Bam) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.bam").write_bytes(bam.data())
        convert(folder / "in.bam", folder / "d.bams3", chunk_size="256K")
        same_as_the_bam(folder / "in.bam", folder / "d.bams3", folder, 5)


CASES = {
    "only a header": [],
    "nothing placed": [hostile.good(-1, -1, cigar=[])] * 3,
    "placed at −1": [hostile.good(0, -1), hostile.good(0, 3)],
    "placed and unmapped": [hostile.good(0, 3, flag=4), hostile.good(1, 7, flag=0), hostile.good(1, 9, flag=4)],
    "longer than a block": [hostile.record(ref=0, pos=9, cigar=[], sequence=b"A" * 300_000, quality=None)] * 2,
    "long reads of all lengths": [
        hostile.record(ref=0, pos=pos, flag=0, cigar=[(1, 0), (length, 3), (1, 0)], sequence=b"AC", quality=None)
        for pos in range(0, 500_000, 3000)
        for length in (1, 20_000, 70_000, 9 * pos % 400_000 + 1)
    ],
    "across all windows": [
        hostile.record(ref=0, pos=0, cigar=[(1, 0), (900_000, 3), (1, 0)], sequence=b"AC", quality=None),
        *(hostile.good(0, pos) for pos in range(100_000, 900_000, 1000)),
    ],
}  # fmt: skip


@pytest.mark.usefixtures("every_tile")
@pytest.mark.parametrize("case", CASES)
def test_odd_datasets(case: str, tmp_path: Path) -> None:
    (tmp_path / "in.bam").write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, CASES[case]))
    convert(tmp_path / "in.bam", tmp_path / "d.bams3", chunk_size="256K")
    same_as_the_bam(tmp_path / "in.bam", tmp_path / "d.bams3", tmp_path, 20)


@pytest.mark.usefixtures("every_tile")
@pytest.mark.parametrize(("length", "kind"), [(2**29 - 1, "bai"), (2**29, "csi"), (2**31 - 1, "csi")])
def test_contigs_that_bai_can_describe(length: int, kind: str, tmp_path: Path) -> None:
    header = f"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:{length}\n".encode()
    records = [hostile.good(0, pos) for pos in (5, length // 2, length - 100)]
    (tmp_path / "in.bam").write_bytes(hostile.bam(header, [("chr1", length)], records))
    convert(tmp_path / "in.bam", tmp_path / "d.bams3")
    dataset = DatasetReader(tmp_path / "d.bams3")
    assert index_kind(dataset) == kind
    same_as_the_bam(tmp_path / "in.bam", tmp_path / "d.bams3", tmp_path, 20)
    if kind == "csi":
        with pytest.raises(UsageError, match="use CSI"):
            VirtualBam(dataset).index("bai")


def block_of(offset: int, *, apart: bool) -> int:
    """Where the block begins that has a byte of stored data."""
    if not apart:
        return offset // MOST * (MOST + AROUND)
    return LEAD + AROUND + FEW + block_of(offset - FEW, apart=False) if offset >= FEW else 0


@pytest.mark.usefixtures("every_tile")
@pytest.mark.parametrize("kind", ["bai", "csi"])
def test_regions_lead_to_their_tile(kind: str, tmp_path: Path) -> None:
    """htslib reads no byte of the tiles before: here, they are zeros."""
    original, shown = tmp_path / "in.bam", tmp_path / "v.bam"
    long = {"sequence": b"AC" * 4000, "quality": None}
    records = [
        hostile.record(ref=0, pos=pos, flag=4 * (pos % 9 == 0), cigar=[(8000, 0)], **long)
        for pos in range(0, 500_000, 5000)
    ]
    original.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    pysam.index(str(original))
    convert(original, tmp_path / "d.bams3", chunk_size="256K")
    written(tmp_path / "d.bams3", shown, kind)
    dataset, data = DatasetReader(tmp_path / "d.bams3"), shown.read_bytes()
    bam, tried = VirtualBam(dataset), 0
    assert dataset.tiles
    for number in range(len(bam.row_groups.sizes)):
        first, _ = bam.place(number)
        for tile, _, reach in zip(*[iter(dataset.tiles[number])] * 3, strict=True):
            begin = first + block_of(reach, apart=number == 0)
            header = data[: bam.place(0)[0]]
            shown.write_bytes(header.ljust(begin, b"\0") + data[begin:])
            place = ("chr1", tile << 14, (tile << 14) + 100)
            with pysam.AlignmentFile(str(shown)) as file, pysam.AlignmentFile(str(original)) as whole_file:
                assert [*file.fetch(*place)] == [*whole_file.fetch(*place)]
            tried += begin > first
    assert tried > 20


@pytest.mark.parametrize("kind", ["bai", "csi"])
def test_regions_lead_to_their_row_group(kind: str, tmp_path: Path) -> None:
    """htslib reads no other one, also where unmapped reads have positions: here, the others are nothing but zeros."""
    original, shown = tmp_path / "in.bam", tmp_path / "v.bam"
    records = [hostile.good(0, pos, flag=4 * (pos % 9 == 0)) for pos in range(0, 900_000, 500)]
    original.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    pysam.index(str(original))
    convert(original, tmp_path / "d.bams3", chunk_size="256K")
    written(tmp_path / "d.bams3", shown, kind)
    bam, data = VirtualBam(DatasetReader(tmp_path / "d.bams3")), shown.read_bytes()
    zones = [zone for entry in DatasetReader(tmp_path / "d.bams3").index for zone in entry.zones]
    assert len(zones) == 4
    for number, zone in enumerate(zones):
        first, last = bam.place(number)
        header = data[: bam.place(0)[0]]
        zeros = (header.ljust(first, b"\0") + data[first:last]).ljust(len(data) - 28, b"\0")
        shown.write_bytes(zeros + hostile.END_OF_FILE)
        inside = [
            ("chr1", pos, pos + 1000) for pos in range(zone.min_pos + (1 << 14), zone.max_pos - 1500, 20_000)
        ]
        with pysam.AlignmentFile(str(shown)) as file, pysam.AlignmentFile(str(original)) as whole_file:
            for place in inside:
                assert [*file.fetch(*place)] == [*whole_file.fetch(*place)]


def test_random_reads_of_many_threads(local: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are slices of the whole; every row group is decoded once, whoever reads it."""
    decoded: list[str] = []
    block = RowGroup.block
    monkeypatch.setattr(RowGroup, "block", lambda group: decoded.append(group.name) or block(group))
    bam = VirtualBam(DatasetReader(local), Decoder(workers=2))

    def wrong(seed: int) -> list[tuple[int, int]]:
        chance = random.Random(seed)
        starts = [chance.randrange(bam.size + 10) for _ in range(50)]
        places = [(start, start + chance.choice([0, 1, 40, 70_000, 5_000_000])) for start in starts]
        return [(start, end) for start, end in places if bam.read(start, end - start) != data[start:end]]

    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(wrong, range(8))] == [[]] * 8
    groups = sum(len(entry.row_groups) for entry in DatasetReader(local).index)
    assert len(decoded) == len(set(decoded)) == groups
    assert len(data) == bam.size
    assert data.startswith(bam.header)


def test_memory_is_bounded_and_those_who_read_in_order_are_expected(local: Path) -> None:
    bam = VirtualBam(DatasetReader(local))
    data, sizes = whole(bam), [zone.bytes for entry in DatasetReader(local).index for zone in entry.zones]
    limit = 3 * max(sizes)
    decoder = Decoder(limit, workers=2)
    bounded = VirtualBam(DatasetReader(local), decoder)
    assert whole(bounded, 10_000) == data
    assert decoder.held <= limit
    starved = VirtualBam(DatasetReader(local), Decoder(1, workers=2))
    assert whole(starved) == data


def test_what_is_waited_for_takes_no_memory() -> None:
    """Many who wait for what is made leave in memory what others read; afterwards, what was used last stays."""
    begin = threading.Event()
    decoder: Decoder[str] = Decoder(2)
    assert [decoder.submit(key, 1, lambda key=key: key).result() for key in "ab"] == ["a", "b"]
    slow = [decoder.submit(key, 1, lambda key=key: begin.wait() and key) for key in "cde"]
    assert decoder.submit("c", 1, str) is slow[0]
    for key in "ab":
        assert decoder.submit(key, 1, str).result() == key
    begin.set()
    assert [each.result() for each in slow] == ["c", "d", "e"]
    assert [decoder.submit(key, 1, lambda: "again").result() for key in "ed"] == ["e", "d"]
    assert (decoder.submit("a", 1, lambda: "again").result(), decoder.held) == ("again", 2)


def test_what_is_read_once_in_order_is_not_kept(local: Path) -> None:
    """The kernel keeps it; who reads it again, or here and there, gets the same."""
    decoder = Decoder(workers=2)
    bam = VirtualBam(DatasetReader(local), decoder, once=True)
    data = whole(VirtualBam(DatasetReader(local)))
    assert whole(bam) == data
    assert 0 < decoder.held < sum(bam.row_groups.sizes)
    assert whole(bam, 10_000) == data
    start, end = bam.place(1)
    assert bam.read(start, end - start) == data[start:end]


def test_some_bytes_wait_for_one_row_group_alone(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They end with what precedes the first row group's records, with a row group, or with the file.

    Whoever reads a page of a small header has what Linux reads ahead, 64 KiB, without a row group being decoded."""
    bam = VirtualBam(DatasetReader(local))
    data, (start, end) = whole(bam), bam.place(0)
    first = start + len(lead_of(DatasetReader(local).index[0].zones[0].bytes))
    assert bam.read_some(first, len(data)) == data[first:end]
    assert bam.read_some(bam.size - 5, 100) == data[-5:]
    monkeypatch.setattr(RowGroup, "block", None)
    fresh = VirtualBam(DatasetReader(local))
    assert fresh.header == data[:start]
    assert fresh.read_some(3, len(data)) == fresh.at_hand(3, len(data)) == data[3:first]
    assert fresh.read_some(start + 7, len(data)) == data[start + 7 : first]
    assert fresh.read(0, 1 << 16) == data[: 1 << 16]


def test_row_groups_ahead(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the third row group in order, the fourth is decoded before it is asked for; at random, none is."""
    asked_for: list[Any] = []
    submit = Decoder.submit

    def noted(decoder: Decoder, key: Any, *rest: Any) -> Any:
        asked_for.append(key[1])
        return submit(decoder, key, *rest)

    monkeypatch.setattr(Decoder, "submit", noted)
    dataset = DatasetReader(local)
    bam = VirtualBam(dataset, Decoder(workers=2))
    starts = [bam.place(number)[1] - 1 for number in range(len(bam.row_groups.places))]
    for number, wanted in [
        (0, [0]),
        (4, [4]),
        (1, [1]),
        (2, [2, 3]),
        (3, [3, 4, 5]),
        (3, [3, 4, 5]),
        (0, [0]),
    ]:
        asked_for.clear()
        bam.read(starts[number], 1)
        assert asked_for == wanted
    starved = VirtualBam(dataset, Decoder(2, workers=2))
    asked_for.clear()
    for start in starts[:4]:
        starved.read(start, 1)
    assert asked_for == [0, 1, 2, 3]  # there is no room for more


def test_a_damaged_row_group_is_an_error_and_others_are_not(local: Path, tmp_path: Path) -> None:
    data = whole(VirtualBam(DatasetReader(local)))
    dataset = Path(shutil.copytree(local, tmp_path / "d.bams3"))
    entry = DatasetReader(dataset).index[0]
    chunk = bytearray((dataset / entry.path).read_bytes())
    chunk[20] ^= 1  # a cold stream of its first row group
    (dataset / entry.path).write_bytes(chunk)
    bam = VirtualBam(DatasetReader(dataset), Decoder(workers=2))
    start, end = bam.place(0)
    for _ in range(2):  # not kept
        with pytest.raises(FormatError, match=r"row group 0: stream .* is damaged"):
            bam.read(end - 10, 10)
    assert bam.read(0, start) == data[:start]
    assert bam.read(end, bam.size) == data[end:]
    (dataset / entry.path).write_bytes((local / entry.path).read_bytes())
    assert whole(bam) == data


def test_a_replaced_dataset_is_an_error(local: Path, small: Path, tmp_path: Path) -> None:
    dataset = Path(shutil.copytree(local, tmp_path / "d.bams3"))
    bam, same = VirtualBam(DatasetReader(dataset)), VirtualBam(DatasetReader(local))
    assert (same.etag, same.index("bai")) == (bam.etag, bam.index("bai"))
    half = bam.read(0, len(bam.header) + 1)
    convert(small, dataset, overwrite=True, chunk_size="512K")
    assert bam.read(0, len(half)) == half
    with pytest.raises(DatasetError, match="replaced after it had been opened"):
        bam.read(bam.size - 1000, 1000)
    fresh = VirtualBam(DatasetReader(dataset))
    assert fresh.etag != bam.etag
    assert fresh.modified == (dataset / "_metadata.json").stat().st_mtime


def test_only_what_is_read_is_fetched(remote: str, local: Path) -> None:
    """Opening takes the three documents; a read takes the row groups that it touches, and footers."""
    data = whole(VirtualBam(DatasetReader(local)))
    dataset = DatasetReader(remote)
    bam = VirtualBam(dataset)
    assert bam.index("bai") == VirtualBam(DatasetReader(local)).index("bai")
    assert bam.modified > 1e9
    zones = [zone for entry in dataset.index for zone in entry.zones]
    for number in (3, 0):
        end = bam.place(number)[1]
        portion, requests, received = asked(lambda end=end: bam.read(end - 1000, 1000))
        assert portion == data[end - 1000 : end]
        assert requests <= 3
        footer = max(entry.footer_bytes for entry in dataset.index)
        assert received <= (zones[number].hot + zones[number].cold) * 2 + footer
    assert whole(bam) == data


def test_row_groups_begin_blocks(local: Path) -> None:
    """The index has virtual offsets of block starts only: those of row groups."""
    bam = VirtualBam(DatasetReader(local))
    data = whole(bam)
    places = [bam.place(number) for number in range(len(bam.row_groups.places))]
    assert [len(bam.header), *(end for _, end in places)] == [*(start for start, _ in places), len(data) - 28]
    for start, end in places:
        records = gzip.decompress(data[start:end])
        assert 4 + int.from_bytes(records[:4], "little") <= len(records)
        assert data[start : start + 4] == b"\x1f\x8b\x08\x04"
    assert data[places[-1][1] :] == hostile.END_OF_FILE
