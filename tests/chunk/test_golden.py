"""The golden datasets: later versions read them, and so does a reader of docs/format.md alone.

Never write them again: they are what earlier versions wrote. `small` has chunks of version 2, with 286 reads and names
in place of hashes. `contigs` has these too, a manifest of version 2, and 80 contigs, of which three have reads.
`shared` has a manifest and chunks of version 3: 4,200 contigs, most of which share windows. `hashed` has the records of
`contigs`, and a manifest of version 4, as `grown` has: 24 reads were appended to one of its chunks, the others name the
header before. `appended` has a manifest of version 6: 6 reads, then 3, were appended to `small` in an object store, so
it has chunks of three generations. `joined` has the records of `shared`, and a manifest of version 5, as `paced` has,
whose tags have the encoding of that name: kinetics and moves of both strands. `unlisted` is `joined` with hashed paths,
so it has a manifest of version 7. The others have chunks and a manifest of
version 1. `records` was made of SAM, with level 9 and windows of 256K. `edges` was made of BAM, with level 5; it has
unusual bins and paddings, a CIGAR of 66,000 operations, and 300 FLAGs.
"""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from bams3.operations import checksum
from bams3.operations.verify import verify
from peers import DATA
from reader.container import read_dataset, read_manifest
from reader.integers import name_hash
from reader.records import read_records, read_sam
from reader.sums import sums_of

import bams3

GOLDEN = DATA / "golden"
NAMES = ("records", "edges")
ALL = (*NAMES, "small", "contigs", "shared", "hashed", "grown", "appended", "joined", "paced", "unlisted")


def expected(name: str) -> bytes:
    return gzip.decompress((GOLDEN / f"{name}.sam.gz").read_bytes())


@pytest.mark.parametrize("name", ALL)
def test_this_version_reads_them(name: str) -> None:
    command = [sys.executable, "-m", "bams3", "query", "-h", str(GOLDEN / f"{name}.bams3")]
    assert subprocess.run(command, capture_output=True, check=True).stdout == expected(name)


@pytest.mark.parametrize("name", ALL)
def test_verify_passes(name: str) -> None:
    assert list(verify(DatasetReader(GOLDEN / f"{name}.bams3"))) == []


@pytest.mark.parametrize("name", ALL)
def test_the_document_alone_reads_them(name: str) -> None:
    """Every record has its checksum, which covers what SAM text does not show, and the text is that of samtools."""
    assert read_sam(GOLDEN / f"{name}.bams3") == expected(name)


@pytest.mark.parametrize("name", NAMES)
def test_sums_are_those_of_the_document(name: str, tmp_path: Path) -> None:
    """They are younger than these datasets, whose records are therefore converted again."""
    assert "sums" not in read_manifest(GOLDEN / f"{name}.bams3")
    assert main(["to-bam", str(GOLDEN / f"{name}.bams3"), str(tmp_path / "again.bam")]) == 0
    bams3.convert(tmp_path / "again.bam", tmp_path / "again.bams3")
    records = (
        records.bam(i)
        for _, records in read_records(tmp_path / "again.bams3")
        for i in range(len(records.pos))
    )
    sums = read_manifest(tmp_path / "again.bams3")["sums"]
    assert sums == sums_of(records)
    assert sums == checksum.sums_of(DatasetReader(GOLDEN / f"{name}.bams3")).to_json()


@pytest.mark.parametrize("name", ALL)
def test_borders_are_those_of_their_names(name: str) -> None:
    for _, records in read_records(GOLDEN / f"{name}.bams3"):
        assert all(name_hash(records.name[at]) == value for at, value in records.borders)


def test_they_use_every_codec() -> None:
    used = {
        entry[0]
        for name in NAMES
        for group in read_dataset(GOLDEN / f"{name}.bams3")[2]
        for entry in group.entry["streams"].values()
    }
    assert used == {"raw", "constant", "zstd", "rans0", "rans1", "planes"}


def test_the_reader_imports_nothing_of_the_package() -> None:
    for module in (Path(__file__).parents[1] / "reader").glob("*.py"):
        assert "import bams3" not in module.read_text()
        assert "from bams3" not in module.read_text()
