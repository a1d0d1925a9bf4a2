rule process:
    input:
        processed,


# The configured command, once for each chunk of the batch.
rule process_batch:
    input:
        metadata_of,
    output:
        directory("<results>/process/{sample}/{batch}"),
    log:
        "<logs>/process_batch/{sample}/{batch}.log",
    benchmark:
        "<results>/benchmarks/process_batch/{sample}/{batch}.tsv"
    conda:
        "../envs/bams3.yaml"
    params:
        dataset=dataset_of,
        batch=batch_of,
        section=lambda wildcards: config["process"],
        known=known_dataset,
    script:
        "../scripts/process_batch.py"
