from snakemake.logging import logger

from bams3.workflow import calling


@cache
def targets(section):
    """The targets of a section; None if it has none, and calls everywhere."""
    path = config.get(section, {}).get("targets")
    if not path:
        return None
    place = located(path)
    data = read(place, f"`targets` of {section} in the config says where is called")
    warn = logger.warning if workflow.is_main_process else (lambda _: None)
    return calling.targets_of(section, data, place, contigs, warn)


def targets_file(section):
    path = config.get(section, {}).get("targets")
    return [copied(path)] if path else []


def option_files(section):
    """The files that the options of a section name."""
    return calling.files(section, config[section]) if section in config else []


def option_inputs(section):
    """These, copied where the job is."""
    return [copied(path) for path in option_files(section)]


@cache
def call_jobs():
    """The places, (contig, start, end), of each job of joint calling, by its number."""
    if "call" not in config:
        return {}
    return calling.jobs(contigs, config["call"]["window"], targets("call"))


def call_memory(wildcards, attempt):
    """MB: Snakemake, bcftools, and of each sample what is decoded of it at a time."""
    return (600 + 25 * len(samples)) * attempt


def fasta(section):
    """The FASTA of the config and its index, copied where the job is."""
    if section not in config:
        return []
    if not config["reference"]:
        raise ConfigurationError(
            f"config: {section} needs a `reference`: the FASTA of the alignments"
        )
    path = config["reference"]
    return [
        copied(path),
        copied(f"{path}.fai", advice=f"make it: samtools faidx {path}"),
    ]


def call_index():
    return ".tbi" if query_index == "bai" else ".csi"


def read_loci():
    """(sample, contig, position from 1) of each line of the manifest of genotyping."""
    if "genotype" not in config:
        return []
    path = config["genotype"]["manifest"]
    lengths = dict(contigs)
    found = []
    lines = read_lines(path, "`manifest` in the config has loci to genotype")
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(("#", "sample\t")):
            continue
        sample, contig, position, *_ = [*line.split("\t"), "", ""]
        if sample not in samples:
            raise ConfigurationError(
                f"{path}:{number}: sample {sample} is not in the sheet; add it there, or remove the line"
            )
        if not position.isdecimal() or not 1 <= int(position) <= lengths.get(contig, 0):
            raise ConfigurationError(
                f"{path}:{number}: {contig}:{position} is not a position of the samples' contigs, from 1"
            )
        found.append((sample, contig, int(position)))
    return found


def places_of(wildcards):
    """(contig, start, end) of each locus of a sample that is genotyped."""
    return sorted(
        (contig, position - 1, position)
        for contig, position in loci_by_sample[wildcards.sample]
    )


def is_genotyped(contig, position):
    """Does a locus lie in a target, where there are any?"""
    found = targets("genotype")
    return found is None or found.any_within([(contig, position - 1, position)])


loci = read_loci()
loci_by_sample = {}
for sample, *locus in loci:
    if is_genotyped(*locus):
        loci_by_sample.setdefault(sample, []).append(locus)
