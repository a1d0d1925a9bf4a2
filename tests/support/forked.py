"""Snakemake as a program, without the seconds that its imports take: a server has them, and forks for each run."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

_WORKFLOW = Path(__file__).parents[2] / "bams3" / "bams3" / "workflow"
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["snakemake.cli", *(f"bams3.workflow.{path.stem}" for path in sorted(_WORKFLOW.glob("[a-z]*.py")))]
)


def run_snakemake(
    directory: Path, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """What `snakemake` with arguments does and prints, in a directory and with an environment."""
    with TemporaryDirectory() as folder:
        printed = [Path(folder) / name for name in ("out", "err")]
        child = _FORKS.Process(target=_main, args=(directory, environment, arguments, printed))
        child.start()
        child.join()
        assert child.exitcode is not None
        return subprocess.CompletedProcess(arguments, child.exitcode, *(path.read_text() for path in printed))


def _main(
    directory: Path, environment: dict[str, str], arguments: tuple[str, ...], printed: list[Path]
) -> None:
    for number, path in enumerate(printed, 1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = ["snakemake", *arguments]

    from snakemake.cli import main

    main()
