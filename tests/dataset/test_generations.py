"""Manifests and indexes of a dataset to which reads were appended in an object store: false ones are refused."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from bams3.cli import main
from forge import rewrite as edit
from peers import DATA

INDEX = "_index/chunks.64351b12c4c839df.json.zst"  # of the golden dataset


@pytest.fixture
def appended(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / "golden/appended.bams3", tmp_path / "appended.bams3"))


@pytest.mark.parametrize(
    "changes",
    [
        {"generation": ""},
        {"generation": "0" * 15},
        {"generation": "../" + "0" * 13},
        {"generation": 7},
        {"generation": None},
        {"generation": "0" * 16},
        {"version": 4},
        {"version": 5},
    ],
)
def test_a_false_manifest(appended: Path, changes: dict[str, Any]) -> None:
    edit(appended, "_metadata.json", lambda document: document | changes)
    assert main(["verify", str(appended)]) == 1


@pytest.mark.parametrize(
    "path",
    [
        "data/chr1/000000000-001048576.64351b12c4c839df.chunk",
        "data/chr1/000000000-001048576.64351b12c4c839d.chunk",
        "data/chr1/000000000-001048576.64351B12C4C839DF.chunk",
        "data/chr1/001048576-002097152.64351b12c4c839df.chunk",
        "data/chr1.64351b12c4c839df/000000000-001048576.chunk",
        "data/chr1/../chr1/000000000-001048576.64351b12c4c839df.chunk",
        "data/chr1/000000000-001048576.64351b12c4c839df.53a50e1381e5ef82.chunk",
        7,
    ],
)
def test_a_false_index(appended: Path, path: object, capfd: pytest.CaptureFixture[str]) -> None:
    """Of the first chunk, which has no generation."""

    def change(entries: list[Any]) -> None:
        entries[0][0] = path

    edit(appended, INDEX, change)
    assert main(["verify", str(appended)]) == 1
    said = capfd.readouterr().err
    assert (
        "missing" if path == "data/chr1/000000000-001048576.64351b12c4c839df.chunk" else "damaged"
    ) in said
