"""Each rule of the workflow by itself, as `snakemake --generate-unit-tests` has it: given what its job was given, it
makes again what it made, and no other rule runs."""

import re
import shutil
from pathlib import Path

import pytest
from peers import need
from workflows import CONFIG, COVERAGE, OF_THE_COHORT, PROCESS, QUERY, below, run, snakemake

EVERYTHING = CONFIG | OF_THE_COHORT | {"query": QUERY, "process": PROCESS, "coverage": COVERAGE}
TARGETS = {
    "all", "convert", "query", "coverage", "alleles", "process", "identity", "cohort", "call", "genotype",
}  # fmt: skip
# Of each rule a file or directory of one of its jobs. Of a conversion, what is there before its parts are merged.
CONVERTING = {
    "convert_batch": "datasets/S1.bams3/_parts/000001-of-000002.json",
    "merge_parts": "datasets/S1.bams3/_metadata.json",
}
MADE = CONVERTING | {
    "query_batch": "query/S1/000001-of-000002.bam",
    "gather_query": "query/S1.bam",
    "process_batch": "process/S1/000001-of-000002",
    "coverage_batch": "coverage/S1/000001-of-000002.depth",
    "gather_coverage": "coverage/S1.mosdepth.summary.txt",
    "write_bigwig": "coverage/S1.bw",
    "count_alleles": "alleles/known/S1.tsv.gz",
    "gather_alleles": "alleles/known.tsv.gz",
    "read_stats": "stats/S1.flagstat",
    "count_sites": "identity/S1.counts",
    "relate_samples": "identity/findings.tsv",
    "cohort_regions": "cohort/regions.bed",
    "measure_regions": "cohort/samples/S1.reads.tsv",
    "cohort_matrices": "cohort/mean.tsv",
    "cohort_qc": "cohort/samples.tsv",
    "cohort_page": "cohort/report.html",
    "multiqc": "multiqc/multiqc_report.html",
    "call_window": "call/000001.bcf",
    "gather_calls": "call/calls.vcf.gz",
    "genotype_sample": "genotype/S1.bcf",
    "gather_genotypes": "genotype/genotypes.tsv",
}


@pytest.fixture(scope="module")
def states(
    cohort: Path, commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[bool, Path]:
    """Projects with all files that jobs made, also temporary ones: False: all is done; True: no parts are merged."""
    for program in ("bcftools", "multiqc"):
        need(program)
    directory = Path(shutil.copytree(cohort, tmp_path_factory.mktemp("rules") / "converting"))
    run(directory, commands, EVERYTHING, "--notemp", "--until", "convert_batch")
    done = Path(shutil.copytree(directory, directory.with_name("done")))
    run(done, commands, EVERYTHING, "--notemp")
    return {True: directory, False: done}


@pytest.fixture(scope="module")
def results(states: dict[bool, Path]) -> dict[str, bytes]:
    """What is there when all is done."""
    return below(str(states[False]), "results")


def test_every_rule_is_tried(states: dict[bool, Path], commands: dict[str, str]) -> None:
    listed = snakemake(states[False], commands, EVERYTHING, "--list-rules").stdout.split()
    assert set(listed) == TARGETS | MADE.keys()


def test_multiqc_shows_who_is_who(states: dict[bool, Path]) -> None:
    report = (states[False] / "results" / "multiqc" / "multiqc_report.html").read_text()
    assert "bams3_identity_table" in report
    assert "too few to identify the sample" in report


@pytest.mark.parametrize("rule", MADE)
def test_a_rule(
    states: dict[bool, Path], results: dict[str, bytes], commands: dict[str, str], tmp_path: Path, rule: str
) -> None:
    project = Path(shutil.copytree(states[rule in CONVERTING], tmp_path / "project", symlinks=True))
    made = project / "results" / MADE[rule]
    if made.is_dir():
        shutil.rmtree(made)
    else:
        made.unlink(missing_ok=rule == "merge_parts")
    arguments = ("--notemp", "--allowed-rules", rule, "--", f"results/{MADE[rule]}")
    ran = snakemake(project, commands, EVERYTHING, *arguments)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert re.search(rf"Job stats:\njob +count\n[- ]+\n{rule} +1\ntotal +1\n", said), said
    if rule in CONVERTING:
        wanted = states[rule != "merge_parts"] / "results" / MADE[rule]
        assert made.read_bytes() == wanted.read_bytes()
    else:
        assert made.exists()
        assert below(str(project), "results") == results
