"""Nextflow itself: docs/engines/nextflow.md as it stands there, on this machine and on SLURM; the same as Snakemake."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engines import begin, commands_of, coverage_files, killed_where, run_block
from peers import need
from servers.nextflow import nextflow
from servers.slurm import Slurm
from workflows import ROOT, below, run, samtools, write_sheet

import bams3

(PAGE,) = commands_of("nextflow.md")
SAME = {
    "samples": "samples.tsv",
    "convert": {"chunk_size": "256K", "chunks_per_batch": 2},
    "query": {"regions": ["chr1:250000-270000", "chr2:1-200000"], "exclude_flags": 1024},
    "coverage": {"by": 1000, "thresholds": "1,5", "quantize": "0:1:4:"},
    "process": {"command": "bams3 inspect {chunk} | grep ^records > {output}", "suffix": ".txt"},
}


@pytest.fixture(scope="module")
def environment(commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a user who has Nextflow."""
    for program in ("java", "mvn"):
        need(program)
    folder = tmp_path_factory.mktemp("nextflow")
    return commands | nextflow(folder) | {"PATH": f"{folder}:{commands['PATH']}"}


def with_bams3_killed(
    environment: dict[str, str], commands: dict[str, str], folder: Path, words: str
) -> dict[str, str]:
    """The environment with a bams3 that is killed when it first runs with some words; then `folder`/once is there."""
    killed_where(f'[[ "$*" == *"{words}"* ]] && mkdir "{folder}/once" 2> /dev/null', folder / "bin", commands)
    return environment | {"PATH": f"{folder / 'bin'}:{environment['PATH']}"}


def test_a_channel_of_chunks(engine_dataset: Path, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "NA12878.bams3").symlink_to(engine_dataset)
    expected = bams3.open(engine_dataset).count(until_eof=True, min_mapq=30)
    assert expected > 1000
    (block,) = commands_of("../guide.md", "Nextflow")
    assert str(expected) in run_block(block, tmp_path, environment).splitlines()


def test_the_same_as_snakemake(
    project: Path, environment: dict[str, str], commands: dict[str, str], tmp_path: Path
) -> None:
    """With a conversion that is killed once."""
    shutil.copytree(project, tmp_path / "other")
    run(tmp_path / "other", commands, SAME)
    (project / "integrations").symlink_to(ROOT / "integrations")
    run_block(PAGE, project, with_bams3_killed(environment, commands, tmp_path, "convert"))
    assert (tmp_path / "once").is_dir()
    for folder in ("datasets", "coverage"):
        made = below(str(tmp_path / "other/results"), folder)
        expected = {
            path: data for path, data in made.items() if not path.endswith(".depth")
        }  # what batches leave
        assert below(str(project / "results"), folder) == expected
        assert len(expected) > 10
    for sample in ("S1", "S2"):
        here, there = (place / "results" for place in (project, tmp_path / "other"))
        made, wanted = (samtools("view", place / f"query/{sample}.bam") for place in (here, there))
        assert made == wanted
        assert made
        chunks = {path.name: path.read_text() for path in (here / "process" / sample).iterdir()}
        batches = (there / "process" / sample).glob("*/*.txt")
        assert chunks == {path.name: path.read_text() for path in batches}
        assert all("records" in text for text in chunks.values())


@pytest.fixture
def here(engine_dataset: Path, commands: dict[str, str], tmp_path: Path) -> Path:
    """A directory as the page begins, with a sheet that names the engines' dataset."""
    begin("nextflow.md", tmp_path, engine_dataset, commands)
    (tmp_path / "S1.bams3").symlink_to(engine_dataset)
    write_sheet(tmp_path, ("S1", "S1.bams3"), columns="sample dataset")
    return tmp_path


def test_coverage_on_slurm(
    here: Path, slurm_cluster: Slurm, environment: dict[str, str], commands: dict[str, str],
    engine_coverage: dict[str, bytes],
) -> None:  # fmt: skip
    before = set(slurm_cluster.finished())
    killed = with_bams3_killed(environment, commands, here, "--batch 2/4") | slurm_cluster.environment
    (here / "nextflow.config").write_text("executor.pollInterval = '1s'\nexecutor.queueStatInterval = '2s'\n")
    block = (
        PAGE.replace("-profile local", "-profile slurm").partition("--query")[0]
        + PAGE.partition("DUP' \\\n")[2]
    )
    run_block(block.partition("--command")[0].rstrip(" \\\n"), here, killed)
    assert (here / "once").is_dir()
    assert coverage_files(here / "results/coverage") == engine_coverage
    jobs = [job for number, job in slurm_cluster.finished().items() if number not in before]
    assert sorted(job["JobState"] for job in jobs) == ["COMPLETED"] * 5 + ["FAILED"]


@pytest.fixture
def started(here: Path, environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the workflow with options."""

    def start(*options: Any) -> subprocess.CompletedProcess[str]:
        command = ["nextflow", "run", "integrations/nextflow", "-profile", "local", *map(str, options)]
        return subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True)

    return start


def test_stubs(here: Path, started: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """nf-core's convention: a run that makes empty files."""
    (here / "x.bam").touch()
    write_sheet(here, ("S1", "x.bam"))
    done = started("-stub-run", "--input", "samples.tsv", "--query", "--coverage", "--command", "echo")
    assert done.returncode == 0, done.stdout + done.stderr
    made = {str(path.relative_to(here / "results")) for path in (here / "results").rglob("*.*")}
    assert made == {
        "datasets/S1.bams3", "query/S1.bam", "coverage/S1.mosdepth.summary.txt",
        "coverage/S1.mosdepth.global.dist.txt",
    }  # fmt: skip


WRONG = """\
S1	S1.bams3
S1	S1.bams3
S/2	S2.bams3
S3	S3.bams3	x.bam
S4		s3://k:s3cr3t@b/x.bam
"""
MISTAKES = (
    "samples.tsv: sample S1 occurs 2 times",
    "samples.tsv: sample S/2: a name may have letters",
    "samples.tsv: sample S3: give alignments or dataset",
    "samples.tsv: sample S4: a secret in a URL",
)


@pytest.mark.parametrize(
    ("rows", "messages"),
    [
        (None, [
            "give --input samples.tsv", "unknown parameters are ignored: chunk-size", "--regions: give a value",
            "--batches 0: give a positive number",
        ]),
        (WRONG, MISTAKES),
        ("S1\t\tnowhere.bam\n", ["nowhere.bam"]),
    ],
    ids=["no sheet", "mistakes in it", "no file"],
)  # fmt: skip
def test_what_is_wrong(
    here: Path,
    started: Callable[..., subprocess.CompletedProcess[str]],
    rows: str | None,
    messages: list[str],
) -> None:
    if rows is not None:
        (here / "samples.tsv").write_text(f"sample\tdataset\talignments\n{rows}")
    done = started(
        *(["--input", "samples.tsv"] if rows else ["--chunk-size", "256K", "--batches", "0", "--regions"])
    )
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert [message for message in messages if message not in said] == []
    assert "s3cr3t" not in said
    assert not (here / "results").exists()


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ("echo {region} {sample} > {output}; printf '%s\\n' \"$BAMS3_REGION\" >> {output}", True),
        ("echo '{region}' > {output}", False),
    ],
)
def test_names_of_contigs_are_no_code(
    here: Path, started: Callable[..., subprocess.CompletedProcess[str]], command: str, runs: bool
) -> None:
    names = ["c;touch${IFS}MADE;x", "c$(touch${IFS}MADE)", "c';touch${IFS}MADE;'"]
    head = "".join(f"@SQ\tSN:{name}\tLN:99\n" for name in names)
    (here / "x.sam").write_text(
        "@HD\tVN:1.6\tSO:coordinate\n" + head
        + "".join(f"r\t0\t{name}\t5\t60\t5M\t*\t0\t0\tACGTA\tIIIII\n" for name in names)
    )  # fmt: skip
    bams3.convert(here / "x.sam", here / "x.bams3")
    write_sheet(here, ("S1", "x.bams3"), columns="sample dataset")
    if not runs:
        (here / "nextflow.config").write_text("process.maxRetries = 0\n")
    done = started("--input", "samples.tsv", "--command", command)
    assert not list(here.rglob("MADE*"))
    made = [path.read_text() for path in (here / "results/process/S1").glob("*")]
    if runs:
        assert done.returncode == 0, done.stdout + done.stderr
        regions = [f"{{{name}}}:1-99" if "{" in name else f"{name}:1-99" for name in names]
        assert sorted(made) == sorted(f"{region} S1\n{region}\n" for region in regions)
    else:
        assert (done.returncode, made) == (1, [])
        assert '"$BAMS3_REGION"' in done.stdout + done.stderr
