@cache
def batches(sample):
    """The batches that a sample is handled in: `000001-of-000004`, …

    They depend on `convert` in the configuration and on this one sample alone: so others may come without its batches
    being others, and every job, which reads this, looks at its own sample.
    """
    wanted = config["convert"]["chunks_per_batch"]
    if wanted == "auto":
        target = config["convert"]["gigabytes_per_batch"] * 1e9
        count = -(-bytes_of(samples[sample]) // target)
    else:
        count = -(-len(windows) // wanted)
    count = min(max(int(count), 1), len(windows))
    return [f"{i + 1:06d}-of-{count:06d}" for i in range(count)]


def bytes_of(row):
    """How large a sample is: its file of alignments, or the chunks of its dataset."""
    try:
        if "dataset" in row:
            return DatasetReader(row["dataset"]).manifest.bytes
        return stamp_of(row["alignments"])[0]
    except Bams3Error as error:
        raise ConfigurationError(f"sample {row['sample']}: {error}")
    except FileNotFoundError:
        raise ConfigurationError(
            f"sample {row['sample']}: {row['alignments']} is yet to be made; give `chunks_per_batch` a number"
        )
    except OSError as error:
        raise ConfigurationError(
            f"sample {row['sample']}: {row['alignments']}: {error.strerror}"
        )


def parts_of(wildcards):
    """What the batches of a sample leave in its dataset while it is converted."""
    return [part_file(wildcards.sample, batch) for batch in batches(wildcards.sample)]


def part_file(sample, batch):
    """As `bams3 convert --batch` names it."""
    return in_place(result(f"<results>/datasets/{sample}.bams3/_parts/{batch}.json"))


def queries_of(wildcards):
    return expand(
        "<results>/query/{sample}/{batch}.bam",
        sample=wildcards.sample,
        batch=batches(wildcards.sample),
    )


def depths_of(wildcards):
    """None for whole fragments, whose reads may lie in two batches: one job measures those."""
    if config.get("coverage", {}).get("fragment_mode"):
        return []
    return expand(
        "<results>/coverage/{sample}/{batch}.depth",
        sample=wildcards.sample,
        batch=batches(wildcards.sample),
    )


def processed(wildcards):
    """What the command of the config has made of all samples."""
    return [
        f"<results>/process/{sample}/{batch}"
        for sample in (samples if "process" in config else [])
        for batch in batches(sample)
    ]


def batch_of(wildcards):
    """`i/n`, as the command line takes a batch."""
    number, count = wildcards.batch.split("-of-")
    return f"{int(number)}/{int(count)}"
