"""What tests share: the peers, real BAMs, and datasets made of them."""

import gc
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from browsers import browser  # noqa: F401
from engines import engine_coverage, engine_dataset  # noqa: F401
from environments import wheel  # noqa: F401
from hypothesis import HealthCheck, settings
from peers import need, real_bams
from remote_datasets import local, remote, small, source  # noqa: F401
from servers.fixtures import (  # noqa: F401
    bucket,
    faults,
    moto_url,
    s3_at,
    slurm_cluster,
    swift_bucket,
    swift_url,
    web_server,
)
from servers.jars import SHORT
from workflows import cohort, commands, project, simulate, simulated_cohort  # noqa: F401

settings.register_profile(
    "bams3", deadline=None, derandomize=bool(os.environ.get("CI")), suppress_health_check=list(HealthCheck)
)
settings.load_profile("bams3")
os.environ.setdefault("JAVA_TOOL_OPTIONS", SHORT)


# Folders whose tests take seconds each.
LONG = (("workflow",), ("project", "engines", "cohort"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that take long come first, so that what is left in the end is short, and no worker waits for another.

    Those of clusters wait much, while other workers go on: they are of two workers, those of SLURM of one. A worker
    begins with an equal share of the tests, in this order, and then takes over what others have not begun.
    """
    kinds: list[list[pytest.Item]] = [[] for _ in range(3 + len(LONG))]
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        if "slurm_cluster" in names or names & {"aws", "cluster"}:
            kind = "slurm_cluster" not in names
        else:
            folder = item.path.parent.name
            kind = 2 + next((at for at, folders in enumerate(LONG) if folder in folders), len(LONG))
        kinds[kind].append(item)
    *firsts, rest = kinds
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        size = (len(items) - len(ordered)) // (workers - worker)
        own = [item for first in firsts[worker::workers] for item in first]
        short = max(0, size - len(own))
        ordered += own + rest[:short]
        del rest[:short]
    items[:] = ordered + rest


def pytest_collection_finish() -> None:
    """What was collected stays: the garbage collector need not look through it each time, for a quarter of a second."""
    gc.freeze()


@pytest.fixture(scope="session")
def samtools() -> Callable[..., bytes]:
    """Runs samtools and returns what it prints."""
    need("samtools")

    def run(*arguments: object) -> bytes:
        return subprocess.run(["samtools", *map(str, arguments)], check=True, capture_output=True).stdout

    return run


@pytest.fixture(scope="session", params=real_bams(), ids=lambda path: path.stem)
def real_bam(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a real BAM, with its index."""
    import pysam

    copy = tmp_path_factory.mktemp("bam") / request.param.name
    shutil.copy(request.param, copy)
    copy.chmod(0o644)
    pysam.index(str(copy))
    return copy


@pytest.fixture(scope="session")
def real_dataset(real_bam: Path) -> Path:
    """The dataset of `real_bam`."""
    from bams3 import convert

    convert(real_bam, real_bam.with_suffix(".bams3"))
    return real_bam.with_suffix(".bams3")
