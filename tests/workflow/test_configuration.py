"""docs/configuration.md: every configuration on it is one that the workflow plans, with the stages that it names."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from workflows import ROOT, plan

from bams3 import convert

PAGE = (ROOT / "docs" / "configuration.md").read_text()
CONFIGURATIONS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
RULES = {
    "coverage": "gather_coverage",
    "cohort": "cohort_matrices",
    "query": "query_batch",
    "alleles": "gather_alleles",
    "identity": "relate_samples",
    "call": "gather_calls",
    "process": "process_batch",
}


@pytest.fixture(scope="module")
def lab(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cohort with the files that the page mentions."""
    project = Path(shutil.copytree(cohort, tmp_path_factory.mktemp("page") / "project"))
    (script,) = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    expected = (project / "samples.tsv").read_text()
    (project / "samples.tsv").unlink()
    subprocess.run(["bash", "-c", script], cwd=project, check=True)
    assert (project / "samples.tsv").read_text() == expected
    (project / "targets.bed").write_text("chr1\t1000\t2000\n")
    sites = "".join(f"chr1\t{position}000\t.\tA\tC\n" for position in range(1, 200))
    (project / "common_sites.vcf.gz").write_bytes(gzip.compress(sites.encode()))
    convert(project / "S1.bam", project / "S1.bams3")
    (project / "datasets.tsv").write_text("sample\tdataset\nS1\tS1.bams3\n")
    return project


@pytest.mark.parametrize("text", CONFIGURATIONS, ids=lambda text: "-".join(yaml.safe_load(text)))
def test_a_configuration(lab: Path, text: str):
    config = yaml.safe_load(text)
    jobs = {job.partition(" ")[0] for job in plan(lab, config)}
    assert ("convert_batch" in jobs) == (config["samples"] == "samples.tsv")
    assert {stage: rule in jobs for stage, rule in RULES.items()} == {
        stage: stage in config for stage in RULES
    }


def test_the_page_has_a_configuration_of_each_stage():
    assert {key for text in CONFIGURATIONS for key in yaml.safe_load(text)} >= set(RULES)
