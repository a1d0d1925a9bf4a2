"""bigWig files: depth equal to the per-base BED, counts in bins equal to those of deepTools' bamCoverage."""

import gzip
import os
import subprocess
from array import array
from collections import Counter
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pysam
import pytest
from bams3.coverage.bigwig import BinOptions, write_bigwig
from bams3.coverage.depth import Depth
from bams3.coverage.options import CoverageOptions
from bams3.coverage.runs import counted
from bams3.coverage.selection import counting
from bams3.coverage.steps import Steps
from bams3.coverage.tally import Tally
from bams3.errors import FormatError, UsageError
from command_line import in_process
from coverage_groups import D, I, M, N, S, group, mask_of
from hypothesis import given
from hypothesis import strategies as st
from peers import need, need_package
from pileups import dataset_of, made

Track = dict[str, list[tuple[int, int, float]]]


@pytest.fixture(scope="module")
def bams(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("bams")
    return {name: made(name, folder) for name in ("hostile", "real")}


@pytest.fixture(autouse=True)
def _package() -> None:
    need_package("pyBigWig")


def track(path: Path) -> Track:
    """The intervals of a bigWig, those that touch and have one value merged."""
    import pyBigWig

    with pyBigWig.open(str(path)) as file:
        assert file.header()["nLevels"] > 0
        return {name: _merged(file.intervals(name) or ()) for name in file.chroms()}


def _merged(intervals: Any) -> list[tuple[int, int, float]]:
    merged: list[tuple[int, int, float]] = []
    for start, end, value in intervals:
        if merged and merged[-1][1:] == (start, value):
            start = merged.pop()[0]
        merged.append((start, end, value))
    return merged


def coverage(*words: object) -> None:
    from bams3.cli import main

    assert main(["coverage", *map(str, words)]) == 0


def bam_coverage(bam: str, out: Path, *words: object) -> Track:
    need("bamCoverage")
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = ["bamCoverage", "-b", bam, "-o", str(out), "-p", "1", *map(str, words)]
    subprocess.run(command, check=True, capture_output=True, env=alone)
    return track(out)


PER_BASE = {
    "default": ("real",),
    "overlapping mates": ("hostile",),
    "one contig": ("hostile", "-c", "two"),
    "fragments": ("hostile", "-a"),
    "filters": ("hostile", "-x", "-F", "4", "-Q", "8", "-R", "A,B"),
}


@pytest.mark.parametrize("case", PER_BASE)
def test_depth_is_that_of_the_per_base_bed(case: str, bams: dict[str, str], tmp_path: Path) -> None:
    name, *words = PER_BASE[case]
    dataset = dataset_of(bams[name])
    coverage(*words, dataset, "-o", tmp_path / "depth")
    coverage(*words, dataset, "--bigwig", tmp_path / "depth.bw")
    expected: Track = {contig: [] for contig in pysam.AlignmentFile(bams[name]).references}
    with gzip.open(tmp_path / "depth.per-base.bed.gz", "rt") as lines:
        for line in lines:
            contig, *numbers = line.split()
            start, end, value = map(int, numbers)
            expected[contig].append((start, end, value))
    assert track(tmp_path / "depth.bw") == expected


def test_batches_together(bams: dict[str, str], tmp_path: Path) -> None:
    dataset = dataset_of(bams["hostile"])
    parts = [tmp_path / f"{i}.depth" for i in (1, 2)]
    for i, part in enumerate(parts, 1):
        coverage("--batch", f"{i}/2", dataset, "-o", part)
    coverage(dataset, "--bigwig", tmp_path / "gathered.bw", "--gather", *parts)
    coverage(dataset, "--bigwig", tmp_path / "whole.bw")
    assert (tmp_path / "gathered.bw").read_bytes() == (tmp_path / "whole.bw").read_bytes()


GENOME = ("--effectiveGenomeSize", "12345678"), ("--effective-genome-size", "12345678")
BINS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    # BAM, options of bamCoverage, other options of bams3
    "counts": ("hostile", ("-bs", "7"), ("--bin", "7", "-F", "4")),
    "a bin for each base": ("hostile", ("-bs", "1"), ("--bin", "1", "-F", "4")),
    "bins longer than contigs": ("hostile", ("-bs", "1500"), ("--bin", "1500", "-F", "4")),
    "default flags": ("hostile", ("-bs", "10", "--samFlagExclude", "1796"), ("--bin", "10")),
    "mapping quality": (
        "hostile",
        ("-bs", "10", "--minMappingQuality", "8", "--samFlagInclude", "16"),
        ("--bin", "10", "-F", "4", "-Q", "8", "-i", "16"),
    ),
    "length of fragments": (
        "real",
        ("-bs", "50", "--minFragmentLength", "250", "--maxFragmentLength", "400", "--samFlagInclude", "2"),
        ("--bin", "50", "-F", "4", "-l", "250", "-u", "400", "-i", "2"),
    ),
    "CPM": ("hostile", ("-bs", "50", "--normalizeUsing", "CPM"), ("--bin", "50", "-F", "4", "--normalize", "CPM")),
    "RPKM": ("real", ("-bs", "30", "--normalizeUsing", "RPKM"), ("--bin", "30", "-F", "4", "--normalize", "RPKM")),
    "BPM": ("real", ("-bs", "50", "--normalizeUsing", "BPM"), ("--bin", "50", "-F", "4", "--normalize", "BPM")),
    "RPGC": (
        "real",
        ("-bs", "50", "--normalizeUsing", "RPGC", *GENOME[0]),
        ("--bin", "50", "-F", "4", "--normalize", "RPGC", *GENOME[1]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BINS)
def test_bins_are_those_of_bam_coverage(case: str, bams: dict[str, str], tmp_path: Path) -> None:
    name, theirs, ours = BINS[case]
    coverage(dataset_of(bams[name]), "--bigwig", tmp_path / "ours.bw", *ours)
    found = track(tmp_path / "ours.bw")
    assert found == bam_coverage(bams[name], tmp_path / "theirs.bw", *theirs)
    assert any(value for intervals in found.values() for _, _, value in intervals)


@pytest.mark.parametrize("words", [(), ("-c", "two")])
def test_normalization_divides_by_the_reads_that_count(
    words: tuple[str, ...], bams: dict[str, str], tmp_path: Path
) -> None:
    """bamCoverage estimates their number from a sample, here too: so it is given the exact factor."""
    bam = bams["hostile"]
    kept = int(pysam.view("-c", "-F", "1796", "-q", "8", bam))
    coverage(
        dataset_of(bam),
        "--bigwig",
        tmp_path / "ours.bw",
        "--bin",
        10,
        "--normalize",
        "CPM",
        "-Q",
        "8",
        *words,
    )
    theirs = bam_coverage(
        bam, tmp_path / "theirs.bw", "-bs", 10, "--samFlagExclude", 1796, "--minMappingQuality", 8,
        "--scaleFactor", repr(1.0 / (kept / 1e6)),
    )  # fmt: skip
    assert track(tmp_path / "ours.bw") == (
        {name: intervals if name == "two" else [] for name, intervals in theirs.items()} if words else theirs
    )


CIGARS = st.lists(st.tuples(st.integers(0, 40), st.sampled_from((M, I, D, N, S))), max_size=6)


@given(st.lists(CIGARS, min_size=1, max_size=4), st.integers(1, 30), st.integers(0, 25))
def test_a_read_counts_once_in_each_bin(cigars: Any, size: int, pos: int) -> None:
    expected = Counter[int]()
    for cigar in cigars:
        at, positions = pos, set[int]()
        for length, operation in cigar:
            if operation == M:
                positions.update(range(at, at + length))
            if operation in (M, D, N):
                at += length
        expected.update({position // size for position in positions})
    tally = Tally(300, exclude_flags=0)
    reads = group(*cigars, pos=pos)
    tally.add(counted(reads, mask_of(reads), bin=size))
    assert list(tally.finish().values()) == [expected[i] for i in range(300)]


@given(st.lists(st.lists(st.integers(-1, 3), min_size=1, max_size=9), min_size=1), st.integers(1, 4))
def test_steps_are_runs_of_equal_depth(depths: list[list[int]], most: int) -> None:
    steps, position, found = Steps(most), 0, list[tuple[int, ...]]()
    for values in depths:
        depth = Depth(len(values), start=position)
        depth.put(position + len(values) // 2, array("i", values[len(values) // 2 :]))
        values[: len(values) // 2] = [0] * (len(values) // 2)
        end = position + len(values)
        while position < end:
            position = steps.add(depth, position)
            found += zip(*steps.take(), strict=True)
    steps.end(position)
    found += zip(*steps.take(), strict=True)
    expected, start = [], 0
    for value, run in groupby(value for values in depths for value in values):
        end = start + len(list(run))
        expected.append((start, end, max(value, 0)))
        start = end
    assert found == expected


REFUSED = {
    ("--bin", "50", "-o", "x"): "--bin, --normalize and --effective-genome-size are for --bigwig; give --bigwig FILE",
    ("--bigwig", "x", "-o", "y"): "--output and --bigwig cannot be combined; run the command once with each of them",
    ("--bigwig", "x", "-n"): "--no-per-base and --bigwig cannot be combined; run the command once with each of them",
    ("--bigwig", "x", "--bin", "9", "--gather", "y"): (
        "--gather and --bin cannot be combined; run the command once with each of them"
    ),
    ("--bigwig", "x", "--bin", "0"): "'0': give a positive number of bases",
    ("--bigwig", "x", "--normalize", "CPM"): (
        "--normalize scales the numbers of reads in bins; give --bin too, such as --bin 50"
    ),
    ("--bigwig", "x", "--bin", "9", "--normalize", "RPGC"): (
        "--normalize RPGC divides by the size of the genome; give --effective-genome-size"
    ),
    ("--bigwig", "x", "--bin", "9", "--effective-genome-size", "9"): (
        "--effective-genome-size is for --normalize RPGC; leave it out"
    ),
    ("--bigwig", "x", "--bin", "9", "-a"): (
        "--bin counts reads by their aligned bases; leave out --bin or --fragment-mode"
    ),
    ("--bigwig", "x", "-c", "none"): "contig 'none' is not in the header; -c takes one whole contig",
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_refused(
    words: tuple[str, ...], bams: dict[str, str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = [str(tmp_path / word) if word in ("x", "y") else word for word in words]
    code, _, message = in_process(capfd)("coverage", dataset_of(bams["hostile"]), *options)
    assert (code, message) == (1, f"bams3 coverage: {REFUSED[words]}\n")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ([], "no contig with a length"),
        ([("zero", 0)], "no contig with a length"),
        ([("\udcff", 9)], "'\\\\udcff': a bigWig file can only have names in ASCII"),
    ],
)
def test_what_a_bigwig_cannot_hold(references: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        write_bigwig(str(tmp_path / "x.bw"), references, lambda _: [()] * len(references), CoverageOptions())
    assert list(tmp_path.iterdir()) == []


def test_contigs_without_reads_or_length(tmp_path: Path) -> None:
    references = [("zero", 0), ("one", 25)]
    for bins in (None, BinOptions(10), BinOptions(10, "CPM"), BinOptions(10, "RPGC", 99)):
        write_bigwig(str(tmp_path / "x.bw"), references, lambda _: [(), ()], CoverageOptions(), bins)
        assert track(tmp_path / "x.bw") == {"one": [(0, 25, 0.0)]}


@pytest.mark.parametrize("free", [1 << 20, (64 << 20) + 9])
def test_a_full_disk(free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(OSError, match=r"less than 64 MiB is free .* set TMPDIR"):
        write_bigwig(str(tmp_path / "x.bw"), [("one", 25)], lambda _: [()], CoverageOptions())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("column", ["flag", "mapq", "tlen", "cigar_start"])
def test_columns_that_contradict_each_other(column: str, tmp_path: Path) -> None:
    reads = group([(5, M)], [(5, M)])
    reads.tlen = array("i", [20] * 2)
    setattr(reads, column, getattr(reads, column)[:1])
    options = CoverageOptions(min_mapq=1, max_fragment=30)
    with pytest.raises(FormatError, match="damaged"):
        write_bigwig(
            str(tmp_path / "x.bw"), [("a", 99)], lambda _: [[reads]], options, BinOptions(10, "RPGC", 99)
        )
    assert list(tmp_path.iterdir()) == []


def test_unmapped_reads_never_count() -> None:
    reads = group([(5, M)], [(5, M)], [(5, M)])
    reads.flag = array("H", [0, 4, 20])
    assert counting(reads, CoverageOptions(exclude_flags=16), None) == b"\1\0\0"
    assert counting(reads, CoverageOptions(exclude_flags=0), lambda _: b"\0\1\1") == bytes(3)
