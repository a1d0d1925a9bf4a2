"""The Snakemake workflow on a tiny cohort: its results, what it runs again and when, its error messages."""

import gzip
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from bams3.workflow.errors import ConfigurationError
from forked import run_snakemake
from servers.fixtures import s3_client
from snakemake.api import OutputSettings, ResourceSettings, SnakemakeApi
from snakemake.settings.types import Quietness
from workflows import (
    CONFIG,
    CONVERTS,
    COVERAGE,
    PROCESS,
    QUERY,
    SNAKEFILE,
    WINDOWS,
    configure,
    planned,
    refusal,
    run,
    samtools,
    snakemake,
    write_sheet,
)

from bams3 import convert


@pytest.mark.parametrize(
    ("change", "target", "jobs"),
    [
        (
            {"query": QUERY, "convert": WINDOWS | {"chunks_per_batch": 1}},
            "convert",
            CONVERTS | {"convert_batch": 8},
        ),
        (
            {"query": QUERY, "contigs": "reference.dict"},
            "query",
            CONVERTS | {"query_batch": 4, "gather_query": 2},
        ),
        (
            {"coverage": {}, "contigs": "reference.fa.fai"},
            "all",
            CONVERTS | {"coverage_batch": 4, "gather_coverage": 2},
        ),
    ],
)
def test_jobs_of_a_target(cohort: Path, change: dict, target: str, jobs: dict[str, int]):
    assert planned(cohort, CONFIG | change, target) == jobs


@pytest.mark.parametrize(
    ("size", "change", "samples", "batches"),
    [
        (4_000_001, {}, 1, 2),
        (10**12, {"chunks_per_batch": 3}, 1000, 2),  # the same whatever other samples there are
    ],
)
def test_batches_are_sized_by_bytes(project: Path, size: int, change: dict, samples: int, batches: int):
    write_sheet(project, *((f"S{number}", "S1.bam") for number in range(samples)))
    os.truncate(project / "S1.bam", size)
    settings = {"chunk_size": "256K", "gigabytes_per_batch": 0.004} | change
    config = CONFIG | {"convert": settings, "coverage": {}}
    jobs = planned(project, config, "results/coverage/S0.mosdepth.summary.txt")
    assert (jobs["convert_batch"], jobs["coverage_batch"]) == (batches, batches)


def foreign_contigs(directory: Path) -> dict[str, str]:
    (directory / "other.fai").write_text("chr1\t500000\t6\t60\t61\nchr9\t250000\t6\t60\t61\n")
    return {"contigs": "other.fai"}


def pipe_of(name: str) -> Callable[[Path], Any]:
    def change(project: Path) -> Any:
        (project / name).unlink(missing_ok=True)
        os.mkfifo(project / name)
        return {"query": {"bed": name}} if name.endswith(".bed") else {}

    return change


def truncate_bam(directory: Path) -> None:
    (directory / "S2.bam").write_bytes((directory / "S2.bam").read_bytes()[:100])


def contig_of_a_comment(directory: Path) -> dict[str, Any]:
    (directory / "x.sam").write_text("@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:#1\tLN:9\n")
    convert(directory / "x.sam", directory / "x.bams3")
    write_sheet(directory, ("S1", "x.bams3"), columns="sample dataset")
    return {"coverage": {}, "cohort": {}}


def loci(line: str) -> Callable[[Path], dict[str, Any]]:
    def write(directory: Path) -> dict[str, Any]:
        (directory / "loci.tsv").write_text(line)
        return {"genotype": {"manifest": "loci.tsv"}}

    return write


@pytest.mark.parametrize(
    ("change", "rows", "message"),
    [
        ({"convrt": {}}, (), "config: convrt: unknown key; did you mean `convert`?"),
        (
            {"coverage": {"fast": True}},
            (),
            "config: coverage: fast: unknown key; did you mean `fast_mode`?",
        ),
        ({"cohort": {}}, (), "config: cohort requires `coverage`; set it too"),
        (
            {"coverage": {}, "cohort": {"limits": {"mean_covrage": {"min": 1}}}},
            (),
            "config: cohort: limits: mean_covrage: the QC table has no such column; did you mean mean",
        ),
        (
            {"coverage": {}, "cohort": {"limits": {"breadth_25x": {"min": 0.9}}}},
            (),
            "config: cohort: limits: breadth_25x: not measured; add 25 to `thresholds`",
        ),
        ({"convert": {"chunk_size": "3M"}}, (), "config: convert: chunk_size: '3M': use one of 256K, 512K,"),
        (
            {"convert": {"chunks_per_batch": "all"}},
            (),
            "config: convert: chunks_per_batch: 'all' does not fit: a whole number from 1, or auto",
        ),
        ({"query": {"regions": []}}, (), "config: query: regions: [] does not fit: regions such as"),
        ({"samples": "none.tsv"}, (), "none.tsv: No such file or directory; `samples` in the config names"),
        ({"contigs": "none.fai"}, (), "none.fai: No such file or directory; `contigs` in the config"),
        (
            foreign_contigs,
            (),
            "sample S1: its contigs are not those of `contigs`: it has chr2 (250000 bp) instead of chr9 (250000 bp)",
        ),
        (
            {"coverage": {}, "cohort": {}},
            (("name", "S1.bam"),),
            "samples.tsv:2: sample name: the matrices of the cohort have a column with that name; rename",
        ),
        (
            contig_of_a_comment,
            (),
            "config: cohort: contig '#1': its name cannot be used in a BED file (it starts",
        ),
        ({}, (("S1", "S9.bam"),), "sample S1: S9.bam: no such file"),
        (pipe_of("S2.bam"), (), "sample S2: S2.bam: not a regular file, but it is read more than once"),
        (pipe_of("samples.tsv"), (), "samples.tsv: not a regular file, but it is read more than once"),
        (pipe_of("x.bed"), (), "config: x.bed: not a regular file, but it is read more than once"),
        (truncate_bam, (), "sample S2: S2.bam, compressed offset 0: the file is truncated within the block"),
        (
            loci("S9\tchr1\t5"),
            (),
            "loci.tsv:1: sample S9 is not in the sheet; add it there, or remove the line",
        ),
        (loci("S1\tchr1\t5"), (), "config: genotype needs a `reference`: the FASTA of the alignments"),
        ({"call": {}}, (), "config: call needs a `reference`: the FASTA of the alignments"),
        (
            {},
            (("S1", "https://h/x.bam?X-Amz-Signature=s3cr3t"),),
            "samples.tsv:2: sample S1: alignments: contains a secret",
        ),
        ({}, (("s3://k:s3cr3t@b/x", "x.bam"),), "samples.tsv:2: sample s3://b/x: sample: contains a secret"),
        ({"contigs": "az://b/x.fai?sig=s3cr3t"}, (), "config: contigs: contains a secret"),
        (
            {"query": {"regions": ["chr1", "a://b:s3cr3t@c"]}},
            (),
            "config: query: regions: 1: contains a secret",
        ),
        (
            {"process": {"command": "echo '{region}'"}},
            (),
            "config: process: command: {region} stands in quotes",
        ),
    ],
)
def test_an_error_is_one_clear_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, change: Any, rows: tuple, message: str
):
    config = CONFIG | (change if isinstance(change, dict) else {})
    if callable(change):
        config |= change(project) or {}
    if rows:
        write_sheet(project, *rows)
    configure(project, config)
    monkeypatch.chdir(project)
    with (
        pytest.raises(ConfigurationError) as raised,
        SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api,
    ):
        api.workflow(resource_settings=ResourceSettings(cores=1), snakefile=SNAKEFILE).dag().execute_workflow(
            "dryrun"
        )
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("stats/S9.stats", "sample S9 is not in samples.tsv; add it there, or correct the name"),
        (
            "genotype/S2.bcf",
            "loci.tsv: no locus of sample S2 lies in a target; add one, or choose another target",
        ),
        ("query/S1.bam", "query"),
        ("query/S1/000001-of-000002.bam", "query"),
        ("coverage/S1.mosdepth.summary.txt", "coverage"),
        ("coverage/S1.bw", "coverage: bigwig"),
        ("alleles/known.tsv.gz", "alleles"),
        ("alleles/known/S1.tsv.gz", "alleles"),
        ("process/S1/000001-of-000002", "process"),
        ("identity/S1.counts", "identity"),
        ("identity/findings.tsv", "identity"),
        ("cohort/regions.bed", "cohort"),
        ("cohort/mean.tsv", "cohort"),
        ("cohort/report.html", "cohort"),
        ("multiqc/multiqc_report.html", "cohort"),
        ("call/calls.vcf.gz", "call"),
    ],
)
def test_a_target_that_cannot_be_made(project: Path, target: str, message: str):
    config = CONFIG | {"reference": "reference.fa", "genotype": {"manifest": "loci.tsv"}}
    if ";" not in message:
        message = f"config: `{message}` is missing, and a target is one of its results; add it (config/README.md), or"
        message += " choose another target"
    assert refusal(project, yaml.safe_dump(config), targets={f"results/{target}"}) == f"Error:\n{message}"


def test_the_error_is_what_the_user_sees(project: Path, commands: dict[str, str]):
    write_sheet(project, ("S1", "S9.bam"))
    failed = snakemake(project, commands, CONFIG, "--dry-run")
    shown = (failed.stdout + failed.stderr).splitlines()
    assert failed.returncode != 0
    assert "Error: sample S1: S9.bam: no such file" in shown
    assert not any("Traceback" in line or 'File "' in line for line in shown)


@pytest.fixture(scope="module")
def finished(cohort: Path, commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which query and process have run."""
    directory = Path(shutil.copytree(cohort, tmp_path_factory.mktemp("finished") / "project"))
    run(directory, commands, CONFIG | {"query": QUERY, "process": PROCESS})
    return directory


def test_alignments_in_object_storage(project: Path, commands: dict[str, str], bucket: str):
    """One with its index beside it, one with a local one; converted in place, as from files, and once."""
    for name in ("S1.bam", "S1.bam.bai", "S2.bam"):
        body = (project / name).read_bytes()
        s3_client().put_object(Bucket=bucket[5:], Key=name, Body=body)
    rows = [(name, f"{bucket}/{name}.bam", index) for name, index in (("S1", ""), ("S2", "S2.bam.bai"))]
    write_sheet(project, *rows, columns="sample alignments index")
    environment = commands | {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    run(project, environment, CONFIG, "convert")
    assert planned(project, CONFIG, "convert") == {}
    for name in ("S1", "S2"):
        dataset = project / "results" / "datasets" / f"{name}.bams3"
        command = ["bams3", "verify", "--against", f"{name}.bam", dataset]
        subprocess.run(command, cwd=project, env=commands, check=True)


def test_query_equals_samtools(finished: Path):
    for sample in ("S1", "S2"):
        options = ["-F", QUERY["exclude_flags"], "-e", QUERY["filter"]]
        wanted = samtools("view", *options, finished / f"{sample}.bam", *QUERY["regions"])
        found = finished / "results" / "query" / f"{sample}.bam"
        assert samtools("view", found) == wanted != ""
        assert samtools("view", "-c", found, "chr2:100000-150000") != "0\n"


def test_a_command_runs_on_each_chunk(finished: Path):
    outputs = sorted((finished / "results" / "process" / "S1").glob("*/*.txt"))
    chunks = sorted((finished / "results" / "datasets" / "S1.bams3" / "data").rglob("*.chunk"))
    assert len(outputs) == len(chunks) == 4
    texts = {path.name: path.read_text() for path in outputs}
    reads = samtools("view", "-c", finished / "S1.bam", "chr2").strip()
    assert texts["chr2-000000000-000262144.txt"] == f"S1 chr2:1-250000 000000000-000262144.chunk {reads}\n"


def test_only_what_is_needed_runs_again(finished: Path, commands: dict[str, str]):
    config = CONFIG | {"query": QUERY, "process": PROCESS}
    assert planned(finished, config) == {}
    assert not list((finished / "results" / "datasets").glob("*/_parts/*"))

    (finished / "results" / "query" / "S1.bam").unlink()
    assert planned(finished, config, "query") == {"query_batch": 2, "gather_query": 1}

    for name in ("bam", "bam.bai"):
        (finished / f"S2.{name}").write_bytes((finished / f"S1.{name}").read_bytes())
    once = {"convert_batch": 2, "merge_parts": 1}
    assert planned(finished, config, "convert") == once
    run(finished, commands, config)
    assert planned(finished, config) == {}
    results = finished / "results" / "query"
    assert samtools("view", results / "S1.bam") == samtools("view", results / "S2.bam")


@pytest.mark.parametrize("mode", ["fast_mode", "fragment_mode"])
def test_coverage_equals_that_of_the_command(
    finished: Path, project: Path, commands: dict[str, str], mode: str
):
    dataset = str(finished / "results" / "datasets" / "S1.bams3")
    write_sheet(project, ("S1", dataset), columns="sample dataset")
    run(project, commands, CONFIG | {"coverage": {mode: True, "mapq": 10, "bigwig": {}}}, "coverage")
    command = ["bams3", "coverage", dataset, f"--{mode.replace('_', '-')}", "--mapq", "10"]
    for output in (["-o", "expected"], ["--bigwig", "expected.bw"]):
        subprocess.run([*command, *output], cwd=project, env=commands, check=True)
    assert (project / "results/coverage/S1.bw").read_bytes() == (project / "expected.bw").read_bytes()
    found, expected = (
        project / "results" / "coverage" / "S1.per-base.bed.gz",
        project / "expected.per-base.bed.gz",
    )
    assert gzip.decompress(found.read_bytes()) == gzip.decompress(expected.read_bytes())


def test_an_existing_dataset_is_not_converted(finished: Path, project: Path, commands: dict[str, str]):
    dataset = str(finished / "results" / "datasets" / "S2.bams3")
    write_sheet(project, ("S1", "S1.bam", ""), ("S2", "", dataset), columns="sample alignments dataset")
    once = {"convert_batch": 2, "merge_parts": 1}
    queries = {"query_batch": 4, "gather_query": 2}
    assert planned(project, CONFIG | {"query": QUERY}) == once | queries
    small = CONFIG | {"query": QUERY, "convert": {"chunk_size": "256K", "gigabytes_per_batch": 1e-9}}
    touched = {"query_batch": 2 * 3}  # of four windows, the regions touch three
    assert planned(project, small) == once | {"convert_batch": 4} | queries | touched


def test_an_existing_dataset_of_an_earlier_run_is_kept(
    finished: Path, project: Path, commands: dict[str, str]
):
    shutil.copytree(finished / "results" / "datasets", project / "results" / "datasets")
    dataset = "results/datasets/S1.bams3"
    write_sheet(project, ("S1", dataset), columns="sample dataset")
    assert planned(project, CONFIG | {"query": QUERY}) == {"query_batch": 2, "gather_query": 1}


def test_coverage_equals_mosdepth(finished: Path, project: Path, commands: dict[str, str]):
    rows = [(name, str(finished / "results" / "datasets" / f"{name}.bams3")) for name in ("S1", "S2")]
    write_sheet(project, *rows, columns="sample dataset")
    run(project, commands, CONFIG | {"coverage": COVERAGE}, "coverage")
    options = ["--by", "1000", "--quantize", "0:1:4:", "--thresholds", "1,5"]
    try:
        subprocess.run(["mosdepth", *options, "expected", "S1.bam"], cwd=project, check=True)
    except FileNotFoundError:
        pytest.fail("mosdepth is needed to check the workflow's results")
    for expected in project.glob("expected.*"):
        found = project / "results" / "coverage" / expected.name.replace("expected", "S1")
        if expected.suffix == ".gz":
            assert gzip.decompress(found.read_bytes()) == gzip.decompress(expected.read_bytes())
        elif expected.suffix == ".txt":
            assert found.read_text() == expected.read_text()
        else:
            assert found.exists()


def test_the_rules_pass_the_linter_of_snakemake(cohort: Path, commands: dict[str, str]):
    (cohort / "config").mkdir(exist_ok=True)
    (cohort / "config" / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    checked = run_snakemake(cohort, commands, "-s", str(SNAKEFILE), "--lint")
    assert checked.returncode == 0, checked.stdout + checked.stderr
