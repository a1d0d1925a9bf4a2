rule convert:
    input:
        expand("results/datasets/{sample}.bams3/_metadata.json", sample=converted),


# A dataset exists if and only if its manifest does: it goes before the first of its chunks is rewritten.
rule begin_dataset:
    input:
        source_files,
    output:
        temp(touch("results/datasets/{sample}.begun")),
    log:
        "logs/begin_dataset/{sample}.log",
    benchmark:
        "results/benchmarks/begin_dataset/{sample}.tsv"
    conda:
        "../envs/bams3.yaml"
    params:
        dataset=dataset_of,
        options=convert_options,
    shell:
        "(rm -f {params.dataset:q}/_metadata.json && rm -rf {params.dataset:q}/_parts) 2> {log:q}"


rule convert_batch:
    input:
        source_files,
        begun="results/datasets/{sample}.begun",
    output:
        temp(
            f"results/datasets/{{sample}}.bams3/_parts/{{batch}}-of-{len(batches):06d}.json"
        ),
    log:
        "logs/convert_batch/{sample}/{batch}.log",
    benchmark:
        "results/benchmarks/convert_batch/{sample}/{batch}.tsv"
    conda:
        "../envs/bams3.yaml"
    threads: config["convert"]["threads"]
    resources:
        mem_mb=lambda wildcards, attempt, threads: 300 * threads * attempt,
    params:
        source=source_of,
        dataset=dataset_of,
        batch=batch_of,
        options=convert_options,
    shell:
        "bams3 convert {params.source:q} {params.dataset:q} --batch {params.batch} --resume"
        " --workers {threads} {params.options:q} 2> {log:q}"


rule merge_parts:
    input:
        expand(rules.convert_batch.output, batch=batches, allow_missing=True),
    output:
        "results/datasets/{sample}.bams3/_metadata.json",
    log:
        "logs/merge_parts/{sample}.log",
    benchmark:
        "results/benchmarks/merge_parts/{sample}.tsv"
    # A dataset that was given is not made, even where an earlier run made it.
    wildcard_constraints:
        sample="|".join(map(re.escape, converted)) or "(?!)",
    conda:
        "../envs/bams3.yaml"
    params:
        dataset=dataset_of,
        options=convert_options,
    shell:
        "bams3 merge {params.dataset:q} 2> {log:q}"
