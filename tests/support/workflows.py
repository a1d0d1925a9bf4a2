"""A tiny cohort for the Snakemake workflow, and how to run it. tests/conftest.py imports the fixtures."""

import asyncio
import gzip
import importlib
import logging
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import chdir
from pathlib import Path
from typing import Any

import parsed
import pytest
import yaml
from bams3.storage import open_storage
from bams3.workflow.errors import ConfigurationError
from forked import run_snakemake
from servers import script
from snakemake.api import OutputSettings, ResourceSettings, SnakemakeApi
from snakemake.exceptions import format_exception_to_string
from snakemake.resources import Resources
from snakemake.settings.types import ConfigSettings, DAGSettings, Quietness

parsed.remember()

ROOT = Path(__file__).parents[2]
SNAKEFILE = ROOT / "workflow" / "Snakefile"
PACKAGES = (ROOT / "bams3", ROOT / "tests" / "support" / "later")
WINDOWS = {"chunk_size": "256K", "chunks_per_batch": 2}
CONFIG = {"samples": "samples.tsv", "convert": WINDOWS}
QUERY = {
    "regions": ["chr1:250000-270000", "chr2:1-200000"],
    "exclude_flags": 1024,
    "filter": "mapq > 5 || flag.paired",
}
PROCESS = {
    "command": "echo {sample} {region} $(basename {chunk}) $(grep -vc ^@) | awk '{print $1, $2, $3, $4}' > {output}",
    "suffix": ".txt",
}
COVERAGE = {"by": 1000, "quantize": "0:1:4:", "thresholds": "1,5", "bigwig": {"bin": 50}}
OF_THE_COHORT = {
    "reference": "reference.fa",
    "cohort": {"regions": 100_000, "thresholds": "1,5"},
    "identity": {"sites": "sites.vcf"},
    "call": {"window": 1_000_000, "mpileup": "-q 20"},
    "genotype": {"manifest": "loci.tsv"},
    "alleles": {"sites": {"known": "sites.tsv"}, "min_mapq": 20},
}

# Two samples of four windows: two of chr1, one of chr2, and the reads with no position.
CONVERTS = {"convert_batch": 4, "merge_parts": 2}


@pytest.fixture(scope="session")
def simulate():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield importlib.import_module("simulate")
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def cohort(simulated_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """S1.bam, S2.bam, their indexes, reference.fa, samples.tsv, loci.tsv (of S1), sites.vcf, sites.tsv: not to be
    changed."""
    return Path(shutil.copytree(simulated_cohort, tmp_path_factory.mktemp("cohort"), dirs_exist_ok=True))


@pytest.fixture(scope="session")
def simulated_cohort(simulate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("simulated")
    simulate.cohort(directory, samples=2, genome=750_000, contigs=2, depth=1)
    write_sheet(directory, ("S1", "S1.bam"), ("S2", "S2.bam"))
    (directory / "loci.tsv").write_text("S1\tchr1\t50000\nS1\tchr2\t60000\n")
    sites = "".join(f"chr1\t{position}\t.\tA\tC\n" for position in range(1000, 200_000, 1000))
    (directory / "sites.vcf").write_text(f"#CHROM\tPOS\tID\tREF\tALT\n{sites}")
    (directory / "sites.tsv").write_text(
        "".join(f"chr{1 + at % 2}\t{at}\n" for at in range(100, 240_000, 997))
    )
    return directory


@pytest.fixture
def project(cohort: Path, tmp_path: Path) -> Path:
    """A copy of the cohort to run in."""
    return Path(shutil.copytree(cohort, tmp_path / "project"))


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of the jobs: `bams3` is this checkout."""
    return job_environment(tmp_path_factory.mktemp("bin"))


def job_environment(directory: Path) -> dict[str, str]:
    """An environment in which `bams3`, which is put into a directory, is this checkout."""
    code = "import sys; from bams3.cli import main; sys.exit(main())"
    script(directory / "bams3", f"exec '{sys.executable}' -c '{code}' \"$@\"")
    path = os.pathsep.join([str(directory), str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join(map(str, PACKAGES))}


def waiting(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """The environment with another `bams3`, in a new folder: it waits while its words match a pattern in the file
    `held` there, as long as there is one. So what is done meanwhile does not depend on how fast a job is."""
    folder.mkdir()
    bams3 = shutil.which("bams3", path=environment["PATH"])
    held = f"while grep -qf '{folder}/held' <<< \"$*\" 2> /dev/null; do sleep 0.1; done"
    script(folder / "bams3", f"{held}\nexec '{bams3}' \"$@\"")
    return environment | {"PATH": f"{folder}{os.pathsep}{environment['PATH']}"}


def checkout(folder: Path, config: dict[str, Any]) -> Path:
    """Makes a checkout of the workflow, as users have it who run it on AWS Batch."""
    for part in ("workflow", "profiles"):
        shutil.copytree(ROOT / part, folder / part)
    configure(folder, config)
    for words in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def write_sheet(directory: Path, *rows: tuple[str, ...], columns: str = "sample alignments") -> None:
    lines = ["\t".join(row) for row in (tuple(columns.split()), *rows)]
    (directory / "samples.tsv").write_text("\n".join(lines) + "\n")


def configure(directory: Path, config: dict[str, Any]) -> None:
    (directory / "config").mkdir(parents=True, exist_ok=True)
    (directory / "config" / "config.yaml").write_text(yaml.safe_dump(config))


def snakemake(
    directory: Path, environment: dict[str, str], config: dict[str, Any], *arguments: str
) -> subprocess.CompletedProcess[str]:
    configure(directory, config)
    return run_snakemake(directory, environment, "-s", str(SNAKEFILE), "--cores", "2", *arguments)


def run(directory: Path, environment: dict[str, str], config: dict[str, Any], *arguments: str) -> str:
    """Run the workflow on the profile `local`; what it printed."""
    profile = ("--profile", str(ROOT / "profiles" / "local"))
    done = snakemake(directory, environment, config, *profile, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def planned(directory: Path, config: dict[str, Any], *targets: str) -> dict[str, int]:
    """How many jobs of each rule a run would have; targets are left out."""
    configure(directory, config)
    dag = _execute(directory, "dryrun", targets=set(targets))
    return dict(Counter(job.rule.name for job in dag._finished if "_" in job.rule.name))


def plan(directory: Path, config: dict[str, Any]) -> set[str]:
    """The jobs that a run would have, as `rule sample`, or `rule` of those that are of all samples; of counts at sites
    with the name of these before the sample."""
    configure(directory, config)
    dag = _execute(directory, "dryrun")
    named = [
        (job.rule.name, *(job.wildcards_dict.get(name, "") for name in ("sites", "sample")))
        for job in dag._finished
    ]
    return {" ".join(filter(None, names)) for names in named if "_" in names[0] or names[0] == "multiqc"}


def asked(directory: Path, config: dict[str, Any], profile: str) -> dict[str, dict[str, Any]]:
    """What each job of a run on a profile would ask a cluster for, by rule; of a group, as one job."""
    given = yaml.safe_load((ROOT / "profiles" / profile / "config.yaml").read_text())

    def parsed(settings: dict[str, Any] | list[str]) -> Resources:
        words = (
            settings
            if isinstance(settings, list)
            else [f"{name}={value}" for name, value in settings.items()]
        )
        return Resources.parse(words, allow_expressions=True)

    resources = ResourceSettings(
        cores=1,
        default_resources=parsed(given["default-resources"]),
        overwrite_resources={
            rule: parsed(settings) for rule, settings in given.get("set-resources", {}).items()
        },
    )
    configure(directory, config)
    dag = _execute(directory, "dryrun", resources)
    jobs = [job for job in dag._finished if "_" in job.rule.name]
    return {job.rule.name: dict((dag.get_job_group(job) or job).resources.items()) for job in jobs}


def pretend(directory: Path, config: dict[str, Any]) -> None:
    """Finish a run without running it: its outputs are empty unless they are there, and recorded as made."""
    configure(directory, config)
    for job in _execute(directory, "dryrun").jobs:
        for file in job.output:
            path = directory / str(file)
            (path if file.is_directory else path.parent).mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "snakemake.executors.touch.Executor.SLEEPING_TIME", 0
        )  # of each job: in all, a minute of the tests
        _execute(directory, "touch", forceall=True)
    for parts in directory.glob("results/datasets/*/_parts"):
        shutil.rmtree(parts)


def pretend_failed(directory: Path, config: dict[str, Any]) -> None:
    """As a run leaves its directory whose first jobs all fail: without their outputs, and recorded as ended."""
    configure(directory, config)
    dag = _execute(directory, "dryrun")
    planned = set(dag._finished)
    with chdir(directory):
        for job in planned:
            if planned.isdisjoint(dag.dependencies[job]):
                asyncio.run(dag.workflow.persistence.finished(job))
                for file in job.output:
                    Path(file).unlink(missing_ok=True)


def refusal(directory: Path, config: str | None, *files: str, targets: Collection[str] = ()) -> str:
    """What Snakemake prints of a configuration (None: no file), further files or targets with which it can't plan."""
    (directory / "config").mkdir(exist_ok=True)
    (directory / "config" / "config.yaml").unlink(missing_ok=True)
    if config is not None:
        (directory / "config" / "config.yaml").write_text(config)
    settings = ConfigSettings(configfiles=[directory / file for file in files])
    with chdir(directory), SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        flow = api.workflow(
            resource_settings=ResourceSettings(cores=1), config_settings=settings, snakefile=SNAKEFILE
        )
        try:
            flow.dag(DAGSettings(targets=set(targets))).execute_workflow("dryrun")
        except Exception as error:
            return format_exception_to_string(
                error, flow._workflow.linemaps if flow._workflow_store else None
            )
    return ""


def _execute(
    directory: Path, executor: str, resources: ResourceSettings | None = None, **options: Any
) -> Any:
    """Run the workflow in this process; its DAG."""
    with chdir(directory), SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        logging.disable()
        try:
            flow = api.workflow(resource_settings=resources or ResourceSettings(cores=1), snakefile=SNAKEFILE)
            flow.dag(dag_settings=DAGSettings(**options)).execute_workflow(executor)
            return flow._workflow.dag
        finally:
            logging.disable(logging.NOTSET)


def samtools(*arguments: str | Path) -> str:
    try:
        return subprocess.run(
            ["samtools", *map(str, arguments)], check=True, capture_output=True, text=True
        ).stdout
    except FileNotFoundError:
        pytest.fail("samtools is needed to check the workflow's results")


def below(prefix: str, folder: str) -> dict[str, bytes]:
    """Objects, or files: path → bytes; of gzipped ones what is in them. What tells times is left out."""
    place = open_storage(f"{prefix}/{folder}")
    found = {
        path: place.get(path) for path in place.list() if not path.startswith(("benchmarks/", "multiqc/"))
    }
    return {
        path: gzip.decompress(data) if path.endswith(".bed.gz") else data
        for path, data in found.items()
        if not path.endswith((".csi", ".snakemake_timestamp", "progress.json"))
    }


def aws() -> dict[str, str]:
    """What the environment says of S3."""
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def told(check: Callable[[Callable[[str], None]], None]) -> tuple[str, str]:
    """The error of a check, and its one warning; "" for none."""
    warnings: list[str] = []
    error = ""
    try:
        check(warnings.append)
    except ConfigurationError as raised:
        error = str(raised)
    assert "\n" not in error
    assert len(warnings) < 2
    return error, "".join(warnings)
