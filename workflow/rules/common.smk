import os
import re
from functools import cache

from snakemake.utils import validate

from bams3.cohort.regions import PLACE
from bams3.dataset import layout
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error
from bams3.operations.placeholders import line_for_bash
from bams3.sources.bam import open_source
from bams3.bam.header import Header
from bams3.workflow import configuration, quality, reference, sheet
from bams3.workflow.names import check_names

QUERY_FLAGS = {
    "require_flags": "-f",
    "exclude_flags": "-F",
    "min_mapq": "-q",
    "read_group": "-r",
    "filter": "--filter",
}
DEPTH_SETTINGS = [
    "chrom",
    "fast_mode",
    "fragment_mode",
    "flag",
    "include_flag",
    "mapq",
    "read_groups",
]
DEPTH_SETTINGS += ["min_frag_len", "max_frag_len"]
REPORT_SETTINGS = ["quantize", "thresholds", "no_per_base", "use_median"]
FILES = ["alignments", "index", "dataset"]  # columns of the sheet
LARGEST_IN_BAI = 2**29 - 1


@cache
def sheet_text(path):
    return sheet.decoded(read(path, "`samples` in the config names the sheet"), path)


def read_samples(path):
    """The sample sheet: a row (dict without empty cells) by sample name."""
    text = sheet_text(path)
    columns = configuration.schema(
        workflow.source_path("../schemas/samples.schema.yaml")
    )
    by_name, lines = {}, {}
    for line, row in sheet.rows(text, path):
        where = f"{path}:{line}: sample {row.get('sample', '(no name)')}"
        configuration.check(row, columns, where)
        if ("alignments" in row) == ("dataset" in row):
            raise ConfigurationError(
                f"{where}: give either alignments or an existing dataset"
            )
        if row["sample"] in by_name:
            raise ConfigurationError(
                f"{where}: the name is there twice; give each a name of its own"
            )
        files = {column: located(row[column]) for column in FILES if column in row}
        by_name[row["sample"]] = row | files
        lines[row["sample"]] = line
    check_names(lines, path, PLACE if "cohort" in config else ())
    if not by_name:
        raise ConfigurationError(f"{path}: no samples; add a line for each")
    return by_name


def is_there(row):
    """False for alignments that a workflow that uses this one has yet to make."""
    path = row.get("alignments")
    return not path or not is_local(path) or os.path.exists(path)


def index_of(row):
    """The index of a sample's alignments: the one given, or beside the file; None if it isn't there.

    What is in object storage, or may be made before it is needed, is not looked for.
    """
    alignments = row["alignments"]
    stem = alignments.rsplit(".", 1)[0]
    beside = [
        f"{name}{suffix}"
        for suffix in (".bai", ".csi", ".crai")
        for name in (alignments, stem)
    ]
    candidates = [row["index"]] if "index" in row else beside
    return next(
        (path for path in candidates if not is_local(path) or os.path.exists(path)),
        candidates[0] if is_module else None,
    )


def check_files(row):
    """Raises an error if a sample's file, its index or its dataset is not there."""
    name = row["sample"]
    if "dataset" in row:
        if is_local(row["dataset"]) and not os.path.exists(
            f"{row['dataset']}/_metadata.json"
        ):
            raise ConfigurationError(
                f"sample {name}: {row['dataset']} is not a bams3 dataset (no _metadata.json)"
            )
    elif is_local(row["alignments"]):
        if not is_there(row) and not is_module:
            raise ConfigurationError(
                f"sample {name}: {row['alignments']}: no such file"
            )
        check_regular(row["alignments"], f"sample {name}: {row['alignments']}")
        if not index_of(row):
            tried = row.get("index", f"{row['alignments']}.bai, .csi or .crai")
            raise ConfigurationError(
                f"sample {name}: no index ({tried}); make it with: samtools index {row['alignments']}"
            )
        if needs_reference(row):
            check_there(config["reference"], f"config: {config['reference']}")
    elif row["alignments"].endswith(".cram"):
        raise ConfigurationError(
            f"sample {name}: a CRAM in object storage can't be read by batches; copy it, or make a BAM of it"
        )
    if "index" in row:
        check_there(row["index"], f"sample {name}: {row['index']}")


def header_of(row, with_text=False):
    """A sample's header: that of its alignments; of a dataset the contigs of its manifest, and the text if wanted."""
    try:
        if "dataset" in row:
            dataset = DatasetReader(row["dataset"])
            return (
                dataset.header if with_text else Header(b"", tuple(dataset.references))
            )
        with open_source(
            row["alignments"], reference=config["reference"] or None
        ) as source:
            return source.header
    except Bams3Error as error:
        raise ConfigurationError(f"sample {row['sample']}: {error}")


def read_grid(source):
    """[(name, length)] of the contigs that all samples have: from a .fai, a .dict, or the first sample."""
    if source == "header":
        first = next(iter(samples.values()))
        check_files(first)
        if not is_there(first):
            raise ConfigurationError(
                f"sample {first['sample']}: {first['alignments']} is yet to be made; give `grid` a .fai or a .dict"
            )
        return list(header_of(first).references)
    data = read(source, "`grid` in the config is a .fai, a .dict, or header")
    try:
        if source.endswith(".dict"):
            return list(reference.read_dictionary(data, source).references)
        return [
            (entry.name, entry.length) for entry in reference.read_fai(data, source)
        ]
    except ConfigurationError:
        raise ConfigurationError(
            f"{source}: neither a .fai nor a .dict, as `grid` in the config must be, or header"
        )


def check_contigs(row, found):
    """Raises an error if a sample's contigs aren't those of the grid."""
    if list(found) == contigs:
        return
    pairs = list(zip(found, contigs))
    differs = next(
        (f"{a[0]} ({a[1]} bp) for {b[0]} ({b[1]} bp)" for a, b in pairs if a != b), None
    )
    detail = differs or f"{len(found)} contigs for {len(contigs)}"
    raise ConfigurationError(
        f"sample {row['sample']}: its contigs are not those of the grid: it has {detail}"
    )


def check_command():
    """Raises an error for a command of `process` in which a placeholder would not be one word."""
    try:
        line_for_bash(config.get("process", {}).get("command", ""))
    except Bams3Error as error:
        raise ConfigurationError(f"config: process: command: {error}")


def process_environment(wildcards):
    """The conda environment of the command of `process`, if the config names one."""
    path = config["process"].get("environment")
    return os.path.abspath(path) if path else None


def check_environment():
    """Raises an error where the conda environment of the command of `process` is not there."""
    path = config.get("process", {}).get("environment")
    if path and workflow.is_main_process and not os.path.isfile(path):
        raise ConfigurationError(
            f"config: process: environment: {path}: no such file; give a conda environment file (.yaml)"
        )


def read_windows():
    try:
        return layout.Grid(contigs, layout.parse_size(config["convert"]["chunk_size"]))
    except Bams3Error as error:
        raise ConfigurationError(f"config: convert: {error}")


def options(section, flags):
    """Settings of a section as command line words; `flags`: the option of each setting."""
    words = []
    for key, flag in flags.items():
        value = config.get(section, {}).get(key, False)
        if value is not False:
            words += [flag] if value is True else [flag, value]
    return words


def coverage_options(settings):
    """Settings of coverage as command line words; the options have their names."""
    return options("coverage", {key: f"--{key.replace('_', '-')}" for key in settings})


def query_bed():
    """The BED file of the query, if its regions are in one."""
    bed = config.get("query", {}).get("bed")
    return copied(bed) if bed else []


def coverage_bed():
    """The BED file of the regions of coverage, unless these are windows."""
    by = str(config.get("coverage", {}).get("by", ""))
    return [] if by.isdecimal() or not by else copied(by)


def coverage_by(wildcards, input):
    """The regions of coverage as command line words."""
    by = input.bed or config.get("coverage", {}).get("by")
    return ["--by", by] if by else []


def dataset_place(sample):
    """Where a sample's dataset is: the one given, or the one that this workflow makes."""
    made = located(result(f"<results>/datasets/{sample}.bams3"))
    return samples[sample].get("dataset", made)


def dataset_of(wildcards):
    return dataset_place(wildcards.sample)


def metadata(sample):
    """The file that says that a dataset is complete, if Snakemake can see it."""
    return in_place(f"{dataset_place(sample)}/_metadata.json")


def metadata_of(wildcards):
    return metadata(wildcards.sample)


def source_of(wildcards, input):
    """A sample's alignments, for the command line."""
    return samples[wildcards.sample]["alignments"]


def source_files(wildcards):
    """A sample's alignments, if Snakemake can see them, and their index, if a rule makes it."""
    row = samples[wildcards.sample]
    index = index_told(row)
    files = [row["alignments"], index if index and is_made(index) else None]
    return [file for path in files if path and (file := in_place(path))]


def index_told(row):
    """The index of a sample's alignments, if it can be told where that is before it is read."""
    return index_of(row) if is_local(row["alignments"]) else row.get("index")


def source_words(wildcards, input):
    """Where else a conversion reads, as command line words: the index, and of a CRAM the reference."""
    row = samples[wildcards.sample]
    words = ["--index", row["index"]] if "index" in row else []
    return words + (["-T", config["reference"]] if needs_reference(row) else [])


def needs_reference(row):
    """Is a sample a CRAM? What a BAM is converted to is the same whatever reference there is."""
    return bool(config["reference"]) and identity.is_cram(row["alignments"])


def convert_options():
    return [
        "--chunk-size",
        config["convert"]["chunk_size"],
        "--level",
        config["convert"]["level"],
    ]


def depth_memory(wildcards, attempt):
    """MB: Snakemake, and the depth of the longest contig, of which regions are measured."""
    longest = max((length for _, length in contigs), default=0)
    return (700 + 4 * longest // 1_000_000) * attempt


def coverage_files():
    """The endings of the files that a coverage run writes: mosdepth's."""
    wanted = config.get("coverage", {})
    beds = {
        "per-base": not wanted.get("no_per_base"),
        "regions": "by" in wanted,
        "quantized": "quantize" in wanted,
        "thresholds": "thresholds" in wanted,
    }
    files = ["mosdepth.summary.txt", "mosdepth.global.dist.txt"]
    files += ["mosdepth.region.dist.txt"] if "by" in wanted else []
    return files + [
        f"{bed}.bed.gz{end}"
        for bed, made in beds.items()
        if made
        for end in ("", ".csi")
    ]


configuration.fill_sections(config, schema)
configuration.check(config, schema, "config")
validate(config, "../schemas/config.schema.yaml")  # fills in the defaults
configuration.check_coverage(config.get("coverage", {}))
check_command()
check_environment()
is_module = not modifier.is_main_snakefile()
samples = read_samples(config["samples"])
contigs = read_grid(config["grid"])
windows = read_windows()
converted = [name for name, row in samples.items() if "dataset" not in row]
query_index = (
    "bai"
    if max((length for _, length in contigs), default=0) <= LARGEST_IN_BAI
    else "csi"
)


wildcard_constraints:
    sample=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    batch=r"\d{6}-of-\d{6}",
