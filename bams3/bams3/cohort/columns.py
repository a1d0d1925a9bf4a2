"""The columns of the table of quality: what each is called, with targets and without.

Targets are the regions of a BED file. Where a cohort has some, depth is told of them and of the genome, and each column
says of which; where it has none, depth is the genome's. Nothing of what makes the table is imported here, so that a
workflow can be planned where that is not installed.
"""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

FIRST = ("sample", "status", "reasons")
"""These are followed by the columns of the sheet that are the user's own."""

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
    """The columns that can have a limit, in their order."""
    breadths = [breadth(depth) for depth in sorted({*thresholds})]
    mean = "mean_coverage"
    targets = [TARGET + name for name in (mean, "median_coverage", *breadths)]
    prefix = GENOME if has_targets else ""
    genome = [prefix + mean, "x_ratio", "y_ratio", *(prefix + name for name in breadths)]
    return [*OF_READS, *([*targets, *OF_CAPTURE] if has_targets else []), *genome, "profile_distance"]


def breadth(depth: int) -> str:
    """The share of bases that are at least so deep, without what it is of."""
    return f"breadth_{depth}x"


def meant(name: str, has_targets: bool) -> str:
    """The column that a name in `limits` means: of depth, if it does not say of what, the targets' if there are any."""
    return TARGET + name if has_targets and _DEPTH.fullmatch(name) else name


def is_taken(name: str) -> bool:
    """Is that the name of a column of any table of quality? One of the user's own can't have it."""
    plain = name.removeprefix(TARGET).removeprefix(GENOME)
    return bool(_DEPTH.fullmatch(plain) or _COMPONENT.fullmatch(name)) or name in _NAMES


def fault_of_limit(name: str, thresholds: Sequence[int], has_targets: bool) -> str | None:
    """Why no column has that limit, and what to do; None if one has."""
    known = numbers(thresholds, has_targets)
    if meant(name, has_targets) in known:
        return None
    deep = _BREADTH.fullmatch(name.removeprefix(TARGET).removeprefix(GENOME))
    if deep and int(deep[1]) not in thresholds:
        return f"it is not measured; add {int(deep[1])} to `thresholds`"
    if meant(name, True) in numbers(thresholds, True):  # if there were targets
        plain = name.removeprefix(GENOME)
        if plain in known:
            return f"without targets it is called {plain}"
        return "it is of targets; give `regions` a BED file"
    names = [*known, *(column.removeprefix(TARGET) for column in known)]
    near = get_close_matches(name, names, 1)
    advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"the table of quality has no such number; {advice}"


_BREADTH = re.compile(r"breadth_([0-9]+)x")
_DEPTH = re.compile(f"mean_coverage|median_coverage|{_BREADTH.pattern}")
_COMPONENT = re.compile("pc[0-9]+")
_NAMES = {*FIRST, *numbers((), has_targets=False), *numbers((), has_targets=True)}
