from bams3.workflow import alleles

# The files of sites, by the names that the config gives them.
site_files = {
    name: places.copied(path)
    for name, path in config.get("alleles", {}).get("sites", {}).items()
}

constraint_of_sites = "|".join(map(re.escape, site_files)) or "[^/]+"


rule alleles:
    input:
        expand("<results>/alleles/{sites}.tsv.gz", sites=site_files),


# One sample at the sites of one file, so that only a new sample, or new sites, are counted.
rule count_alleles:
    input:
        configured("alleles"),
        metadata_of,
        sites=lambda wildcards: site_files.get(wildcards.sites, []),
    output:
        "<results>/alleles/{sites}/{sample}.tsv.gz",
    log:
        "<logs>/count_alleles/{sites}/{sample}.log",
    benchmark:
        "<results>/benchmarks/count_alleles/{sites}/{sample}.tsv"
    wildcard_constraints:
        sites=constraint_of_sites,
    conda:
        snakemakes_own
    params:
        dataset=dataset_of,
        options=lambda wildcards: alleles.options_of(config["alleles"]),
        known=known_alleles,
    script:
        "../scripts/count_alleles.py"


rule gather_alleles:
    input:
        configured("alleles"),
        lambda wildcards: expand(
            "<results>/alleles/{sites}/{sample}.tsv.gz",
            sites=wildcards.sites,
            sample=samples,
        ),
    output:
        "<results>/alleles/{sites}.tsv.gz",
    log:
        "<logs>/gather_alleles/{sites}.log",
    benchmark:
        "<results>/benchmarks/gather_alleles/{sites}.tsv"
    wildcard_constraints:
        sites=constraint_of_sites,
    conda:
        snakemakes_own
    params:
        known=known_alleles,
    script:
        "../scripts/gather_alleles.py"
