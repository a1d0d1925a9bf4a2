"""Lossless means bytes: what was converted comes back as it was, whatever it was."""

import gzip
import os
import subprocess
import tempfile
from pathlib import Path

import hostile
import pytest
from bams3.dataset.reader import DatasetReader
from bams3.operations.convert import convert
from bams3.operations.verify import verify
from bams3.output.alignments import write_alignments
from bams3.select.query import RecordFilter, query
from hypothesis import given, settings
from listings import contents


def inflated(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def round_trip(bam: Path, folder: Path, **options: object) -> DatasetReader:
    """Convert, verify, convert back, compare every byte."""
    convert(bam, folder / "d.bams3", workers=2, **options)
    dataset = DatasetReader(folder / "d.bams3")
    assert list(verify(dataset, bam)) == []
    blocks = query(dataset, None, RecordFilter())
    write_alignments(blocks, dataset.header, str(folder / "back.bam"), format="bam")
    assert inflated(folder / "back.bam") == inflated(bam)
    return dataset


@settings(max_examples=int(os.environ.get("BAMS3_EXAMPLES", "150")))
@given(hostile.bams())
def test_hostile_bams(bam: hostile.Bam) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.bam"
        path.write_bytes(bam.data())
        dataset = round_trip(path, Path(folder))
        assert dataset.manifest.records == len(bam.records)
        written = {item.relative_to(folder).parts[0] for item in Path(folder).rglob("*")}
        assert written == {"in.bam", "back.bam", "d.bams3"}


def test_real_bams(real_bam: Path, tmp_path: Path) -> None:
    round_trip(real_bam, tmp_path)


@pytest.mark.parametrize("chunk_size", ["256K", "8M"])
def test_chunk_sizes(chunk_size: str, tmp_path: Path) -> None:
    records = [hostile.good(0, pos) for pos in range(0, 999_000, 1111)]
    path = tmp_path / "in.bam"
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    dataset = round_trip(path, tmp_path, chunk_size=chunk_size)
    assert dataset.manifest.chunks == {"256K": 4, "8M": 1}[chunk_size]


def test_all_aligned_at_one_place(tmp_path: Path) -> None:
    """More records than a row group holds, all of one window: as an amplicon has them."""
    one = hostile.record(
        ref=0, pos=500, name=b"amplicon", cigar=[(10, 0)], sequence=b"ACGTACGTAC", quality=b"\x20" * 10
    )
    path = tmp_path / "in.bam"
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, [one] * 150_000))
    dataset = round_trip(path, tmp_path)
    (entry,) = dataset.index
    assert [group[0] for group in entry.row_groups] == [65536, 65536, 150_000 - 2 * 65536]


def test_row_groups_are_bounded_in_bytes(tmp_path: Path) -> None:
    long = hostile.record(ref=0, pos=9, cigar=[], sequence=b"A" * 3_000_000, quality=None)
    path = tmp_path / "in.bam"
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, [long] * 17))
    dataset = round_trip(path, tmp_path)
    assert [group[0] for group in dataset.index[0].row_groups] == [8, 8, 1]


def test_placed_reads_of_every_kind_stay_in_their_chunk(tmp_path: Path) -> None:
    records = [hostile.good(0, -1), hostile.good(0, 0), hostile.good(1, 0), hostile.good(-1, -1, cigar=[])]
    path = tmp_path / "in.bam"
    path.write_bytes(hostile.bam(hostile.TEXT, [("unmapped", 5000), ("../x", 5000)], records))
    dataset = round_trip(path, tmp_path)
    assert [entry.path for entry in dataset.index] == [
        "data/unmapped/000000000-001048576.chunk",
        "data/%2E.%2Fx/000000000-001048576.chunk",
        "data/_unplaced/000000.chunk",
    ]


def test_sam_and_standard_input(tmp_path: Path, samtools, real_bam: Path) -> None:
    """SAM and BAM from a pipe, told apart by content, give the same dataset as the file."""
    convert(real_bam, tmp_path / "file.bams3")
    for name, data in {
        "bam": real_bam.read_bytes(),
        "sam": samtools("view", "-h", "--no-PG", real_bam),
    }.items():
        command = ["bams3", "convert", "-", str(tmp_path / f"{name}.bams3")]
        subprocess.run(command, input=data, check=True)
    wanted = contents(tmp_path / "file.bams3")
    assert contents(tmp_path / "bam.bams3") == wanted
    # SAM has no integer widths: htslib chooses the smallest, which the BAM need not have.
    again = samtools("view", "--no-PG", "-h", "-O", "sam", real_bam)
    assert (
        subprocess.run(
            ["bams3", "query", "-h", str(tmp_path / "sam.bams3")], check=True, capture_output=True
        ).stdout
        == again
    )


def test_nothing_depends_on_workers_or_blocks(tmp_path: Path) -> None:
    """The same records in other BGZF blocks, with other workers: the same dataset to the byte."""
    records = [hostile.good(0, pos // 3) for pos in range(30_000)]
    for block, workers in ((65280, 1), (777, 3)):
        path = tmp_path / f"{workers}.bam"
        path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records, block))
        convert(path, tmp_path / f"{workers}.bams3", workers=workers)
    assert contents(tmp_path / "1.bams3") == contents(tmp_path / "3.bams3")
