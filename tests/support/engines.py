"""What tests of engines share: a dataset of some chunks, and its coverage by one process on one machine.

tests/conftest.py imports the fixtures. Every engine has to make the same files.
"""

import gzip
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from servers import script

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "engines"
BAMS3 = [sys.executable, "-m", "bams3"]
COVERAGE = ["--by", "1000", "--thresholds", "1,5", "--quantize", "0:1:4:"]


@pytest.fixture(scope="session")
def engine_dataset(simulate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with 13 chunks of reads in pairs, the last of reads with no position; its BAM is beside it.

    Also beside it is `bams3`, a checkout in which it stands for two of the samples that `make demo` leaves.
    """
    from bams3 import convert

    directory = tmp_path_factory.mktemp("engine")
    simulate.cohort(directory, samples=1, genome=3_000_000, contigs=2, depth=2)
    convert(directory / "S1.bam", directory / "S1.bams3", chunk_size="256K")
    checkout = directory / "bams3"
    (checkout / "demo" / "results" / "datasets").mkdir(parents=True)
    for sample in ("S1", "S2"):
        (checkout / "demo" / "results" / "datasets" / f"{sample}.bams3").symlink_to(directory / "S1.bams3")
    (checkout / "demo" / "data").symlink_to(directory)
    for part in ("examples", "integrations"):
        (checkout / part).symlink_to(ROOT / part)
    return directory / "S1.bams3"


@pytest.fixture(scope="session")
def engine_coverage(
    engine_dataset: Path, commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What `bams3 coverage` with the options of COVERAGE makes of it, by one job."""
    directory = tmp_path_factory.mktemp("coverage")
    command = ["bams3", "coverage", engine_dataset, *COVERAGE, "-o", directory / "S1"]
    subprocess.run([*map(str, command)], check=True, env=commands)
    return coverage_files(directory)


def run_bams3(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of bams3."""
    return subprocess.run([*BAMS3, *map(str, arguments)], capture_output=True, **{"text": True} | options)


def coverage_files(directory: Path) -> dict[str, bytes]:
    """The coverage files of a directory by name, as they are once they are decompressed; not their indexes."""
    return {
        path.name: gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in directory.iterdir()
        if path.name.endswith((".bed.gz", ".txt"))
    }


def commands_of(page: str, heading: str = "") -> list[str]:
    """The blocks of code, of sh and python, below a heading of a page, or on all of it after "You need"."""
    text = (PAGES / page).read_text().partition("\n## You need\n")[2].partition("\n## ")[2]
    if heading:
        text = (PAGES / page).read_text().partition(f"\n## {heading}\n")[2]
        text = re.split(r"^#+ ", text, flags=re.MULTILINE)[0]
    return re.findall(r"^```(?:sh|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def begin(page: str, here: Path, dataset: Path, environment: dict[str, str]) -> None:
    """Run in a directory what a page begins with, but for installing; `dataset` is `engine_dataset`."""
    (block,) = commands_of(page, "You need")
    code = re.sub("^pip install .*\n", "", block, flags=re.MULTILINE)
    assert code != block
    run_block(code, here, environment | {"HOME": str(dataset.parent)})


def run_block(block: str, here: Path, environment: dict[str, str]) -> str:
    """Run a block of a page in a directory; what it printed."""
    if block.startswith(("from", "import")):
        (here / "program.py").write_text(block)
        command = [sys.executable, "program.py"]
    else:
        command = ["bash", "-euo", "pipefail", "-c", block]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def killed_where(condition: str, folder: Path, commands: dict[str, str]) -> None:
    """Make a folder with a bams3 that says what it runs on standard error, and where a condition (of bash) holds is
    killed in the midst of it."""
    folder.mkdir()
    bams3 = Path(commands["PATH"].partition(":")[0]) / "bams3"
    killing = f"""\
printf 'bams3 %s\\n' "$*" >&2
if {condition}; then
    {bams3} "$@" &
    sleep 0.15
    kill -KILL $! $$
fi
exec {bams3} "$@"
"""
    script(folder / "bams3", killing)
