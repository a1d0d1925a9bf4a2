# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Write the table of quality."""

from bams3.workflow.log import open_log

open_log(snakemake)

from bams3.cohort.qc import write_qc

given, found = snakemake.params, snakemake.input
number = len(given.samples)
paths = [*found.flagstat, *found.stats, *found.depths]
kinds = ["flagstat", "stats", *given.depths]
samples = {sample: dict(zip(kinds, paths[i::number], strict=True)) for i, sample in enumerate(given.samples)}
write_qc(
    snakemake.output.tsv.removesuffix(".tsv"),
    samples,
    found.genome,
    given.thresholds,
    limits=given.limits,
    sex_contigs=given.sex_contigs,
    contigs=given.contigs,
    targets=found.targets or None,
    own=given.own,
)
