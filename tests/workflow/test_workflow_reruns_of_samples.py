"""What runs again when the sheet or a file of a sample changes in a finished cohort: what depends on it, and no more.

Dry runs are planned in this process.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finished_cohort import (
    CALLS,
    COLUMNS,
    CONFIG,
    PAGE,
    RELATED,
    ROWS,
    TABLES,
    converted,
    reread,
    rewrite,
    schema_of,
    write_rows,
)
from workflows import plan, pretend, write_sheet

from bams3 import convert


@pytest.fixture
def project(finished_project: Path) -> Path:
    return finished_project


def replaced(name: str, other: str) -> Callable[[Path], None]:
    return lambda project: rewrite(project / name, (project / other).read_bytes())


def replaced_by_older(name: str, other: str) -> Callable[[Path], None]:
    return lambda project: rewrite(project / name, (project / other).read_bytes(), older=True)


def older_dataset(project: Path) -> None:
    date = (project / "D4.bams3" / "_metadata.json").stat().st_mtime - 1000
    convert(project / "S2.bam", project / "D4.bams3", chunk_size="256K", overwrite=True)
    os.utime(project / "D4.bams3" / "_metadata.json", (date, date))


def other_index(project: Path) -> None:
    data = bytearray((project / "S1.bam.bai").read_bytes())
    data[-1] ^= 1
    rewrite(project / "S1.bam.bai", bytes(data), older=True)


# What is done to a file of a sample, and what that plans.
INPUTS: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "alignments are newer": (replaced("S1.bam", "S2.bam"), converted("S1")),
    "alignments are older": (replaced_by_older("S1.bam", "S2.bam"), converted("S1")),
    "alignments are touched": (lambda project: os.utime(project / "S1.bam"), converted("S1")),
    "alignments have an earlier date": (lambda project: os.utime(project / "S1.bam", (5, 5)), converted("S1")),
    "a CRAM is older": (lambda project: os.utime(project / "C3.cram", (5, 5)), converted("C3")),
    "an index is another": (other_index, converted("S1")),
    "a dataset is another": (older_dataset, reread("D4")),
}  # fmt: skip


@pytest.mark.parametrize("case", INPUTS)
def test_a_file_of_a_sample(project: Path, case: str) -> None:
    change, planned = INPUTS[case]
    change(project)
    assert plan(project, CONFIG) == planned


def copied(project: Path, name: str, *ends: str) -> str:
    """A copy of a file, elsewhere; and of what is beside it."""
    (project / "elsewhere").mkdir()
    for end in ("", *ends):
        shutil.copy(project / f"{name}{end}", project / "elsewhere")
    return f"elsewhere/{name}"


def copied_dataset(project: Path) -> str:
    shutil.copytree(project / "D4.bams3", project / "elsewhere")
    return "elsewhere"


NAMED = TABLES | CALLS | RELATED | {"gather_alleles known"}  # what names the samples

# For each column of the sheet: the sample whose cell becomes another, the cell, and what that plans.
CELLS: dict[str, list[tuple[str, Any, set[str]]]] = {
    "sample": [("S2", "S9", converted("S9"))],
    "alignments": [("S1", lambda project: copied(project, "S2.bam", ".bai"), converted("S1"))],
    "index": [
        ("S1", "S1.bam.bai", set()),
        ("S2", "", set()),
        ("S2", lambda project: copied(project, "S2.bam.bai"), set()),
        ("S2", "S1.bam.bai", converted("S2")),
    ],
    "dataset": [("D4", copied_dataset, reread("D4"))],
    "subject": [("S1", "Mary", RELATED), ("S1", "", PAGE)],
    "sex": [("S1", "female", RELATED)],
    "father": [("S1", "S2", RELATED)],
    "mother": [("S1", "S2", RELATED)],
}


def test_every_column_has_rows() -> None:
    assert list(CELLS) == list(schema_of("samples")["properties"])


@pytest.mark.parametrize(
    ("column", "sample", "cell", "planned"),
    [(column, *row) for column, rows in CELLS.items() for row in rows],
)
def test_a_cell_of_the_sheet(project: Path, column: str, sample: str, cell: Any, planned: set[str]) -> None:
    value = cell(project) if callable(cell) else cell
    columns = COLUMNS.split() if column in COLUMNS.split() else [*COLUMNS.split(), column]
    rows = {name: [name, *row, ""] for name, row in ROWS.items()}
    rows[sample][columns.index(column)] = value
    write_sheet(project, *(tuple(row[: len(columns)]) for row in rows.values()), columns=" ".join(columns))
    assert plan(project, CONFIG) == planned


def test_columns_of_ones_own(project: Path) -> None:
    """The QC table has them, and the page; nothing else is made of them."""
    rows = {name: list(row) for name, row in ROWS.items()}

    def planned(columns: str, *cells: str) -> set[str]:
        added = dict(zip(rows, cells, strict=False))
        lines = ((name, *row, added.get(name, "")) for name, row in rows.items())
        write_sheet(project, *lines, columns=f"{COLUMNS} {columns}")
        return plan(project, CONFIG)

    assert planned("batch") == PAGE
    assert planned("batch", "F", "M") == PAGE
    pretend(project, CONFIG)
    assert planned("batch", "F", "M") == set()
    assert planned("batch", "F", "F") == PAGE
    assert planned("tissue", "F", "M") == PAGE
    write_rows(project, ROWS)
    assert plan(project, CONFIG) == PAGE


# Sheets with other rows, and what they plan.
SHEETS: dict[str, tuple[dict[str, tuple[str, ...]], set[str]]] = {
    "one more sample": (ROWS | {"S5": ("S2.bam", "", "")}, converted("S5")),
    "one sample less": ({name: row for name, row in ROWS.items() if name != "S2"}, NAMED),
    "another order": (dict(reversed(ROWS.items())), NAMED),
    "what was converted is a dataset": (ROWS | {"S2": ("", "", "results/datasets/S2.bams3")}, set()),
}


@pytest.mark.parametrize("case", SHEETS)
def test_rows_of_the_sheet(project: Path, case: str) -> None:
    rows, planned = SHEETS[case]
    write_rows(project, rows)
    assert plan(project, CONFIG) == planned
