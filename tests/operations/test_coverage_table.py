"""The table of samtools coverage, byte for byte."""

from pathlib import Path

import pytest
from bams3.cli import main
from pileups import BAMS, CONTIGS, dataset_of, made, ours, theirs, words_of


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


REFUSED = {"-m": "coverage -m -", "-A": "-m -", "--plot-depth": "coverage -D -", "-w 5": "-m -", "-d 2": "with -d 0",
           "--min-depth 2": "bedcov -d N", "-b x": "one dataset"}  # fmt: skip


@pytest.mark.parametrize("options", REFUSED)
def test_options_that_are_refused(bam: str, options: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage-table", dataset_of(bam), *options.split()]) == 1
    assert REFUSED[options] in capfd.readouterr().err
