"""The workflow as a module of others: docs/modules.md and examples/lab, and what is said of a configuration that does
not fit."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from forked import run_snakemake
from pages import blocks_of, run
from workflows import ROOT, samtools

BRINGING, *RULES = [block.code for block in blocks_of(ROOT / "docs" / "modules.md")]
"""Commands that bring the example's files and run it; parts of a workflow of one's own."""


@pytest.fixture
def checkout(simulated_cohort: Path, tmp_path: Path) -> Path:
    """What the page calls CHECKOUT, with the demo's data: those of the cohort stand in for them."""
    folder = tmp_path / "bams3"
    (folder / "demo").mkdir(parents=True)
    (folder / "demo" / "data").symlink_to(simulated_cohort)
    for part in ("examples", "workflow"):
        (folder / part).symlink_to(ROOT / part)
    return folder


@pytest.fixture
def lab(checkout: Path, commands: dict[str, str], tmp_path: Path) -> Path:
    """The folder in which the example runs, with all files that the page brings there."""
    (folder := tmp_path / "lab").mkdir()
    run(
        re.sub("^(pip|snakemake) .*", "", BRINGING, flags=re.MULTILINE),
        "sh",
        folder,
        commands | {"HOME": str(tmp_path)},
    )
    return folder


def snakemake(lab: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the page's command."""
    (command,) = re.findall("^snakemake (.*)", BRINGING, re.MULTILINE)
    words = shlex.split(command.replace("$CHECKOUT", str(lab.parent / "bams3")))
    return run_snakemake(lab, environment, *words, *arguments)


def test_the_lab_workflow(lab: Path, commands: dict[str, str]):
    done = snakemake(lab, commands)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing to be done" in snakemake(lab, commands, "--dry-run").stdout

    fresh = lab / "results" / "fresh" / "datasets" / "S1.bams3"
    subprocess.run(["bams3", "to-bam", fresh, "back.bam"], cwd=lab, env=commands, check=True)
    given_bam = lab.parent / "bams3" / "demo" / "data" / "S1.bam"
    back, given = (samtools("view", bam).splitlines() for bam in (lab / "back.bam", given_bam))
    assert sorted(back) == sorted(given)
    assert not (lab / "aligned" / "S1.bam").exists()

    rows = [line.split() for line in (lab / "results" / "records" / "S1.tsv").read_text().splitlines()]
    assert {region for region, _ in rows} == {
        "chr1:1-262144", "chr1:262145-500000", "chr2:1-250000", "_unplaced",
    }  # fmt: skip
    total = samtools("view", "-c", given_bam)
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
            "sample S1: aligned/S1.bam does not exist yet; set `contigs` to a .fai or a",
        ),
        (
            "  contigs: reference.fa.fai.*",
            "  grid: nowhere.fai",
            "nowhere.fai: No such file or directory; `contigs` in the config",
        ),
        (
            "chunks_per_batch: 2",
            "level: 5",
            "sample S1: aligned/S1.bam does not exist yet; set `chunks_per_batch` to a",
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


def test_the_rules_of_the_page(checkout: Path, lab: Path, commands: dict[str, str]) -> None:
    """Together, they are a workflow, which plans the conversion of what its own rule aligns, or none of a dataset."""
    rules = "\n\n".join(RULES).replace("path/to/bams3", str(checkout))
    (lab / "Snakefile").write_text(f'configfile: "config.yaml"\n\n\n{rules}')
    config = {"bams3": yaml.safe_load((lab / "config.yaml").read_text())["fresh"]}
    (lab / "config.yaml").write_text(yaml.safe_dump(config))

    records = "results/records/S1.tsv"

    def planned(*targets: str) -> dict[str, str]:
        done = run_snakemake(lab, commands, "--cores", "1", "--dry-run", "--", "all", *targets)
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE))

    jobs = planned(records)
    assert jobs["align"] == jobs["records"] == jobs["bams3_merge_parts"] == "1", jobs
    (lab / "fresh.tsv").write_text("sample\tdataset\nS1\tdatasets/S1.bams3\n")
    ours = planned(records)
    assert "align_to_dataset" in ours
    assert not ours.keys() & {"align", "bams3_convert_batch", "bams3_merge_parts"}
    assert ours["bams3_process_batch"] == jobs["bams3_process_batch"]

    # Targets have a function as input, which is called for the rule that uses it.
    moved = rules.replace(
        "module bams3:", 'module bams3:\n    prefix: "elsewhere"\n    pathvars: results="r"'
    )
    (lab / "Snakefile").write_text(f'configfile: "config.yaml"\n\n\n{moved}')
    assert planned() == {name: count for name, count in ours.items() if name not in ("records", "total")} | {
        "total": str(int(ours["total"]) - 1)
    }
