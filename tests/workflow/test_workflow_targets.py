"""An exome as docs/configuration.md has it, of real reads: the QC table tells of the targets."""

import gzip
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any
from zlib import crc32

import pysam
import pytest
import yaml
from bams3.cohort.columns import numbers
from peers import DATA, need
from workflows import ROOT, run

ORIGINS = {"chr4": 115_900_000, "chr12": 71_500_000, "chrX": 101_000_000}
LENGTH = 1_000_000
BED = "chrX\t55400\t56600\tone\nchr4\t23100\t23700\tx\nchrX\t56400\t57900\tanother\n"
MERGED = "chrX\t55400\t57900\nchr4\t23100\t23700\n"
SIZE = 3100
THRESHOLDS = (1, 10, 20, 30)
OWN = {"sex": ["F", None, "🦉"], "batch 1": ['a "b", <c>', "a,b", None], "nothing": [None] * 3}
SAMPLES: dict[str, Callable[[list[str]], bool]] = {
    "whole": lambda read: True,
    "thin": lambda read: crc32(read[0].encode()) % 3 == 0,
    "part": lambda read: read[2] == "chrX",
}


def example() -> dict[str, Any]:
    page = (ROOT / "docs" / "configuration.md").read_text()
    (text,) = re.findall(r"^## Exomes: coverage.*?^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return yaml.safe_load(text)


def real_reads() -> Iterator[list[str]]:
    """Fields of SAM, of a shorter genome; some reads are supplementary, some secondary."""
    for number, line in enumerate(pysam.view(str(DATA / "illumina_wgs_NA12878.bam")).splitlines()):
        read = line.split("\t")
        places = [int(read[column]) - ORIGINS.get(read[2], 0) for column in (3, 7)]
        if read[6] == "=" and all(0 < place < LENGTH for place in places):
            read[3], read[7] = map(str, places)
            read[1] = str(int(read[1]) | {0: pysam.FSUPPLEMENTARY, 1: pysam.FSECONDARY}.get(number % 50, 0))
            yield read


@pytest.fixture(scope="module")
def finished(commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the QC table is made of real reads: all, a third of them, those of one contig."""
    project = tmp_path_factory.mktemp("exome")
    lines = [[f"@SQ\tSN:{contig}\tLN:{LENGTH}"] for contig in ORIGINS]
    reads = list(real_reads())
    for sample, is_wanted in SAMPLES.items():
        text = "\n".join(map("\t".join, [*lines, *filter(is_wanted, reads)]))
        (project / f"{sample}.sam").write_text(text + "\n")
        pysam.view(
            "-b", "-o", str(project / f"{sample}.bam"), str(project / f"{sample}.sam"), catch_stdout=False
        )
        pysam.index(str(project / f"{sample}.bam"))
    (project / "targets.bed").write_text(BED)
    (project / "merged.bed").write_text(MERGED)
    names = [f"{sample}\t{sample}.bam" for sample in SAMPLES]
    own = ["\t".join(cell or "" for cell in row) for row in zip(*OWN.values(), strict=True)]
    rows = ["\t".join(["sample\talignments", *OWN]), *map("\t".join, zip(names, own, strict=True))]
    (project / "samples.tsv").write_text("\n".join(rows))
    run(project, commands, example(), "results/cohort/samples.tsv")
    return project


@pytest.fixture(scope="module")
def rows(finished: Path) -> dict[str, dict[str, Any]]:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(finished / "results" / "cohort" / "samples.parquet")
    return {row["sample"]: row for row in table.to_pylist()}


def test_the_samples_pass_or_fail_by_their_targets(rows: dict[str, dict[str, Any]]) -> None:
    limits = example()["cohort"]["limits"]
    assert limits == {"mean_coverage": {"min": 60}, "breadth_20x": {"min": 0.95}}
    told = {name: (row["status"], re.sub(r" [\d.]+ <", " <", row["reasons"])) for name, row in rows.items()}
    assert told == {
        "whole": ("pass", ""),
        "thin": ("fail", "target_breadth_20x < 0.95; target_mean_coverage < 60"),
        "part": ("fail", "target_breadth_20x < 0.95"),
    }
    assert {row["genome_mean_coverage"] < 5 for row in rows.values()} == {True}


def test_columns(finished: Path, rows: dict[str, dict[str, Any]]) -> None:
    """The user's own are text, after the status; then what was measured, of the targets first."""
    first = ["sample", "status", "reasons", *OWN]
    assert list(rows["whole"]) == [*first, *numbers(THRESHOLDS, has_targets=True), "pc1", "pc2"]
    assert {name: [row[name] for row in rows.values()] for name in OWN} == OWN
    lines = [line.split("\t") for line in (finished / "results/cohort/samples.tsv").read_text().splitlines()]
    assert lines[0] == list(rows["whole"])
    assert [line[3:6] for line in lines[1:]] == [[cells[i] or "" for cells in OWN.values()] for i in range(3)]


def depths(project: Path, sample: str, folder: Path) -> list[int]:
    """Depth of each base of the targets, as mosdepth has it."""
    subprocess.run(["mosdepth", folder / "x", project / f"{sample}.bam"], check=True)
    text = gzip.decompress((folder / "x.per-base.bed.gz").read_bytes()).decode()
    runs = [(line[0], *map(int, line[1:])) for line in map(str.split, text.splitlines())]
    found = []
    for contig, start, end in (
        (line[0], int(line[1]), int(line[2])) for line in map(str.split, MERGED.splitlines())
    ):
        for name, begin, stop, depth in runs:
            found += [depth] * max(0, min(end, stop) - max(start, begin)) if name == contig else []
    return found


@pytest.mark.parametrize("sample", SAMPLES)
def test_depth_by_hand(finished: Path, tmp_path: Path, rows: dict[str, dict[str, Any]], sample: str) -> None:
    need("mosdepth")
    deepest = sorted(depths(finished, sample, tmp_path), reverse=True)
    assert len(deepest) == SIZE
    row, average = rows[sample], mean(deepest)
    assert row["target_mean_coverage"] == pytest.approx(average, abs=1e-4)
    assert row["target_median_coverage"] == deepest[SIZE // 2 - 1]
    assert row["fold_80"] == pytest.approx(average / deepest[SIZE * 4 // 5 - 1], abs=1e-4)
    for depth in THRESHOLDS:
        share = sum(found >= depth for found in deepest) / SIZE
        assert row[f"target_breadth_{depth}x"] == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("sample", ["whole", "thin"])
def test_figures_of_mosdepth_and_samtools(
    finished: Path,
    tmp_path: Path,
    samtools: Callable[..., bytes],
    rows: dict[str, dict[str, Any]],
    sample: str,
) -> None:
    need("mosdepth")
    bam, targets, row = finished / f"{sample}.bam", finished / "merged.bed", rows[sample]
    command = ["mosdepth", "-n", "--by", targets, "--thresholds", "1", tmp_path / "x", bam]
    subprocess.run(command, check=True)
    lines = map(str.split, (tmp_path / "x.mosdepth.summary.txt").read_text().splitlines())
    summary = {name: cells for name, *cells in lines}
    assert row["target_mean_coverage"] == pytest.approx(float(summary["total_region"][2]), abs=0.0051)
    assert row["genome_mean_coverage"] == float(summary["total"][2])
    bases = int(summary["total_region"][1]) / int(summary["total"][1])
    assert row["on_target_base_rate"] == pytest.approx(bases, abs=1e-6)
    shares = dict(
        line.split("\t")[1:]
        for line in (tmp_path / "x.mosdepth.region.dist.txt").read_text().splitlines()
        if line.startswith("total\t")
    )
    for depth in THRESHOLDS:
        share = float(shares.get(str(depth), 0))
        assert row[f"target_breadth_{depth}x"] == pytest.approx(share, abs=0.0051)
    flags = ("view", "-c", "-F", 1796 | 2048, bam)
    reads = int(samtools(*flags, "-L", targets)) / int(samtools(*flags))
    assert row["on_target_read_rate"] == pytest.approx(reads, abs=1e-6)


def test_settings_of_coverage_count_for_reads(
    finished: Path, tmp_path: Path, commands: dict[str, str], samtools: Callable[..., bytes]
) -> None:
    project = Path(shutil.copytree(finished, tmp_path / "project"))
    (project / "x.bed").write_text(BED.splitlines(keepends=True)[0])
    config = example() | {"coverage": {"chrom": "chrX", "mapq": 30, "flag": 0}}
    config["cohort"]["regions"] = "x.bed"
    made = "results/cohort/samples/thin.targets_reads.txt"
    run(project, commands, config, made)
    flags = ("view", "-c", "-F", 4 | 256 | 2048, "-q", 30, project / "thin.bam")
    counts = [samtools(*flags, "chrX"), samtools(*flags, "-L", project / "x.bed")]
    assert (project / made).read_bytes() == b"".join(counts)
