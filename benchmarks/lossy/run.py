"""Costs and savings of lossy conversions: variants that bcftools calls, sizes, and CPU time.

    python benchmarks/lossy/run.py                       # both tables; takes about three minutes
    python benchmarks/lossy/run.py variants ce.fa        # only variants, on the contigs of another FASTA
    python benchmarks/lossy/run.py sizes reads.bam       # only sizes, of other BAMs

For the variants, diploid samples are made from a real sequence, by default that of the human reads in tests/data, with
an SNV every 300 bp and an indel every 1,200 bp. Reads are simulated at 30x, and aligned by bwa mem. The variants that
bcftools calls in the dataset are compared with the simulated ones, and with those that it calls in the lossless
dataset. Tables go to standard output.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pysam

BENCHMARKS = Path(__file__).resolve().parent.parent
TEST_DATA = BENCHMARKS.parent / "tests" / "data"
sys.path[:0] = [str(BENCHMARKS)]

from harness.data import simulated  # noqa: E402
from harness.process import BAMS3, Command, measure, size  # noqa: E402
from simulate import header  # noqa: E402
from simulator.genome import BASES, Donor, Genome, make_donor, snvs  # noqa: E402
from simulator.short import short_records  # noqa: E402

LOSSES = ("", "bin8", "illumina4", "crumble-like")
HUMAN = ("chr4:115922321-115938000", "chrX:101031579-101090700")  # the regions with reads of NA12878
SAMPLES, PROFILES = range(3), ("hiseq", "novaseq")
SNV_EVERY, INDEL_EVERY, DEPTH, LENGTH = 300, 1200, 30, 150
READS = ("illumina_wgs_NA12878", "pacbio_hifi_basemods_HG002", "nanopore_NA12878")
ROUNDS, LEVELS = 3, ("5", "9")
CHANGES = ("changed", "right → wrong", "wrong → right")

Variant = tuple[str, str, str, str]
"""Contig, 1-based position, REF, ALT."""
Calls = dict[Variant, int]
"""Number of haplotypes with a variant."""


def human() -> Iterator[tuple[str, bytes]]:
    """Yield the consensus of real human reads."""
    Path("human.bam").symlink_to(TEST_DATA / "illumina_wgs_NA12878.bam")
    pysam.index("human.bam")
    for number, region in enumerate(HUMAN, 1):
        text = pysam.samtools.consensus("-m", "simple", "-r", region, "human.bam")
        yield f"seq{number}", "".join(text.split("\n")[1:]).encode()


def given(path: str) -> Iterator[tuple[str, bytes]]:
    with pysam.FastaFile(path) as file:
        yield from ((name, file.fetch(name).encode()) for name in file.references)


def genome_of(sequences: Sequence[tuple[str, bytes]]) -> Genome:
    codes = np.full(256, 4, np.uint8)
    codes[list(BASES),] = range(5)
    joined = codes[np.frombuffer(b"".join(bases.upper() for _, bases in sequences), np.uint8)]
    offsets = np.cumsum([0, *(len(bases) for _, bases in sequences)])
    return Genome([name for name, _ in sequences], offsets, joined, np.zeros(len(joined), bool))


def truth_of(genome: Genome, donor: Donor) -> Iterator[tuple[Variant, int]]:
    """Yield the simulated variants, and the number of haplotypes with each. Indels are where they were made."""
    letters = np.frombuffer(BASES, np.uint8)
    for contig, position, base, copies in snvs(genome, donor):
        at = int(genome.offsets[genome.names.index(contig)]) + position
        yield (contig, str(position + 1), chr(BASES[genome.codes[at]]), base), copies
    indels: Counter[tuple[int, bytes, bytes]] = Counter()
    for start, end in pairwise([0, *donor.bounds.tolist()]):
        ref, inserted, codes = donor.ref[start:end], donor.inserted[start:end], donor.codes[start:end]
        for i in (np.flatnonzero(np.diff(ref) > 1)).tolist():
            indels[int(ref[i]), letters[genome.codes[ref[i] : ref[i + 1]]].tobytes(), b""] += 1
        for i in np.flatnonzero(inserted & ~np.concatenate([[False], inserted[:-1]])).tolist():
            new = next((k for k in range(i, len(inserted)) if not inserted[k]), len(inserted))
            indels[int(ref[i]), b"", letters[codes[i:new]].tobytes()] += 1
    for (at, gone, new), copies in indels.items():
        contig = int(np.searchsorted(genome.offsets, at, "right")) - 1
        anchor = chr(BASES[genome.codes[at]])
        place = str(at - int(genome.offsets[contig]) + 1)
        yield (genome.names[contig], place, gone.decode() or anchor, anchor + new.decode()), copies


def shell(command: str) -> str:
    words = ["bash", "-o", "pipefail", "-c", command]
    done = subprocess.run(words, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout


FIELDS = "| bcftools norm -f ref.fa -m -any - | bcftools query -f '%CHROM\\t%POS\\t%REF\\t%ALT[\\t%GT]\\n' -"


def calls_of(text: str) -> Calls:
    rows = (line.split("\t") for line in text.splitlines())
    found = {(row[0], row[1], row[2], row[3]): row[4].count("1") for row in rows}
    return {variant: copies for variant, copies in found.items() if copies}


def normalized(genome: Genome, truth: Iterator[tuple[Variant, int]]) -> Calls:
    """Return the simulated variants in the form in which bcftools writes variants."""
    lines = ["##fileformat=VCFv4.2", '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">']
    lines += [
        f"##contig=<ID={name},length={length}>"
        for name, length in zip(genome.names, genome.lengths(), strict=True)
    ]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts")
    order = sorted(truth, key=lambda item: (genome.names.index(item[0][0]), int(item[0][1])))
    for (contig, position, ref, alt), copies in order:
        lines.append(f"{contig}\t{position}\t.\t{ref}\t{alt}\t.\t.\t.\tGT\t{'1/1' if copies == 2 else '0/1'}")
    Path("truth.vcf").write_text("\n".join(lines) + "\n")
    return calls_of(shell(f"cat truth.vcf {FIELDS}"))


def aligned(genome: Genome, seed: int, profile: str) -> Calls:
    """Write sample.bam, and return the variants of its sample."""
    rng = np.random.default_rng([seed, 5])
    donor = make_donor(rng, genome, SNV_EVERY, INDEL_EVERY)
    count = len(genome.codes) * DEPTH // LENGTH
    with pysam.BGZFile("made.bam", "wb") as out:
        out.write(header([genome], "s", profile))
        for _, records in short_records(rng, genome, donor, count, LENGTH, profile, "s"):
            out.write(records)
    shell(
        "samtools collate -O -u made.bam tmp | samtools fastq -n - | bwa mem -p -R '@RG\\tID:s\\tSM:s' ref.fa - "
        "| samtools fixmate -m -u - - | samtools sort -u - | samtools markdup --write-index - sample.bam"
    )
    return normalized(genome, truth_of(genome, donor))


def called(loss: str) -> Calls:
    """Return what bcftools calls in a dataset with a loss."""
    options = f"--qualities {loss}" if loss else ""
    shell(f"'{BAMS3}' convert --overwrite --workers 1 {options} sample.bam d.bams3")
    return calls_of(shell(
        f"'{BAMS3}' query -b d.bams3 | bcftools mpileup -f ref.fa - | bcftools call -m -v {FIELDS}"
    ))  # fmt: skip


def is_snv(variant: Variant) -> bool:
    return len(variant[2]) == len(variant[3])


def variants(fasta: Sequence[str]) -> None:
    """Print precision and recall for each loss, and how many genotypes differ from the lossless ones."""
    paths = [str(Path(path).resolve()) for path in fasta]
    tallies: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sequences = list(given(paths[0]) if paths else human())
        genome = genome_of(sequences)
        Path("ref.fa").write_text("".join(f">{name}\n{bases.decode()}\n" for name, bases in sequences))
        pysam.faidx("ref.fa")
        shell("bwa index ref.fa")
        for profile in PROFILES:
            for seed in SAMPLES:
                truth, lossless = aligned(genome, seed, profile), None
                for loss in LOSSES:
                    found = called(loss)
                    lossless = found if lossless is None else lossless
                    tally(tallies, loss, truth, lossless, found)
    columns = ("`--qualities`", "variants", "simulated", "precision", "recall", "genotypes wrong", *CHANGES)
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for (kind, loss), n in sorted(
        tallies.items(), key=lambda item: (item[0][0] != "SNVs", LOSSES.index(item[0][1]))
    ):
        rates = f"{n['both'] / max(n['found'], 1):.4f} | {n['both'] / n['true']:.4f}"
        changes = f"{n['changed']} | {n['worse']} | {n['better']}"
        print(
            f"| {loss or 'none'} | {kind} | {n['true']:,} | {rates} | {n['both'] - n['right']} | {changes} |"
        )


def tally(tallies: dict, loss: str, truth: Calls, lossless: Calls, found: Calls) -> None:
    for kind, chosen in (("SNVs", True), ("indels", False)):
        true, before, now = (
            {v: c for v, c in each.items() if is_snv(v) is chosen} for each in (truth, lossless, found)
        )
        n = tallies[kind, loss]
        n["true"] += len(true)
        n["found"] += len(now)
        n["both"] += len(true.keys() & now.keys())
        n["right"] += len(true.items() & now.items())
        for variant in true.keys() | before.keys() | now.keys():
            t, a, b = (each.get(variant, 0) for each in (true, before, now))
            n["changed"] += a != b
            n["worse"] += a == t != b
            n["better"] += b == t != a


def dataset_of(loss: str, level: str) -> Path:
    return Path(f"{loss or 'none'}-{level}.bams3")


def conversion(bam: Path, loss: str, level: str) -> Command:
    options = ["--workers", "1", "--level", level, *(["--qualities", loss] if loss else [])]
    return Command([BAMS3, "convert", *options, bam, dataset_of(loss, level)], dataset_of(loss, level))


def sizes(bams: Sequence[str]) -> None:
    """Print the sizes of datasets, and the CPU seconds of conversion, for each loss."""
    paths = [Path(bam).resolve() for bam in bams] or [
        *(simulated(profile, 200_000).bam for profile in PROFILES),
        *(TEST_DATA / f"{name}.bam" for name in READS),
    ]
    print("| reads | `--qualities` | bytes | of lossless | level 9 | of lossless | CPU-s |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for bam in paths:
            commands = [conversion(bam, loss, level) for loss in LOSSES for level in LEVELS]
            fast = measure(lambda _, commands=commands: commands[::2], ROUNDS)
            measure(lambda _, commands=commands: commands[1::2], 1)
            for loss, usage in zip(LOSSES, fast, strict=True):
                stored = [size(dataset_of(name, level)) for level in LEVELS for name in (loss, "")]
                print(
                    f"| {bam.stem} | {loss or 'none'} | {stored[0]:,} | {stored[0] / stored[1]:.3f} | {stored[2]:,} | "
                    f"{stored[2] / stored[3]:.3f} | {usage.cpu:.2f} |", flush=True,
                )  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    tables = {"variants": variants, "sizes": sizes}
    if arguments:
        tables[arguments[0]](arguments[1:])
    else:
        for table in tables.values():
            table([])


if __name__ == "__main__":
    main(sys.argv[1:])
