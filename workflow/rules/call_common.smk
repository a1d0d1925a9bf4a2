@cache
def call_jobs():
    """The places, (contig, start, end), of each job of joint calling: in order, and of `window` bp together at most."""
    if "call" not in config:
        return []
    size = config["call"]["window"]
    jobs, room = [], 0
    for name, length in contigs:
        for start in range(0, length, size):
            end = min(start + size, length)
            if end - start > room:
                jobs.append([])
                room = size
            jobs[-1].append((name, start, end))
            room -= end - start
    return jobs


def call_numbers():
    """The jobs by number, from 1."""
    return [f"{i + 1:06d}" for i in range(len(call_jobs()))]


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
    """(contig, start, end) of each locus of a sample."""
    return sorted(
        (contig, position - 1, position)
        for contig, position in loci_by_sample[wildcards.sample]
    )


loci = read_loci()
loci_by_sample = {}
for sample, *locus in loci:
    loci_by_sample.setdefault(sample, []).append(locus)
