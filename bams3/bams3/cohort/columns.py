"""The columns of the QC table: their names, with targets and without.

Targets are the regions of a BED file. In a cohort with targets, depth is reported for the targets and for the genome,
and the name of each column says which one it is for; without targets, depth is that of the genome. This module imports
nothing that computes the table, so a workflow can be planned where the packages for that are not installed.
"""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

FIRST = ("sample", "status", "reasons")
"""The first columns; the user's own columns from the sheet follow."""

OF_READS = (
    "reads",
    "mapped_rate",
    "properly_paired_rate",
    "duplicate_rate",
    "mq0_rate",
    "mapq30_rate",
    "insert_size_mean",
    "insert_size_sd",
)

TARGET, GENOME = "target_", "genome_"

OF_CAPTURE = ("fold_80", "on_target_read_rate", "on_target_base_rate")


def numbers(thresholds: Iterable[int], has_targets: bool) -> list[str]:
    """The columns that can have a limit, in order."""
    breadths = [breadth(depth) for depth in sorted({*thresholds})]
    mean = "mean_coverage"
    targets = [TARGET + name for name in (mean, "median_coverage", *breadths)]
    prefix = GENOME if has_targets else ""
    genome = [prefix + mean, "x_ratio", "y_ratio", *(prefix + name for name in breadths)]
    return [*OF_READS, *([*targets, *OF_CAPTURE] if has_targets else []), *genome, "profile_distance"]


def breadth(depth: int) -> str:
    """The name, without a prefix for targets or genome, of the column with the share of bases at or above a depth."""
    return f"breadth_{depth}x"


def meant(name: str, has_targets: bool) -> str:
    """The column that a name in `limits` refers to. A name of depth without a prefix means the targets, if there are
    any."""
    return TARGET + name if has_targets and _DEPTH.fullmatch(name) else name


def is_taken(name: str) -> bool:
    """Whether a QC table can have a column with this name, so that the user's columns cannot."""
    plain = name.removeprefix(TARGET).removeprefix(GENOME)
    return bool(_DEPTH.fullmatch(plain) or _COMPONENT.fullmatch(name)) or name in _NAMES


def fault_of_limit(name: str, thresholds: Sequence[int], has_targets: bool) -> str | None:
    """The reason why no column can have the limit `name`, and what to do about it; None if a column can."""
    known = numbers(thresholds, has_targets)
    if meant(name, has_targets) in known:
        return None
    deep = _BREADTH.fullmatch(name.removeprefix(TARGET).removeprefix(GENOME))
    if deep and int(deep[1]) not in thresholds:
        return f"not measured; add {int(deep[1])} to `thresholds`"
    if meant(name, True) in numbers(thresholds, True):  # it would exist with targets
        plain = name.removeprefix(GENOME)
        if plain in known:
            return f"without targets, the column is called {plain}"
        return "this column needs targets; set `regions` to a BED file"
    names = [*known, *(column.removeprefix(TARGET) for column in known)]
    near = get_close_matches(name, names, 1)
    advice = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(known)}"
    return f"the QC table has no such column; {advice}"


_BREADTH = re.compile(r"breadth_([0-9]+)x")
_DEPTH = re.compile(f"mean_coverage|median_coverage|{_BREADTH.pattern}")
_COMPONENT = re.compile("pc[0-9]+")
_NAMES = {*FIRST, *numbers((), has_targets=False), *numbers((), has_targets=True)}
