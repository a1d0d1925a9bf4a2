@cache
def call_windows():
    """(contig, start, end) of each job of joint calling."""
    if "call" not in config:
        return []
    size = config["call"]["window"]
    return [
        (name, start, min(start + size, length))
        for name, length in contigs
        for start in range(0, length, size)
    ]


def call_numbers():
    """The windows by number, from 1."""
    return [f"{i + 1:06d}" for i in range(len(call_windows()))]


def fasta(section):
    """The FASTA of the config and its index, copied where the job is."""
    if section not in config:
        return []
    if not config["reference"]:
        raise WorkflowError(
            f"config: {section} needs a `reference`: the FASTA of the alignments"
        )
    return [copied(config["reference"]), copied(f"{config['reference']}.fai")]


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
            raise WorkflowError(
                f"{path}:{number}: sample {sample} is not in the sheet; add it there, or remove the line"
            )
        if not position.isdecimal() or not 1 <= int(position) <= lengths.get(contig, 0):
            raise WorkflowError(
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
