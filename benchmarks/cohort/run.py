"""The workflow locally, on SLURM and on AWS Batch: results for a cohort compared, and costs of jobs and planning.

    python benchmarks/cohort/run.py                    # 20 samples of 10 Mb, 5x; half an hour, on a quiet machine
    python benchmarks/cohort/run.py --quick            # 3 samples, fewer jobs; leaves no file

The cluster and AWS are simulated on this machine by the servers of the tests (tests/servers). The table goes to
standard output and to results/DATE-cohort.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

BENCHMARKS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(BENCHMARKS), *(str(BENCHMARKS.parent / folder) for folder in ("tests", "tests/support"))]

import simulate  # noqa: E402
from harness.table import processor, system  # noqa: E402
from servers.batch import IMAGE, Batch, batch_with_snakemake  # noqa: E402
from servers.slurm import slurm  # noqa: E402
from workflows import ROOT, SNAKEFILE, below, checkout, configure, job_environment  # noqa: E402

CONFIG: dict[str, Any] = {
    "samples": "samples.tsv",
    "coverage": {"by": 1000, "thresholds": "1,5,10"},
    "query": {"regions": ["chr1:100,000-200,000"], "exclude_flags": 1024},
    "process": {"command": "bams3 inspect {chunk} > {output}"},
    "cohort": {"regions": 100_000},
}
# Lengths of the chromosomes of GRCh38, and of 170 small contigs, as in the analysis set without alternate loci.
GRCH38 = [
    248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636, 138394717, 133797422,
    135086622, 133275309, 114364328, 107043718, 101991189, 90338345, 83257441, 80373285, 58617616, 64444167, 46709983,
    50818468, 156040895, 57227415, 16569,
]  # fmt: skip
SMALL_CONTIGS = [150_000] * 170


class Row(NamedTuple):
    """A row of the table: what was measured, the result, and the floor."""

    what: str
    figure: str
    floor: str


class Used(NamedTuple):
    """What a run took.

    Wall seconds, CPU seconds of the whole machine and of the controller, and the controller's peak memory in MB.
    """

    wall: float
    machine: float
    controller: float
    peak: float


def busy() -> float:
    """Return the CPU seconds that this machine has spent since it started."""
    ticks = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]))
    user, nice, kernel = ticks[:3]
    return (user + nice + kernel) / os.sysconf("SC_CLK_TCK")


def snakemake(directory: Path, environment: dict[str, str], *arguments: str) -> Used:
    """Run the workflow in a directory. Raises RuntimeError if it fails."""
    program = (
        "import atexit, resource, sys\n"
        "from snakemake.cli import main\n"
        "@atexit.register\n"
        "def told():\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print('controller', used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)\n"
        "main(sys.argv[1:])\n"
    )
    begun, before = time.monotonic(), busy()
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    cpu, peak = done.stderr.rsplit("controller ", 1)[1].split()
    return Used(time.monotonic() - begun, busy() - before, float(cpu), int(peak) / 1000)


def on_profile(name: str) -> list[str]:
    return ["-s", str(SNAKEFILE), "--profile", str(ROOT / "profiles" / name), "--quiet", "rules", "host"]


def configured(directory: Path, config: dict[str, Any]) -> Path:
    configure(directory, config)
    return directory


def jobs_of(directory: Path) -> int:
    """Return how many jobs a run had, according to its progress file."""
    from bams3.progress.run import read_state

    return read_state(str(directory / "results"))["jobs"]


def same_results(cohort: Path, work: Path, environment: dict[str, str]) -> list[Row]:
    """Process the cohort on each of the three systems, in separate directories."""
    local, cluster = (Path(shutil.copytree(cohort, work / name)) for name in ("local", "slurm"))
    used = snakemake(configured(local, CONFIG), environment, *on_profile("local"))
    wanted, jobs = below(str(local), "results"), jobs_of(local)
    rows = [Row(f"local: {jobs} jobs", f"{used.wall:.0f} s, {used.machine:.0f} CPU-s", "")]

    (work / "cluster").mkdir()
    with slurm(work / "cluster") as started:
        waits = ["--slurm-init-seconds-before-status-checks", "5"]
        args = environment | started.environment
        ran = snakemake(configured(cluster, CONFIG), args, *on_profile("slurm"), *waits)
        submitted = len(started.finished())
        bare = bare_job(work / "bare", args, waits)
    same = below(str(cluster), "results") == wanted
    more = (ran.machine - used.machine) / submitted
    rows += [
        Row(f"SLURM: {submitted} jobs submitted", f"{ran.wall:.0f} s, {ran.machine:.0f} CPU-s", ""),
        Row("… results", f"{len(wanted)} files, {'the same' if same else 'THEY DIFFER'}", "the same"),
        Row("… CPU of a job besides its work", f"{more:.1f} CPU-s", "3 CPU-s"),
        Row("… of that, of a job of Snakemake and SLURM alone", f"{bare:.1f} CPU-s", ""),
    ]
    ran, found = on_aws(cohort, work, environment)
    same = found == wanted
    rows += [
        Row("AWS Batch", f"{ran.wall:.0f} s, {ran.machine:.0f} CPU-s", ""),
        Row("… results", f"{len(found)} files, {'the same' if same else 'THEY DIFFER'}", "the same"),
    ]
    return rows


def bare_job(directory: Path, environment: dict[str, str], waits: list[str], jobs: int = 30) -> float:
    """Return the CPU seconds of an empty SLURM job in a workflow with one rule: a cost that bams3 can't change."""
    directory.mkdir()
    rules = (
        f"rule all:\n    input: expand('{{i}}', i=range({jobs}))\n"
        "rule job:\n    output: '{i}'\n    shell: 'touch {output}'\n"
    )
    (directory / "Snakefile").write_text(rules)
    used = snakemake(directory, environment, *on_profile("slurm")[2:], *waits)
    return (used.machine - used.controller) / jobs


def on_aws(cohort: Path, work: Path, environment: dict[str, str]) -> tuple[Used, dict[str, bytes]]:
    """Process the cohort on AWS Batch, with all files in S3; return what it took, and the results."""
    lab = checkout(work / "lab", CONFIG | {"samples": "s3://lab/cohort/samples.tsv"})
    (work / "aws").mkdir()
    with batch_with_snakemake(work / "aws", environment) as aws:
        upload(aws, cohort)
        os.environ.update(aws.environment)
        words = ["--profile", "profiles/aws-batch", "--container-image", IMAGE, "--quiet", "rules", "host"]
        used = snakemake(
            lab, environment | aws.environment, *words, "--default-storage-prefix", "s3://lab/cohort"
        )
        return used, below("s3://lab/cohort", "results")


def upload(aws: Batch, cohort: Path) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="lab")
    for path in cohort.iterdir():
        s3.upload_file(str(path), "lab", f"cohort/{path.name}")


def controller_cost(work: Path, environment: dict[str, str], jobs: int) -> Row:
    """Measure the CPU time of Snakemake itself, without its children, in a local run of many short jobs."""
    directory = work / "controller"
    header_only(directory / "S1.bam", [jobs << 18])
    config = {"samples": "samples.tsv", "convert": {"chunk_size": "256K"}}
    sheet(directory, {"S1": "S1.bam"})
    snakemake(configured(directory, config), environment, *on_profile("local"))
    config["convert"]["chunks_per_batch"] = 1
    (directory / "samples.tsv").write_text("sample\tdataset\nS1\tresults/datasets/S1.bams3\n")
    config["coverage"] = {"no_per_base": True}
    used = snakemake(configured(directory, config), environment, *on_profile("local"))
    ran = jobs_of(directory)
    return Row(
        f"controller, {ran} jobs",
        f"{used.controller / ran:.3f} s a job, {used.peak:.0f} MB; run {used.wall:.0f} s",
        "0.05 s a job",
    )


def planning(work: Path, environment: dict[str, str], samples: int) -> Row:
    """Measure a dry run of a cohort of human genomes, with all stages."""
    directory = work / "planning"
    header_only(directory / "x.bam", [*GRCH38, *SMALL_CONTIGS])
    sheet(directory, {f"S{i}": "x.bam" for i in range(samples)})
    config = CONFIG | {"convert": {"chunks_per_batch": 1600}, "contigs": "header"}
    used = snakemake(configured(directory, config), environment, *on_profile("local"), "--dry-run")
    return Row(f"dry run of {samples} genomes", f"{used.wall:.0f} s, {used.peak:.0f} MB", "60 s, 2,000 MB")


def header_only(path: Path, lengths: list[int]) -> None:
    """Write a BAM without reads, and its index."""
    import pysam

    path.parent.mkdir(parents=True)
    header = pysam.AlignmentHeader.from_references([f"chr{i + 1}" for i in range(len(lengths))], lengths)
    with pysam.AlignmentFile(path, "wb", header=header):
        pass
    pysam.index("-c", str(path))


def sheet(directory: Path, alignments: dict[str, str]) -> None:
    lines = [f"{name}\t{path}\n" for name, path in alignments.items()]
    (directory / "samples.tsv").write_text("".join(["sample\talignments\n", *lines]))


def table(rows: list[Row]) -> str:
    head = [f"{processor()}; {system()}", "", "| | measured | floor |", "| --- | --- | --- |"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--quick", action="store_true", help="a smaller cohort and fewer jobs; leaves no file"
    )
    quick = options.parse_args().quick
    size = {"samples": 3, "genome": 1_500_000} if quick else {"samples": 20, "genome": 10_000_000}
    cohort = BENCHMARKS / "data" / f"cohort-{size['samples']}"
    if not (cohort / "samples.tsv").exists():
        cohort.mkdir(parents=True, exist_ok=True)
        simulate.cohort(cohort, depth=5, **size)
    sheet(cohort, {f"S{i + 1}": f"S{i + 1}.bam" for i in range(size["samples"])})
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "bin").mkdir()
        environment = job_environment(work / "bin")
        rows = [
            *same_results(cohort, work, environment),
            controller_cost(work, environment, 200 if quick else 5000),
            planning(work, environment, 50 if quick else 1000),
        ]
    text = f"# The workflow on {date.today()}\n\n{table(rows)}"
    print(text)
    if not quick:
        (BENCHMARKS / "results" / f"{date.today()}-cohort.md").write_text(text)


if __name__ == "__main__":
    main()
