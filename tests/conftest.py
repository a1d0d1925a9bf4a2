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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of clusters come first on two workers, those of SLURM on one: they wait much, while other workers go on.

    A worker begins with an equal share of the tests, in this order, and then takes over what others have not begun.
    """
    slurm, others, rest = [], [], []
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        (slurm if "slurm_cluster" in names else others if names & {"aws", "cluster"} else rest).append(item)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    share = max(0, len(items) // workers - len(slurm))
    items[:] = slurm + rest[:share] + others + rest[share:]


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
