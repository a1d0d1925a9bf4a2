"""The BAMs and the programs that tests compare with."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data"


def real_bams() -> list[Path]:
    """The BAMs of tests/data, and of the directory that BAMS3_TEST_DATA names."""
    more = os.environ.get("BAMS3_TEST_DATA")
    found = {
        path.name: path for folder in [DATA, *([Path(more)] if more else [])] for path in folder.glob("*.bam")
    }
    return [found[name] for name in sorted(found)]


def need(tool: str) -> None:
    """Skip a test where a peer is missing; fail it in CI, which installs the peers."""
    if shutil.which(tool) is None:
        _missing(tool)


def need_package(name: str) -> None:
    """The same of a Python package."""
    if find_spec(name) is None:
        _missing(name)


def _missing(what: str) -> None:
    (pytest.fail if os.environ.get("CI") else pytest.skip)(
        f"{what} is not installed; CONTRIBUTING.md says how"
    )
