rule convert:
    input:
        [
            places.result_in_place(f"<results>/datasets/{sample}.bams3/_metadata.json")
            for sample in converted
        ],


# A dataset exists if and only if its manifest does: the first batch that is rewritten deletes the manifest.
# The part file, which is the rule's output, is deleted when the parts are merged.
rule convert_batch:
    input:
        sources_of,
    output:
        part_file("{sample}", "{batch}"),
    log:
        "<logs>/convert_batch/{sample}/{batch}.log",
    benchmark:
        "<results>/benchmarks/convert_batch/{sample}/{batch}.tsv"
    conda:
        snakemakes_own
    threads: config["convert"]["threads"]
    resources:
        mem_mb=lambda wildcards, attempt, threads: (400 + 300 * threads) * attempt,
    params:
        source=source_of,
        dataset=dataset_of,
        batch=batch_of,
        options=convert_options(),
        words=source_words,
        known=known_source,
    shell:
        "bams3 convert {params.source:q} {params.dataset:q} --batch {params.batch} --overwrite"
        " --workers {threads} {params.options:q} {params.words:q} 2> {log:q}"


rule merge_parts:
    input:
        parts_of,
    output:
        places.result_in_place("<results>/datasets/{sample}.bams3/_metadata.json"),
    log:
        "<logs>/merge_parts/{sample}.log",
    benchmark:
        "<results>/benchmarks/merge_parts/{sample}.tsv"
    # A dataset that the sheet names is not created here, even if an earlier run created it.
    wildcard_constraints:
        sample="|".join(map(re.escape, converted)) or "(?!)",
    conda:
        snakemakes_own
    params:
        dataset=dataset_of,
        known=known_source,
    shell:
        "bams3 merge {params.dataset:q} 2> {log:q}"
