"""BAMs with every trap for depth that we know: generated, seeded, indexed."""

import random
import re
from pathlib import Path

import pysam

CONTIGS = (
    ("one", 3000),
    ("empty", 500),
    ("two", 2000),
    ("unmapped", 700),
    ("tiny", 1),
    ("last", 40000),
    ("edge", 90),
)

# (start of the mate relative to the read, CIGAR of the read, CIGAR of the mate)
OVERLAPS = (
    (0, "50M", "50M"),
    (0, "50M", "30M"),
    (0, "30M", "50M"),
    (10, "50M", "20M"),
    (10, "50M", "60M"),
    (49, "50M", "50M"),
    (50, "50M", "50M"),
    (20, "50=", "40M"),
    (10, "10M5D40M", "50M"),
    (10, "10M5I40M", "50M"),
    (12, "10M5D40M", "5M3D7M2I20M"),
    (10, "5S50M", "45M5S"),
    (0, "20M200N30M", "20M200N30M"),
    (5, "20M200N30M", "300M"),
    (30, "20M50N30M20N10M", "20M5D30M"),
    (2, "3M1D4M1D5M1N6M", "7M2D8M"),
    (10, "10=1X30=2D5M", "3H2S40M"),
    (4, "10M0D10M", "5M2P15M"),
)


def hostile_bam(path: Path, seed: int = 1) -> str:
    """A sorted, indexed BAM of pairs that overlap in every way, with names used thrice and all flags."""
    chance = random.Random(seed)
    records = [
        record
        for number in range(900)
        for record in _template(chance, f"q{number}", chance.choice((0, 0, 2, 5)), number)
    ]
    records += [(3, f"u{i}\t4\tunmapped\t{i + 9}\t0\t*\t*\t0\t0\t*\t*", i + 9) for i in range(3)]
    records += [  # mosdepth counts their bases, if they are not excluded; their extent is one base in an index
        (contig, f"c{start}\t4\t{CONTIGS[contig][0]}\t{start}\t0\t90M600N310M\t*\t0\t0\t*\t*", start)
        for contig, start in ((0, 1), (0, 1970), (2, 900), (5, 7), (5, 20_001), (5, 38_950))
    ]
    records.append((4, "t\t0\ttiny\t1\t60\t1M\t*\t0\t0\t*\t*", 1))
    records.append((6, "e\t0\tedge\t90\t60\t1M\t*\t0\t0\t*\t*", 90))
    return write_bam(path, CONTIGS, records)


def sparse_bam(path: Path) -> str:
    """A BAM with one long contig, for indexes of several levels and files of several blocks."""
    chance = random.Random(5)
    starts = sorted(chance.randrange(1, 4_999_000) for _ in range(12_000))
    records = [
        (0, f"r{i}\t0\tlong\t{start}\t60\t90M\t*\t0\t0\t*\t*", start) for i, start in enumerate(starts)
    ]
    return write_bam(path, (("long", 5_000_000), ("short", 1000)), records)


def write_bam(path: Path, contigs: tuple, records: list[tuple[int, str, int]]) -> str:
    """Write SAM lines, given with reference id and 1-based position, as a sorted BAM with an index."""
    header = ["@HD\tVN:1.6\tSO:coordinate"]
    header += [f"@SQ\tSN:{name}\tLN:{length}" for name, length in contigs]
    header += [f"@RG\tID:{group}\tSM:s" for group in ("A", "B", "C")]
    lines = [line for _, line, _ in sorted(records, key=lambda record: (record[0], record[2]))]
    sam = path.with_suffix(".sam")
    sam.write_text("\n".join(header + lines) + "\n")
    pysam.view("-b", "-o", str(path), str(sam), catch_stdout=False)
    pysam.index(str(path))
    return str(path)


def _template(chance: random.Random, name: str, contig: int, number: int) -> list[tuple[int, str, int]]:
    """Two or more records of one name."""
    offset, first, second = OVERLAPS[number % len(OVERLAPS)]
    start = chance.randrange(1, CONTIGS[contig][1] - 800)
    proper = 0 if chance.random() < 0.1 else 2
    quality, extra = chance.choice((0, 7, 30, 60)), chance.choice((0, 0, 0, 0, 1024, 512, 256))
    mate = start + offset
    length = offset + chance.randrange(20, 80)
    tags = f"RG:Z:{chance.choice('ABC')}" if chance.random() < 0.9 else "NM:i:0"
    rows = [
        (1 | 32 | 64 | proper | extra, start, first, mate, length),
        (1 | 16 | 128 | proper | (extra if chance.random() < 0.5 else 0), mate, second, start, -length),
    ]
    if chance.random() < 0.2:  # a supplementary, a secondary or simply a third record of the name
        flag = chance.choice((2048, 256, 0, 0)) | 1 | 64 | 2
        rows.append((flag, start + chance.randrange(0, 60), first, chance.choice((start, mate)), length))
    if chance.random() < 0.1:
        rows.pop(chance.randrange(len(rows)))
    if chance.random() < 0.1:
        chance.shuffle(rows)
    other = CONTIGS[0][0] if chance.random() < 0.05 else "="
    return [
        (
            contig,
            f"{name}\t{flag}\t{CONTIGS[contig][0]}\t{pos}\t{quality}\t{cigar}\t{other}\t{next_pos}\t{tlen}\t*\t*\t{tags}",
            pos,
        )
        for flag, pos, cigar, next_pos, tlen in rows
    ]


def scattered_bam(path: Path, seed: int, late: int) -> str:
    """A BAM whose depth is settled a window at a time: overlapping pairs all along a long contig.

    Of some templates the second read is missing, and of ``late`` of them a read of the name comes far behind
    both, as a third or as the second.
    """
    chance = random.Random(seed)
    records = []
    for number in range(2500):
        offset, first, second = OVERLAPS[number % len(OVERLAPS)]
        start = chance.randrange(1, 1_000_000)
        mate = start + offset
        reads = [(99, start, first, mate), (147, mate, second, start)]
        if chance.random() < 0.02:
            reads.pop()
        if number < late:
            del reads[chance.choice((1, 2)) :]
            reads.append((147, mate + chance.randrange(70_000, 190_000), second, start))
        records += (
            (
                0,
                f"s{number}\t{flag}\tfar\t{pos}\t{chance.choice((5, 60))}\t{cigar}\t=\t{next_pos}\t90\t*\t*",
                pos,
            )
            for flag, pos, cigar, next_pos in reads
        )
    return write_bam(path, (("far", 1_200_000), ("none", 100_000)), records)


def pileup_bam(path: Path, seed: int, *, templates: int = 700) -> str:
    """A BAM of reads with bases, for what a pileup counts: mates on both sides of the borders of row groups, names that
    go on on another contig, reads past a contig's end, without aligned bases, or unmapped among the others."""
    chance = random.Random(seed)
    contigs = (("left", 270_000), ("void", 300), ("right", 140_000), ("short", 120), ("idle", 50))
    records = []
    for number in range(templates):
        offset, *cigars = OVERLAPS[number % len(OVERLAPS)]
        contig = chance.choice((0, 0, 2))
        border = (1 << 17 if contig else chance.choice((1 << 17, 1 << 18))) - chance.randrange(400)
        starts = [chance.choice((border, border, chance.randrange(1, 139_000)))]
        starts.append(starts[0] + offset)
        contigs_of, flags = (
            [contig, contig],
            [65 | chance.choice((0, 2)), 129 | chance.choice((0, 2, 8, 1024))],
        )
        if chance.random() < 0.2:  # a third record
            contigs_of.append(chance.choice((contig, 2)))
            starts.append(chance.choice((starts[0] + 7, chance.randrange(1, 139_000))))
            cigars.append(cigars[0])
            flags.append(chance.choice((2113, 321, 65, 577)))
        for i, cigar in enumerate(cigars):
            mate = chance.choice((starts[1 - i % 2], starts[1 - i % 2], 0, 135_000))
            line = _with_bases(
                chance, f"p{number}", flags[i], contigs[contigs_of[i]][0], starts[i], cigar, mate
            )
            records.append((contigs_of[i], line, starts[i]))
    odd = (
        (0, 0, 150, "50I"), (0, 0, 150, "10M"), (0, 4, 151, "*"), (0, 4, 155, "30M"), (0, 0, 156, "5S40D"),
        (0, 0, 269_990, "50M"), (0, 0, 270_200, "10M5D10M"), (2, 0, 1, "5S20M"),
        (2, 0, 9, "3H4S20M2S"), (3, 0, 100, "50M"), (3, 1024, 110, "10M"), (4, 4, 7, "*"), (2, 0, 30, "5D10M5D"),
    )  # fmt: skip
    for number, (contig, flag, start, cigar) in enumerate(odd):
        line = _with_bases(chance, f"o{number}", flag, contigs[contig][0], start, cigar, 0)
        records.append((contig, line, start))
    return write_bam(path, contigs, records)


def _with_bases(
    chance: random.Random, name: str, flag: int, contig: str, start: int, cigar: str, mate: int
) -> str:
    """A SAM line with as many bases as the CIGAR has."""
    length = sum(int(n) for n, operation in re.findall(r"(\d+)(.)", cigar) if operation in "MIS=X") or 5
    bases = "".join(chance.choice("ACGT") for _ in range(length))
    qualities = "".join(chr(33 + chance.choice((2, 12, 13, 20, 37))) for _ in range(length))
    qualities = chance.choice((qualities, qualities, qualities, "*"))
    mapq = chance.choice((0, 7, 30, 60))
    return f"{name}\t{flag}\t{contig}\t{start}\t{mapq}\t{cigar}\t=\t{mate}\t0\t{bases}\t{qualities}"
