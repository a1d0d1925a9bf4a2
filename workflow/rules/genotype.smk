rule genotype:
    input:
        ["<results>/genotype/genotypes.tsv"] if "genotype" in config else [],


# The loci of one sample.
rule genotype_sample:
    input:
        configured("genotype"),
        metadata_of,
        reference=fasta("genotype"),
        files=option_inputs("genotype"),
    output:
        "<results>/genotype/{sample}.bcf",
    log:
        "<logs>/genotype_sample/{sample}.log",
    benchmark:
        "<results>/benchmarks/genotype_sample/{sample}.tsv"
    conda:
        "../envs/bcftools.yaml"
    params:
        datasets=lambda wildcards: {wildcards.sample: dataset_of(wildcards)},
        intervals=intervals_of,
        targets=intervals_of,
        # One mapping, since Snakemake compares the values of params without their names.
        options=lambda wildcards: {
            "mpileup": f"-I {config['genotype']['mpileup']}",
            "call": config["genotype"]["call"],
        },
        files=option_files("genotype"),
        known=known_genotypes,
    script:
        "../scripts/call_intervals.py"


rule gather_genotypes:
    input:
        configured("genotype"),
        expand(
            "<results>/genotype/{sample}.bcf",
            sample=loci_by_sample,
        ),
    output:
        report(
            "<results>/genotype/genotypes.tsv",
            caption="../report/genotypes.rst",
            category="Genotypes",
        ),
    log:
        "<logs>/gather_genotypes.log",
    conda:
        "../envs/bcftools.yaml"
    params:
        loci=loci,
        known=known_genotypes,
    script:
        "../scripts/gather_genotypes.py"
