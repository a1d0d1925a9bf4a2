rule identity:
    input:
        [identity_table(name) for name in people.TABLES],


# The bases of one sample's reads at the sites. The counts are kept, so that only new samples are read.
rule count_sites:
    input:
        configured("identity"),
        metadata_of,
        sites=identity_sites(),
    output:
        "<results>/identity/{sample}.counts",
    log:
        "<logs>/count_sites/{sample}.log",
    benchmark:
        "<results>/benchmarks/count_sites/{sample}.tsv"
    conda:
        snakemakes_own
    params:
        dataset=dataset_of,
        options=options.words_of(config.get("identity", {}), people.COUNTING),
        known=known_counts,
    shell:
        "bams3 relate --count --sites {input.sites:q} {params.options:q} --workers {threads} -o {output:q}"
        " {params.dataset:q} 2> {log:q}"


rule relate_samples:
    input:
        configured("identity"),
        sites=identity_sites(),
        counts=expand(
            "<results>/identity/{sample}.counts",
            sample=samples if "identity" in config else [],
        ),
    output:
        pairs="<results>/identity/pairs.tsv",
        samples="<results>/identity/samples.tsv",
        findings=report(
            "<results>/identity/findings.tsv",
            caption="../report/findings.rst",
            category="Identity",
        ),
        multiqc="<results>/identity/identity_mqc.tsv",
    log:
        "<logs>/relate_samples.log",
    benchmark:
        "<results>/benchmarks/relate_samples.tsv"
    conda:
        snakemakes_own
    params:
        people=people.rows(samples.values()),
        settings=lambda wildcards: people.settings(config["identity"]),
        known=known_identity,
    script:
        "../scripts/relate_samples.py"
