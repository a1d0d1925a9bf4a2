from bams3.workflow.batches import (
    batch_words,
    batches_of,
    count_touched,
    part_in_place,
    query_batches_of,
)


@cache
def batches(sample):
    return batches_of(samples[sample], config["convert"], windows, places)


@cache
def windows_of_query():
    """How many windows the regions of the query overlap."""
    return count_touched(config["query"], contigs, windows, places)


def part_file(sample, batch):
    return part_in_place(sample, batch, places)


def parts_of(wildcards):
    """What the batches of a sample leave in its dataset while it is converted."""
    return [part_file(wildcards.sample, batch) for batch in batches(wildcards.sample)]


def queries_of(wildcards):
    return expand(
        "<results>/query/{sample}/{batch}.bam",
        sample=wildcards.sample,
        batch=query_batches_of(
            batches(wildcards.sample), config["convert"], windows_of_query()
        ),
    )


def depths_of(wildcards):
    """The parts of all batches. Whole fragments, whose reads may lie in two batches, have none: one job measures them."""
    whole = config.get("coverage", {}).get("fragment_mode")
    return expand(
        "<results>/coverage/{sample}/{batch}.depth",
        sample=wildcards.sample,
        batch=[] if whole else batches(wildcards.sample),
    )


def bigwig_parts(wildcards):
    """The parts have depth per base; reads in bins are counted in the dataset."""
    has_bins = "bin" in config["coverage"]["bigwig"]
    return [] if has_bins else depths_of(wildcards)


def processed(wildcards):
    """The results of the configured command for all samples."""
    return [
        places.result_of_rule(f"<results>/process/{sample}/{batch}")
        for sample in (samples if "process" in config else [])
        for batch in batches(sample)
    ]


def batch_of(wildcards):
    return batch_words(wildcards.batch)
