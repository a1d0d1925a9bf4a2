# ruff: noqa: F821 - Snakemake defines `snakemake`
"""Write the genotypes of the manifest's loci, in its order, as a table."""

import subprocess
from pathlib import Path

COLUMNS = ("sample", "contig", "position", "ref", "alt", "genotype", "depth")
found = {}
with open(snakemake.log[0], "w") as log:
    for path in snakemake.input:
        command = ["bcftools", "query", "-f", r"%CHROM\t%POS\t%REF\t%ALT[\t%TGT]\t%INFO/DP\n", path]
        text = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, check=True).stdout.decode()
        for line in text.splitlines():
            contig, position, *rest = line.split("\t")
            found[Path(path).stem, contig, int(position)] = rest
with open(snakemake.output[0], "w") as table:
    print(*COLUMNS, sep="\t", file=table)
    for locus in map(tuple, snakemake.params.loci):
        print(*locus, *found.get(locus, (".", ".", ".", 0)), sep="\t", file=table)
