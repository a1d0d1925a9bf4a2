"""The settings of joint calling and genotyping: windows, targets, and options for bcftools."""

import shutil
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from bams3.errors import Bams3Error
from bams3.operations.bcftools import CALL, MPILEUP, Options, Tool, check_contigs, options, refusal
from bams3.operations.targets import Interval, Targets, read_targets
from bams3.workflow import agreement
from bams3.workflow.agreement import Warn
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.internals import Run
from bams3.workflow.places import Places, read
from bams3.workflow.reference import Contigs

TOOLS = (MPILEUP, CALL)


def files(section: str, settings: Mapping[str, Any]) -> list[str]:
    """Return the files that the options of a section name, without duplicates.

    Raises ConfigurationError for options that the workflow sets itself.
    """
    found = [path for tool in TOOLS for path in _given(tool, section, settings).files()]
    return list(dict.fromkeys(found))


def _given(tool: Tool, section: str, settings: Mapping[str, Any]) -> Options:
    try:
        return options(tool, settings[tool.name])
    except Bams3Error as error:
        raise ConfigurationError(f"config: {section}: {error}") from None


def check_options(
    section: str, settings: Mapping[str, Any], samples: Collection[str], contigs: Contigs, places: Places, warn: Warn
) -> None:  # fmt: skip
    """Check what the options of a section name: ploidies, sites with alleles, and samples.

    Raises ConfigurationError for a file that has nothing to do with the samples, and for contigs that bcftools can't
    read.
    """
    try:
        check_contigs(contigs)
    except Bams3Error as error:
        raise ConfigurationError(f"config: {section}: {error}") from None
    where = f"config: {section}: call"
    given = _given(CALL, section, settings)
    path = given.file("ploidy-file")
    if path and (data := places.stored(path, f"check {where}")) is not None:
        agreement.check_ploidy(data, path, contigs, where, warn)
    path = given.file("T")
    if path and (data := places.stored(path, f"check {where}")) is not None:
        read_checked(data, path, contigs, where, warn)
    known = list(samples)
    for tool in TOOLS:
        given = _given(tool, section, settings)
        known = _check_samples(given, known, places, f"config: {section}: {tool.name}", warn)


def try_options(section: str, settings: Mapping[str, Any], run: Run) -> None:
    """Raise ConfigurationError for options that bcftools rejects.

    This is tested only with the bcftools that jobs use.
    """
    if run.installs or not shutil.which("bcftools"):
        return
    if fault := refusal(*(_given(tool, section, settings) for tool in TOOLS)):
        tool, said = fault
        raise ConfigurationError(
            f"config: {section}: {tool}: bcftools {tool} refuses {settings[tool]!r}: {said}"
        )


def _check_samples(given: Options, samples: list[str], places: Places, where: str, warn: Warn) -> list[str]:
    """Return the samples that the options of a tool choose, by the names that the tool gives them."""
    found: dict[str, str] = {}
    for path, names, is_excluded in given.chosen_samples():
        pairs = [(name, "") for name in names]
        if path:
            if (data := places.stored(path, f"check {where}")) is None:
                return samples
            pairs = agreement.read_names(data)
        agreement.check_names(
            (name for name, _ in pairs), samples, f"{where}: {path or 'its list of samples'}", warn
        )
        chosen = dict(pairs)
        if is_excluded:
            found |= {name: name for name in samples if name not in chosen}
        else:
            found |= {name: chosen[name] or name for name in samples if name in chosen}
    return list(found.values()) or samples


def fasta(section: str, config: Mapping[str, Any], places: Places) -> list[Any]:
    """Return the FASTA in the config and its index, copied to the jobs of a section; [] without the section."""
    if section not in config:
        return []
    path = config["reference"]
    if not path:
        raise ConfigurationError(f"config: {section} needs a `reference`: the FASTA of the alignments")
    return [
        places.copied(path),
        places.copied(f"{path}.fai", advice=f"create it with: samtools faidx {path}"),
    ]


def read_targets_of(
    section: str, settings: Mapping[str, Any], contigs: Contigs, places: Places, warn: Warn
) -> Targets | None:  # fmt: skip
    """Return the targets of a section; None if it has none, so that variants are called everywhere."""
    path = settings.get("targets")
    if not path:
        return None
    place = places.located(path)
    data = read(place, f"`targets` of {section} in the config says where to call variants")
    return targets_of(section, data, place, contigs, warn)


def targets_of(section: str, data: bytes, path: str, contigs: Contigs, warn: Warn) -> Targets:
    """Return the targets of a section. Raises ConfigurationError if they do not fit the samples' contigs."""
    return Targets(read_checked(data, path, contigs, f"config: {section}: targets", warn))


def read_checked(data: bytes, path: str, contigs: Contigs, where: str, warn: Warn) -> list[Interval]:
    """Return the targets in a file. Raises ConfigurationError if they do not fit the samples' contigs."""
    try:
        found = read_targets(data, path)
    except Bams3Error as error:
        raise ConfigurationError(f"{where}: {error}") from None
    agreement.check_intervals(found, contigs, f"{where}: {path}", warn)
    return found


def jobs(
    contigs: Iterable[tuple[str, int]], size: int, called: Targets | None
) -> dict[str, list[Interval]]:  # fmt: skip
    """Return the intervals of each job of joint calling that has targets, by the number of the job.

    The intervals (contig, start, end) are 0-based and half-open, in order, and have at most `size` bp in total. The
    number of a job does not depend on the targets.
    """
    found: list[list[Interval]] = []
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
