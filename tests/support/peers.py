"""The BAMs and the programs that tests compare with."""

import os
import shutil
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
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"{tool} is not installed; CONTRIBUTING.md says how"
        )
