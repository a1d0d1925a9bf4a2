from functools import cache

from bams3.errors import Bams3Error
from bams3.workflow import identity
from bams3.workflow.errors import ConfigurationError

# What identifies a job's inputs. Snakemake compares a job's params with those of its last run, except params that are
# functions of `input`: those may say where a file is, while `known` says which file it is. A job whose input is not
# kept, such as a part, records what that input was made from: for a failed job, Snakemake forgets its earlier params.

stamp_of = cache(identity.stamp)  # of alignments; their size is needed elsewhere, too


@cache
def known(path, by):
    """What a file is known by, a function of `identity`. None of a file that is not there, or that a rule makes, whose
    jobs Snakemake knows; and where it is not compared: only the process that plans does that.
    """
    if not path or not workflow.is_main_process or is_made(path):
        return None
    try:
        return by(located(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}")
    except Bams3Error as error:
        raise ConfigurationError(str(error))


@cache
def is_made(path):
    """Does a rule make the file, of this workflow or of one that uses it?"""
    file = in_place(path)
    return bool(file) and any(rule.is_producer(file) for rule in workflow.rules)


def known_regions(regions):
    """Windows by their size, a BED file by its contents."""
    is_windows = isinstance(regions, int) or regions.isdecimal()
    return int(regions) if is_windows else known(regions, identity.contents)


def known_source(wildcards):
    """What a sample is converted of, and how."""
    row = samples[wildcards.sample]
    of_cram = needs_reference(row)
    return {
        "alignments": known(row["alignments"], stamp_of),
        "index": known(index_told(row), identity.ends),
        "reference": known(config["reference"], identity.contents) if of_cram else None,
        "options": convert_options(),
    }


@cache
def known_manifest(sample):
    """What a dataset that is given is known by; None of one that this workflow has made, now or in an earlier run."""
    place = samples[sample].get("dataset")
    if not place or place == located(result(f"<results>/datasets/{sample}.bams3")):
        return None
    return known(f"{place}/_metadata.json", identity.contents)


def known_dataset(wildcards):
    return known_manifest(wildcards.sample)


def known_datasets(wildcards):
    """Of all samples, those that are given."""
    return {name: found for name in samples if (found := known_manifest(name))}


def known_query(wildcards):
    return {
        "dataset": known_manifest(wildcards.sample),
        "bed": known(config["query"].get("bed"), identity.contents),
        "regions": config["query"].get("regions"),
        "options": options("query", QUERY_FLAGS),
    }


def known_coverage(wildcards):
    return {
        "dataset": known_manifest(wildcards.sample),
        "by": known_regions(config["coverage"].get("by", 0)),
    }


def known_measures(wildcards):
    return {
        "dataset": known_manifest(wildcards.sample),
        "regions": known_regions(config["cohort"]["regions"]),
    }


def known_matrices(wildcards):
    return {
        "datasets": known_datasets(wildcards),
        "regions": known_regions(config["cohort"]["regions"]),
        "options": coverage_options(DEPTH_SETTINGS),
    }


def known_calls(wildcards):
    targets = known(config["call"].get("targets"), identity.contents)
    found = {"datasets": known_datasets(wildcards), "targets": targets}
    return known_options("call") | known_fasta() | found


def known_genotypes(wildcards):
    """Of one sample, or of all that have loci."""
    names = [wildcards.sample] if "sample" in wildcards.keys() else loci_by_sample
    datasets = {name: known_manifest(name) for name in names}
    return known_options("genotype") | known_fasta() | {"datasets": datasets}


def known_options(section):
    """The options of bcftools, and the files that these name."""
    words = {name: config[section][name] for name in ("mpileup", "call")}
    files = {path: known(path, identity.contents) for path in option_files(section)}
    return words | {"files": files}


def known_fasta():
    path = config["reference"]
    return {
        "reference": known(path, identity.contents),
        "fai": known(f"{path}.fai", identity.contents),
    }
