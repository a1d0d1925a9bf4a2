"""The simulated files are valid, repeatable, and as varied as they claim."""

import hashlib
import subprocess
from collections import Counter
from pathlib import Path

import pysam
import pytest

SHAPES = {
    "hiseq": {"genome": 300_000, "depth": 10},
    "novaseq": {"genome": 300_000, "depth": 10, "read_length": 101},
    "long": {"genome": 300_000, "depth": 10},
}


@pytest.fixture(scope="module")
def made(simulate, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("simulated")
    for profile, shape in SHAPES.items():
        simulate.simulate(directory / f"{profile}.bam", profile=profile, **shape)
    return {profile: directory / f"{profile}.bam" for profile in SHAPES}


def samtools(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["samtools", *map(str, arguments)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.fail("samtools is needed to check the simulated files")


def reads(path: Path) -> list[pysam.AlignedSegment]:
    with pysam.AlignmentFile(str(path)) as opened:
        return list(opened.fetch(until_eof=True))


@pytest.mark.parametrize("profile", SHAPES)
def test_nm_and_md_are_as_samtools_calculates_them(made: dict[str, Path], profile: str):
    path = made[profile]
    checked = samtools("calmd", path, path.with_suffix(".fa"))
    complaints = [line for line in checked.stderr.splitlines() if "different" in line]
    assert (checked.returncode, complaints) == (0, [])
    given, recalculated = samtools("view", path).stdout, checked.stdout
    pick = [
        [line for line in text.splitlines() if not line.startswith("@")] for text in (given, recalculated)
    ]
    edits = [
        [{f for f in line.split("\t")[11:] if f[:2] in ("NM", "MD")} for line in lines] for lines in pick
    ]
    with_sequence = [line.split("\t")[9] != "*" for line in pick[0]]
    assert [e for e, keep in zip(edits[0], with_sequence, strict=True) if keep] == [
        e for e, keep in zip(edits[1], with_sequence, strict=True) if keep
    ]


@pytest.mark.parametrize("profile", SHAPES)
def test_files_are_complete(made: dict[str, Path], profile: str):
    path = made[profile]
    assert samtools("quickcheck", path).returncode == 0
    assert samtools("idxstats", path).stdout.count("\n") == 4
    assert all(path.with_suffix(suffix).exists() for suffix in (".bam.bai", ".fa", ".fa.fai", ".dict"))


@pytest.mark.parametrize("profile", ["hiseq", "novaseq"])
def test_mates_agree(made: dict[str, Path], profile: str):
    primary = {(r.query_name, r.is_read1): r for r in reads(made[profile]) if not r.flag & 0x900}
    for (name, first), read in primary.items():
        mate = primary[name, not first]
        assert (read.next_reference_id, read.next_reference_start) == (
            mate.reference_id,
            mate.reference_start,
        )
        assert read.template_length == -mate.template_length
        assert (read.mate_is_unmapped, read.mate_is_reverse) == (mate.is_unmapped, mate.is_reverse)
        if not mate.is_unmapped:
            assert (read.get_tag("MC"), read.get_tag("MQ")) == (mate.cigarstring, mate.mapping_quality)


@pytest.mark.parametrize(
    ("profile", "wanted"),
    [
        (
            "hiseq",
            {"duplicate", "supplementary", "secondary", "unplaced", "half", "clipped", "indel", "overlap"},
        ),
        (
            "novaseq",
            {"duplicate", "supplementary", "secondary", "unplaced", "half", "clipped", "indel", "overlap"},
        ),
        ("long", {"supplementary", "secondary", "unplaced", "clipped", "indel"}),
    ],
)
def test_every_kind_of_read_occurs(made: dict[str, Path], profile: str, wanted: set[str]):
    kinds: Counter[str] = Counter()
    for r in reads(made[profile]):
        cigar = r.cigarstring or ""
        kinds["duplicate"] += r.is_duplicate
        kinds["supplementary"] += r.is_supplementary and "H" in cigar and r.has_tag("SA")
        kinds["secondary"] += r.is_secondary and r.query_sequence is None
        kinds["unplaced"] += r.is_unmapped and r.reference_id < 0
        kinds["half"] += r.is_unmapped and r.reference_id >= 0
        kinds["clipped"] += "S" in cigar
        kinds["indel"] += "I" in cigar or "D" in cigar
        kinds["overlap"] += r.is_proper_pair and 0 < r.template_length < 2 * r.query_length
    assert wanted <= set(+kinds)


@pytest.mark.parametrize(("profile", "low", "high"), [("hiseq", 8, 8), ("novaseq", 4, 4), ("long", 30, 50)])
def test_quality_values(made: dict[str, Path], profile: str, low: int, high: int):
    seen = {value for r in reads(made[profile]) for value in r.query_qualities or ()}
    assert low <= len(seen) <= high


def test_the_same_arguments_give_the_same_bytes(simulate, made: dict[str, Path], tmp_path: Path):
    for profile, shape in SHAPES.items():
        simulate.simulate(tmp_path / "again.bam", profile=profile, **shape)
        digests = {hashlib.sha256(p.read_bytes()).digest() for p in (tmp_path / "again.bam", made[profile])}
        assert len(digests) == 1
    simulate.simulate(tmp_path / "again.bam", profile="hiseq", seed=2, **SHAPES["hiseq"])
    assert (tmp_path / "again.bam").read_bytes() != made["hiseq"].read_bytes()


def test_cohort_shares_a_genome_and_not_its_people(simulate, tmp_path: Path):
    sheet = simulate.cohort(tmp_path / "cohort", samples=2, genome=100_000, contigs=2, depth=2)
    header, *rows = [line.split("\t") for line in sheet.read_text().splitlines()]
    assert header == ["sample", "alignments"]
    assert [row[0] for row in rows] == ["S1", "S2"]
    opened = [pysam.AlignmentFile(row[1]) for row in rows]
    assert opened[0].references == opened[1].references == ("chr1", "chr2")
    positions = [[r.reference_start for r in file] for file in opened]
    assert positions[0] != positions[1]
