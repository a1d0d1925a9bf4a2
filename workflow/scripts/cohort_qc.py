# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Write the table of quality."""

from bams3.workflow.log import open_log

open_log(snakemake)

from bams3.cohort.qc import write_qc

kinds = {kind: snakemake.input[kind] for kind in ("flagstat", "stats", "summary", "dist")}
samples = {
    sample: {kind: paths[i] for kind, paths in kinds.items()}
    for i, sample in enumerate(snakemake.params.samples)
}
write_qc(
    snakemake.output.tsv.removesuffix(".tsv"),
    samples,
    snakemake.input.genome,
    snakemake.params.thresholds,
    limits=snakemake.params.limits,
    sex_contigs=snakemake.params.sex_contigs,
    contigs=snakemake.params.contigs,
)
