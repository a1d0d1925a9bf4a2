"""Lossy conversions: how much smaller they are, and how well bcftools finds the simulated SNVs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.bench import Bench, has
from harness.data import Alignments
from harness.process import BAMS3, output, run, size
from harness.table import SIZE, Row

Genotypes = dict[tuple[str, int], tuple[str, int]]
"""Alternative base and number of copies, by contig and 1-based position."""

LOSSES = {
    "lossless": [],
    "--qualities bin8": ["--qualities", "bin8"],
    "--qualities illumina4": ["--qualities", "illumina4"],
    "--qualities crumble-like": ["--qualities", "crumble-like"],
}


def losses(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure the size, and the F score of the genotypes that bcftools calls, for each loss."""
    if not has("bcftools"):
        return
    truth = simulated_genotypes(alignments.bam.with_suffix(".snvs.tsv"))
    dataset = bench.dataset(alignments)
    lossless = None
    for loss, options in LOSSES.items():
        run(bench.conversion(alignments, 1, *options))
        stored = size(dataset)
        lossless = lossless or stored
        if options:
            yield Row(f"size, {loss}", alignments.name, SIZE, stored, "lossless", lossless)
        called = called_genotypes(dataset, alignments.bam.with_suffix(".fa"))
        right = len(truth.items() & called.items())
        score = 2 * right / (len(truth) + len(called))
        yield Row(f"genotypes of SNVs, F score, {loss}", alignments.name, "", score)


def simulated_genotypes(path: Path) -> Genotypes:
    """Return the true genotypes, which `simulate.py` wrote."""
    rows = (line.split("\t") for line in path.read_text().splitlines())
    return {(contig, int(position)): (base, int(copies)) for contig, position, base, copies in rows}


def called_genotypes(dataset: Path, reference: Path) -> Genotypes:
    """Return the SNVs that bcftools calls in a dataset with its default options."""
    called = output(
        "sh", "-c",
        f"'{BAMS3}' query '{dataset}' -b | bcftools mpileup -f '{reference}' - | bcftools call -m -v -V indels"
        r" | bcftools query -f '%CHROM\t%POS\t%ALT[\t%GT]\n'",
    )  # fmt: skip
    rows = (line.split("\t") for line in called.splitlines())
    return {(contig, int(position)): (base, genotype.count("1")) for contig, position, base, genotype in rows}
