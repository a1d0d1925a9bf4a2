"""Walking over records, checking their order, cutting them at windows."""

import pickle
import re
import struct
from array import array
from pathlib import Path

import hostile
import pytest
from bams3.bam.flags import NAMES
from bams3.bam.header import Header, bytes_needed
from bams3.bam.records import RecordBlock, check_order, find_start, join, split_windows, walk
from bams3.errors import SourceError
from hypothesis import given
from hypothesis import strategies as st

import bams3

PACKAGE = Path(bams3.__file__).parent
LAST = 2**31 - 1


def block_of(*places: tuple[int, int]) -> RecordBlock:
    data = b"".join(hostile.record(ref=ref, pos=pos, name=b"r%d" % i) for i, (ref, pos) in enumerate(places))
    return walk(data, 10)[0]


def records_of(block: RecordBlock) -> list[bytes]:
    return [bytes(block.data[a:b]) for a, b in zip(block.offsets, block.offsets[1:], strict=False)]


@given(hostile.bams(), st.data())
def test_walk_finds_whole_records_wherever_the_buffer_ends(bam: hostile.Bam, draws: st.DataObject) -> None:
    data = b"".join(bam.records)
    end = draws.draw(st.integers(0, len(data)))
    block, used = walk(data[:end], len(bam.references))
    whole = records_of(block)
    assert whole == bam.records[: len(whole)]
    assert used == sum(map(len, whole)) <= end
    assert len(whole) == len(bam.records) or used + len(bam.records[len(whole)]) > end
    rest, used = walk(data, len(bam.references), used, len(whole))
    assert records_of(rest) == bam.records[len(whole) :]


def test_blocks_are_cut_joined_and_pickled() -> None:
    block = block_of(*((0, i) for i in range(10)))
    records = records_of(block)
    assert len(block) == 10
    assert block[3:7].data is block.data
    assert records_of(block[3:7][1:]) == records[4:7]
    assert (len(block[5:5]), len(block[7:3]), len(block[20:])) == (0, 0, 0)
    assert records_of(join([block[8:], block[:0], block[2:4]])) == records[8:] + records[2:4]
    assert len(join([])) == 0
    assert records_of(pickle.loads(pickle.dumps(block[3:7]))) == records[3:7]
    with pytest.raises(ValueError, match="offsets"):
        RecordBlock(b"", array("i", [0]))


def test_faults_name_the_record() -> None:
    data = hostile.record(name=b"first") + hostile.record(name=b"second", ref=3)
    with pytest.raises(SourceError, match=r"^record 12 \(second\): its reference id 3 .* has 3 references"):
        walk(data, 3, 0, 10)
    assert len(walk(data, 4)[0]) == 2


SPAN = {"ref": 0, "pos": LAST - 10, "sequence": b"A" * 4}
CG = hostile.tag("CG", "BI", [4 << 4 | 9])
FAULTS = {
    "pos is the largest": ({"ref": 0, "pos": LAST}, "position"),
    "mate's pos -2": ({"next_pos": -2}, "mate's position"),
    "end past 2^31 - 1": (SPAN | {"flag": 0, "cigar": [(4, 0), (8, 2)]}, "ends beyond"),
    "tag of type d": ({"tags": [b"XXd" + bytes(8)]}, "a tag's type"),
    "array of A": ({"tags": [b"XXBA" + struct.pack("<I", 1) + b"!"]}, "a tag's type"),
    "operation 9 in a long CIGAR": (SPAN | {"pos": 1, "cigar": [(4, 4), (4, 3)], "tags": [CG] * 2}, None),
    "operation 9 in the real CIGAR": (SPAN | {"pos": 1, "cigar": [(4, 4)], "tags": [CG]}, "an operation"),
}


@pytest.mark.parametrize(("fields", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_of_single_fields(fields: dict, message: str | None) -> None:
    record = hostile.record(**fields)
    if message is None:  # a CG tag shorter than the CIGAR replaces nothing, and is data like any other
        assert len(walk(record, 1)[0]) == 1
        return
    with pytest.raises(SourceError, match=message):
        walk(record, 1)


def test_the_largest_end_is_accepted() -> None:
    assert len(walk(hostile.record(**SPAN, flag=0, cigar=[(4, 0), (6, 2)]), 1)[0]) == 1
    unmapped = hostile.record(**SPAN, flag=4, cigar=[(4, 0), (9, 2)])  # which has no end
    assert len(walk(unmapped, 1)[0]) == 1


@given(st.binary(max_size=400))
def test_any_bytes_are_records_or_refused(data: bytes) -> None:
    try:
        block, used = walk(data, 5)
    except SourceError:
        return
    assert b"".join(records_of(block)) == data[:used]


@given(hostile.bams(max_records=3), st.data())
def test_one_changed_byte_is_harmless_or_refused(bam: hostile.Bam, draws: st.DataObject) -> None:
    data = bytearray(b"".join(bam.records)[:2000])
    if data:
        data[draws.draw(st.integers(0, len(data) - 1))] = draws.draw(st.integers(0, 255))
    test_any_bytes_are_records_or_refused.hypothesis.inner_test(bytes(data))


ORDERS = [
    ([(0, -1), (0, -1), (0, 0), (0, 5), (1, -1), (3, 2), (-1, 7), (-1, -1)], None),
    ([(0, 5), (0, 4)], r"record 2 \(r1\) is at chr1:5, after one at chr1:6"),
    ([(0, 5), (0, -1)], "record 2"),
    ([(0, 5), (1, 0), (0, 6)], r"record 3 \(r2\) is at chr1:7, after one at chr2:1"),
    ([(-1, -1), (2, 0)], "reference 2:1, after one at no reference"),
]


@pytest.mark.parametrize(("places", "message"), ORDERS)
@pytest.mark.parametrize("step", [1, 100])
def test_order_is_checked_across_blocks(places: list, message: str | None, step: int) -> None:
    block, last = block_of(*places), (0, -1)

    def check() -> None:
        nonlocal last
        for i in range(0, len(block), step):
            last = check_order(block[i : i + step], *last, i, [("chr1", 10), ("chr2", 10)])

    if message:
        with pytest.raises(SourceError, match=message):
            check()
    else:
        check()
        assert last == places[-1]
        assert check_order(block[:0], 4, 2) == (4, 2)


def test_runs_of_windows() -> None:
    block = block_of((0, -1), (0, 0), (0, 7), (0, 8), (0, 31), (1, 24), (1, LAST - 1), (-1, 5), (-1, 90))
    runs = [(0, 3, 0, 0), (3, 4, 0, 1), (4, 5, 0, 3), (5, 6, 1, 3), (6, 7, 1, (LAST - 1) >> 3), (7, 9, -1, 0)]
    assert split_windows(block, 3) == runs
    assert split_windows(block[4:6], 3) == [(0, 1, 0, 3), (1, 2, 1, 3)]
    assert split_windows(block[:0], 3) == []
    assert len(split_windows(block, 31)) == 3
    with pytest.raises(ValueError, match="2\\^32"):
        split_windows(block, 32)


PLACES = st.tuples(st.integers(-1, 2), st.integers(-1, 9))


@given(st.lists(PLACES, max_size=12), PLACES)
def test_find_start_bisects(places: list, wanted: tuple[int, int]) -> None:
    def key(place: tuple[int, int]) -> tuple[bool, int, int]:
        return place[0] < 0, *place

    places.sort(key=key)
    assert find_start(block_of(*places), *wanted) == sum(key(place) < key(wanted) for place in places)


@given(hostile.bams(max_records=0))
def test_headers_go_back_and_forth(bam: hostile.Bam) -> None:
    raw = hostile.bam_header(bam.text, bam.references)
    header = Header.from_bam(raw + b"more")
    assert header.to_bam() == raw
    assert (header.text, list(header.references)) == (bam.text, list(bam.references))
    assert [header.reference_id(name) for name, _ in bam.references] == list(range(len(bam.references)))
    assert bytes_needed(raw + b"more") == len(raw)
    for end in range(len(raw)):
        assert end < bytes_needed(raw[:end]) <= len(raw)


def test_headers_of_sam_text() -> None:
    text = b"@HD\tVN:1.6\n@SQ\tLN:10\tSN:HLA-A*01:01\r\n@CO\t@SQ\n@SQ\tSN:b\tLN:2147483647\tM5:x:y\n"
    header = Header.from_text(text)
    assert header.references == (("HLA-A*01:01", 10), ("b", LAST))
    for bad in (b"@SQ\tSN:a\n", b"@SQ\tLN:1\n", b"@SQ\tSN:a\tLN:x\n", b"@SQ\tSN:a\tLN:1\n" * 2):
        with pytest.raises(SourceError):
            Header.from_text(bad)


def test_names_of_references_are_unique_and_keep_their_bytes() -> None:
    raw = b"BAM\1" + struct.pack("<iiI2sii2si", 0, 2, 2, b"\xff\0", 5, 2, b"b\0", 6)
    assert Header.from_bam(raw).to_bam() == raw
    with pytest.raises(SourceError, match="two references named 'b'"):
        Header.from_bam(raw.replace(b"\xff", b"b"))


def test_kernels_know_the_same_flags() -> None:
    told = re.findall(
        r"^    ([A-Z0-9_]+) = (0x[0-9a-f]+)$", (PACKAGE / "bam" / "fields.pxd").read_text(), re.MULTILINE
    )
    assert {name: int(bit, 16) for name, bit in told} == NAMES
    assert list(NAMES.values()) == [1 << i for i in range(12)]
