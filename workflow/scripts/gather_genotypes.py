# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Write the genotypes at the manifest's loci, in manifest order, as a table."""

import os
import sys

if (
    python := os.environ.pop("BAMS3_PYTHON", sys.executable)
) != sys.executable:  # that of a conda environment
    os.execv(python, [python, *sys.argv])

from bams3.workflow.log import open_log

log = open_log(snakemake)

import subprocess
from pathlib import Path

COLUMNS = ("sample", "contig", "position", "ref", "alt", "genotype", "depth")
found = {}
for path in snakemake.input:
    command = ["bcftools", "query", "-f", r"%CHROM\t%POS\t%REF\t%ALT[\t%TGT]\t%INFO/DP\n", path]
    text = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, check=True).stdout
    for line in text.decode(errors="surrogateescape").split("\n")[:-1]:
        contig, position, *rest = line.split("\t")
        found[Path(path).stem, contig, int(position)] = rest
with open(snakemake.output[0], "w", encoding="utf-8", errors="surrogateescape") as table:
    print(*COLUMNS, sep="\t", file=table)
    for locus in map(tuple, snakemake.params.loci):
        print(*locus, *found.get(locus, (".", ".", ".", 0)), sep="\t", file=table)
