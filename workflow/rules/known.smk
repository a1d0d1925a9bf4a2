from bams3.workflow import known


def known_source(wildcards):
    return known.of_source(samples[wildcards.sample], config, places)


def known_dataset(wildcards):
    return known.of_dataset(samples[wildcards.sample], places)


def known_datasets(wildcards):
    return known.of_datasets(samples.values(), places)


def known_query(wildcards):
    return known.of_query(samples[wildcards.sample], config["query"], places)


def known_coverage(wildcards):
    return known.of_coverage(samples[wildcards.sample], config["coverage"], places)


def known_alleles(wildcards):
    names = [wildcards.sample] if "sample" in wildcards.keys() else samples
    rows = [samples[name] for name in names]
    return known.of_alleles(rows, wildcards.sites, config["alleles"], places)


def known_regions(wildcards):
    return known.of_regions(config["cohort"]["regions"], places)


def known_measures(wildcards):
    return known.of_measures(samples[wildcards.sample], config["cohort"], places)


def known_matrices(wildcards):
    return known.of_matrices(samples.values(), config, places)


def known_calls(wildcards):
    return known.of_calls(samples.values(), config, places)


def known_genotypes(wildcards):
    names = [wildcards.sample] if "sample" in wildcards.keys() else loci_by_sample
    return known.of_genotypes([samples[name] for name in names], config, places)


def known_counts(wildcards):
    return known.of_counts(samples[wildcards.sample], config["identity"], places)


def known_identity(wildcards):
    return known.of_identity(samples.values(), config["identity"], places)
