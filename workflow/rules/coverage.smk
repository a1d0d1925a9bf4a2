rule coverage:
    input:
        expand(
            "<results>/coverage/{sample}.{file}",
            sample=samples if "coverage" in config else [],
            file=coverage_files(),
        ),
        expand(
            "<results>/coverage/{sample}.bw", sample=samples if has_bigwigs() else []
        ),


# The depth is kept, so that other regions can be measured later.
rule coverage_batch:
    input:
        configured("coverage"),
        metadata_of,
    output:
        "<results>/coverage/{sample}/{batch}.depth",
    log:
        "<logs>/coverage_batch/{sample}/{batch}.log",
    benchmark:
        "<results>/benchmarks/coverage_batch/{sample}/{batch}.tsv"
    conda:
        snakemakes_own
    params:
        dataset=dataset_of,
        batch=batch_of,
        options=coverage_options(DEPTH_SETTINGS),
        known=known_dataset,
    shell:
        "bams3 coverage {params.dataset:q} --batch {params.batch} -o {output:q} {params.options:q} 2> {log:q}"


rule gather_coverage:
    input:
        configured("coverage"),
        metadata_of,
        bed=coverage_bed(),
        parts=depths_of,
    output:
        expand("<results>/coverage/{{sample}}.{file}", file=coverage_files()),
    log:
        "<logs>/gather_coverage/{sample}.log",
    benchmark:
        "<results>/benchmarks/gather_coverage/{sample}.tsv"
    conda:
        snakemakes_own
    resources:
        mem_mb=depth_memory,
    params:
        dataset=dataset_of,
        gather=lambda wildcards, input: (
            ["--gather", *input.parts] if input.parts else []
        ),
        by=coverage_by,
        prefix=lambda wildcards, output: output[0].removesuffix(".mosdepth.summary.txt"),
        options=coverage_options(DEPTH_SETTINGS + REPORT_SETTINGS),
        known=known_coverage,
    shell:
        "bams3 coverage {params.dataset:q} {params.gather:q} -o {params.prefix:q} {params.by:q} {params.options:q}"
        " 2> {log:q}"


# Depth for genome browsers.
rule write_bigwig:
    input:
        configured("coverage", "bigwig"),
        metadata_of,
        parts=bigwig_parts,
    output:
        "<results>/coverage/{sample}.bw",
    log:
        "<logs>/write_bigwig/{sample}.log",
    benchmark:
        "<results>/benchmarks/write_bigwig/{sample}.tsv"
    conda:
        snakemakes_own
    params:
        dataset=dataset_of,
        gather=lambda wildcards, input: (
            ["--gather", *input.parts] if input.parts else []
        ),
        bins=bigwig_options,
        options=coverage_options(DEPTH_SETTINGS),
        known=known_dataset,
    shell:
        "bams3 coverage {params.dataset:q} {params.gather:q} --bigwig {output:q} {params.bins:q} {params.options:q}"
        " 2> {log:q}"
