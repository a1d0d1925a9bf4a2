"""What joint calling and genotyping are asked for: windows, targets, options for bcftools."""

from collections.abc import Iterable, Mapping
from typing import Any

from bams3.errors import Bams3Error
from bams3.operations.bcftools import CALL, MPILEUP, options
from bams3.operations.targets import Place, Targets, read_targets
from bams3.workflow.errors import ConfigurationError

TOOLS = (MPILEUP, CALL)


def files(section: str, settings: Mapping[str, Any]) -> list[str]:
    """The files that the options of a section name, each once.

    Raises ConfigurationError for options that the workflow chooses itself.
    """
    try:
        found = [path for tool in TOOLS for path in options(tool, settings[tool.name]).files()]
    except Bams3Error as error:
        raise ConfigurationError(f"config: {section}: {error}") from None
    return list(dict.fromkeys(found))


def targets_of(section: str, data: bytes, path: str, contigs: Iterable[tuple[str, int]]) -> Targets:
    """The targets of a section. Raises ConfigurationError if none lies on the samples' contigs."""
    try:
        found = Targets(read_targets(data, path))
    except Bams3Error as error:
        raise ConfigurationError(f"config: {section}: targets: {error}") from None
    if not found.any_within((name, 0, length) for name, length in contigs):
        raise ConfigurationError(
            f"config: {section}: targets: {path}: no target lies on the samples' contigs"
        )
    return found


def jobs(
    contigs: Iterable[tuple[str, int]], size: int, called: Targets | None
) -> dict[str, list[Place]]:  # fmt: skip
    """The jobs of joint calling that have targets: number → the places, (contig, start, end), in order, of `size` bp
    together at most. The number of a job is the same whatever the targets are.
    """
    found: list[list[Place]] = []
    room = 0
    for name, length in contigs:
        for start in range(0, length, size):
            end = min(start + size, length)
            if end - start > room:
                found.append([])
                room = size
            found[-1].append((name, start, end))
            room -= end - start
    return {
        f"{number:06d}": places
        for number, places in enumerate(found, 1)
        if called is None or called.any_within(places)
    }
