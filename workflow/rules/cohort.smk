rule cohort:
    input:
        cohort_results(),


# The reports that samtools would make of the sample's BAM.
rule read_stats:
    input:
        metadata_of,
    output:
        flagstat="<results>/stats/{sample}.flagstat",
        idxstats="<results>/stats/{sample}.idxstats",
        stats="<results>/stats/{sample}.stats",
    log:
        "<logs>/read_stats/{sample}.log",
    benchmark:
        "<results>/benchmarks/read_stats/{sample}.tsv"
    conda:
        snakemakes_own
    params:
        dataset=dataset_of,
        known=known_dataset,
    shell:
        "(bams3 stats {params.dataset:q} --flagstat > {output.flagstat:q}"
        " && bams3 stats {params.dataset:q} --idxstats > {output.idxstats:q}"
        " && bams3 stats {params.dataset:q} --samtools-stats --workers {threads} > {output.stats:q}) 2> {log:q}"


rule cohort_regions:
    input:
        configured("cohort"),
        bed=cohort_bed(),
    output:
        regions="<results>/cohort/regions.bed",
        genome="<results>/cohort/genome.bed",
        targets=targets_bed(),
    log:
        "<logs>/cohort_regions.log",
    conda:
        snakemakes_own
    params:
        by=lambda wildcards, input: input.bed or int(config["cohort"]["regions"]),
        contigs=measured_contigs(),
        known=known_regions,
    script:
        "../scripts/cohort_regions.py"


# Depth and read counts of the regions, and depth of the genome's bins. Depth has the settings of the stage coverage.
rule measure_regions:
    input:
        configured("cohort"),
        metadata_of,
        regions="<results>/cohort/regions.bed",
        genome="<results>/cohort/genome.bed",
        targets=targets_bed(),
        parts=depths_of,
    output:
        expand("<results>/cohort/samples/{{sample}}.{file}", file=MEASURES + depths()),
    log:
        "<logs>/measure_regions/{sample}.log",
    benchmark:
        "<results>/benchmarks/measure_regions/{sample}.tsv"
    conda:
        snakemakes_own
    resources:
        mem_mb=depth_memory,
    params:
        dataset=dataset_of,
        thresholds=lambda wildcards: config["cohort"]["thresholds"],
        options=coverage_options(DEPTH_SETTINGS),
        flag=lambda wildcards: config["coverage"].get("flag", 1796),
        mapq=options.words_of(config.get("coverage", {}), {"mapq": "-q"}),
        chrom=lambda wildcards: config["coverage"].get("chrom"),
        known=known_measures,
    script:
        "../scripts/measure_regions.py"


rule cohort_matrices:
    input:
        configured("cohort"),
        regions="<results>/cohort/regions.bed",
        genome="<results>/cohort/genome.bed",
        files=[
            of_samples(f"<results>/cohort/samples/{{sample}}.{file}")
            for file in MEASURES
        ],
    output:
        expand(
            "<results>/cohort/{table}.{format}",
            table=["genome", *matrix_names()],
            format=TABLES,
        ),
    log:
        "<logs>/cohort_matrices.log",
    benchmark:
        "<results>/benchmarks/cohort_matrices.tsv"
    conda:
        snakemakes_own
    params:
        samples=list(samples),
        thresholds=lambda wildcards: cohort_thresholds(),
        known=known_matrices,
    script:
        "../scripts/cohort_matrices.py"


rule cohort_qc:
    input:
        configured("cohort"),
        genome="<results>/cohort/genome.parquet",
        flagstat=of_samples("<results>/stats/{sample}.flagstat"),
        stats=of_samples("<results>/stats/{sample}.stats"),
        depths=[
            of_samples(f"<results>/cohort/samples/{{sample}}.{file}")
            for file in depths()
        ],
        targets=targets_bed(),
        findings=identity_table("findings"),
    output:
        tsv=report(
            "<results>/cohort/samples.tsv",
            caption="../report/samples.rst",
            category="Cohort",
        ),
        parquet="<results>/cohort/samples.parquet",
    log:
        "<logs>/cohort_qc.log",
    conda:
        snakemakes_own
    params:
        samples=list(samples),
        thresholds=lambda wildcards: cohort_thresholds(),
        limits=lambda wildcards: config["cohort"].get("limits", {}),
        sex_contigs=lambda wildcards: config["cohort"].get("sex_contigs"),
        contigs=[name for name, _ in measured_contigs()],
        depths=[file.removesuffix(".txt") for file in depths()],
        own=own_columns,
        known=known_datasets,
    script:
        "../scripts/cohort_qc.py"


rule cohort_page:
    input:
        configured("cohort"),
        samples="<results>/cohort/samples.parquet",
        genome="<results>/cohort/genome.parquet",
        mean="<results>/cohort/mean.parquet",
        dist=of_samples(
            f"<results>/cohort/samples/{{sample}}.{'targets_' if has_targets() else ''}dist.txt"
        ),
        findings=identity_table("findings"),
        pairs=identity_table("pairs"),
    output:
        report(
            "<results>/cohort/report.html",
            caption="../report/page.rst",
            category="Cohort",
        ),
    log:
        "<logs>/cohort_page.log",
    conda:
        snakemakes_own
    params:
        samples=list(samples),
        title=lambda wildcards: config["cohort"]["title"],
        links=lambda wildcards: {
            "server": config["cohort"].get("server", ""),
            "bigwigs": "../coverage/" if has_bigwigs() else "",
        },
        about=lambda wildcards, input: page_about(),
    script:
        "../scripts/cohort_page.py"


rule multiqc:
    input:
        configured("cohort"),
        [of_samples(f"<results>/stats/{{sample}}.{file}") for file in STATS],
        of_samples("<results>/coverage/{sample}.mosdepth.summary.txt"),
        of_samples("<results>/coverage/{sample}.mosdepth.global.dist.txt"),
        identity_table("identity_mqc"),
    output:
        report(
            "<results>/multiqc/multiqc_report.html",
            caption="../report/multiqc.rst",
            category="Cohort",
        ),
        directory("<results>/multiqc/multiqc_report_data"),
    log:
        "<logs>/multiqc.log",
    benchmark:
        "<results>/benchmarks/multiqc.tsv"
    localrule: True
    conda:
        "../envs/multiqc.yaml"
    params:
        known=known_datasets,
    script:
        "../scripts/multiqc.py"
