# The sheet of lanes, the aligner, and the inputs of rules.
import csv
import math
import os
import re
from collections import defaultdict
from types import SimpleNamespace

from bams3.workflow import configuration
from bams3.workflow.errors import ConfigurationError

ALIGNERS = {
    "bwa": SimpleNamespace(
        index="bwa index -p results/index/reference",
        index_files=[".amb", ".ann", ".bwt", ".pac", ".sa"],
        reference="results/index/reference",
        words=["bwa", "mem"],
    ),
    "minimap2": SimpleNamespace(
        index="minimap2 -x sr -d results/index/reference.mmi",
        index_files=[".mmi"],
        reference="results/index/reference.mmi",
        words=["minimap2", "-ax", "sr"],
    ),
}


def schema(name):
    return configuration.schema(workflow.source_path(f"schemas/{name}.schema.yaml"))


def read_lanes(path):
    """The rows of the sheet of lanes: {sample: {lane: row}}."""
    found = defaultdict(dict)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except OSError as error:
        raise ConfigurationError(
            f"{path}: {error.strerror}; `lanes` in the config names the sheet"
        )
    except (UnicodeDecodeError, csv.Error):
        raise ConfigurationError(
            f"{path}: not tab-separated text; save it as tab-separated text in UTF-8"
        )
    for number, row in enumerate(rows, 1):
        where = f"{path}: row {number}"
        configuration.check(row, schema("lanes"), where)
        if row["lane"] in found[row["sample"]]:
            raise ConfigurationError(
                f"{where}: lane {row['lane']} of {row['sample']} is listed twice; rename one"
            )
        for column in ("fastq_1", "fastq_2"):
            if not os.path.isfile(row[column]):
                raise ConfigurationError(
                    f"{where}: {row[column]}: no such file; check {column}"
                )
        found[row["sample"]][row["lane"]] = row
    return dict(found)


def check_samples(samples):
    """Check that the sheet of samples names the dataset of each sample that has lanes."""
    for sample in lanes:
        dataset = f"results/datasets/{sample}.bams3"
        if samples.get(sample, {}).get("dataset") != dataset:
            raise ConfigurationError(
                f"sample {sample} has lanes; give it a row in {config['bams3']['samples']}, with the dataset {dataset}"
            )


def lane_of(wildcards):
    return lanes[wildcards.sample][wildcards.lane]


def batches_of(lane):
    """The number of batches of a lane. It follows from the size of a file, so that all jobs are known in advance."""
    size = os.path.getsize(lane["fastq_1"])
    return max(1, math.ceil(size / (config["gigabytes_per_batch"] * 1e9)))


def fastq_of_lane(wildcards):
    lane = lane_of(wildcards)
    return [lane["fastq_1"], lane["fastq_2"]]


def split_of_lane(wildcards):
    """The batches as files; a lane of one batch is not split."""
    split = batches_of(lane_of(wildcards)) > 1
    return f"results/fastq/{wildcards.sample}/{wildcards.lane}" if split else []


def fastq_of_batch(wildcards, input):
    if not input.split:
        return fastq_of_lane(wildcards)
    return [f"{input.split}/{wildcards.batch}_{end}.fastq.gz" for end in (1, 2)]


def aligner_words(wildcards):
    """The aligner's command, with the read group of the lane."""
    lane = lane_of(wildcards)
    fields = {
        "ID": f"{lane['sample']}.{lane['lane']}",
        "SM": lane["sample"],
        "LB": lane["library"],
        "PL": lane["platform"],
        "PU": lane["lane"],
    }
    group = r"\t".join(["@RG", *(f"{name}:{value}" for name, value in fields.items())])
    return [*aligner.words, "-K", config["bases"], "-R", group, *config["options"]]


def datasets_of(rows):
    """The datasets of the batches of lanes, in the order of the sheet, which decides the order of equal reads."""
    return [
        f"results/aligned/{lane['sample']}/{lane['lane']}/{number:06d}-of-{count:06d}.bams3"
        for lane in rows
        for count in [batches_of(lane)]
        for number in range(1, count + 1)
    ]


def datasets_of_sample(wildcards):
    return datasets_of(lanes[wildcards.sample].values())


def datasets_of_library(wildcards):
    rows = lanes[wildcards.sample].values()
    return datasets_of([row for row in rows if row["library"] == wildcards.library])


def libraries_of_sample(wildcards):
    names = dict.fromkeys(row["library"] for row in lanes[wildcards.sample].values())
    return [f"results/marked/{wildcards.sample}/{name}.bams3" for name in names]


configuration.check(config, schema("config"), "config")
aligner = ALIGNERS[config["aligner"]]
chunk_size = config["bams3"].get("convert", {}).get("chunk_size", "1M")
lanes = read_lanes(config["lanes"])


wildcard_constraints:
    sample="[A-Za-z0-9][A-Za-z0-9._-]*",
    lane="[A-Za-z0-9][A-Za-z0-9._-]*",
    library="[A-Za-z0-9][A-Za-z0-9._-]*",
    batch=r"\d{6}-of-\d{6}",
