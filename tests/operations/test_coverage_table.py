"""The table of samtools coverage, byte for byte."""

from pathlib import Path

import pysam
import pytest
from bams3.cli import main
from pileups import BAMS, CONTIGS, dataset_of, made, ours, theirs, words_of

import bams3


@pytest.fixture(scope="module", params=BAMS)
def bam(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return made(request.param, tmp_path_factory.mktemp(request.param))


OPTIONS = [
    "", "-H", "-q 20", "-Q 13", "-Q 13 -q 7 -l 40", "-l 51", "--rf READ1", "--ff DUP", "--ff 0", "--rf 3 --ff 16",
    "-r 0", "-r 0:100-400 -Q 13", "-r 0:131000-131100", "-r 1:1-999999", "-r 2", "-r 2:5-9 -H", "-r 0:269995", "-d 0",
    "--ff 0 -r 0",
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS)
def test_equals_samtools(bam: str, options: str, tmp_path: Path) -> None:
    words = words_of(options, bam)
    expected = theirs("coverage-table", *words, bam, out=tmp_path / "theirs")
    assert ours("coverage-table", *words, dataset_of(bam), out=tmp_path / "ours") == expected


def test_lone_chunks(bam: str, tmp_path: Path) -> None:
    contig = CONTIGS[Path(bam).stem][0]
    chunks = map(str, Path(bam).with_suffix(".bams3").glob(f"data/{contig}/*.chunk"))
    expected = theirs("coverage-table", "-r", contig, bam, out=tmp_path / "theirs")
    assert ours("coverage-table", "-r", contig, *chunks, out=tmp_path / "ours") == expected


ODD = {
    "no contigs": "@HD\tVN:1.6\nr\t4\t*\t0\t0\t*\t*\t0\t0\tA\tI\n",
    "no extent": "@SQ\tSN:c\tLN:30\nr\t0\tc\t9\t60\t0M\t*\t0\t0\t*\t*\n",
    "clips alone": "@SQ\tSN:c\tLN:30\nr\t0\tc\t9\t60\t2S\t*\t0\t0\tAC\tII\n",
}


@pytest.mark.parametrize("what", ODD)
def test_odd_files(tmp_path: Path, what: str) -> None:
    bam, sam = tmp_path / "x.bam", tmp_path / "x.sam"
    sam.write_text(ODD[what])
    pysam.samtools.view("-b", "-o", str(bam), str(sam), catch_stdout=False)
    bams3.convert(bam, dataset_of(str(bam)))
    expected = theirs("coverage-table", str(bam), out=tmp_path / "theirs")
    assert ours("coverage-table", dataset_of(str(bam)), out=tmp_path / "ours") == expected


REFUSED = {"-m": "coverage -m -", "-A": "-m -", "--plot-depth": "coverage -D -", "-w 5": "-m -", "-d 2": "use -d 0",
           "--min-depth 2": "bedcov -d N", "-b x": "one dataset"}  # fmt: skip


@pytest.mark.parametrize("options", REFUSED)
def test_options_that_are_refused(bam: str, options: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage-table", dataset_of(bam), *options.split()]) == 1
    assert REFUSED[options] in capfd.readouterr().err
