"""Checks of what the configuration and the sheet say about the QC table."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf

from bams3.cohort import columns
from bams3.workflow import sheet
from bams3.workflow.errors import ConfigurationError


def check_limits(
    limits: Mapping[str, Mapping[str, float]], thresholds: Sequence[int], has_targets: bool
) -> None:
    """Raise ConfigurationError for a limit on a column that the table does not have, or that no value can satisfy."""
    for name, bounds in limits.items():
        if bounds.get("min", -inf) > bounds.get("max", inf):
            raise ConfigurationError(
                f"config: cohort: limits: {name}: `min` {bounds['min']} is above `max` {bounds['max']}; swap them"
            )
        if fault := columns.fault_of_limit(name, thresholds, has_targets):
            raise ConfigurationError(f"config: cohort: limits: {name}: {fault}")


def own_columns(text: str, path: str, samples: Iterable[Mapping[str, str]]) -> dict[str, list[str | None]]:
    """Return the columns of the sheet that are added to the QC table, with a cell for each sample (None: empty).

    Raises ConfigurationError for a name that the table already has.
    """
    line, heading = sheet.heading(text, path)
    own = [name for name in heading if name and name not in sheet.COLUMNS]
    for name in own:
        if columns.is_taken(name):
            raise ConfigurationError(
                f"{path}:{line}: column {name!r}: the QC table has a column with that name; rename yours"
            )
    return {name: [row.get(name) for row in samples] for name in own}
