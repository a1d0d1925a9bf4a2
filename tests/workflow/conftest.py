"""A cohort that is finished, in which tests change something, to see what runs again."""

import os
import shutil
from pathlib import Path

import pytest
from finished_cohort import CONFIG, finished, write_inputs
from servers import script
from workflows import plan

EMPTY_REPORT = """\
while (($#)); do
    case $1 in --outdir) folder=$2 ;; --filename) name=$2 ;; esac
    shift
done
mkdir -p "$folder/${name%.html}_data"
touch "$folder/$name"
"""


@pytest.fixture(scope="session")
def multiqc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of something that is called multiqc, and makes an empty report."""
    folder = tmp_path_factory.mktemp("programs")
    script(folder / "multiqc", EMPTY_REPORT)
    return folder


@pytest.fixture(scope="session")
def commands(commands: dict[str, str], multiqc: Path) -> dict[str, str]:
    """Without MultiQC itself, which takes seconds; tests that look at its report have it."""
    return commands | {"PATH": f"{multiqc}:{commands['PATH']}"}


@pytest.fixture
def programs(multiqc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cohorts have a job of MultiQC."""
    monkeypatch.setenv("PATH", f"{multiqc}:{os.environ['PATH']}")


@pytest.fixture(scope="session")
def finished_inputs(simulated_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(simulated_cohort, tmp_path_factory.mktemp("reruns") / "inputs")


@pytest.fixture(scope="session")
def _finished(finished_inputs: Path, multiqc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{multiqc}:{os.environ['PATH']}")
        project = finished(finished_inputs, tmp_path_factory.mktemp("whole"), CONFIG)
        assert plan(project, CONFIG) == set()
    return project


@pytest.fixture
def finished_project(_finished: Path, programs: None, tmp_path: Path) -> Path:
    """A copy of the finished cohort."""
    return Path(shutil.copytree(_finished, tmp_path / "project", symlinks=True))
