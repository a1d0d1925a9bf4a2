"""Jobs are planned for what exists: windows with reads, chunks, and the regions of a query."""

from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
from bams3.bam.regions import parse_regions
from bams3.dataset.layout import Grid
from bams3.dataset.reader import DatasetReader
from bams3.operations.convert import convert
from bams3.operations.merge import merge
from bams3.select.query import RecordFilter, batch, query
from bams3.storage import open_storage
from bams3.workflow.batches import batches_of, count_touched, query_batches_of, remove_others
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.internals import Run
from bams3.workflow.places import Places
from workflows import CONFIG, commands, planned, write_sheet  # noqa: F401 (a fixture)

CONTIGS = [("chr1", 2_500_000), ("chr2", 1000), ("chr3", 600_000), ("chr4", 0)]
WINDOWS = Grid(CONTIGS, 1 << 18)  # 10 + 1 + 3 + 1 windows, and that of reads with no position
READS = [(0, 5), (0, 6), (0, 1_900_000), (2, 599_999), (3, 0)]
HELD = 4
ONE_EACH = {"chunks_per_batch": 1}


def bam_of(path: Path, places: list[tuple[int, int]]) -> Path:
    """A BAM with a read at each place, and its index."""
    text = "@HD\tVN:1.6\tSO:coordinate\n" + "".join(
        f"@SQ\tSN:{name}\tLN:{length}\n" for name, length in CONTIGS
    )
    records = [hostile.good(*place) for place in places]
    path.write_bytes(hostile.bam(text.encode(), CONTIGS, records))
    pysam.index(str(path))
    return path


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bam_of(tmp_path_factory.mktemp("sparse") / "in.bam", READS)


@pytest.fixture(scope="module")
def dataset(sparse: Path) -> Path:
    """It is converted by its planned batches, each of which has one chunk."""
    out = sparse.with_suffix(".bams3")
    for number in range(1, HELD + 1):
        before = len(list(out.rglob("*.chunk")))
        convert(sparse, out, chunk_size="256K", batch=(number, HELD))
        assert len(list(out.rglob("*.chunk"))) == before + 1
    merge(out)
    return out


def count(row: dict[str, Any], settings: dict[str, Any] = ONE_EACH, run: Run = Run()) -> int:  # noqa: B008
    return len(batches_of({"sample": "S1"} | row, settings, WINDOWS, Places(run)))


def test_batches_hold_something(sparse: Path, dataset: Path, tmp_path: Path):
    assert count({"alignments": str(sparse)}) == count({"dataset": str(dataset)}) == HELD
    assert count({"alignments": str(sparse)}, {"chunks_per_batch": 3}) == 2
    empty = bam_of(tmp_path / "empty.bam", [])
    assert count({"alignments": str(empty)}) == 1
    unplaced = bam_of(tmp_path / "unplaced.bam", [*READS, (-1, -1)])
    assert count({"alignments": str(unplaced)}) == HELD + 1


def test_all_windows_count_where_the_index_can_not_be_known(sparse: Path, dataset: Path, tmp_path: Path):
    """It is made by a rule, perhaps one that is yet to be read, as datasets are; it is not local; it does not tell."""
    made = Run(makes=lambda file: file.endswith(".bai"))
    for row, run in (
        ({"alignments": str(sparse)}, made),
        ({"alignments": str(sparse)}, Run(is_module=True)),
        ({"dataset": str(dataset)}, Run(is_module=True)),
        ({"alignments": "s3://bucket/x.bam"}, Run()),
        ({"alignments": str(sparse), "index": "s3://bucket/x.bai"}, Run()),
    ):
        assert count(row, run=run) == len(WINDOWS)
    spoilt = tmp_path / "in.bam.bai"
    spoilt.write_bytes(b"BAI\1")
    with pytest.raises(ConfigurationError, match=r"^sample S1: .*in.bam.bai: the index is truncated"):
        count({"alignments": str(sparse), "index": str(spoilt)})


@pytest.mark.parametrize(
    ("regions", "touched"),
    [
        (["chr1:1-10"], 1),
        (["chr1:1-10", "chr1:500-600", "chr2"], 2),
        (["chr1:262144-262145"], 2),
        (["chr1:262145-262145", "chr1:262144-262144"], 2),
        (["chr1"], 10),
        (["chr1:2000000-9000000"], 3),
        (["chr3", "chr4", "_unplaced"], 5),
        (["."], 16),
    ],
)
def test_windows_that_regions_overlap(regions: list[str], touched: int):
    assert count_touched({"regions": regions}, CONTIGS, WINDOWS, Places(Run())) == touched


def test_windows_that_a_bed_file_overlaps(tmp_path: Path):
    bed = tmp_path / "x.bed"
    bed.write_text("chr1\t0\t10\nchr9\t0\t10\nchr1\t262143\t262145\nchr3\t5\t5\n")
    assert count_touched({"bed": str(bed)}, CONTIGS, WINDOWS, Places(Run())) == 3
    made = Places(Run(makes=bool))
    assert count_touched({"bed": str(bed)}, CONTIGS, WINDOWS, made) == len(WINDOWS)


@pytest.mark.parametrize(
    ("chunks", "touched", "expected"),
    [(1, 2, 2), (1, 9, 4), (2, 3, 2), ("auto", 2, 2), ("auto", 9, 4), (1, 0, 1)],
)
def test_batches_of_a_query(chunks: int | str, touched: int, expected: int):
    found = query_batches_of(["a", "b", "c", "d"], {"chunks_per_batch": chunks}, touched)
    assert found == [f"{number:06d}-of-{expected:06d}" for number in range(1, expected + 1)]


@pytest.mark.parametrize("regions", [["chr1:1-6", "chr4", "chr1:1900001"], ["chr2"], ["chr1"], None])
def test_batches_are_of_the_chunks_that_a_query_reads(dataset: Path, regions: list[str] | None):
    reader = DatasetReader(dataset)
    wanted = parse_regions(regions, CONTIGS) if regions else None
    everything = RecordFilter()
    whole = b"".join(bytes(block.data) for block in query(reader, wanted, everything))
    for of in (1, 2, 3, 5):
        parts = [
            b"".join(bytes(block.data) for block in query(part, wanted, everything))
            for part in (batch(reader, wanted, everything, number, of) for number in range(1, of + 1))
        ]
        assert b"".join(parts) == whole
        filled = [bool(part) for part in parts]
        assert filled == sorted(filled, reverse=True)  # no batch is empty before one that is not
    assert bool(whole) == (regions != ["chr2"])


def test_a_plan_has_jobs_for_what_exists(sparse: Path, tmp_path: Path, commands: dict[str, str]):  # noqa: F811
    write_sheet(tmp_path, ("S1", str(sparse)))
    config = CONFIG | {"convert": ONE_EACH | {"chunk_size": "256K"}}
    sections = {"query": {"regions": ["chr1:1-10", "chr2"]}, "process": {"command": "touch {output}"}}
    jobs = planned(tmp_path, config | sections)
    expected = {"convert_batch": HELD, "merge_parts": 1, "process_batch": HELD}
    assert jobs == expected | {"query_batch": 2, "gather_query": 1}


@pytest.mark.parametrize("place", ["disk", "bucket"])
def test_results_of_other_batches_go(place: str, tmp_path: Path, request: pytest.FixtureRequest):
    folder = open_storage(str(tmp_path) if place == "disk" else request.getfixturevalue(place))
    kept = [
        "000001-of-000002/a.txt",
        "000002-of-000002/b/c.txt",
        "mine/000001-of-000001/a.txt",
        "000001-of-000001",
    ]
    for path in [
        *kept,
        "000001-of-000001x/a",
        "000001-of-000003/a.txt",
        "000003-of-000003/b/c.txt",
        "000001-of-100002/a",
    ]:
        folder.put(path, b"x")
    remove_others(folder.root, "000002-of-000002")
    assert sorted(folder.list()) == sorted([*kept, "000001-of-000001x/a"])
