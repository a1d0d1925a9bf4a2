"""What a sample sheet says about samples: their subjects, and the subjects' sex and parents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

import numpy as np

from bams3.errors import UsageError

COLUMNS = ("subject", "sex", "father", "mother")
"""Columns of a sheet besides `sample`. Columns may be missing, and cells may be empty."""
PARENTS = ("father", "mother")

_SEXES = {
    word: sex
    for sex, words in {
        "male": ("male", "m", "1", "xy"),
        "female": ("female", "f", "2", "xx"),
        "": ("", "unknown", "u", "0", ".", "na"),
    }.items()
    for word in words
}
_NOBODY = ("", "0", ".")


class Subject(NamedTuple):
    """A person from whom one or more samples come. Attributes that the sheet does not state are ""."""

    name: str
    sex: str = ""
    father: str = ""
    mother: str = ""


class People:
    """The subjects of samples.

    `of`: the subject of each sample. The subject of a sample that is not in the sheet has the name of the sample.
    `has_sheet`: whether there is a sheet.
    """

    def __init__(
        self, samples: Iterable[str], rows: Sequence[Mapping[str, str]] = (), where: str = ""
    ) -> None:
        """Read the rows of a sheet.

        `rows`: cells by column. Parents are given by the names of subjects, and rows of other samples are used, too.
        `where`: the sheet, for errors. Raises UsageError for an invalid sex, and for rows that contradict each other.
        """
        self._where = where
        self.has_sheet = bool(rows)
        self._subjects: dict[str, Subject] = {}
        names: dict[str, str] = {}
        for row in rows:
            subject = self._read(row)
            before = names.setdefault(row["sample"], subject.name)
            if before != subject.name:
                raise UsageError(
                    f"{where}: sample {row['sample']}: subject is {before} in one row and {subject.name} in another"
                )
            self._add(subject)
        subjects = {sample: names.get(sample, sample) for sample in samples}
        for name in subjects.values():
            self._subjects.setdefault(name, Subject(name))
        self._check_parents()
        self.of = {sample: self._subjects[name] for sample, name in subjects.items()}

    def kinships(self) -> dict[frozenset[str], float]:
        """Return the kinships of pairs of subjects that are expected from the sheet, if they are greater than 0."""
        found: dict[frozenset[str], float] = {}
        for family in self._families():
            row = {name: number for number, name in enumerate(family)}
            table = np.zeros((len(family) + 1, len(family) + 1))  # the last row is for unknown parents
            for number, name in enumerate(family):
                father, mother = (row.get(parent, -1) for parent in self.parents(name))
                table[number, :number] = (table[father, :number] + table[mother, :number]) / 2
                table[:number, number] = table[number, :number]
                table[number, number] = (1 + table[father, mother]) / 2
            for i, j in np.argwhere(np.tril(table, -1) > 0).tolist():
                found[frozenset((family[i], family[j]))] = float(table[i, j])
        return found

    def parents(self, subject: str) -> tuple[str, str]:
        """Return the father and the mother of a subject; "" if unknown."""
        found = self._subjects.get(subject)
        return (found.father, found.mother) if found else ("", "")

    def _read(self, row: Mapping[str, str]) -> Subject:
        cells = {column: row.get(column, "").strip() for column in COLUMNS}
        if cells["sex"].lower() not in _SEXES:
            raise UsageError(
                f"{self._where}: sample {row['sample']}: sex {cells['sex']!r}; write male, female or unknown"
            )
        parents = ("" if cells[parent] in _NOBODY else cells[parent] for parent in PARENTS)
        return Subject(cells["subject"] or row["sample"], _SEXES[cells["sex"].lower()], *parents)

    def _add(self, subject: Subject) -> None:
        """Combine what a row says about a subject with what other rows say."""
        before = self._subjects.get(subject.name, subject)
        for column, one, other in zip(Subject._fields, before, subject, strict=True):
            if one and other and one != other:
                raise UsageError(
                    f"{self._where}: subject {subject.name}: {column} is {one} in one row and {other} in another"
                )
        self._subjects[subject.name] = Subject(*(a or b for a, b in zip(before, subject, strict=True)))

    def _check_parents(self) -> None:
        """Note the sex of parents: fathers are male, and mothers female."""
        sexes: dict[str, str] = {}
        for subject in self._subjects.values():
            for parent, sex in zip(PARENTS, ("male", "female"), strict=True):
                name = getattr(subject, parent)
                stated = self._subjects.get(name, subject._replace(sex="")).sex
                found = stated or sexes.setdefault(name, sex)
                if name and found != sex:
                    raise UsageError(
                        f"{self._where}: {name}, the {parent} of {subject.name}, is {found} elsewhere in the sheet"
                    )
        for name in sexes.keys() & self._subjects.keys():
            self._subjects[name] = self._subjects[name]._replace(sex=sexes[name])
        try:
            self._sorted()
        except CycleError as error:
            circle = " → ".join(error.args[1])
            raise UsageError(f"{self._where}: subjects are their own ancestors: {circle}") from None

    def _sorted(self) -> list[str]:
        """Return all subjects and parents, with parents first."""
        graph = {name: list(filter(None, self.parents(name))) for name in self._subjects}
        return list(TopologicalSorter(graph).static_order())

    def _families(self) -> Iterable[list[str]]:
        """Return groups of subjects that are connected through parents, with parents first."""
        root: dict[str, str] = {}

        def top(name: str) -> str:
            while root.setdefault(name, name) != name:
                root[name] = name = root.setdefault(root[name], root[name])
            return name

        members = self._sorted()
        for name in members:
            for parent in filter(None, self.parents(name)):
                root[top(parent)] = top(name)
        families: dict[str, list[str]] = {}
        for name in members:
            families.setdefault(top(name), []).append(name)
        return (family for family in families.values() if len(family) > 1)


def read_people(path: str, samples: Iterable[str]) -> People:
    """Read the subjects of samples from a sheet: tab-separated lines, the first of which names the columns.

    Lines that begin with `#`, and other columns, are skipped. Raises UsageError if the sheet can't be read or has none
    of the samples, and as `People` does.
    """
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
            lines = [line.rstrip("\n").split("\t") for line in file if line.strip() and line[0] != "#"]
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    heading = [cell.strip() for cell in lines[0]] if lines else []
    if "sample" not in heading or not set(COLUMNS) & set(heading):
        raise UsageError(
            f"{path}: the first line must name columns, with tabs between: sample, and some of {', '.join(COLUMNS)}"
        )
    rows = [dict(zip(heading, (cell.strip() for cell in cells), strict=False)) for cells in lines[1:]]
    rows = [row for row in rows if row.get("sample")]
    known = {row["sample"] for row in rows}
    samples = list(samples)
    if not known.intersection(samples):
        raise UsageError(
            f"{path}: has none of the samples, such as {samples[0]}; names must be those of the files"
        )
    return People(samples, rows, path)
