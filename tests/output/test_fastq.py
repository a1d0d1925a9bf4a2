"""bams3 fastq: what `samtools collate | samtools fastq` makes of the same reads, byte for byte."""

import gzip
import os
import shlex
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import hostile
import pysam
import pytest
from bams3.bam.records import RecordBlock
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from bams3.select.query import RecordFilter, query, reads
from hypothesis import given, settings
from peers import DATA

import bams3

REGION = "q:3000-6000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Holds in.bam and d.bams3."""
    folder = tmp_path_factory.mktemp("fastq")
    shutil.copy(DATA / "illumina_chr22_NA12878.bam", folder / "in.bam")
    pysam.index(str(folder / "in.bam"))
    bams3.convert(folder / "in.bam", folder / "d.bams3", level=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


OPTIONS = [
    "", "-n", "-N", "-1 1 -2 2", "-1 1 -2 2 -0 0 -s s", "-1 1 -2 1 -s s", "-o p -s s", "-o p -n -0 0", "-o p.gz -c 6",
    "-1 1.fq.gz -2 2.fq.gz -0 /dev/null -s /dev/null -n", "-F 0", "-F 0 -o p -s s", "-F 0x904", "-F 2308 -s s",
    "-f 64", "-f 128 -s s", "--rf 20", "-G 80", "-f 64 -f 16", "-F 4 -F 0x900", "-G 64 -G 16", "--rf 4 --rf 64",
    "-t", "-T NM,MD", "-T * -n", "-T ''", "-O", "-o - -s s",
]  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    """The contents of files, inflated, by name."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    return {name: gzip.decompress(data) if name.endswith(".gz") else data for name, data in found.items()}


def named(words: list[str], folder: Path) -> list[str]:
    """Put the files that options name into a folder."""
    return [
        f"{folder}/{word}" if before in ("-1", "-2", "-0", "-s", "-o") and word[0] not in "/-" else word
        for before, word in zip(["", *words], words, strict=False)
    ]


@pytest.mark.parametrize("options", OPTIONS)
def test_options(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], options: str) -> None:
    """Of a region, which holds only one of some mates."""
    pysam.samtools.view("-b", "-M", "-o", str(tmp_path / "view.bam"), "in.bam", REGION, catch_stdout=False)
    compare(["d.bams3", REGION], tmp_path / "view.bam", shlex.split(options), tmp_path, capfd)


@pytest.mark.parametrize("name", ["illumina_wgs_NA12878", "nanopore_NA12878", "pacbio_hifi_basemods_HG002"])
def test_whole_datasets(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    bams3.convert(DATA / f"{name}.bam", tmp_path / "d.bams3", level=1)
    compare(
        [str(tmp_path / "d.bams3")], DATA / f"{name}.bam", ["-o", "p", "-s", "s", "-0", "0"], tmp_path, capfd
    )


def compare(
    ours: list[str], theirs: Path, words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Compare with samtools, byte for byte; and, without the option that sets the order, entry by entry."""
    collated, place = str(tmp_path / "collated.bam"), tmp_path / "theirs"
    place.mkdir()
    pysam.samtools.collate("-u", "-o", collated, str(theirs), catch_stdout=False)
    pysam.samtools.fastq(*named(words, place), collated, catch_stdout=False)
    printed, written = capfd.readouterr().out, files(place)
    place = tmp_path / "ours"
    place.mkdir()
    assert main(["fastq", ours[0], *named(words, place), *ours[1:]]) == 0
    assert tuple(capfd.readouterr()) == (printed, "")
    assert files(place) == written
    assert printed or any(written.values())


def test_large_datasets_take_more_files(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is another one; the entries are the same."""
    found = []
    for reads_in_memory in (1 << 20, 100, 1):
        monkeypatch.setattr("bams3.output.fastq._IN_MEMORY", reads_in_memory)
        assert main(["fastq", "-n", "-o", str(tmp_path / "p"), "-s", "/dev/null", "d.bams3"]) == 0
        lines = (tmp_path / "p").read_text().split("\n")
        found.append(list(zip(*[iter(lines)] * 8, strict=False)))  # two entries of four lines
        assert all(pair[0] == pair[4] for pair in found[-1][:3])
    assert sorted(found[0]) == sorted(found[1]) == sorted(found[2])
    assert found[0] != found[2]


REFUSED = {
    "-o p -1 x": "-o is short", "-0 x -s x": "each option a different one", "-o x -s x": "each option a different one",
    "-1 none/x": "none/x",
    "-1 d.bams3/x": "lies in the dataset", "-L x.bed -1 x.bed": "must not be overwritten", "-T": "expected one",
    "--index-format n2i2": "bams3 query -u DATASET | samtools collate",
}  # fmt: skip


@pytest.mark.parametrize("options", REFUSED)
def test_what_is_refused(folder: Path, capfd: pytest.CaptureFixture[str], options: str) -> None:
    Path("x.bed").write_text("chr22\t0\t5\n")
    before = sorted(os.listdir())
    assert main(["fastq", "d.bams3", *options.split()]) in (1, 2)
    assert REFUSED[options] in capfd.readouterr().err.splitlines()[-1]
    assert sorted(os.listdir()) == before
    assert Path("x.bed").read_text() == "chr22\t0\t5\n"


def test_damage_leaves_no_file(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    damaged = Path(shutil.copytree("d.bams3", tmp_path / "d.bams3"))
    chunk = next(damaged.rglob("*.chunk"))
    data = bytearray(chunk.read_bytes())
    for at in range(100, len(data) // 2, 1000):
        data[at] ^= 1
    chunk.write_bytes(data)
    assert main(["fastq", str(damaged), "-1", str(tmp_path / "1"), "-2", str(tmp_path / "2")]) == 1
    err = capfd.readouterr().err
    assert (chunk.name in err, err.count("\n")) == (True, 1)
    assert os.listdir(tmp_path) == ["d.bams3"]


def test_a_reader_may_leave_early(folder: Path) -> None:
    line = "set -o pipefail; bams3 fastq d.bams3 | head -n 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def fields(block: RecordBlock) -> Iterator[tuple[object, ...]]:
    """Names, FLAGs, lengths, and the bytes of bases and qualities."""
    data = bytes(block.data)
    for at in block.offsets[:-1]:
        name_length, operations, flag, l_seq = struct.unpack_from("<12xB3xHHi", data, at)
        bases = at + 36 + name_length + 4 * operations
        size = (l_seq + 1) // 2 + l_seq
        yield data[at + 36 : at + 36 + name_length], flag, l_seq, data[bases : bases + size]


@settings(max_examples=int(os.environ.get("BAMS3_EXAMPLES", "40")))
@given(hostile.bams())
def test_reads_are_those_of_the_records(bam: hostile.Bam) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.bam"
        path.write_bytes(bam.data())
        bams3.convert(path, path.with_suffix(".bams3"))
        dataset = DatasetReader(path.with_suffix(".bams3"))
        for chosen in (RecordFilter(), RecordFilter(exclude=16)):
            expected = [row for block in query(dataset, None, chosen) for row in fields(block)]
            found = list(reads(dataset, None, chosen))
            assert [row for block in found for row in fields(block)] == expected
            for block in found:
                assert struct.unpack_from("<4xii", bytes(block.data), block.offsets[0]) == (-1, -1)
