"""What joint calling and genotyping are asked for: windows, targets, options for bcftools."""

from collections.abc import Iterable, Mapping
from typing import Any

from bams3.errors import Bams3Error
from bams3.operations.bcftools import CALL, MPILEUP, options
from bams3.operations.targets import Place, Targets, read_targets
from bams3.workflow.agreement import Warn, check_intervals
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.places import Places, read
from bams3.workflow.reference import Contigs

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


def ploidy_file(section: str, settings: Mapping[str, Any]) -> str:
    """The file of ploidies that the options of call name; "" without one."""
    try:
        return options(CALL, settings["call"]).file("ploidy-file")
    except Bams3Error as error:
        raise ConfigurationError(f"config: {section}: {error}") from None


def fasta(section: str, config: Mapping[str, Any], places: Places) -> list[Any]:
    """The FASTA of the config and its index, copied where the job of a section is; none without the section."""
    if section not in config:
        return []
    path = config["reference"]
    if not path:
        raise ConfigurationError(f"config: {section} needs a `reference`: the FASTA of the alignments")
    return [
        places.copied(path),
        places.copied(f"{path}.fai", advice=f"make it: samtools faidx {path}"),
    ]


def read_targets_of(
    section: str, settings: Mapping[str, Any], contigs: Contigs, places: Places, warn: Warn
) -> Targets | None:  # fmt: skip
    """The targets of a section; None if it has none, and calls everywhere."""
    path = settings.get("targets")
    if not path:
        return None
    place = places.located(path)
    data = read(place, f"`targets` of {section} in the config says where is called")
    return targets_of(section, data, place, contigs, warn)


def targets_of(section: str, data: bytes, path: str, contigs: Contigs, warn: Warn) -> Targets:
    """The targets of a section. Raises ConfigurationError for those that the samples' contigs can't have."""
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
