"""What jobs ask a cluster for, by the profiles, is what the pages about them promise."""

import re
from pathlib import Path

import pytest
import yaml
from pages import run, taken_by
from workflows import CONFIG, COVERAGE, OF_THE_COHORT, PROCESS, QUERY, ROOT, asked, planned

EVERYTHING = CONFIG | {"query": QUERY, "coverage": COVERAGE, "process": PROCESS} | OF_THE_COHORT
RULES = {path.stem: path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk")}
SUBMITTED = {rule for text in RULES.values() for rule in re.findall(r"^rule (\w+_\w+):", text, re.MULTILINE)}


@pytest.mark.parametrize("profile", ["slurm", "aws-batch"])
def test_no_job_asks_for_more_time_than_a_partition_must_allow(project: Path, profile: str) -> None:
    page = (ROOT / "docs" / "slurm.md").read_text()
    (promised,) = re.findall(r"must allow the time that is asked for: (\d+) minutes", page)
    jobs = asked(project, EVERYTHING, profile)
    assert jobs.keys() == SUBMITTED
    expected = {"runtime": int(promised)} if profile == "slurm" else {}
    assert {
        rule: {"runtime": asks["runtime"]} if "runtime" in asks else {} for rule, asks in jobs.items()
    } == (dict.fromkeys(jobs, expected))


def test_a_core_of_aws_batch_has_memory_of_its_table(project: Path) -> None:
    """The plugin takes the least there is for the cores where another is asked for."""
    table = {1: {2048, 3072, 4096, 5120, 6144, 7168, 8192}, 2: set(range(4096, 16385, 1024))}
    for rule, asks in asked(project, EVERYTHING, "aws-batch").items():
        assert asks["mem_mb"] in table[asks["_cores"]], rule


def test_the_demos_data_makes_as_many_jobs_as_the_page_says(tmp_path: Path, commands: dict[str, str]) -> None:
    """By the commands of the page, in a checkout."""
    for part in ("benchmarks", "examples"):
        (tmp_path / part).symlink_to(ROOT / part)
    (tmp_path / "config").mkdir()
    (code,) = taken_by(__file__, "docs/slurm.md")
    run(code, "sh", tmp_path, commands)
    (promised,) = re.findall(r"demo's data makes some (\d+) jobs", (ROOT / "docs" / "slurm.md").read_text())
    config = yaml.safe_load((tmp_path / "config" / "config.yaml").read_text())
    assert sum(planned(tmp_path, config).values()) == pytest.approx(int(promised), abs=5)
