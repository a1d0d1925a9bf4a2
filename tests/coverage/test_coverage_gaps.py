"""Depth where most of a contig is empty: mosdepth's, and no memory or work for what is empty."""

import os
import subprocess
import sys
from array import array
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from bams3.cli import main
from bams3.coverage.bed import BedText, levels_for
from bams3.coverage.depth import Depth
from bams3.coverage.intervals import windows
from bams3.coverage.measure import Histogram, bases_covered, means, medians
from bams3.coverage.parts import _intervals
from bams3.coverage.tally import Tally
from bams3.dataset.reader import DatasetReader
from coverage_bams import write_bam
from depths import mosdepth, ours
from hypothesis import given, settings
from hypothesis import strategies as st

LENGTH = 1_500_000
LONGEST = 2**31 - 1


def read(start: int, cigar: str = "100M", contig: int = 0, flag: int = 0, mate: int = 0) -> tuple:
    where = f"c{contig}\t{start}\t60\t{cigar}\t{'=' if mate else '*'}\t{mate}\t{100 if mate else 0}\t*\t*"
    return contig, f"{start}.{mate or cigar}\t{flag}\t{where}", start


def pair(start: int, offset: int, cigar: str) -> list[tuple]:
    """Mates that overlap, of one name."""
    rows = [(99, start, start + offset), (147, start + offset, start)]
    lines = [(read(at, cigar, 0, flag, mate), at) for flag, at, mate in rows]
    return [(0, f"p{start}\t" + line.split("\t", 1)[1], at) for (_, line, _), at in lines]


SHAPES = {
    "central": [read(at) for part in (1, 1_300_000) for at in range(part, part + 9000, 30)],
    "acrocentric": [read(at) for at in range(900_000, 930_000, 40)],
    "islands": [read(at + i * 20) for at in range(1, LENGTH - 200, 2500) for i in range(3)],
    "a read every 20 kb": [read(at, "100M20D30M") for at in range(700_000, LENGTH, 20_000)],
    "one N": sorted([read(500, "50M1200000N50M"), *map(read, range(1, 9000, 50))], key=lambda row: row[2]),
    "many N": [read(100 + 10 * i, f"30M{1 + 1499 * i}N40M") for i in range(900)],
    "deletions": [read(1 + 3000 * i, f"30M{i * 900}D10M2I40M") for i in range(1, 380)],
    "unmapped": [read(at, "60M150000N40M", flag=4) for at in range(1, 1_300_000, 70_000)],
    "only the last base": [read(LENGTH, "1M")],
    "mates across gaps": [
        row
        for at in range(7, 1_100_000, 40_000)
        for row in (*pair(at, 10, "50M"), *pair(at + 3, 20, "30M300000N60M"))
    ],
}
MODES = {
    "windows": (
        ["-b", "500", "-q", "0:1:2:", "-T", "1,2"], {"by": 500, "quantize": "0:1:2:", "thresholds": "1,2"},
    ),
    "bed": (["-b", "BED", "-n", "-T", "0,1"], {"by": "BED", "per_base": False, "thresholds": "0,1"}),
    "medians, fast": (["-b", "BED", "-x", "-m"], {"by": "BED", "fast_mode": True, "use_median": True}),
    "all flags": (["-F", "0"], {"exclude_flags": 0}),
}  # fmt: skip
BED = f"c0\t0\t{LENGTH}\tall\nc0\t5\t900\nc0\t5\t1300500\nc0\t800000\t1310000\n"
BED += "c0\t1400000\t1400000\nc0\t1400000\t1499990\nc1\t0\t5\n"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", MODES)
def test_equals_mosdepth(shape, mode, tmp_path):
    (tmp_path / "regions.bed").write_text(BED)
    bed = str(tmp_path / "regions.bed")
    arguments, options = MODES[mode]
    bam = write_bam(tmp_path / "gaps.bam", (("c0", LENGTH), ("c1", 10), ("c2", 200_000)), SHAPES[shape])
    expected = mosdepth(bam, tmp_path / "m" / "out", [bed if text == "BED" else text for text in arguments])
    options = {name: bed if value == "BED" else value for name, value in options.items()}
    for size in (30, 5000):
        assert ours(bam, tmp_path / f"b{size}" / "out", size, **options) == expected


@pytest.mark.parametrize("options", [{}, {"fast_mode": True}, {"by": 500, "quantize": "0:1:2:"}])
def test_reads_past_the_end_are_as_if_cut_there(options, tmp_path):
    """mosdepth 0.3.3 fails."""
    contigs = (("c0", LENGTH), ("c1", 10))
    hanging = [read(5), read(1_000_000, "50M800000N50M"), read(LENGTH - 60), read(LENGTH)]
    cut = [
        read(5),
        read(1_000_000, f"50M{LENGTH - 1_000_049}N"),
        read(LENGTH - 60, "61M"),
        read(LENGTH, "1M"),
    ]
    expected = ours(write_bam(tmp_path / "cut.bam", contigs, cut), tmp_path / "cut" / "out", **options)
    bam = write_bam(tmp_path / "hanging.bam", contigs, hanging)
    assert ours(bam, tmp_path / "hanging" / "out", **options) == expected


@pytest.mark.parametrize(
    ("shape", "option"), [("central", "-x"), ("one N", "-x"), ("islands", "-x"), ("unmapped", "-F0")]
)
def test_parts_make_the_whole(shape, option, tmp_path):
    """Depth that a skip carries over the windows of several parts; parts hold nothing of a gap."""
    bam = write_bam(tmp_path / "gaps.bam", (("c0", LENGTH), ("c1", 10)), SHAPES[shape])
    dataset, whole, made = (str(tmp_path / name) for name in ("gaps.bams3", "whole", "made"))
    run_bams3("convert", bam, dataset, "--chunk-size", "256K")
    options = [option, "-b", "700"]
    run_bams3("coverage", dataset, *options, "-o", whole)
    parts = [str(tmp_path / f"part{number}") for number in (1, 2, 3)]
    for number, part in enumerate(parts, 1):
        run_bams3("coverage", dataset, *options, "--batch", f"{number}/3", "-o", part)
    run_bams3("coverage", dataset, *options, "-o", made, "--gather", *parts)
    for name in ("per-base.bed.gz", "regions.bed.gz", "mosdepth.summary.txt", "mosdepth.global.dist.txt"):
        assert (tmp_path / f"made.{name}").read_bytes() == (tmp_path / f"whole.{name}").read_bytes()


def test_parts_have_as_many_intervals_as_chunks(tmp_path, capsys):
    """However long contigs are; and what lacks of a whole, or is there twice, is told."""
    long = 500_000_000
    reads = [read(at) for at in (1, 5_000_000, 400_000_000)] + [read(long - 200, contig=2)]
    bam = write_bam(tmp_path / "x.bam", [(f"c{i}", long) for i in range(3)], reads)
    dataset, made = str(tmp_path / "x.bams3"), str(tmp_path / "made")
    run_bams3("convert", bam, dataset, "--chunk-size", "256K")
    parts = [str(tmp_path / f"part{number}") for number in (1, 2, 3)]
    for number, part in enumerate(parts, 1):
        run_bams3("coverage", dataset, "-n", "--batch", f"{number}/3", "-o", part)
    opened = DatasetReader(dataset)
    intervals = [
        interval for number in (1, 2, 3) for interval in _intervals(opened, opened.windows(number, 3))
    ]
    for contig in (0, 2):
        mine = [interval for interval in intervals if interval[0] == contig]
        assert [start for _, start, _ in mine] == [0, *(end for *_, end in mine[:-1])]
        assert mine[-1][2] == long
    assert {interval[0] for interval in intervals} == {0, 2}
    assert len(intervals) <= 2 * 4 + 2 + 2
    run_bams3("coverage", dataset, "-n", "-o", made, "--gather", *reversed(parts))
    for some, says in (
        (parts[:2], f"-{long};"),
        (parts[1:], "covers c0:1-"),
        ([*parts, parts[0]], "overlap"),
    ):
        assert main(["coverage", dataset, "-n", "-o", made, "--gather", *some]) == 1
        assert says in capsys.readouterr().err


def run_bams3(*arguments: str) -> None:
    assert main(list(arguments)) == 0


@st.composite
def sparse_reads(draw):
    """Reads in order of position, of an M, a skip and an M; the length of their contig; where row groups end."""
    length = draw(st.sampled_from([1, 1000, 300_000, 20_000_000, LONGEST]))
    gaps = st.sampled_from([0, 0, 0, 1, 15, 16, 17, 70, 5000, 131_072, 200_000, 3_000_000, 250_000_000])
    start, reads = draw(gaps), []
    while start < length and len(reads) < 40:
        reads.append((start, draw(st.integers(1, 40)), draw(gaps), draw(st.integers(1, 40)), draw(gaps)))
        start += draw(gaps)
    return length, reads, draw(st.integers(1, 12))


def groups_of(reads, size):
    for first in range(0, len(reads), size):
        chosen = reads[first : first + size]
        n = len(chosen)
        yield SimpleNamespace(
            records=n,
            pos=array("i", [row[0] for row in chosen]),
            end=array("i", [min(row[0] + sum(row[1:4]), LONGEST) for row in chosen]),
            flag=array("H", [2] * n),
            mapq=bytes([60]) * n,
            next_ref=array("i", [-1] * n),
            next_pos=array("i", [max(row[0] - row[4], 0) for row in chosen]),
            tlen=array("i", [row[4] for row in chosen]),
            previous=array("i", [-1] * n),
            border_index=array("I"),
            border_hash=array("Q"),
            cigar_start=array("I", range(0, 3 * n, 3)),
            cigar_count=array("I", [3] * n),
            cigar_pool=array("I", [x for row in chosen for x in (row[1] << 4, row[2] << 4 | 3, row[3] << 4)]),
        )


def naive_runs(length, reads, mode):
    """(start, end, depth) of the runs of equal depth."""
    changes = {0: 0}
    for start, first, skip, second, far in reads:
        if mode == "fragments":
            begin = max(start - far, 0)
            parts = [(begin, begin + far)]
        elif mode == "extents":
            parts = [(start, min(start + first + skip + second, LONGEST))]
        else:
            parts = [(start, start + first), (start + first + skip, start + first + skip + second)]
        for begin, end in parts:
            changes[begin] = changes.get(begin, 0) + 1
            changes[end] = changes.get(end, 0) - 1
    runs, depth = [], 0
    for at, following in pairwise([*sorted(at for at in changes if at < length), length]):
        depth += changes[at]
        if runs and runs[-1][2] == depth:
            runs[-1] = (runs[-1][0], following, depth)
        else:
            runs.append((at, following, depth))
    return runs


@settings(max_examples=150, deadline=None)
@given(sparse_reads(), st.sampled_from(["bases", "extents", "fragments"]), st.booleans())
def test_equals_naive_depth(given_reads, mode, incremental):
    length, reads, size = given_reads
    runs = naive_runs(length, reads, mode)
    tally, depths = Tally(length, mode=mode, incremental=incremental), []
    for group in groups_of(reads, size):
        tally.add(group)
        depths.append(tally.settled())
    depths = [*filter(None, depths), tally.finish()]
    text, histogram, position = BedText(levels_for(length)), Histogram(), 0
    text.begin(b"c")
    for depth in depths:
        histogram.add(depth)
        assert text.add_runs(depth, position) == position + len(depth)
        position += len(depth)
    text.end_runs(length)
    assert text.take().decode() == "".join(f"c\t{start}\t{end}\t{depth}\n" for start, end, depth in runs)
    counted = [0] * (max(depth for *_, depth in runs) + 1)
    for start, end, depth in runs:
        counted[depth] += end - start
    assert histogram.to_list() == counted
    stored = sum(len(values) for depth in depths for _, values in depth.stretches_put())
    assert stored <= 2 * 16 * 4 * len(reads)  # a block for each change, and one that is between two
    if len(depths) == 1:
        _check_measures(depths[0], runs, length)


def _check_measures(depth: Depth, runs: list, length: int) -> None:
    size = max(length // 7, 1)
    intervals = windows(length, size)
    rows = bases_covered(depth, intervals.starts, intervals.ends, array("q", [0, 1, 2]))
    middles = medians(depth, intervals.starts, intervals.ends)
    averages = means(depth, intervals.starts, intervals.ends) if length <= 1_000_000 else None
    for number, (start, end) in enumerate(zip(intervals.starts, intervals.ends, strict=True)):
        parts = [(min(b, end) - max(a, start), value) for a, b, value in runs if a < end and b > start]
        bases = sum(size * value for size, value in parts)
        assert list(rows[3 * number : 3 * number + 3]) == [
            sum(size for size, value in parts if value >= least) for least in (0, 1, 2)
        ]
        below, half = 0, (end - start + 1) // 2
        for size, value in sorted(parts, key=lambda part: part[1]):
            below += size
            if below >= half:
                assert middles[number] == value
                break
        values = [value for _, value in parts]
        assert depth.summary(start, end) == (end - start, bases, min(values), max(values))
        if averages:
            assert averages[number] == pytest.approx(bases / (end - start))


MEMORY = """
import resource, sys
from array import array
from types import SimpleNamespace
from bams3.coverage import CoverageOptions, write_coverage
from bams3.coverage.bedfile import BedFile
from bams3.coverage.depth import Depth
from bams3.coverage.measure import Histogram
sys.path.insert(0, sys.argv[2])
from test_coverage_gaps import LONGEST, groups_of
reads = [(5, 30, 20_000_000, 30, 0), *((40_000_000 + 1250 * i, 50, 0, 50, 300) for i in range(4000)),
         *((125_000_000 + 20_000 * i, 50, 0, 50, 900_000) for i in range(4000)),
         *((LONGEST - 90_000 + 20 * i, 50, 7, 60, 300) for i in range(4000))]
room = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (room + (60 << 20),) * 2)
kept = [Histogram() for _ in range(500)]  # of contigs without reads
for histogram in kept:
    histogram.add(Depth(LONGEST))
del kept, histogram
for number, options in enumerate((
    {"per_base": False}, {}, {"by": 50_000}, {"by": sys.argv[3], "thresholds": (1, 9)}, {"quantize": (0, 1, 4)},
    {"fast_mode": True, "by": 100_000_000, "use_median": True}, {"fragment_mode": True}, {"exclude_flags": 0},
)):
    options = CoverageOptions(**options)
    write_coverage(f"{sys.argv[1]}/{number}", [("c", LONGEST)], lambda _: [groups_of(reads, 4096)], options)
"""


def test_memory_does_not_grow_with_gaps(tmp_path):
    """60 MB of address space hold the depth of 2^31 positions in every mode."""
    (tmp_path / "regions.bed").write_text(f"c\t0\t{LONGEST}\nc\t100\t2000000000\nc\t2000000000\t{LONGEST}\n")
    (tmp_path / "out").mkdir()
    arguments = [str(tmp_path / "out"), str(Path(__file__).parent), str(tmp_path / "regions.bed")]
    found = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", MEMORY, *arguments], check=True, timeout=600, env=found)
    assert (tmp_path / "out" / "1.mosdepth.summary.txt").read_text().startswith("chrom\tlength")


def test_copy_into_zeros():
    depth = Depth(2_000_000)
    depth.put(1_000_000, array("i", [3, 4]))
    depth.put(1_500_000, array("i", [0]))
    out = np.zeros(2_000_000, np.int32)
    depth.copy_to(out)
    assert out[1_000_000] == 3
    assert (out[1_000_001:1_500_000] == 4).all()
    assert out.sum() == 3 + 4 * 499_999
    with pytest.raises(ValueError, match="out of order"):
        depth.put(1_000_001, array("i", [1]))
