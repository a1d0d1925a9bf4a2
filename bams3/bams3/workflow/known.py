"""What jobs depend on, for the params `known` of rules.

Snakemake compares the params of a job with those of its last run, but for params that are functions of `input`: those
may say where a file is, while `known` says what it is. A job whose input is not kept, such as a part, knows what that
was made of: of a job that fails, Snakemake forgets what it was of before.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from bams3.workflow import alleles, calling, identity, options
from bams3.workflow.places import Identity, Places
from bams3.workflow.samples import Row, index_told, needs_reference


def of_regions(regions: Any, places: Places) -> int | Identity | None:
    """Windows by their size, a BED file by its contents."""
    is_windows = isinstance(regions, int) or regions.isdecimal()
    return int(regions) if is_windows else places.known(regions, identity.contents)


def of_source(row: Row, config: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """What a sample is converted of, and how."""
    reference = config["reference"]
    of_cram = needs_reference(row, reference)
    return {
        "alignments": places.known(row["alignments"], places.stamp),
        "index": places.known(index_told(row, places.run.is_module), identity.ends),
        "reference": places.known(reference, identity.contents) if of_cram else None,
        "options": options.convert_words(config["convert"]),
    }


def of_dataset(row: Row, places: Places) -> Identity | None:
    """What a dataset that is given is known by; None of one that this workflow has made, now or in an earlier run."""
    place = row.get("dataset")
    if not place or place == places.result(f"<results>/datasets/{row['sample']}.bams3"):
        return None
    return places.known(f"{place}/_metadata.json", identity.contents)


def of_datasets(rows: Iterable[Row], places: Places) -> dict[str, Identity]:
    """Of some samples, those that are given."""
    return {row["sample"]: found for row in rows if (found := of_dataset(row, places))}


def of_query(row: Row, settings: Mapping[str, Any], places: Places) -> dict[str, Any]:
    return {
        "dataset": of_dataset(row, places),
        "bed": places.known(settings.get("bed"), identity.contents),
        "regions": settings.get("regions"),
        "options": options.words_of(settings, options.QUERY_FLAGS),
    }


def of_coverage(row: Row, settings: Mapping[str, Any], places: Places) -> dict[str, Any]:
    return {"dataset": of_dataset(row, places), "by": of_regions(settings.get("by", 0), places)}


def of_alleles(
    rows: Iterable[Row], sites: str, settings: Mapping[str, Any], places: Places
) -> dict[str, Any]:  # fmt: skip
    """Of the sites of one file in one sample, or in all; `settings`: `alleles` in the configuration."""
    return {
        "datasets": {row["sample"]: of_dataset(row, places) for row in rows},
        "sites": places.known(settings["sites"][sites], identity.contents),
        "options": alleles.options_of(settings),
    }


def of_measures(row: Row, settings: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Of the regions of the cohort in one sample; `settings`: `cohort` in the configuration."""
    return {"dataset": of_dataset(row, places), "regions": of_regions(settings["regions"], places)}


def of_matrices(rows: Iterable[Row], config: Mapping[str, Any], places: Places) -> dict[str, Any]:
    return {
        "datasets": of_datasets(rows, places),
        "regions": of_regions(config["cohort"]["regions"], places),
        "options": options.coverage_words(config["coverage"], options.DEPTH_SETTINGS),
    }


def of_calls(rows: Iterable[Row], config: Mapping[str, Any], places: Places) -> dict[str, Any]:
    targets = places.known(config["call"].get("targets"), identity.contents)
    found = {"datasets": of_datasets(rows, places), "targets": targets}
    return _of_options("call", config["call"], places) | _of_fasta(config["reference"], places) | found


def of_genotypes(rows: Iterable[Row], config: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Of one sample, or of all that have loci."""
    datasets = {row["sample"]: of_dataset(row, places) for row in rows}
    found = _of_options("genotype", config["genotype"], places) | _of_fasta(config["reference"], places)
    return found | {"datasets": datasets}


def of_counts(row: Row, settings: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Of the reads of one sample at common sites; `settings`: `identity` in the configuration."""
    return {"dataset": of_dataset(row, places), "sites": places.known(settings["sites"], identity.contents)}


def of_identity(rows: Iterable[Row], settings: Mapping[str, Any], places: Places) -> dict[str, Any]:
    sites = places.known(settings["sites"], identity.contents)
    return {"datasets": of_datasets(rows, places), "sites": sites}


def _of_options(section: str, settings: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """The options of bcftools, and the files that these name."""
    words = {name: settings[name] for name in ("mpileup", "call")}
    files = {path: places.known(path, identity.contents) for path in calling.files(section, settings)}
    return words | {"files": files}


def _of_fasta(path: str, places: Places) -> dict[str, Any]:
    return {
        "reference": places.known(path, identity.contents),
        "fai": places.known(f"{path}.fai", identity.contents),
    }
