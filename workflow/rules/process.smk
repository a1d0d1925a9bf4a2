rule process:
    input:
        processed,


# The configured command, once for each chunk of the batch.
rule process_batch:
    input:
        configured("process"),
        metadata_of,
    output:
        directory("<results>/process/{sample}/{batch}"),
    log:
        "<logs>/process_batch/{sample}/{batch}.log",
    benchmark:
        "<results>/benchmarks/process_batch/{sample}/{batch}.tsv"
    conda:
        process_environment
    params:
        dataset=dataset_of,
        batch=batch_of,
        folder=lambda wildcards: places.result(f"<results>/process/{wildcards.sample}"),
        # One mapping, since Snakemake compares the values of params without their names.
        settings=lambda wildcards: {
            name: config["process"][name] for name in ("command", "suffix")
        },
        known=known_dataset,
    script:
        "../scripts/process_batch.py"
