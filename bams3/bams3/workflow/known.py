"""What jobs depend on, for the params `known` of rules.

Snakemake compares the params of a job with those of its last run, except for params that are functions of `input`. So
these may contain the location of a file, while `known` contains its identity. If the input of a job is not kept, such
as a part, `known` contains what that input was made from, because Snakemake forgets the earlier params of a job that
fails.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from bams3.workflow import alleles, calling, identity, options
from bams3.workflow.places import Identity, Places
from bams3.workflow.samples import Row, index_told, needs_reference


def of_regions(regions: Any, places: Places) -> int | Identity | None:
    """Identify regions: windows by their size, a BED file by its contents."""
    is_windows = isinstance(regions, int) or regions.isdecimal()
    return int(regions) if is_windows else places.known(regions, identity.contents)


def of_source(row: Row, config: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Identify what a sample is converted from, and the options."""
    reference = config["reference"]
    of_cram = needs_reference(row, reference)
    return {
        "alignments": places.known(row["alignments"], places.stamp),
        "index": places.known(index_told(row, places.run.is_module), identity.ends),
        "reference": places.known(reference, identity.contents) if of_cram else None,
        "options": options.convert_words(config["convert"]),
    }


def of_dataset(row: Row, places: Places) -> Identity | None:
    """Return the identity of a given dataset; None for one that this workflow makes, or made in an earlier run."""
    place = row.get("dataset")
    if not place or place == places.result(f"<results>/datasets/{row['sample']}.bams3"):
        return None
    return places.known(f"{place}/_metadata.json", identity.contents)


def of_datasets(rows: Iterable[Row], places: Places) -> dict[str, Identity]:
    """Return the identities of the given datasets among some samples."""
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
    """Identify the counts at the sites of one file, in one sample or all. `settings`: the section `alleles`."""
    return {
        "datasets": {row["sample"]: of_dataset(row, places) for row in rows},
        "sites": places.known(settings["sites"][sites], identity.contents),
        "options": alleles.options_of(settings),
    }


def of_measures(row: Row, settings: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Identify the measurements of one sample in the regions of the cohort. `settings`: the section `cohort`."""
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
    """Identify the genotypes of one sample, or of all samples that have loci."""
    datasets = {row["sample"]: of_dataset(row, places) for row in rows}
    found = _of_options("genotype", config["genotype"], places) | _of_fasta(config["reference"], places)
    return found | {"datasets": datasets}


def of_counts(row: Row, settings: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Identify the counts of one sample at common sites. `settings`: the section `identity`."""
    return {"dataset": of_dataset(row, places), "sites": places.known(settings["sites"], identity.contents)}


def of_identity(rows: Iterable[Row], settings: Mapping[str, Any], places: Places) -> dict[str, Any]:
    sites = places.known(settings["sites"], identity.contents)
    return {"datasets": of_datasets(rows, places), "sites": sites}


def _of_options(section: str, settings: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Identify the options of bcftools, and the files that they name."""
    words = {name: settings[name] for name in ("mpileup", "call")}
    files = {path: places.known(path, identity.contents) for path in calling.files(section, settings)}
    return words | {"files": files}


def _of_fasta(path: str, places: Places) -> dict[str, Any]:
    return {
        "reference": places.known(path, identity.contents),
        "fai": places.known(f"{path}.fai", identity.contents),
    }
