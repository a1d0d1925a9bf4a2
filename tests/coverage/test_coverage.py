"""Coverage against mosdepth: every file, byte for byte after decompression."""

import gzip
import random
import subprocess
import sys
from array import array
from pathlib import Path

import pysam
import pytest
from bams3.coverage import (
    CoverageOptions,
    depth_of,
    parse_quantize,
    parse_thresholds,
    write_coverage,
)
from bams3.errors import FormatError, UsageError
from coverage_bams import CONTIGS, hostile_bam, sparse_bam, write_bam
from coverage_groups import row_group, row_groups
from depths import mosdepth, ours

GROUP_SIZES = (1, 7, 1000)

BED = """\
track name=x
# a comment
two\t100\t400\tnamed
one\t500\t900
one\t0\t100\tfirst\t7\t+
one\t450\t450\tnothing
one\t50\t1000\t
one\t50\t60\tsame start\r
nowhere\t5\t9
bad line
last\t39000\t40000\tend
one\t2990\t3001\tone too far
unmapped\t10\t650
empty\t10\t9999\tno reads
"""

OPTIONS = {
    "default": ([], {}),
    "no per-base": (["-n"], {"per_base": False}),
    "fast": (["-x"], {"fast_mode": True}),
    "all flags": (["-F", "0"], {"exclude_flags": 0}),
    "exclude": (["-F", "16"], {"exclude_flags": 16}),
    "include": (["-i", "144"], {"include_flags": 144}),
    "mapq": (["-Q", "8"], {"min_mapq": 8}),
    "chrom": (["-c", "two"], {"chrom": "two"}),
    "chrom and window": (
        ["-c", "last", "-b", "1000", "-n"],
        {"chrom": "last", "by": 1000, "per_base": False},
    ),
    "chrom and bed": (["-c", "one", "-b", "BED", "-n"], {"chrom": "one", "by": "BED", "per_base": False}),
    "chrom without reads": (["-c", "empty", "-b", "99"], {"chrom": "empty", "by": "99"}),
    "window": (["-b", "300"], {"by": 300}),
    "window as long as a contig": (["-b", "3000", "-T", "1"], {"by": 3000, "thresholds": (1,)}),
    "window of one": (["-b", "1", "-n"], {"by": 1, "per_base": False}),
    "window, median": (["-b", "70", "-m"], {"by": 70, "use_median": True}),
    "bed": (["-b", "BED"], {"by": "BED"}),
    "bed only": (["-b", "BED", "-n", "-x"], {"by": "BED", "per_base": False, "fast_mode": True}),
    "bed, median": (["-b", "BED", "-m"], {"by": "BED", "use_median": True}),
    "thresholds": (
        ["-b", "BED", "-T", "9,0,2", "-n"],
        {"by": "BED", "thresholds": "9,0,2", "per_base": False},
    ),
    "window thresholds": (["-b", "333", "-T", "1,5,1"], {"by": 333, "thresholds": "1,5,1"}),
    "quantize": (["-q", "0:1:4:20:"], {"quantize": "0:1:4:20:"}),
    "quantize from 1": (["-q", "1:4:20", "-n"], {"quantize": "1:4:20", "per_base": False}),
    "quantize at one": (["-q", "3", "-n"], {"quantize": "3", "per_base": False}),
    "quantize, bounds twice": (["-q", "9:2:2:0:9", "-n"], {"quantize": "9:2:2:0:9", "per_base": False}),
}


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    return hostile_bam(tmp_path_factory.mktemp("hostile") / "hostile.bam")


@pytest.fixture(scope="session")
def sparse(tmp_path_factory):
    return sparse_bam(tmp_path_factory.mktemp("sparse") / "sparse.bam")


@pytest.fixture
def bed(tmp_path):
    path = tmp_path / "regions.bed"
    path.write_text(BED, newline="")
    return str(path)


@pytest.mark.parametrize("name", OPTIONS)
def test_equals_mosdepth(name, hostile, bed, tmp_path):
    arguments, options = OPTIONS[name]
    arguments = [bed if argument == "BED" else argument for argument in arguments]
    options = {key: bed if value == "BED" else value for key, value in options.items()}
    expected = mosdepth(hostile, tmp_path / "m" / "out", arguments)
    for size in GROUP_SIZES:
        assert ours(hostile, tmp_path / f"b{size}" / "out", size, **options) == expected, (
            f"row groups of {size}"
        )


@pytest.mark.parametrize("seed", range(2, 8))
@pytest.mark.parametrize("exclude", [0, 1796])
def test_overlapping_mates(seed, exclude, tmp_path):
    bam = hostile_bam(tmp_path / "hostile.bam", seed)
    expected = mosdepth(bam, tmp_path / "m" / "out", ["-F", str(exclude)])
    for size in GROUP_SIZES:
        assert ours(bam, tmp_path / f"b{size}" / "out", size, exclude_flags=exclude) == expected


@pytest.mark.parametrize("precision", ["0", "1", "5", "many"])
def test_environment(precision, hostile, bed, tmp_path, monkeypatch):
    monkeypatch.setenv("MOSDEPTH_PRECISION", precision)
    monkeypatch.setenv("MOSDEPTH_Q0", "NONE")
    monkeypatch.setenv("MOSDEPTH_Q2", "MANY")
    expected = mosdepth(hostile, tmp_path / "m" / "out", ["-b", bed, "-q", "0:1:4:20"])
    assert ours(hostile, tmp_path / "b" / "out", by=bed, quantize="0:1:4:20") == expected


def test_read_groups(hostile, tmp_path):
    expected = mosdepth(hostile, tmp_path / "m" / "out", ["-R", "A,C"])

    def accept(group):
        return array("B", [read_group in ("A", "C") for read_group in group.read_group])

    assert ours(hostile, tmp_path / "b" / "out", 7, accept=accept) == expected


@pytest.mark.parametrize(("least", "most"), [(30, -1), (-1, 45), (40, 60), (0, 0)])
def test_fragment_lengths(least, most, hostile, tmp_path):
    """mosdepth 0.3.3 does not filter them: reads of other lengths are marked as duplicates for it."""
    lines = []
    for reference_id, fields in sam_fields(hostile):
        if not (least <= abs(int(fields[8])) and (most < 0 or abs(int(fields[8])) <= most)):
            fields[1] = str(int(fields[1]) | 1024)
        lines.append((reference_id, "\t".join(fields), int(fields[3])))
    marked = write_bam(tmp_path / "marked.bam", CONTIGS, lines)
    expected = mosdepth(marked, tmp_path / "m" / "out", [])
    assert ours(hostile, tmp_path / "b" / "out", min_fragment=least, max_fragment=most) == expected


def test_fragment_mode(hostile, tmp_path):
    """mosdepth 0.3.3 has no such mode: it gets a read for each fragment."""
    lines = []
    for reference_id, fields in sam_fields(hostile):
        flag, start, length = int(fields[1]), min(int(fields[3]), int(fields[7])), abs(int(fields[8]))
        counts = flag & (2 | 128 | 2048) == 2 and not flag & 1796
        fragment = [fields[0], "0" if counts else "1024", fields[2], str(start or fields[3]), "60"]
        fragment += [f"{length or 1}M", "*", "0", "0", "*", "*"]
        lines.append((reference_id, "\t".join(fragment), int(fragment[3])))
    fragments = write_bam(tmp_path / "fragments.bam", CONTIGS, lines)
    expected = mosdepth(fragments, tmp_path / "m" / "out", [])
    found = ours(hostile, tmp_path / "b" / "out", fragment_mode=True)
    assert found == expected
    assert b"one\t" in found[".per-base.bed.gz"]


def sam_fields(bam: str):
    with pysam.AlignmentFile(bam) as file:
        for record in file:
            yield record.reference_id, record.to_string().split("\t")


def test_bed_ends_at_an_empty_line(hostile, tmp_path):
    bed = tmp_path / "gap.bed"
    bed.write_text("one\t5\t50\n\none\t60\t70\n")
    notes = []
    expected = mosdepth(hostile, tmp_path / "m" / "out", ["-b", str(bed)])
    assert ours(hostile, tmp_path / "b" / "out", notes=notes, by=str(bed)) == expected
    assert len(notes) == 1
    assert ":2:" in notes[0]


def test_gzipped_bed_and_notes(hostile, bed, tmp_path):
    packed = tmp_path / "packed.bed.gz"
    packed.write_bytes(gzip.compress(Path(bed).read_bytes()))
    notes = []
    plain = ours(hostile, tmp_path / "plain" / "out", notes=notes, by=bed)
    assert ours(hostile, tmp_path / "packed" / "out", by=str(packed)) == plain
    assert ["bad" in note or "columns" in note for note in notes] == [True, False]
    assert "nowhere" in notes[1]


def test_indexes(sparse, tmp_path):
    """tabix finds the lines that overlap (in mosdepth's own thresholds it does not always)."""
    arguments = ["-b", "700", "-q", "0:1:2:", "-T", "1,2"]
    expected = mosdepth(sparse, tmp_path / "m" / "out", arguments)
    options = {"by": 700, "quantize": "0:1:2:", "thresholds": "1,2"}
    assert ours(sparse, tmp_path / "b" / "out", **options) == expected
    chance = random.Random(3)
    starts = [chance.randrange(4_990_000) for _ in range(20)]
    regions = [f"long:{start + 1}-{start + chance.choice((1, 90, 20_000, 900_000))}" for start in starts]
    regions += ["short", "long:4999000-5000000", "long:131000-131100", "long:1-2"]
    for name in ("per-base", "regions", "quantized", "thresholds"):
        for region in regions:
            found = subprocess.run(
                ["tabix", str(tmp_path / "b" / f"out.{name}.bed.gz"), region], capture_output=True, text=True
            )
            assert (found.returncode, found.stderr) == (0, "")
            assert found.stdout == overlapping(expected[f".{name}.bed.gz"].decode(), region), (name, region)


def overlapping(text: str, region: str) -> str:
    contig, _, span = region.partition(":")
    first, last = map(int, (span or "1-1000").split("-"))
    lines = (line.split("\t") for line in text.splitlines(keepends=True) if not line.startswith("#"))
    found = (line for line in lines if line[0] == contig and int(line[1]) < last and int(line[2]) >= first)
    return "".join("\t".join(line) for line in found)


def test_regions_beyond_the_contig(hostile, tmp_path):
    """mosdepth 0.3.3 fails; later ones count what there is, and one base more of depth 0."""
    bed = tmp_path / "beyond.bed"
    bed.write_text("one\t2990\t4000\none\t5000\t6000\n")
    found = ours(hostile, tmp_path / "b" / "out", by=str(bed), thresholds=(0, 1), exclude_flags=0xFFF)
    assert found[".regions.bed.gz"] == b"one\t2990\t4000\t0.00\none\t5000\t6000\t0.00\n"
    assert b"one\t2990\t4000\tunknown\t11\t0\none\t5000\t6000\tunknown\t0\t0" in found[".thresholds.bed.gz"]
    assert b"one_region\t11\t0\t0.00\t0\t0\n" in found[".mosdepth.summary.txt"]


@pytest.mark.parametrize("fast", [False, True])
def test_depth_of_a_part_is_that_of_its_windows(fast, hostile):
    options = CoverageOptions(fast_mode=fast)
    whole = depth_of(row_groups(hostile, 0, 7), 0, 0, CONTIGS[0][1], options).values()
    assert len(whole) == CONTIGS[0][1]
    assert max(whole) > 5
    for start, end in ((0, 10), (100, 101), (777, 1500), (2900, 3000), (50, 50)):
        assert depth_of(row_groups(hostile, 0, 7), 0, start, end, options).values() == whole[start:end]


DAMAGE = {
    "short column": lambda group: group.end.pop(),
    "chain forwards": lambda group: group.previous.__setitem__(0, 1),
    "chain below -1": lambda group: group.previous.__setitem__(3, -2),
    "CIGAR beyond pool": lambda group: group.cigar_start.__setitem__(2, 2**32 - 1),
    "border beyond group": lambda group: group.border_index.__setitem__(0, 999),
    "borders without hashes": lambda group: group.border_hash.pop(),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_row_group(name, hostile):
    with pysam.AlignmentFile(hostile) as file:
        records = list(file.fetch("one"))[:20]
    group = row_group(records, 0, {record.query_name for record in records})
    DAMAGE[name](group)
    with pytest.raises(FormatError):
        depth_of([group], 0, 0, 3000)


def test_nothing_is_left_of_a_run_that_fails(hostile, tmp_path):
    (tmp_path / "out.mosdepth.summary.txt").write_text("of an earlier run")

    def row_groups_of(reference_ids):
        for reference_id in reference_ids:
            if reference_id == 2:
                raise FormatError("damaged")
            yield row_groups(hostile, reference_id, 1000)

    with pytest.raises(FormatError):
        write_coverage(
            str(tmp_path / "out"), CONTIGS, row_groups_of, CoverageOptions(by=100, quantize=(0, 1))
        )
    assert [path.name for path in tmp_path.iterdir()] == ["out.mosdepth.summary.txt"]
    assert (tmp_path / "out.mosdepth.summary.txt").read_text() == "of an earlier run"


MISUSE = {
    "modes": lambda: CoverageOptions(fast_mode=True, fragment_mode=True),
    "lengths": lambda: CoverageOptions(min_fragment=9, max_fragment=8),
    "thresholds alone": lambda: CoverageOptions(thresholds=(1,)),
    "empty window": lambda: CoverageOptions(by="0"),
    "negative window": lambda: CoverageOptions(by=-5),
    "quantize": lambda: parse_quantize("1:x"),
    "quantize, nothing between": lambda: parse_quantize("1::2"),
    "threshold": lambda: parse_thresholds("1,,2"),
    "contig": lambda: write_coverage("out", CONTIGS, list, CoverageOptions(chrom="three")),
    "bed": lambda: write_coverage("out", CONTIGS, list, CoverageOptions(by="no/such.bed")),
    "directory": lambda: write_coverage("no/such/out", CONTIGS, list),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        MISUSE[name]()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("line", ["one\t5\tx", "one\t9\t5", "one\t-1\t5", "one\t1\t99999999999"])
def test_bad_bed(line, tmp_path):
    (tmp_path / "bad.bed").write_text(f"one\t1\t2\n{line}\n")
    with pytest.raises(UsageError, match=r"bad\.bed:2"):
        write_coverage(str(tmp_path / "out"), CONTIGS, list, CoverageOptions(by=str(tmp_path / "bad.bed")))
    assert [path.name for path in tmp_path.iterdir()] == ["bad.bed"]


def test_starts_quickly(tmp_path):
    """A run without per-base depth loads neither numpy nor pysam."""
    program = (
        "import sys; from bams3.coverage import write_coverage, CoverageOptions;"
        "write_coverage(sys.argv[1], [('a', 9)], lambda contigs: [()] * len(contigs), CoverageOptions(per_base=False));"
        "assert not {'numpy', 'pysam'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "out")], check=True)
