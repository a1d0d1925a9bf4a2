"""Statistics of duplicates, written as `samtools markdup` does, as text or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp
from typing import Any

KINDS = (
    "READ", "WRITTEN", "EXCLUDED", "EXAMINED", "PAIRED", "SINGLE", "DUPLICATE PAIR", "DUPLICATE SINGLE",
    "DUPLICATE PAIR OPTICAL", "DUPLICATE SINGLE OPTICAL", "DUPLICATE NON PRIMARY", "DUPLICATE NON PRIMARY OPTICAL",
)  # fmt: skip
"""Kinds of the numbers of a marker, in its order, and of those of the other records of duplicates."""


def as_text(command: str, groups: Sequence[str], numbers: Sequence[Sequence[int]]) -> str:
    """Return the statistics of all reads and, if there are `groups`, of each read group, as text.

    `command`: the command line to state. `groups`: names of the read groups. `numbers`: rows of numbers in the order of
    KINDS, first for the reads without a read group, then for those of each group.
    """
    blocks = [{"COMMAND": command} | numbers_of(numbers), *_of_groups(groups, numbers)]
    return "".join(
        "\n".join(f"{kind}: {value}" for kind, value in block.items()) + "\n\n" for block in blocks
    )


def as_json(command: str, groups: Sequence[str], numbers: Sequence[Sequence[int]]) -> str:
    """Return the same as a JSON document."""
    import json

    document: dict[str, Any] = {"COMMAND": command} | numbers_of(numbers)
    if groups:
        document["READ GROUPS"] = list(_of_groups(groups, numbers))
    return json.dumps(document, indent=4) + "\n"


def _of_groups(groups: Sequence[str], numbers: Sequence[Sequence[int]]) -> Iterator[dict[str, Any]]:
    for name, its in zip(["ungrouped", *groups], numbers, strict=True) if groups else ():
        if its is not numbers[0] or its[0]:
            yield {"READ GROUP": name} | numbers_of([its])


def numbers_of(numbers: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return the sums over some read groups, and numbers derived from them, under the names that samtools uses."""
    found = dict(zip(KINDS, map(sum, zip(*numbers, strict=True)), strict=True))
    pairs, duplicates, optical = (
        found[kind] for kind in ("PAIRED", "DUPLICATE PAIR", "DUPLICATE PAIR OPTICAL")
    )
    primary = duplicates + found["DUPLICATE SINGLE"]
    return found | {
        "DUPLICATE PRIMARY TOTAL": primary,
        "DUPLICATE TOTAL": primary + found["DUPLICATE NON PRIMARY"],
        "ESTIMATED_LIBRARY_SIZE": library_size(pairs, duplicates, optical),
    }


def library_size(paired: int, duplicates: int, optical: int) -> int:
    """Estimate the number x of different fragments in a library, by the equation of Lander and Waterman.

    c / x = 1 - exp(-n / x), where n is the number of pairs that were drawn, and c the number of different ones among
    them. Returns 0 if x can't be estimated.
    """
    pairs, different, copies = (
        (paired - optical) // 2,
        (paired - duplicates) // 2,
        (duplicates - optical) // 2,
    )
    if not (pairs > copies and copies and different):
        return 0

    def excess(times: float) -> float:
        x = times * different
        return different / x - 1 + exp(-pairs / x)

    low, high = 1.0, 100.0
    if excess(low) < 0:
        return 0
    while excess(high) > 0:
        high *= 10
    for _ in range(40):
        middle = (low + high) / 2
        found = excess(middle)
        if found > 0:
            low = middle
        elif found < 0:
            high = middle
        else:
            break
    return int(different * (low + high) / 2)
