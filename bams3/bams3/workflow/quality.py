"""What the configuration and the sheet say of the table of quality, and whether it can have that."""

from collections.abc import Iterable, Mapping, Sequence

from bams3.cohort import columns
from bams3.workflow import sheet
from bams3.workflow.errors import ConfigurationError


def check_limits(names: Iterable[str], thresholds: Sequence[int], has_targets: bool) -> None:
    """Raises ConfigurationError for a limit of what no sample will have."""
    for name in names:
        if fault := columns.fault_of_limit(name, thresholds, has_targets):
            raise ConfigurationError(f"config: cohort: limits: {name}: {fault}")


def own_columns(text: str, path: str, samples: Iterable[Mapping[str, str]]) -> dict[str, list[str | None]]:
    """The columns of the sheet that the table of quality has too, with a cell for each sample (None: empty).

    Raises ConfigurationError for a name that the table has already.
    """
    line, heading = sheet.heading(text, path)
    own = [name for name in heading if name and name not in sheet.COLUMNS]
    for name in own:
        if columns.is_taken(name):
            raise ConfigurationError(
                f"{path}:{line}: column {name!r}: the table of quality has one of that name; call yours otherwise"
            )
    return {name: [row.get(name) for row in samples] for name in own}
