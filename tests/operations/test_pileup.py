"""The pileup as samtools mpileup prints it, byte for byte."""

import tempfile
from pathlib import Path

import pysam
import pytest
from bams3.cli import main
from hostile import Bam
from hostile_pairs import crowds
from hypothesis import given, settings
from hypothesis import strategies as st

import bams3


def theirs(bam: Path, words: list[str], out: Path) -> bytes:
    pysam.samtools.mpileup(*words, str(bam), catch_stdout=False, save_stdout=str(out))
    return out.read_bytes()


def ours(dataset: Path, words: list[str], out: Path) -> bytes:
    assert main(["pileup", "--workers", "1", *words, "-o", str(out), str(dataset)]) == 0
    return out.read_bytes()


CROWDED = [
    "", "-x", "-A", "-Q 0 -A --ff 0", "-d 1", "-d 2 -Q 0 -A", "-d 3 -s", "-O -s -Q 1", "-a", "-aa", "-a -r two:5-12",
    "-aa -r one:12", "-r one:9-11 -Q 0", "-q 21 -Q 5", "--rf 16 --reverse-del", "-d 4 -A -r one:3", "-Q 94", "-aa -r empty",
]  # fmt: skip


@settings(max_examples=60)
@given(bam=crowds(), options=st.lists(st.sampled_from(CROWDED), min_size=3, max_size=3, unique=True))
def test_crowds_equal_samtools(bam: Bam, options: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.bam"
        path.write_bytes(bam.data())
        pysam.index(str(path))
        bams3.convert(path, path.with_suffix(".bams3"))
        for words in map(str.split, options):
            expected = theirs(path, words, path.with_suffix(".theirs"))
            assert ours(path.with_suffix(".bams3"), words, path.with_suffix(".ours")) == expected, words
