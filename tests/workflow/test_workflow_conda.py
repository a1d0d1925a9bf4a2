"""Rules with a conda environment: its programs are used, and scripts run in the Python that has bams3.

A stub stands for conda: it makes environments of a Python without bams3, and of programs that say whose they are.
"""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from peers import need
from servers import script
from workflows import CONFIG, ROOT, snakemake, write_sheet

from bams3 import convert

ENVIRONMENTS = {path.name: path for path in (ROOT / "workflow" / "envs").iterdir()}

WITHOUT_BAMS3 = """
import runpy, sys
sys.modules['bams3'] = None
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def test_environments_have_what_conda_can_install() -> None:
    """No package of pip's, of which bams3 is one: rules that need only that have no environment. And no channel
    `nodefaults`, which conda 26.7 looks for on its server."""
    assert ENVIRONMENTS.keys() == {"bcftools.yaml", "multiqc.yaml"}
    for path in ENVIRONMENTS.values():
        environment = yaml.safe_load(path.read_text())
        assert [type(package) for package in environment["dependencies"]] == [str], path
        assert environment["channels"] == ["conda-forge", "bioconda"], path


def test_scripts_of_these_rules_go_back_to_the_python_that_has_bams3() -> None:
    """Before they import what an environment may not have."""
    found = []
    for rules in (ROOT / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", rules.read_text(), flags=re.MULTILINE):
            if "\n    conda:\n" in rule and "snakemakes_own" not in rule:
                found += re.findall(r'"\.\./scripts/(.+)"', rule)
    assert len(found) == 6
    for name in found:
        head, _, rest = (ROOT / "workflow" / "scripts" / name).read_text().partition("os.execv(")
        assert rest, name
        assert "bams3." not in head.replace('"""', "")


@pytest.fixture
def conda(commands: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The jobs' environment with the stub."""
    base = tmp_path / "base" / "bin"
    base.mkdir(parents=True)
    info = json.dumps(
        {"conda_prefix": str(base.parent), "platform": "linux-64", "get": {"channel_priority": "strict"}}
    )
    script(
        base / "conda",
        f"""
        case $1 in
            info | config) echo '{info}' ;;
            --version) echo conda 25.1.1 ;;
            env) while [ $# -gt 1 ]; do [ "$1" = --prefix ] && prefix=$2; shift; done
                mkdir -p "$prefix/bin"
                for name in python bcftools count-lines; do cp {base}/$name.of "$prefix/bin/$name"; done ;;
        esac
        """,
    )
    bare = f'[ "$1" = -c ] || set -- -c "{WITHOUT_BAMS3}" "$@"'
    script(base / "python.of", f'{bare}; exec {sys._base_executable} -E "$@"')
    script(
        base / "bcftools.of", f'echo ran >> "{tmp_path}/bcftools.ran"; exec "{shutil.which("bcftools")}" "$@"'
    )
    script(base / "count-lines.of", "wc -l")
    (base / "activate").write_text('export PATH="$1/bin:$PATH"\n')
    return commands | {"PATH": f"{base}:{commands['PATH']}"}


def test_scripts_use_the_programs_of_their_environment(
    conda: dict[str, str], cohort: Path, project: Path, tmp_path: Path
) -> None:
    need("bcftools")
    convert(project / "S1.bam", project / "S1.bams3", chunk_size="256K")
    write_sheet(project, ("S1", "S1.bams3"), columns="sample dataset")
    (project / "tools.yaml").write_text("dependencies: [tools]\n")
    config = CONFIG | {
        "reference": "reference.fa",
        "process": {
            "command": "bams3 --version | count-lines",
            "environment": "tools.yaml",
            "suffix": ".txt",
        },
        "call": {"targets": "targets.bed"},
    }
    (project / "targets.bed").write_text("chr1\t1000\t20000\n")
    done = snakemake(project, conda, config, "--sdm", "conda", "--conda-not-block-search-path-envvars")
    assert done.returncode == 0, done.stdout + done.stderr
    counts = list((project / "results" / "process" / "S1").glob("*/*.txt"))
    assert counts
    assert {path.read_text().strip() for path in counts} == {"1"}
    assert (project / "results/call/calls.vcf.gz").stat().st_size
    assert len((tmp_path / "bcftools.ran").read_text().splitlines()) == 4  # mpileup, call, concat, index
