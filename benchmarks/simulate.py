"""Simulated alignments: a random genome, a diploid sample of it, and coordinate-sorted, indexed BAMs.

    python benchmarks/simulate.py OUT.bam --reads 2400000 --genome 12M --profile hiseq
    python benchmarks/simulate.py cohort DIR --samples 3 --genome 3M --depth 5

OUT.bam.bai, and the reference OUT.fa, OUT.fa.fai and OUT.dict, are written next to OUT.bam. OUT.snvs.tsv has the SNVs
of the sample (contig, 1-based position, alternative base, number of haplotypes with it). The same arguments give the
same bytes. The simulation itself is in `simulator/`; this module has the files and the command line.
"""

from __future__ import annotations

import argparse
import itertools
import struct
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pysam
from simulator.genome import BASES, Genome, make_donor, make_genome, snvs
from simulator.long import long_records
from simulator.short import short_records

PLATFORMS = {"hiseq": "ILLUMINA", "novaseq": "ILLUMINA", "long": "ONT"}
READ_LENGTHS = {"hiseq": 150, "novaseq": 150, "long": 11_000}
# Approximate reads per genome; more reads take several genomes with separate contigs.
GENOME_READS = 3_000_000


def make_genomes(seed: int, total: int, contigs: int, reads: int) -> list[Genome]:
    """Return genomes for this number of reads, with `total` bases altogether and `contigs` contigs each."""
    count = -(-reads // GENOME_READS)
    rng = np.random.default_rng(seed)
    return [make_genome(rng, total // count, contigs, number * contigs) for number in range(count)]


def header(genomes: Sequence[Genome], sample: str, profile: str) -> bytes:
    """Return the BAM header, from its magic to the end of the reference list."""
    references = [pair for genome in genomes for pair in zip(genome.names, genome.lengths(), strict=True)]
    lines = ["@HD\tVN:1.6\tSO:coordinate"]
    lines += [f"@SQ\tSN:{name}\tLN:{length}" for name, length in references]
    lines.append(f"@RG\tID:{sample}\tSM:{sample}\tLB:{sample}\tPL:{PLATFORMS[profile]}")
    lines.append(f"@PG\tID:simulate\tPN:simulate\tVN:1\tDS:{profile}")
    body = "".join(line + "\n" for line in lines).encode()
    parts = [b"BAM\1", struct.pack("<i", len(body)), body, struct.pack("<i", len(references))]
    for name, length in references:
        parts.append(struct.pack("<i", len(name) + 1) + name.encode() + b"\0" + struct.pack("<i", length))
    return b"".join(parts)


def write_reference(genomes: Sequence[Genome], path: Path) -> None:
    """Write `path` (FASTA, 60 bases per line), its .fai and its .dict."""
    with path.open("wb") as fasta, path.with_suffix(".dict").open("w") as dictionary:
        dictionary.write("@HD\tVN:1.6\n")
        contigs = (
            (name, genome.codes[start:end])
            for genome in genomes
            for name, (start, end) in zip(
                genome.names, itertools.pairwise(genome.offsets.tolist()), strict=True
            )
        )
        for name, codes in contigs:
            letters = np.frombuffer(BASES, np.uint8)[codes].tobytes()
            fasta.write(f">{name}\n".encode())
            fasta.writelines(letters[at : at + 60] + b"\n" for at in range(0, len(letters), 60))
            dictionary.write(f"@SQ\tSN:{name}\tLN:{len(codes)}\n")
    pysam.faidx(str(path))


def write_sample(
    path: Path, genomes: Sequence[Genome], seed: int, sample: str, profile: str, reads: int, read_length: int
) -> None:
    """Write the BAM of a sample and its index. Samples with different names are different people."""
    rng = np.random.default_rng([seed, zlib.crc32(sample.encode())])
    unplaced = []
    with (
        pysam.BGZFile(str(path), "wb") as out,
        path.with_suffix(".snvs.tsv").open("w") as truth,
    ):
        out.write(header(genomes, sample, profile))
        for genome in genomes:
            donor = make_donor(rng, genome)
            truth.writelines(
                f"{contig}\t{position + 1}\t{base}\t{copies}\n"
                for contig, position, base, copies in snvs(genome, donor)
            )
            count = reads // len(genomes)
            if profile == "long":
                records = long_records(rng, genome, donor, count, read_length, sample)
            else:
                records = short_records(rng, genome, donor, count, read_length, profile, sample)
            for placed, batch in records:
                if placed:
                    out.write(batch)
                else:
                    unplaced.append(batch)
        for batch in unplaced:
            out.write(batch)
    pysam.index(str(path))


def read_count(genome: int, depth: float, read_length: int) -> int:
    return max(2, int(genome * depth / read_length))


def simulate(
    path: str | Path,
    *,
    reads: int | None = None,
    depth: float = 30,
    genome: int = 5_000_000,
    contigs: int = 3,
    read_length: int | None = None,
    profile: str = "hiseq",
    seed: int = 1,
    sample: str = "SIM1",
) -> Path:
    """Write `path` (BAM), its .bai, and the reference next to it (.fa, .fa.fai, .dict); return the path of the FASTA.

    Parameters
    ----------
    path
        Path of the BAM.
    reads
        Number of reads, without further alignments of a read. Takes precedence over `depth`.
    depth
        Mean depth.
    genome
        Number of bases in all contigs.
    contigs
        Number of contigs for every 3 million reads.
    read_length
        Length of reads; for long reads, the mean. By default, the usual length for the profile.
    profile
        `hiseq`, `novaseq` or `long`.
    seed
        Seed of the random numbers.
    sample
        Name of the sample.
    """
    path = Path(path)
    read_length = read_length or READ_LENGTHS[profile]
    reads = reads or read_count(genome, depth, read_length)
    made = make_genomes(seed, genome, contigs, reads)
    write_reference(made, path.with_suffix(".fa"))
    write_sample(path, made, seed, sample, profile, reads, read_length)
    return path.with_suffix(".fa")


def cohort(
    directory: str | Path,
    *,
    samples: int = 3,
    depth: float = 5,
    genome: int = 3_000_000,
    contigs: int = 3,
    read_length: int | None = None,
    profile: str = "novaseq",
    seed: int = 1,
) -> Path:
    """Write reference.fa, S1.bam, S2.bam … with indexes, and samples.tsv to a directory; return samples.tsv's path."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    read_length = read_length or READ_LENGTHS[profile]
    reads = read_count(genome, depth, read_length)
    made = make_genomes(seed, genome, contigs, reads)
    write_reference(made, directory / "reference.fa")
    lines = ["sample\talignments"]
    for sample in (f"S{i + 1}" for i in range(samples)):
        write_sample(directory / f"{sample}.bam", made, seed, sample, profile, reads, read_length)
        lines.append(f"{sample}\t{directory / sample}.bam")
    sheet = directory / "samples.tsv"
    sheet.write_text("".join(line + "\n" for line in lines))
    return sheet


def bases(value: str) -> int:
    """Parse a number of bases: `5M` is 5,000,000; k and G are allowed, too."""
    scale = {"k": 10**3, "M": 10**6, "G": 10**9}.get(value[-1:], 1)
    return int(float(value.rstrip("kMG")) * scale)


def parser(command: str, depth: float, genome: str, profile: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog=f"simulate.py{command}", description="Simulated, sorted and indexed BAM files."
    )
    made.add_argument("path", type=Path, metavar="DIR" if command else "OUT.bam")
    made.add_argument("--depth", type=float, default=depth)
    made.add_argument("--genome", type=bases, default=bases(genome), help=f"bases in all contigs [{genome}]")
    made.add_argument("--contigs", type=int, default=3, help=f"of every {GENOME_READS:,} reads [3]")
    made.add_argument("--read-length", type=int, help="of long reads, on average [150; long: 11000]")
    made.add_argument("--profile", choices=sorted(PLATFORMS), default=profile)
    made.add_argument("--seed", type=int, default=1)
    return made


def main(arguments: Sequence[str]) -> None:
    if arguments[:1] == ["cohort"]:
        options = parser(" cohort", 5, "3M", "novaseq")
        options.add_argument("--samples", type=int, default=3)
        args = vars(options.parse_args(arguments[1:]))
        print(cohort(args.pop("path"), **args))
    else:
        options = parser("", 30, "5M", "hiseq")
        options.add_argument("--reads", type=int, help="instead of --depth")
        options.add_argument("--sample", default="SIM1")
        args = vars(options.parse_args(arguments))
        print(simulate(args.pop("path"), **args))


if __name__ == "__main__":
    main(sys.argv[1:])
