"""The stage that checks the identity of samples: its settings, and what the sample sheet says about people."""

from collections.abc import Iterable, Mapping
from typing import Any

from bams3.errors import Bams3Error
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.samples import Row

TABLES = ("findings", "samples", "pairs", "identity_mqc")
COUNTING = {"min_mapq": "-q", "min_baseq": "-Q"}
"""Settings for the counts of one sample, and their command-line options."""
SETTINGS = (*COUNTING, "min_depth", "min_balance")
COLUMNS = ("sample", "subject", "sex", "father", "mother")
"""Columns of the sheet."""


def settings(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings for the job that compares the samples."""
    return {key: section[key] for key in SETTINGS}


def rows(samples: Iterable[Row]) -> list[dict[str, str]]:
    """Return what the sheet says about people: the name of each sample, and its other cells that are not empty."""
    return [{column: row[column] for column in COLUMNS if column in row} for row in samples]


def check(samples: Iterable[Row], path: str) -> None:
    """Raise ConfigurationError if rows of the sheet contradict each other. `path`: path of the sheet."""
    from bams3.identity.people import People

    samples = list(samples)
    found = rows(samples)
    for name in dict.fromkeys(name for row in samples for name in row):
        if name not in COLUMNS and name.lower() in COLUMNS:
            raise ConfigurationError(f"{path}: column {name!r}: spell it {name.lower()!r}")
    try:
        People([row["sample"] for row in found], found, path)
    except Bams3Error as error:
        raise ConfigurationError(error) from None
