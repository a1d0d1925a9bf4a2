"""A fresh checkout: what is shipped runs as it stands, and says of itself what is so."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from forked import run_snakemake
from peers import need
from workflows import ROOT

SCHEMAS = sorted((ROOT / "workflow" / "schemas").glob("*.yaml"))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that are tracked."""
    need("git")
    names = ["workflow", "config", "tests/data/*.bam*"]
    listed = subprocess.run(
        ["git", "ls-files", "-z", *names], cwd=ROOT, check=True, capture_output=True, text=True
    )
    folder = tmp_path_factory.mktemp("fresh")
    for name in listed.stdout.split("\0")[:-1]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.mark.parametrize("words", [["--lint"], ["--cores", "2"]], ids=" ".join)
def test_the_shipped_configuration(fresh: Path, commands: dict[str, str], words: list[str]) -> None:
    """It plans, and its one small BAM is converted and measured; the linter has nothing to say."""
    done = run_snakemake(fresh, commands, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert words == ["--lint"] or (fresh / "results/coverage/NA12878.regions.bed.gz").exists()


def keys(schema: dict[str, Any], above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in schema.get("properties", {}).items():
        yield above + key, value
        yield from keys(value, f"{above}{key}.")
    if isinstance(other := schema.get("additionalProperties"), dict):
        yield from keys(other, f"{above}*.")


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_schemas_describe_every_key(path: Path) -> None:
    described = dict(keys(yaml.safe_load(path.read_text())))
    assert len(described) >= 4
    assert [key for key, value in described.items() if not value.get("description")] == []
