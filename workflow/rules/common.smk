import os
import re
from functools import cache

from snakemake.logging import logger

from bams3.cohort.regions import PLACE
from bams3.workflow import options, sheet
from bams3.workflow.contigs import index_kind, longest, read_contigs, windows_of
from bams3.workflow.options import (
    BIGWIG_FLAGS,
    DEPTH_SETTINGS,
    QUERY_FLAGS,
    REPORT_SETTINGS,
)
from bams3.workflow.samples import (
    dataset_place,
    metadata_file,
    read_samples,
    source_files,
)


def configured(*section):
    """An input function that adds no file, but raises an error if the config lacks the section of a rule."""

    def check(wildcards):
        configuration.need_section(config, *section)
        return []

    return check


def process_environment(wildcards):
    """The conda environment of the command of `process`, if the config names one."""
    path = config["process"].get("environment")
    return os.path.abspath(path) if path else None


def query_bed():
    """The BED file of the query, if its regions are in one."""
    bed = config.get("query", {}).get("bed")
    return places.copied(bed) if bed else []


def query_options():
    return options.words_of(config.get("query", {}), QUERY_FLAGS)


def coverage_bed():
    """The BED file of the regions of coverage, unless these are windows."""
    bed = options.bed_of(config.get("coverage", {}).get("by"))
    return places.copied(bed) if bed else []


def coverage_by(wildcards, input):
    """The regions of coverage as command line words."""
    return options.by_words(input.bed or config.get("coverage", {}).get("by"))


def coverage_options(keys):
    return options.coverage_words(config.get("coverage", {}), keys)


def coverage_files():
    return options.coverage_files(config.get("coverage", {}))


def has_bigwigs():
    return "bigwig" in config.get("coverage", {})


def bigwig_options(wildcards):
    return options.words_of(config["coverage"]["bigwig"], BIGWIG_FLAGS)


def convert_options():
    return options.convert_words(config["convert"])


def dataset_of(wildcards):
    return dataset_place(samples[wildcards.sample], places)


def metadata_of(wildcards):
    return metadata_file(samples[wildcards.sample], places)


def source_of(wildcards, input):
    """A sample's alignments, for the command line."""
    return samples[wildcards.sample]["alignments"]


def source_words(wildcards, input):
    return options.source_words(samples[wildcards.sample], config["reference"])


def sources_of(wildcards):
    return source_files(samples[wildcards.sample], places)


def depth_memory(wildcards, attempt):
    """MB: Snakemake, and the depth of the longest contig, from which its regions are measured."""
    return (700 + 4 * longest(contigs) // 1_000_000) * attempt


configuration.fill_sections(config, schema)
configuration.check(config, schema, "config")
configuration.fill_defaults(config, schema)
configuration.check_coverage(config.get("coverage", {}))
options.check_command(config.get("process", {}), places.run)
options.check_environment(config.get("process", {}), places.run)
sheet_text = sheet.decoded(
    read(config["samples"], "`samples` in the config names the sheet"),
    config["samples"],
)
samples = read_samples(
    sheet_text,
    config["samples"],
    configuration.schema(workflow.source_path("../schemas/samples.schema.yaml")),
    places,
    reserved=PLACE if "cohort" in config else (),
)
contigs = read_contigs(
    config["contigs"], next(iter(samples.values())), config["reference"], places
)
windows = windows_of(contigs, config["convert"]["chunk_size"])
converted = [name for name, row in samples.items() if "dataset" not in row]
query_index = index_kind(contigs)


wildcard_constraints:
    sample=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    batch=r"\d{6}-of-\d{6}",
