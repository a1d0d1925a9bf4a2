"""The workflow as a module of others: examples/lab, and what is said of a configuration that does not fit."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from forked import run_snakemake
from workflows import ROOT, samtools

LAB = ROOT / "examples" / "lab"


@pytest.fixture
def lab(project: Path) -> Path:
    """The example's directory with what it does not bring: reads of S1, the alignments of S2, a reference."""
    for name in ("config.yaml", "fresh.tsv", "archive.tsv"):
        shutil.copy(LAB / name, project)
    (project / "reads").mkdir()
    (project / "S1.bam").rename(project / "given.bam")
    (project / "reads" / "S1.sam").write_text(samtools("view", "-h", project / "given.bam"))
    return project


def snakemake(lab: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_snakemake(lab, environment, "-s", str(LAB / "Snakefile"), "--cores", "2", *arguments)


def test_the_lab_workflow(lab: Path, commands: dict[str, str]):
    done = snakemake(lab, commands)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing to be done" in snakemake(lab, commands, "--dry-run").stdout

    fresh = lab / "results" / "fresh" / "datasets" / "S1.bams3"
    subprocess.run(["bams3", "to-bam", fresh, "back.bam"], cwd=lab, env=commands, check=True)
    back, given = (samtools("view", lab / name).splitlines() for name in ("back.bam", "given.bam"))
    assert sorted(back) == sorted(given)
    assert not (lab / "aligned" / "S1.bam").exists()

    rows = [line.split() for line in (lab / "results" / "records" / "S1.tsv").read_text().splitlines()]
    assert {region for region, _ in rows} == {
        "chr1:1-262144", "chr1:262145-500000", "chr2:1-250000", "_unplaced",
    }  # fmt: skip
    total = samtools("view", "-c", lab / "given.bam")
    assert sum(int(count) for _, count in rows) == int(total)

    archive = lab / "archive" / "results"
    wanted = samtools("view", lab / "S2.bam", "chr1:200000-300000")
    assert samtools("view", archive / "query" / "S2.bam") == wanted
    assert (archive / "coverage" / "S2.regions.bed.gz").exists()
    quality = (archive / "cohort" / "samples.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in quality] == ["sample", "S2"]
    calls = subprocess.run(
        ["bcftools", "query", "-l", archive / "call" / "calls.vcf.gz"], capture_output=True, check=True
    )
    assert calls.stdout == b"S2\n"
    assert sorted(path.name for path in (lab / "results").iterdir()) == ["fresh", "records"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "  contigs: reference.fa.fai.*",
            "",
            "sample S1: aligned/S1.bam is yet to be made; give `contigs` a .fai or a",
        ),
        (
            "  contigs: reference.fa.fai.*",
            "  grid: nowhere.fai",
            "nowhere.fai: No such file or directory; `contigs` in the config",
        ),
        (
            "chunks_per_batch: 2",
            "level: 5",
            "sample S1: aligned/S1.bam is yet to be made; give `chunks_per_batch` a",
        ),
        (
            "samples: archive.tsv",
            "samples: nowhere.tsv",
            "nowhere.tsv: No such file or directory; `samples` in the config names",
        ),
    ],
)
def test_an_error_is_one_clear_line(
    lab: Path, commands: dict[str, str], before: str, after: str, message: str
):
    text = (lab / "config.yaml").read_text()
    (lab / "config.yaml").write_text(re.sub(before, after, text))
    failed = snakemake(lab, commands, "--dry-run")
    shown = (failed.stdout + failed.stderr).splitlines()
    assert failed.returncode != 0
    assert any(line.startswith(f"Error: {message}") for line in shown), shown
