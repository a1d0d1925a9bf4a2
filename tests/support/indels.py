"""BAMs of samples with SNPs and indels every few hundred bp, of pairs whose mates overlap, and clips: what joint
calling has to get right at the borders of windows.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pysam

CONTIGS = {"chr1": 25_000, "chr2": 12_000, "chr3": 3_000}
DESERT = range(18_500, 22_500)  # without variants, in each contig
READ = 100
QUALITIES = [12, 20, 25, 30, 37]
Haplotype = list[tuple[str, int, str]]
"""The bases of each position of the reference: `=` one base, `D` none, `I` one and more; position, bases."""


def write(directory: Path, samples: tuple[str, ...], *, depth: int = 12, seed: int = 7) -> None:
    """reference.fa and {sample}.bam, each with its index."""
    chance = random.Random(seed)
    reference = {name: "".join(chance.choices("ACGT", k=length)) for name, length in CONTIGS.items()}
    with open(directory / "reference.fa", "w") as file:
        for name, bases in reference.items():
            file.write(f">{name}\n{bases}\n")
    pysam.faidx(str(directory / "reference.fa"))
    shared = {name: dict(_variants(bases, chance)) for name, bases in reference.items()}
    for sample in samples:
        _write_sample(directory / f"{sample}.bam", sample, reference, shared, depth, chance)


def _variants(bases: str, chance: random.Random) -> Iterator[tuple[int, str]]:
    """Position → what stands there instead: another base, more of them, or none from there on (as many `-`)."""
    at = 500
    while (at := at + chance.randint(40, 300)) < len(bases) - 60:
        if at in DESERT:
            continue
        kind = chance.random()
        if kind < 0.5:
            yield at, chance.choice("ACGT".replace(bases[at], ""))
        elif kind < 0.75:
            yield at, bases[at] + "".join(chance.choices("ACGT", k=chance.randint(1, 12)))
        else:
            yield at, bases[at] + "-" * chance.randint(1, 20)


def _write_sample(
    path: Path, sample: str, reference: dict, shared: dict, depth: int, chance: random.Random
) -> None:
    header = pysam.AlignmentHeader.from_dict(
        {
            "SQ": [{"SN": name, "LN": length} for name, length in CONTIGS.items()],
            "RG": [{"ID": "1", "SM": sample}],
        }
    )
    records = []
    for tid, (name, bases) in enumerate(reference.items()):
        haplotypes = [
            _bases_of(bases, {at: new for at, new in shared[name].items() if chance.random() < 0.5})
            for _ in range(2)
        ]
        for number in range(len(bases) * depth // (2 * READ)):
            haplotype = chance.choice(haplotypes)
            start = chance.randrange(len(haplotype) - 2 * READ)
            gap = chance.randint(20, 140)
            for mate, first in enumerate((start, start + gap)):
                record = _record(header, haplotype[first : first + READ], chance)
                record.query_name = f"{sample}.{tid}.{number}"
                record.reference_id = record.next_reference_id = tid
                record.flag = (0x63, 0x93)[mate]
                record.set_tag("RG", "1")
                records.append(record)
            one, two = records[-2:]
            one.next_reference_start, two.next_reference_start = two.reference_start, one.reference_start
            one.template_length = two.reference_end - one.reference_start
            two.template_length = -one.template_length
    records.sort(key=lambda record: (record.reference_id, record.reference_start))
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for record in records:
            file.write(record)
    pysam.index(str(path))


def _bases_of(bases: str, variants: dict[int, str]) -> list[tuple[int, str, str]]:
    """(position, base, operation) of each base of a haplotype; of an inserted one, the position before it."""
    found, at = [], 0
    while at < len(bases):
        new = variants.get(at, bases[at])
        kept = new.rstrip("-")
        found.append((at, kept[0], "M"))
        found += [(at, base, "I") for base in kept[1:]]
        at += 1 + len(new) - len(kept)
    return found


def _record(header: pysam.AlignmentHeader, part: list, chance: random.Random) -> pysam.AlignedSegment:
    """A read of a part of a haplotype, with errors; now and then its ends are clipped."""
    clips = [chance.choice([0] * 9 + [8, 15]) for _ in "se"]
    record = pysam.AlignedSegment(header)
    operations: list[list] = []
    at = None
    for i, (position, _, operation) in enumerate(part):
        clipped = i < clips[0] or i >= len(part) - clips[1] or (at is None and operation == "I")
        kind = "S" if clipped else operation
        if kind == "M":
            if at is None:
                record.reference_start = position
            elif position > at + 1:
                operations.append(["D", position - at - 1])
            at = position
        if operations and operations[-1][0] == kind:
            operations[-1][1] += 1
        else:
            operations.append([kind, 1])
    if operations[-1][0] == "I":
        operations[-1][0] = "S"
    if len(operations) > 1 and operations[-1][0] == operations[-2][0] == "S":
        operations[-2][1] += operations.pop()[1]
    record.query_sequence = "".join(
        base if chance.random() > 0.005 else chance.choice("ACGT") for _, base, _ in part
    )
    record.query_qualities = pysam.qualitystring_to_array(
        "".join(chr(33 + chance.choice(QUALITIES)) for _ in part)
    )
    record.cigarstring = "".join(f"{length}{kind}" for kind, length in operations)
    record.mapping_quality = chance.choice([60] * 9 + [25])
    return record
