from bams3.workflow import calling, genotyping
from bams3.workflow.genotyping import intervals_by_sample, read_loci


@cache
def targets(section):
    warn = logger.warning if places.run.plans else (lambda _: None)
    settings = config.get(section, {})
    return calling.read_targets_of(section, settings, contigs, places, warn)


def targets_file(section):
    path = config.get(section, {}).get("targets")
    return [places.copied(path)] if path else []


def option_files(section):
    """The files that the options of a section name."""
    return calling.files(section, config[section]) if section in config else []


def option_inputs(section):
    """The `option_files`, as they are copied to the machine of the job."""
    return [places.copied(path) for path in option_files(section)]


@cache
def call_jobs():
    """The intervals, (contig, start, end), of each job of joint calling, by its number."""
    if "call" not in config:
        return {}
    return calling.jobs(contigs, config["call"]["window"], targets("call"))


def call_memory(wildcards, attempt):
    """MB: Snakemake, bcftools, and the records of each sample that are decoded at a time."""
    return (600 + 25 * len(samples)) * attempt


def fasta(section):
    return calling.fasta(section, config, places)


def call_index():
    return ".tbi" if query_index == "bai" else ".csi"


def intervals_of(wildcards):
    """(contig, start, end) of each locus of a sample that is genotyped."""
    manifest = config["genotype"]["manifest"]
    return genotyping.intervals_of(wildcards.sample, loci_by_sample, manifest)


loci = []
if "genotype" in config:
    manifest = config["genotype"]["manifest"]
    lines = read_lines(manifest, "`manifest` in the config has loci to genotype")
    loci = read_loci(lines, manifest, samples, contigs)
loci_by_sample = intervals_by_sample(loci, targets("genotype"))
called = {contig for _, contig, _ in loci}
if "call" in config:
    called |= {name for name, _ in contigs}
