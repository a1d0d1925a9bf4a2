rule query:
    input:
        expand(
            "<results>/query/{sample}.bam{index}",
            sample=samples if "query" in config else [],
            index=["", f".{query_index}"],
        ),


rule query_batch:
    input:
        configured("query"),
        metadata_of,
        bed=query_bed(),
    output:
        temp("<results>/query/{sample}/{batch}.bam"),
    log:
        "<logs>/query_batch/{sample}/{batch}.log",
    benchmark:
        "<results>/benchmarks/query_batch/{sample}/{batch}.tsv"
    conda:
        snakemakes_own
    params:
        dataset=dataset_of,
        batch=batch_of,
        regions=lambda wildcards, input: (
            ["-L", input.bed] if input.bed else config["query"]["regions"]
        ),
        options=lambda wildcards: query_options(),
        known=known_query,
    shell:
        "bams3 query {params.dataset:q} {params.regions:q} --batch {params.batch} {params.options:q}"
        " --parallel {threads} -O bam -o {output:q} 2> {log:q}"


rule gather_query:
    input:
        configured("query"),
        queries_of,
    output:
        reads="<results>/query/{sample}.bam",
        index=f"<results>/query/{{sample}}.bam.{query_index}",
    log:
        "<logs>/gather_query/{sample}.log",
    benchmark:
        "<results>/benchmarks/gather_query/{sample}.tsv"
    conda:
        snakemakes_own
    params:
        known=known_query,
    script:
        "../scripts/gather_query.py"
