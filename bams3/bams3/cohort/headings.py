"""How the columns of the QC table are shown: their order, headings and units."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from bams3.cohort.columns import FIRST, GENOME, OF_CAPTURE, TARGET


class Heading(NamedTuple):
    """Text, unit (% for a share, or "") and number of decimals of a column."""

    text: str
    unit: str
    decimals: int


_BREADTH = re.compile(r"breadth_([0-9]+)x")
_COMPONENT = re.compile(r"pc([0-9]+)")
_WORDS = {
    "mean_coverage": Heading("Mean coverage", "×", 2),
    "median_coverage": Heading("Median coverage", "×", 2),
    "fold_80": Heading("Fold 80", "", 3),
    "on_target_read_rate": Heading("Reads on target", "%", 2),
    "on_target_base_rate": Heading("Bases on target", "%", 2),
    "reads": Heading("Reads", "", 0),
    "mapped_rate": Heading("Mapped", "%", 2),
    "properly_paired_rate": Heading("Properly paired", "%", 2),
    "duplicate_rate": Heading("Duplicates", "%", 2),
    "mq0_rate": Heading("MAPQ 0", "%", 2),
    "mapq30_rate": Heading("MAPQ ≥ 30", "%", 2),
    "insert_size_mean": Heading("Insert size, mean", "bp", 1),
    "insert_size_sd": Heading("Insert size, SD", "bp", 1),
    "x_ratio": Heading("X / autosomes", "", 3),
    "y_ratio": Heading("Y / autosomes", "", 3),
    "profile_distance": Heading("Profile distance", "", 4),
}


def heading(name: str) -> Heading | None:
    """The heading of a numeric column; None if there is no such column."""
    if component := _COMPONENT.fullmatch(name):
        return Heading(f"Component {component[1]}", "", 4)
    of, plain = _split(name)
    if breadth := _BREADTH.fullmatch(plain):
        found = Heading(f"Breadth ≥ {int(breadth[1])}×", "%", 2)
    elif plain in _WORDS and (not of or _is_depth(name)):
        found = _WORDS[plain]
    else:
        return None
    return found._replace(text=f"{of.rstrip('_').title()} {_uncapitalized(found.text)}") if of else found


def ordered(names: Sequence[str], own: Sequence[str]) -> list[str]:
    """Order columns: sample, status, the user's own, depth of the targets (or otherwise of the genome), reasons,
    others.

    `own` has those of `names` that are the user's own columns.
    """
    rest = [name for name in names if name not in (*FIRST, *own)]
    deep = sorted(
        filter(_is_depth, rest), key=lambda name: (_PLACES.index(_split(name)[0]), _is_breadth(name))
    )
    first = [name for name in deep if _split(name)[0] == _split(deep[0])[0]]
    others = [name for name in rest if name not in deep]
    around = [name for name in others if name in OF_CAPTURE]
    others = [name for name in others if name not in around]
    return ["sample", "status", *own, *first, "reasons", *around, *deep[len(first) :], *others]


_PLACES = (TARGET, "", GENOME)


def _split(name: str) -> tuple[str, str]:
    """Split a column's name into its prefix (targets or genome), if any, and the rest."""
    of = next((prefix for prefix in (TARGET, GENOME) if name.startswith(prefix)), "")
    return of, name.removeprefix(of)


def _is_depth(name: str) -> bool:
    return _is_breadth(name) or _split(name)[1] in ("mean_coverage", "median_coverage")


def _is_breadth(name: str) -> bool:
    return bool(_BREADTH.fullmatch(_split(name)[1]))


def _uncapitalized(text: str) -> str:
    return text[:1].lower() + text[1:]
