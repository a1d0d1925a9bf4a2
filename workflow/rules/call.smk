rule call:
    input:
        expand(
            "<results>/call/calls.vcf.gz{index}",
            index=["", call_index()] if "call" in config else [],
        ),


# One window of the genome, or several small contigs, in all samples: the reads of all datasets go to one bcftools.
rule call_window:
    input:
        configured("call"),
        lambda wildcards: [metadata_file(row, places) for row in samples.values()],
        reference=fasta("call"),
        targets=targets_file("call"),
        files=option_inputs("call"),
    output:
        temp("<results>/call/{window}.bcf"),
    log:
        "<logs>/call_window/{window}.log",
    benchmark:
        "<results>/benchmarks/call_window/{window}.tsv"
    wildcard_constraints:
        window=r"\d{6}",
    conda:
        "../envs/bcftools.yaml"
    resources:
        mem_mb=call_memory,
    params:
        datasets=lambda wildcards: {
            name: dataset_place(row, places) for name, row in samples.items()
        },
        intervals=lambda wildcards: call_jobs()[wildcards.window],
        # One mapping, since Snakemake compares the values of params without their names.
        options=lambda wildcards: {
            name: config["call"][name] for name in ("mpileup", "call")
        },
        files=option_files("call"),
        known=known_calls,
    script:
        "../scripts/call_intervals.py"


rule gather_calls:
    input:
        configured("call"),
        expand("<results>/call/{window}.bcf", window=call_jobs()),
    output:
        calls="<results>/call/calls.vcf.gz",
        index=f"<results>/call/calls.vcf.gz{call_index()}",
    log:
        "<logs>/gather_calls.log",
    benchmark:
        "<results>/benchmarks/gather_calls.tsv"
    conda:
        "../envs/bcftools.yaml"
    params:
        known=known_calls,
    script:
        "../scripts/gather_calls.py"
