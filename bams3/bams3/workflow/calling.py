"""The settings of joint calling and genotyping: windows, targets, options for bcftools."""

from collections.abc import Iterable, Mapping
from typing import Any

from bams3.errors import Bams3Error
from bams3.operations.bcftools import CALL, MPILEUP, options
from bams3.operations.targets import Place, Targets, read_targets
from bams3.workflow.agreement import Warn, check_intervals
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.reference import Contigs

TOOLS = (MPILEUP, CALL)


def files(section: str, settings: Mapping[str, Any]) -> list[str]:
    """The files that a section's options name, without duplicates.

    Raises ConfigurationError for options that the workflow sets itself.
    """
    try:
        found = [path for tool in TOOLS for path in options(tool, settings[tool.name]).files()]
    except Bams3Error as error:
        raise ConfigurationError(f"config: {section}: {error}") from None
    return list(dict.fromkeys(found))


def ploidy_file(section: str, settings: Mapping[str, Any]) -> str:
    """The ploidy file that a section's call options name; "" if there is none."""
    try:
        return options(CALL, settings["call"]).file("ploidy-file")
    except Bams3Error as error:
        raise ConfigurationError(f"config: {section}: {error}") from None


def targets_of(section: str, data: bytes, path: str, contigs: Contigs, warn: Warn) -> Targets:
    """The targets of a section. Raises ConfigurationError if they do not fit the samples' contigs."""
    where = f"config: {section}: targets"
    try:
        found = read_targets(data, path)
    except Bams3Error as error:
        raise ConfigurationError(f"{where}: {error}") from None
    check_intervals(found, contigs, f"{where}: {path}", warn)
    return Targets(found)


def jobs(
    contigs: Iterable[tuple[str, int]], size: int, called: Targets | None
) -> dict[str, list[Place]]:  # fmt: skip
    """The jobs of joint calling that have targets: number → ordered list of (contig, start, end), 0-based, of at most
    `size` bp in total. The number of a job does not depend on the targets.
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
