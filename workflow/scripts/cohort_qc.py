# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Write the QC table."""

from bams3.workflow.log import open_log

open_log(snakemake)

from bams3.cohort.qc import write_qc

params, found = snakemake.params, snakemake.input
number = len(params.samples)
paths = [*found.flagstat, *found.stats, *found.depths]
kinds = ["flagstat", "stats", *params.depths]
samples = {sample: dict(zip(kinds, paths[i::number], strict=True)) for i, sample in enumerate(params.samples)}
write_qc(
    snakemake.output.tsv.removesuffix(".tsv"),
    samples,
    found.genome,
    params.thresholds,
    limits=params.limits,
    sex_contigs=params.sex_contigs,
    contigs=params.contigs,
    targets=found.targets or None,
    own=params.own,
    findings=found.findings or None,
)
