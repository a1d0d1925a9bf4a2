"""Comparison of a configuration with the samples, before the first job runs.

Jobs on other machines read the Snakefile, too. So only the process that plans the run examines all samples, and it
reads the header of each of them once.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from bams3.bam.header import checksums
from bams3.workflow import agreement, alleles, calling, reference
from bams3.workflow.agreement import Warn
from bams3.workflow.contigs import check_contigs
from bams3.workflow.options import bed_of
from bams3.workflow.places import Places, is_local
from bams3.workflow.reference import Contigs
from bams3.workflow.samples import Row, check_files, header_of, is_there, needs_reference


def check_config(
    config: Mapping[str, Any], samples: Collection[str], contigs: Contigs, places: Places, warn: Warn
) -> None:  # fmt: skip
    """Check what the sections of a configuration say about contigs and samples, and the files that they name."""
    if "query" in config:
        _check_query(config["query"], contigs, places, warn)
    if "coverage" in config:
        _check_measured(config, "coverage", "by", contigs, places, warn, strict=False)
    if "alleles" in config:
        alleles.check_sites(config["alleles"]["sites"], contigs, places)
    if "cohort" in config:
        _check_measured(config, "cohort", "regions", contigs, places, warn, strict=True)
        names = config["cohort"].get("sex_contigs", [])
        agreement.check_contigs(names, contigs, "config: cohort: sex_contigs")
    if "identity" in config:
        _check_sites(config["identity"]["sites"], contigs, places, warn)
    for section in ("call", "genotype"):
        if section in config:
            calling.check_options(section, config[section], samples, contigs, places, warn)
            calling.try_options(section, config[section], places.run)


def check_samples(
    config: Mapping[str, Any], samples: Mapping[str, Row], contigs: Contigs, called: Iterable[str], places: Places,
    warn: Warn,
) -> None:  # fmt: skip
    """Check every sample: its files, contigs, sequences and read groups.

    `called`: the contigs on which variants are called or loci are genotyped.
    """
    warn_of_twins(samples.values(), config["samples"], warn)
    place: str | None = None
    sequences: Mapping[str, str] = {}
    if _uses_reference(config, samples.values()):
        place, sequences = _check_reference(config["reference"], contigs, set(called), places)
    chosen = {where: groups for where, groups in _chosen_groups(config).items() if groups}
    groups = {}
    for name, row in samples.items():
        check_files(row, config["reference"], places)
        if is_there(row):
            header = header_of(row, config["reference"], with_text=bool(sequences or chosen))
            check_contigs(row, header.references, contigs)
            if place and sequences:
                own = checksums(header.text)
                reference.check_checksums(place, sequences, name, own)
            if chosen:
                groups[name] = agreement.read_groups(header.text)
    if len(groups) == len(samples):
        for where, wanted in chosen.items():
            agreement.check_read_groups(wanted, groups, where, warn)


def warn_of_twins(rows: Iterable[Row], sheet: str, warn: Warn) -> None:
    """Print a warning if two samples have the same alignments or dataset, usually because a cell was copied."""
    first: dict[str, str] = {}
    for row in rows:
        path = row.get("alignments") or row["dataset"]
        place = os.path.realpath(path) if is_local(path) else path
        other = first.setdefault(place, row["sample"])
        if other != row["sample"]:
            warn(
                f"{sheet}: samples {other} and {row['sample']} have the same file, {path}; correct one of the rows"
            )


def _check_query(settings: Mapping[str, Any], contigs: Contigs, places: Places, warn: Warn) -> None:
    if "bed" in settings:
        where = "config: query: bed"
        if (data := places.stored(settings["bed"], f"check {where}")) is not None:
            agreement.check_query_bed(data, settings["bed"], contigs, where, warn)
    else:
        agreement.check_regions(settings["regions"], contigs, "config: query: regions")
    if "filter" in settings:
        agreement.check_filter(settings["filter"], "config: query: filter")


def _check_measured(
    config: Mapping[str, Any], section: str, key: str, contigs: Contigs, places: Places, warn: Warn, *, strict: bool
) -> None:  # fmt: skip
    """Check the BED file over which depth is measured, if it is not windows, and the contig, if it is only one."""
    only = config["coverage"].get("chrom")
    if only is not None:
        agreement.check_contigs([only], contigs, "config: coverage: chrom")
    where = f"config: {section}: {key}"
    path = bed_of(config[section].get(key))
    if not path:
        return
    if (data := places.stored(path, f"{where} is a window size in bp, or a BED file")) is not None:
        agreement.check_coverage_bed(data, path, contigs, where, warn, only=only, strict=strict)


def _check_sites(path: str, contigs: Contigs, places: Places, warn: Warn) -> None:
    where = "config: identity: sites"
    if (data := places.stored(path, f"check {where}")) is not None:
        calling.read_checked(data, path, contigs, where, warn)


def _check_reference(
    path: str, contigs: Contigs, needed: set[str], places: Places
) -> tuple[str | None, Mapping[str, str]]:  # fmt: skip
    """Check the index and the dictionary of a FASTA; return the path of the dictionary, and the M5 in it."""
    fai = f"{path}.fai"
    if (data := places.stored(fai, f"create it with: samtools faidx {path}")) is not None:
        index = reference.read_fai(data, fai)
        reference.check_lengths(fai, [(entry.name, entry.length) for entry in index], contigs, needed)
        fasta = places.located(path)
        if is_local(fasta) and os.path.exists(fasta):
            reference.check_index(fasta, index)
    for place in reference.dictionaries(path):
        if (data := places.stored_if_there(place)) is not None:
            header = reference.read_dictionary(data, place)
            reference.check_lengths(place, header.references, contigs, needed)
            return place, checksums(header.text)
    return None, {}


def _uses_reference(config: Mapping[str, Any], rows: Iterable[Row]) -> bool:
    path = config["reference"]
    return bool(path) and (
        "call" in config
        or "genotype" in config
        or any(needs_reference(row, path) for row in rows if "dataset" not in row)
    )


def _chosen_groups(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the read groups that sections choose, by the key of the configuration."""
    query_group = config.get("query", {}).get("read_group")
    groups = config.get("coverage", {}).get("read_groups")
    return {
        "config: query: read_group": [query_group] if query_group else [],
        "config: coverage: read_groups": groups.split(",") if groups else [],
    }
