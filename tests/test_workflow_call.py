"""The workflow's joint calling, and genotyping: the same as bcftools calls of the BAMs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import need
from workflows import CONFIG, planned, run, snakemake

CALL = CONFIG | {
    "reference": "reference.fa",
    "call": {"window": 130_000, "mpileup": "-q 20 -a AD", "call": "-mv"},
}


def bcftools(*arguments: object, **options: object) -> str:
    command = ["bcftools", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


@pytest.fixture(scope="module")
def called(cohort: Path, commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("bcftools")
    directory = Path(shutil.copytree(cohort, tmp_path_factory.mktemp("called") / "project"))
    run(directory, commands, CALL, "call")
    return directory


def test_calls_equal_those_of_the_bams(called: Path, tmp_path: Path) -> None:
    calls = called / "results" / "call" / "calls.vcf.gz"
    bams = [called / "S1.bam", called / "S2.bam"]
    pileup = ["mpileup", "-f", called / "reference.fa", "-q", 20, "-a", "AD", "-Ou", "-o", tmp_path / "x.bcf"]
    bcftools(*pileup, *bams)
    wanted = bcftools("call", "-mv", tmp_path / "x.bcf")
    found = bcftools("view", calls)

    def records(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.startswith("##")]

    assert records(found) == records(wanted)
    assert len(records(found)) > 50
    assert bcftools("view", "-H", "-r", "chr2", calls).count("\n") == found.count("\nchr2\t")


def test_windows_are_jobs(called: Path, tmp_path: Path, commands: dict[str, str]) -> None:
    project = Path(shutil.copytree(called, tmp_path / "project"))
    assert planned(project, commands, CALL, "call") == {}
    (project / "results" / "call" / "calls.vcf.gz").unlink()
    assert planned(project, commands, CALL, "call") == {"call_window": 6, "gather_calls": 1}


def test_what_fails_is_told(called: Path, tmp_path: Path, commands: dict[str, str]) -> None:
    project = Path(shutil.copytree(called, tmp_path / "project"))
    shutil.rmtree(project / "results" / "call", ignore_errors=True)
    (chunk, *_) = sorted((project / "results/datasets/S2.bams3/data/chr2").glob("*.chunk"))
    chunk.unlink()
    failed = snakemake(project, commands, CALL, "--keep-going", "call")
    assert failed.returncode != 0
    log = "logs/call_window/000005.log"
    told = r"call_window: from chr2:1 on it failed: .*: the chunk is missing.*; see " + log
    for text in (failed.stderr, (project / log).read_text()):
        assert re.search(told, text)
        assert "Traceback" not in text
    assert not (project / "results/call/calls.vcf.gz").exists()


GENOTYPE = CONFIG | {"reference": "reference.fa", "genotype": {"manifest": "loci.tsv"}}


def test_genotypes_equal_those_of_the_bams(called: Path, tmp_path: Path, commands: dict[str, str]) -> None:
    project = Path(shutil.copytree(called, tmp_path / "project"))
    found = bcftools("view", "-H", "-v", "snps", called / "results/call/calls.vcf.gz").splitlines()
    places = [tuple(line.split("\t")[:2]) for line in found[::3]][::-1]
    loci = [(sample, *place) for place in places for sample in ("S2", "S1")]
    loci.append(("S1", "chr2", "1"))
    lines = ["\t".join(locus) + "\n" for locus in (("sample", "contig", "position"), *loci)]
    (project / "loci.tsv").write_text("".join(lines))
    (project / "places.bed").write_text("".join(f"{c}\t{int(p) - 1}\t{p}\n" for c, p in places[::-1]))
    run(project, commands, GENOTYPE, "genotype")
    heading, *rows = [
        line.split("\t") for line in (project / "results/genotype/genotypes.tsv").read_text().splitlines()
    ]
    assert heading == ["sample", "contig", "position", "ref", "alt", "genotype", "depth"]
    assert [tuple(row[:3]) for row in rows] == loci
    assert rows[-1][3:] == [".", ".", ".", "0"]
    text = ""
    for sample in ("S1", "S2"):
        pileup = ["mpileup", "-I", "-f", project / "reference.fa", "-R", project / "places.bed", "-Ou"]
        bcftools(*pileup, "-o", tmp_path / "x.bcf", project / f"{sample}.bam")
        bcftools("call", "-m", "-Ob", "-o", tmp_path / "y.bcf", tmp_path / "x.bcf")
        form = rf"{sample}\t%CHROM\t%POS\t%REF\t%ALT[\t%TGT]\t%INFO/DP\n"
        text += bcftools("query", "-f", form, tmp_path / "y.bcf")
    covered = [row for row in rows if row[3] != "."]
    assert sorted(covered) == sorted(line.split("\t") for line in text.splitlines())
    assert len(covered) > 40
    assert len({row[5] for row in rows}) > 4
