"""docs/engines/hadoop.md on Hadoop itself: each command as it stands there; the first task of some is killed once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import begin, commands_of, coverage_files, killed_where, run_block
from peers import need
from servers.hadoop import hadoop
from workflows import ROOT

import bams3

CHUNKS, *_ = commands_of("hadoop.md")
COUNTS, REGIONS, FILES, OWN, PIPE = (
    block
    for heading in ("Counts", "Coverage", "A function of yours", "Without Hadoop")
    for block in commands_of("hadoop.md", heading)
)


@pytest.fixture(scope="module")
def cluster(commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a user of Hadoop; `bams3` of its tasks is killed at the first count, and in a batch."""
    for program in ("java", "mvn"):
        need(program)
    folder = tmp_path_factory.mktemp("hadoop")
    first = f'mkdir "{folder}/killed-$1" 2> /dev/null'
    killed_where(
        f'[[ "$*" == *"--batch 2/4"* || "$*" == "mapper count"* ]] && {first}', folder / "of-tasks", commands
    )
    tasks = {"PATH": f"{folder / 'of-tasks'}:{commands['PATH']}", "PYTHONPATH": str(ROOT / "bams3")}
    with hadoop(folder / "cluster", tasks) as programs:
        yield commands | {"PATH": f"{programs}:{commands['PATH']}", "FOLDER": str(folder)}


@pytest.fixture(scope="module")
def here(engine_dataset: Path, commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as the page begins, with the dataset in 7 chunks, which are of two map tasks."""
    folder = tmp_path_factory.mktemp("page")
    begin("hadoop.md", folder, engine_dataset, commands)
    (folder / "NA12878.bams3").unlink()
    bams3.convert(engine_dataset.with_suffix(".bam"), folder / "NA12878.bams3", chunk_size="512K")
    return folder


@pytest.fixture(scope="module")
def listed(cluster: dict[str, str], here: Path) -> Path:
    """The same directory, with the list of chunks that the jobs read."""
    run_block(CHUNKS, here, cluster)
    return here


def expected_counts(here: Path) -> dict[str, str]:
    dataset = bams3.open(here / "NA12878.bams3")
    counts = {name: dataset.count(name, min_mapq=30) for name in dataset.references}
    assert min(counts.values()) > 1000
    return {name: str(count) for name, count in ({"*": 0} | counts).items()}


def as_table(printed: str) -> dict[str, str]:
    """What is printed besides a line of Hadoop's own."""
    return dict(line.split("\t") for line in printed.splitlines() if not line.startswith("packageJobJar:"))


def test_counts(cluster: dict[str, str], listed: Path) -> None:
    """With a task that is killed once."""
    assert as_table(run_block(COUNTS, listed, cluster)) == expected_counts(listed)
    assert Path(cluster["FOLDER"], "killed-mapper").is_dir()


def test_regions(cluster: dict[str, str], listed: Path, engine_coverage: dict[str, bytes]) -> None:
    run_block(REGIONS, listed, cluster)
    assert (listed / "NA12878.regions.bed").read_bytes() == engine_coverage["S1.regions.bed.gz"]


def test_coverage(
    cluster: dict[str, str], here: Path, tmp_path: Path, engine_coverage: dict[str, bytes]
) -> None:
    """With a task that is killed once, and a space in all paths, which Hadoop's own `-files` does not take."""
    spaced = Path(shutil.copytree(here, tmp_path / "the page", symlinks=True))
    run_block(FILES, spaced, cluster)
    found = {name.replace("NA12878", "S1"): data for name, data in coverage_files(spaced / "out").items()}
    assert found == engine_coverage
    assert Path(cluster["FOLDER"], "killed-coverage").is_dir()


def test_a_function(cluster: dict[str, str], listed: Path) -> None:
    found = as_table(run_block(OWN, listed, cluster))
    qualities = bams3.open(listed / "NA12878.bams3").query(fields="mapq")["mapq"].tolist()
    assert found == {str(quality): str(qualities.count(quality)) for quality in set(qualities)}
    assert len(found) > 5


def test_without_hadoop(commands: dict[str, str], here: Path) -> None:
    assert as_table(run_block(PIPE, here, commands)) == expected_counts(here)
