# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Check the identities of all samples."""

from bams3.workflow.log import open_log

log = open_log(snakemake)

from bams3.cohort.identity import write_multiqc
from bams3.identity.counts import Quality
from bams3.identity.genotypes import Calling
from bams3.identity.people import People
from bams3.identity.sites import read_sites
from bams3.operations.relate import relate, report, sample_name
from bams3.parallel.workers import Workers
from bams3.shown import shown

found, made, params = snakemake.input, snakemake.output, snakemake.params
settings = params.settings


def note(text):
    log.write(f"{shown(text)}\n".encode(errors="backslashreplace"))


with Workers(snakemake.threads) as workers:
    sites = read_sites(str(found.sites), note)
    findings = relate(
        made.pairs.removesuffix("pairs.tsv"),
        found.counts,
        sites,
        People(map(sample_name, found.counts), params.people, "the sheet"),
        workers,
        quality=Quality(settings["min_mapq"], settings["min_baseq"]),
        calling=Calling(settings["min_depth"], settings["min_balance"]),
    )
write_multiqc(made.multiqc, made.samples, made.findings)
report(findings, len(found.counts), len(sites), note)
