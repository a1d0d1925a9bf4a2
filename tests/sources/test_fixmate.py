"""Mending templates: what samtools fixmate -m and samtools sort make, byte for byte."""

from array import array
from collections.abc import Sequence
from pathlib import Path

import hostile
import pysam
import pytest
from bam_blocks import Records, open_source_of, records_of
from bams3.bam.fixmate import mended
from bams3.bam.header import Header
from bams3.bam.records import walk
from bams3.errors import SourceError
from bams3.sources import fixmate
from bams3.sources.bam import open_source
from bams3.sources.fixmate import FixmateSource
from bams3.sources.sorting import SortedSource
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import real_bams
from templates import CASES, CONTIGS, case, templates

REFUSED = b"refused"


def mended_by_samtools(path: Path) -> bytes:
    """The records of a BAM, mended and sorted; REFUSED if that fails."""
    try:
        pysam.samtools.fixmate("-m", "-u", "--no-PG", str(path), f"{path}.mended")
        pysam.samtools.sort("-u", "--no-PG", "-o", f"{path}.sorted", f"{path}.mended", catch_stdout=False)
    except pysam.SamtoolsError:
        return REFUSED
    with open_source(f"{path}.sorted") as source:
        return records_of(source.blocks())


def mended_by_us(made: Sequence[bytes], block: int = 3) -> bytes:
    return records_of(SortedSource(FixmateSource(Records(made, CONTIGS, block)), 1 << 30).blocks())


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "templates.bam"


def check(made: Sequence[bytes], block: int, path: Path) -> None:
    path.write_bytes(hostile.bam(b"", CONTIGS, made))
    expected = mended_by_samtools(path)
    if expected == REFUSED:
        with pytest.raises(SourceError):
            mended_by_us(made, block)
    else:
        assert mended_by_us(made, block) == expected


@pytest.mark.parametrize("name", CASES)
def test_a_template(name: str, path: Path) -> None:
    check(case(name), 1, path)


@given(made=templates(), block=st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_any_templates(made: list[bytes], block: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    check(made, block, tmp_path_factory.getbasetemp() / "templates.bam")


def test_blocks_may_end_anywhere(path: Path) -> None:
    """As all cases together do, most of which fit into a block, and some of which take several."""
    made = [record for name in CASES for record in case(name) if len(record) < 1000]
    expected = mended_by_us(made, len(made))
    assert {block: mended_by_us(made, block) == expected for block in (1, 2, 3, 7)} == dict.fromkeys(
        (1, 2, 3, 7), True
    )
    assert len(expected) > sum(map(len, made))


@pytest.mark.parametrize("bam", real_bams(), ids=lambda path: path.name)
def test_a_real_bam(bam: Path, tmp_path: Path) -> None:
    made = tmp_path / "x.bam"
    pysam.samtools.collate(
        "-u", "--no-PG", "-o", str(made), str(bam), str(tmp_path / "t"), catch_stdout=False
    )
    with open_source_of(made.read_bytes()) as source:
        assert records_of(SortedSource(FixmateSource(source), 1 << 30).blocks()) == mended_by_samtools(made)


HEADERS = [b"", b"@HD\tVN:1.6\tSO:unsorted\tGO:query\n", b"@HD\tVN:1.6\tSO:queryname\n", b"@HD\tVN:1.6\n",
           b"@HD\tVN:1.6\tSO:coordinate\n", b"@HD\tVN:1.6\tGO:none\tSO:coordinate", b"@HD\tVN:1.6\tSO:coordinate\0\0",
           b"@CO\tSO:coordinate\n", b"@CO\t@HD\tSO:coordinate\n", b"@HD\tVN:1.6\tSO:unknown\n"]  # fmt: skip


@pytest.mark.parametrize("text", HEADERS)
def test_what_says_that_it_is_sorted_is_refused(text: bytes, path: Path) -> None:
    path.write_bytes(hostile.bam(text, CONTIGS, []))
    source = Records([])
    source.header = Header(text, tuple(CONTIGS))
    if mended_by_samtools(path) == REFUSED:
        with pytest.raises(
            SourceError, match=r"^x\.bam: its header says that it is sorted .* samtools collate"
        ):
            FixmateSource(source)
    else:
        assert list(FixmateSource(source).blocks()) == []


WIDE = [1 << 4, 1 << 4 | 1] * 33_000 + [(2**28 - 1) << 4 | 3, 9 << 4]
IN_CG = {"cigar": [(66_009, 4), (9, 3)], "tags": [hostile.tag("CG", "BI", WIDE)]}
UNFIT = {
    "its CIGAR, shortened to end within its reference": {"pos": 970, "cigar": [(25, 0), (9, 2), (25, 0)]},
    "BAM can't hold its CIGAR": {"ref": 2, "sequence": b"A" * 66_009, "quality": None} | IN_CG,
}


@pytest.mark.parametrize("message", UNFIT)
def test_a_record_that_can_not_be_written_is_refused(message: str, path: Path) -> None:
    made = [hostile.good(name=b"t", **UNFIT[message])]
    with pytest.raises(SourceError, match=rf"^x\.bam: read t: {message}"):
        mended_by_us(made)
    path.write_bytes(hostile.bam(b"", CONTIGS, made))
    assert mended_by_samtools(path) == REFUSED


def test_a_record_and_the_tags_of_a_template_may_be_so_large() -> None:
    pair = case("a pair")

    def size(**limits: int) -> int:
        lengths = array("i", [length for _, length in CONTIGS])
        return len(records_of([mended([walk(b"".join(pair), len(CONTIGS))[0]], lengths, **limits)]))

    record, tags = size() // 2, size() - len(b"".join(pair))
    assert size(longest=record - 4, most=tags) == size()
    with pytest.raises(SourceError, match=r"^read a_pair: .* larger than a BAM record can be"):
        size(longest=record - 5)
    with pytest.raises(SourceError, match=r"^read a_pair: too many reads have this name"):
        size(most=tags - 1)


def test_a_template_may_take_so_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [record for number in range(60) for record in 2 * [hostile.good(name=b"%d" % number)]]
    monkeypatch.setattr(fixmate, "MOST", 2 * (fixmate.READ + len(made[-1])))
    mended_by_us(made)
    with pytest.raises(SourceError, match=r"^x\.bam: reads with the same name take more than"):
        mended_by_us([*made, made[-1]])
