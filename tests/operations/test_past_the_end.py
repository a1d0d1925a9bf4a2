"""Reads that start past their contig's end, as hts-specs' cigar.warn1 has them: kept, and found as samtools does."""

from pathlib import Path

import hostile
import pysam
import pytest
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from bams3.operations.convert import convert
from bams3.operations.merge import merge
from bams3.operations.verify import verify
from fuzz.mutate import edit_footer

PLACES = [
    (0, 100),
    (0, 999_990),
    (0, 1_100_000),
    (0, 5_000_000),
    (0, 500_000_000),
    (1, 5),
    (1, 700_000),
    (1, 2_000_000),
]


@pytest.fixture(scope="module")
def bam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("past") / "in.bam"
    records = [hostile.good(ref, pos, name=b"r%d" % i) for i, (ref, pos) in enumerate(PLACES)]
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    pysam.index(str(path))
    return path


def back(dataset: Path, bam: Path) -> bytes:
    assert main(["to-bam", "--overwrite", str(dataset), str(bam.with_name("back.bam"))]) == 0
    return pysam.samtools.view("-h", "--no-PG", str(bam.with_name("back.bam")))


@pytest.mark.parametrize("ways", ["whole", "batches", "sam", "windows"])
def test_they_come_back(bam: Path, tmp_path: Path, ways: str) -> None:
    dataset, source = tmp_path / "d.bams3", bam
    if ways == "sam":
        source = tmp_path / "in.sam"
        source.write_text(pysam.samtools.view("-h", "--no-PG", str(bam)))
    options = {
        "batches": [{"batch": (i, 3)} for i in (1, 2, 3)],
        "windows": [{"windows": each} for each in (["chr1:1-524288"], ["chr1:524289-1000000", "chr2"], ["_unplaced"])],
    }.get(ways, [{}])  # fmt: skip
    for each in options:
        convert(source, dataset, chunk_size="256K", **each)
    merge(dataset)
    assert back(dataset, bam) == pysam.samtools.view("-h", "--no-PG", str(bam))
    opened = DatasetReader(str(dataset))
    assert not list(verify(opened, bam))
    assert [entry.records for entry in opened.index] == [1, 4, 3]


@pytest.mark.parametrize(
    "region",
    ["chr1", "chr2", "chr1:999000-", "chr1:0-200", "chr1:0M-1k", "chr1:2000000-6000000", "chr1:1100000",
     "chr1:6000000-400000000", "chr2:6000-700010", "chr2:9000000"],
)  # fmt: skip
def test_queries_find_them(bam: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], region: str) -> None:
    convert(bam, tmp_path / "d.bams3", chunk_size="256K")
    for command in (["query"], ["query", "-c"]):
        assert main([*command, str(tmp_path / "d.bams3"), region]) == 0
        assert capfd.readouterr().out == pysam.samtools.view(*command[1:], str(bam), region)


def test_only_the_last_window_has_them(bam: Path, tmp_path: Path) -> None:
    convert(bam, tmp_path / "d.bams3", chunk_size="256K")
    path = tmp_path / "d.bams3/data/chr1/000786432-001048576.chunk"
    edit_footer(path, lambda footer: footer["references"][0].__setitem__(2, 1_100_000))
    assert main(["query", "-c", str(path)]) == 1
