"""Each rule of the workflow, as `snakemake --generate-unit-tests` has it: given what its job was given, it makes again
what it made, and no other rule runs but such as it neither needs nor serves."""

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
# Rules that make nothing for each other run together.
TOGETHER = [
    ["convert_batch"],
    ["merge_parts"],
    [
        "query_batch", "process_batch", "coverage_batch", "write_bigwig", "count_alleles", "read_stats", "count_sites",
        "genotype_sample", "call_window", "cohort_regions",
    ],
    [
        "gather_query", "gather_coverage", "gather_alleles", "relate_samples", "measure_regions", "gather_calls",
        "gather_genotypes",
    ],
    ["cohort_matrices", "multiqc"],
    ["cohort_qc"],
    ["cohort_page"],
]  # fmt: skip


@pytest.fixture(scope="module")
def commands(commands: dict[str, str], multiqc: Path) -> dict[str, str]:
    """With MultiQC itself."""
    return commands | {"PATH": commands["PATH"].removeprefix(f"{multiqc}:")}


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
    assert sorted(rule for rules in TOGETHER for rule in rules) == sorted(MADE)


def test_multiqc_shows_who_is_who(states: dict[bool, Path]) -> None:
    report = (states[False] / "results" / "multiqc" / "multiqc_report.html").read_text()
    assert "bams3_identity_table" in report
    assert "too few to identify the sample" in report


@pytest.mark.parametrize("rules", TOGETHER, ids="-".join)
def test_rules(
    states: dict[bool, Path],
    results: dict[str, bytes],
    commands: dict[str, str],
    tmp_path: Path,
    rules: list[str],
) -> None:
    converts = rules[0] in CONVERTING
    project = Path(shutil.copytree(states[converts], tmp_path / "project", symlinks=True))
    for rule in rules:
        made = project / "results" / MADE[rule]
        if made.is_dir():
            shutil.rmtree(made)
        else:
            made.unlink(missing_ok=rule == "merge_parts")
    arguments = ("--notemp", "--allowed-rules", *rules, "--", *(f"results/{MADE[rule]}" for rule in rules))
    ran = snakemake(project, commands, EVERYTHING, *arguments)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\n\n", said, re.DOTALL)[1]
    assert dict(re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)) == (
        dict.fromkeys(rules, "1") | {"total": str(len(rules))}
    )
    if converts:
        wanted = states[rules != ["merge_parts"]] / "results" / MADE[rules[0]]
        assert (project / "results" / MADE[rules[0]]).read_bytes() == wanted.read_bytes()
    else:
        assert all((project / "results" / MADE[rule]).exists() for rule in rules)
        assert below(str(project), "results") == results
