"""docs/engines/shell.md: each command as it stands there."""

from pathlib import Path

import pytest
from engines import begin, commands_of, coverage_files, killed_where, run_block
from peers import need

import bams3

READS = "Reads of each share"


@pytest.fixture
def here(engine_dataset: Path, commands: dict[str, str], tmp_path: Path) -> Path:
    """A directory with the dataset of the page, and its BAM."""
    begin("shell.md", tmp_path, engine_dataset, commands)
    return tmp_path


def run(block: str, here: Path, environment: dict[str, str]) -> str:
    """Run a block of the page; what it printed."""
    if "parallel " in block.replace("--parallel ", ""):
        need("parallel")
    return run_block(block, here, environment)


def name_of(block: str) -> str:
    return block.strip().partition("\n")[0][:20]


def test_all_blocks_are_run() -> None:
    headings = (READS, "Coverage", "Conversion", "`bams3 map`", "Python")
    assert [len(commands_of("shell.md", heading)) for heading in headings] == [5, 2, 1, 2, 2]
    assert len(commands_of("shell.md")) == 12


@pytest.mark.parametrize(
    "block", [*commands_of("shell.md", READS)[:4], *commands_of("shell.md", "Python")], ids=name_of
)
def test_counts(block: str, here: Path, commands: dict[str, str]) -> None:
    expected = bams3.open(here / "NA12878.bams3").count(until_eof=True, min_mapq=30)
    assert run(block, here, commands) == f"{expected}\n"
    assert expected > 30_000


def test_chunks_by_their_uris(here: Path, commands: dict[str, str]) -> None:
    printed = run(commands_of("shell.md", READS)[4], here, commands).splitlines()
    records = [int(line.split()[1]) for line in printed if line.startswith("records ")]
    assert records == [chunk.records for chunk in bams3.open(here / "NA12878.bams3").chunks]


@pytest.mark.parametrize("block", commands_of("shell.md", "Coverage"), ids=name_of)
def test_coverage(
    block: str, here: Path, engine_coverage: dict[str, bytes], commands: dict[str, str]
) -> None:
    """With GNU parallel one of the tasks is killed once."""
    once = "mkdir once" if "--retries" in block else "false"
    killed_where(f'[[ "$*" = *"--batch 3/8"* ]] && {once} 2> /dev/null', here / "bin", commands)
    run(block, here, commands | {"PATH": f"{here / 'bin'}:{commands['PATH']}"})
    assert (here / "once").exists() == ("--retries" in block)
    found = {name.replace("NA12878", "S1"): data for name, data in coverage_files(here).items()}
    assert found == engine_coverage


def test_conversion(here: Path, commands: dict[str, str]) -> None:
    run(commands_of("shell.md", "Conversion")[0], here, commands)
    verify = "bams3 verify --against NA12878.bam converted.bams3"
    assert "40303 records" in run(verify, here, commands)


def test_map_with_outputs(here: Path, commands: dict[str, str]) -> None:
    need("samtools")
    run(commands_of("shell.md", "`bams3 map`")[0], here, commands)
    names = {path.name: run(f"samtools view {path}", here, commands) for path in (here / "sorted").iterdir()}
    chunks = bams3.open(here / "NA12878.bams3").chunks
    assert sorted(text.count("\n") for text in names.values()) == sorted(chunk.records for chunk in chunks)


def test_map_that_resumes(here: Path, commands: dict[str, str]) -> None:
    need("samtools")
    once, *more = commands_of("shell.md", "`bams3 map`")[1].splitlines()
    assert more == [once]
    run(once, here, commands)
    log = (here / "jobs.tsv").read_text()
    run(once, here, commands)
    assert (here / "jobs.tsv").read_text() == log
    assert len(list((here / "counts").iterdir())) == log.count("\n") - 1 == 13
