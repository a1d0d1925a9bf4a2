"""Depth as samtools depth prints it, byte for byte."""

from pathlib import Path

import pytest
from bams3.cli import main
from coverage_bams import pileup_bam
from pileups import BAMS, CONTIGS, dataset_of, made, ours, theirs, words_of

import bams3


@pytest.fixture(scope="module", params=BAMS)
def bam(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = made(request.param, tmp_path_factory.mktemp(request.param))
    a, b, c = CONTIGS[request.param]
    rows = [
        (a, 100, 400),
        (a, 200, 250),
        (b, 131_000, 131_200),
        (a, 131_000, 131_090),
        (c, 60, 60),
        (c, 70, 160),
    ]
    rows += [(a, 269_000, 270_300), (a, 130_900, 131_001), ("nowhere", 1, 2), (b, 0, 40)]
    Path(path).with_suffix(".bed").write_text("".join(f"{x}\t{y}\t{z}\tname {y}\n" for x, y, z in rows))
    return path


OPTIONS = [
    "", "-a", "-aa -H", "-J", "-s", "-s -J -Q 8", "-q 13", "-q 13 -J", "-q 300", "-Q 20 -a", "-l 40", "-l 30 -g DUP",
    "-b BED", "-b BED -a", "-b BED -aa", "-b BED -s -q 13", "-r 0", "-r 0:131,000-131,100 -s", "-r 0:131000-131100 -a",
    "-r 0:269995 -q 20", "-r 0:1-1,000,000", "-a -r 0:1-1000", "-r 2 -aa", "-r 2:40-110 -a", "-r 1:1-20 -b BED -a",
    "-g UNMAP,DUP,SECONDARY,QCFAIL -s", "-G 16 -G READ2", "-g DUP -G DUP", "--incl-flags READ1,REVERSE -aa",
    "--require-flags 3 -a", "-d 5", "-s -q 20 -J -g 0x704 -r 1:131000-139000", "-@ 2 -a",
]  # fmt: skip


# The reads of one BAM have no bases: there, samtools takes what follows the record for qualities.
CASES = [(bam, options) for bam in BAMS for options in OPTIONS if bam != "hostile" or "-q" not in options]


@pytest.mark.parametrize(("bam", "options"), CASES, indirect=["bam"])
def test_equals_samtools(bam: str, options: str, tmp_path: Path) -> None:
    words = words_of(options, bam)
    expected = theirs("depth", *words, bam, out=tmp_path / "theirs")
    assert ours("depth", *words, dataset_of(bam), out=tmp_path / "ours") == expected


def test_several_datasets_and_chunks(tmp_path: Path) -> None:
    bams = [pileup_bam(tmp_path / f"{seed}.bam", seed, templates=100) for seed in (1, 2)]
    datasets = [dataset_of(bam) for bam in bams]
    for bam, dataset in zip(bams, datasets, strict=True):
        bams3.convert(bam, dataset, chunk_size="256K")
    (tmp_path / "list").write_text("\n".join(datasets) + "\n")
    (tmp_path / "bed").write_text("right\t100\t200\nleft\t131000\t132000\n")
    for words in (
        [],
        ["-a", "-s"],
        ["-aa", "-b", str(tmp_path / "bed")],
        ["-r", "right:130000-132000", "-q", "13"],
    ):
        expected = theirs("depth", *words, *bams, out=tmp_path / "theirs")
        assert ours("depth", *words, *datasets, out=tmp_path / "ours") == expected
        assert ours("depth", *words, "-f", str(tmp_path / "list"), out=tmp_path / "ours") == expected
    chunks = sorted(map(str, Path(datasets[0]).glob("data/left/*.chunk")))
    expected = theirs("depth", "-r", "left", bams[0], out=tmp_path / "theirs")
    assert len(chunks) == 2
    assert ours("depth", *chunks, out=tmp_path / "ours") == expected
    assert ours("depth", *reversed(chunks), "-r", "left", out=tmp_path / "ours") == expected


ERRORS = {
    "{d} -r nowhere": "unknown contig 'nowhere'",
    "{d} -r .": "give one region",
    "{d} -X": "leave this option out",
    "{d} -o {d}/x": "must not contain other files",
    "{d} -b none.bed": "none.bed",
    "": "no datasets",
}


@pytest.mark.parametrize("typed", ERRORS)
def test_errors(bam: str, typed: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["depth", *typed.format(d=dataset_of(bam)).split()]) == 1
    assert ERRORS[typed] in capfd.readouterr().err
