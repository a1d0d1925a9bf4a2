"""Depth as samtools depth prints it, byte for byte."""

from collections.abc import Callable
from pathlib import Path

import pysam
import pytest
from bams3.cli import main
from coverage_bams import hostile_bam, pileup_bam

import bams3

BAMS: dict[str, Callable[[Path], str]] = {
    "pileup": lambda path: pileup_bam(path, 3),
    "another": lambda path: pileup_bam(path, 8, templates=300),
    "hostile": hostile_bam,
}
CONTIGS = {
    "pileup": ("left", "right", "short"),
    "another": ("left", "right", "short"),
    "hostile": ("last", "two", "edge"),
}


@pytest.fixture(scope="module", params=BAMS)
def bam(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp(request.param) / f"{request.param}.bam"
    BAMS[request.param](path)
    bams3.convert(path, path.with_suffix(".bams3"), chunk_size="256K")
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
    path.with_suffix(".bed").write_text("".join(f"{x}\t{y}\t{z}\tname {y}\n" for x, y, z in rows))
    return str(path)


def ours(*words: str, out: Path) -> bytes:
    assert main(["depth", *words, "-o", str(out)]) == 0
    return out.read_bytes()


def theirs(*words: str, out: Path) -> bytes:
    pysam.samtools.depth(*words, "-o", str(out), catch_stdout=False)
    return out.read_bytes()


OPTIONS = [
    "", "-a", "-aa -H", "-J", "-s", "-s -J -Q 8", "-q 13", "-q 13 -J", "-q 300", "-Q 20 -a", "-l 40", "-l 30 -g DUP",
    "-b BED", "-b BED -a", "-b BED -aa", "-b BED -s -q 13", "-r 0", "-r 0:131,000-131,100 -s", "-r 0:131000-131100 -a",
    "-r 0:269995 -q 20", "-r 0:1-1,000,000", "-a -r 0:1-1000", "-r 2 -aa", "-r 2:40-110 -a", "-r 1:1-20 -b BED -a",
    "-g UNMAP,DUP,SECONDARY,QCFAIL -s", "-G 16 -G READ2", "-g DUP -G DUP", "--incl-flags READ1,REVERSE -aa",
    "--require-flags 3 -a", "-d 5", "-s -q 20 -J -g 0x704 -r 1:131000-139000", "-@ 2 -a",
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS)
def test_equals_samtools(bam: str, options: str, tmp_path: Path) -> None:
    name = Path(bam).stem
    if name == "hostile" and "-q" in options:
        pytest.skip("its reads have no bases, where samtools reads what follows the record")
    words = [bam.replace(".bam", ".bed") if word == "BED" else word for word in options.split()]
    for i, word in enumerate(words):
        if words[i - 1] == "-r":
            words[i] = CONTIGS[name][int(word[0])] + word[1:]
    dataset = bam.replace(".bam", ".bams3")
    expected = theirs(*words, bam, out=tmp_path / "theirs").replace(bam.encode(), dataset.encode())
    assert ours(*words, dataset, out=tmp_path / "ours") == expected
    assert ours("-@", "1", *words, dataset, out=tmp_path / "ours") == expected


def test_several_datasets_and_chunks(tmp_path: Path) -> None:
    bams = [pileup_bam(tmp_path / f"{seed}.bam", seed, templates=100) for seed in (1, 2)]
    datasets = [bam.replace(".bam", ".bams3") for bam in bams]
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
        expected = theirs(*words, *bams, out=tmp_path / "theirs")
        assert ours(*words, *datasets, out=tmp_path / "ours") == expected
        assert ours(*words, "-f", str(tmp_path / "list"), out=tmp_path / "ours") == expected
    chunks = sorted(map(str, Path(datasets[0]).glob("data/left/*.chunk")))
    expected = theirs("-r", "left", bams[0], out=tmp_path / "theirs")
    assert len(chunks) == 2
    assert ours(*chunks, out=tmp_path / "ours") == expected
    assert ours(*reversed(chunks), "-r", "left", out=tmp_path / "ours") == expected


ERRORS = {
    "{d} -r nowhere": "unknown contig 'nowhere'",
    "{d} -r *": "give one region",
    "{d} -X": "leave it out",
    "{d} -o {d}/x": "must not contain other files",
    "{d} -b none.bed": "none.bed",
    "": "no datasets",
}


@pytest.mark.parametrize("typed", ERRORS)
def test_errors(bam: str, typed: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["depth", *typed.format(d=bam.replace(".bam", ".bams3")).split()]) == 1
    assert ERRORS[typed] in capfd.readouterr().err
