"""The table of samtools coverage, byte for byte."""

import random
import re
from pathlib import Path

import pysam
import pytest
from bams3.cli import main
from bams3.dataset import layout
from bams3.dataset.reader import DatasetReader
from coverage_bams import OVERLAPS, write_bam
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


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> str:
    """So many contigs that short ones share row groups, a long one between them, with reads of every kind."""
    chance = random.Random(3)
    contigs = [
        (f"c{n}", 3_000_000 if n == 70 else chance.randrange(1, 600)) for n in range(layout.MANY_CONTIGS + 9)
    ]
    records = []
    for number, (name, length) in enumerate(contigs[:140]):
        for read in range(chance.choice((0, 1, 2, 9))):
            cigar = chance.choice(
                [each for pair in OVERLAPS for each in pair[1:]] + ["0M", "5S", "*", "3M0D0N2M"]
            )
            bases = "A" * sum(map(int, re.findall(r"(\d+)[MIS=X]", cigar))) or "*"
            qualities = "".join(chance.choices("!+5?I", k=len(bases)))
            qualities = "*" if bases == "*" or chance.random() < 0.2 else qualities
            flag, start = chance.choice((0, 0, 4, 16, 67, 256, 1024)), chance.randrange(1, length + 1)
            fields = f"r{read}", flag, name, start, chance.randrange(61), cigar, "*", 0, 0, bases, qualities
            records.append((number, "\t".join(map(str, fields)), start))
    path = tmp_path_factory.mktemp("assembly") / "assembly.bam"
    write_bam(path, tuple(contigs), records)
    bams3.convert(path, dataset_of(str(path)))
    assert any(len(entry.contigs) > 1 for entry in DatasetReader(dataset_of(str(path))).whole)
    return str(path)


@pytest.mark.parametrize("options", ["", "-q 20 -Q 13", "-l 51 --ff 0", "-r c3", "--rf 64", "-d 40 -Q 20"])
def test_contigs_that_share_row_groups(assembly: str, options: str, tmp_path: Path) -> None:
    expected = theirs("coverage-table", *options.split(), assembly, out=tmp_path / "theirs")
    assert ours("coverage-table", *options.split(), dataset_of(assembly), out=tmp_path / "ours") == expected


def test_depth_past_the_limit_on_a_contig_that_shares(
    assembly: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["coverage-table", dataset_of(assembly), "-d", "2"]) == 1
    assert "on c" in capfd.readouterr().err


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
