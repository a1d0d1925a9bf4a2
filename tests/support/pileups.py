"""Depth, sums over intervals, and tables of samtools and of bams3, side by side."""

from collections.abc import Callable
from pathlib import Path

import pysam
from bams3.cli import main
from coverage_bams import hostile_bam, pileup_bam
from peers import DATA

import bams3

BAMS: dict[str, Callable[[Path], str]] = {
    "pileup": lambda path: pileup_bam(path, 3),
    "hostile": hostile_bam,
    "real": lambda path: _copy(DATA / "illumina_chr22_NA12878.bam", path),
}
CONTIGS = {"pileup": ("left", "right", "short"), "hostile": ("last", "two", "edge"), "real": ("q", "q", "q")}
"""Contigs of each BAM: a long one, another, and a short one."""
SAMTOOLS = {"depth": "depth", "bedcov": "bedcov", "coverage-table": "coverage"}


def made(name: str, folder: Path) -> str:
    """Make a BAM and its dataset; return the path of the BAM."""
    path = folder / f"{name}.bam"
    BAMS[name](path)
    bams3.convert(path, dataset_of(str(path)), chunk_size="256K")
    return str(path)


def dataset_of(bam: str) -> str:
    return bam.removesuffix(".bam") + ".bams3"


def ours(command: str, *words: str, out: Path) -> bytes:
    assert main([command, *words, "-o", str(out)]) == 0
    return out.read_bytes()


def theirs(command: str, *words: str, out: Path) -> bytes:
    """What samtools prints, with the names of datasets in place of those of BAMs."""
    getattr(pysam.samtools, SAMTOOLS[command])(*words, catch_stdout=False, save_stdout=str(out))
    return (
        out.read_bytes()
        .replace(b".bam_", b".bams3_")
        .replace(b".bam\t", b".bams3\t")
        .replace(b".bam\n", b".bams3\n")
    )


def words_of(options: str, bam: str) -> list[str]:
    """Options as words; after -r, a number stands for a contig of the BAM, and BED for the file beside it."""
    words = [bam.replace(".bam", ".bed") if word == "BED" else word for word in options.split()]
    for i, word in enumerate(words):
        if words[i - 1] == "-r":
            words[i] = CONTIGS[Path(bam).stem][int(word[0])] + word[1:]
    return words


def _copy(source: Path, path: Path) -> str:
    path.write_bytes(source.read_bytes())
    pysam.index(str(path))
    return str(path)
