"""Compare the sizes of small and sparse datasets with CRAM 3.1, and show the size of each part of the dataset.

    python benchmarks/small/run.py            # two minutes; simulates 200,000 reads the first time
    python benchmarks/small/run.py panel      # only this kind

For each kind of data, templates of a simulated BAM are moved to the places where that kind has reads. The table is
written to standard output.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from itertools import chain, groupby
from pathlib import Path
from time import perf_counter

import pysam

BENCHMARKS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(BENCHMARKS)]

from bams3.chunk.reader import open_chunk  # noqa: E402
from harness.data import simulated  # noqa: E402

from bams3 import convert  # noqa: E402

READS, DEPTH = 200_000, 300
HUMAN = [(f"chr{name}", 145_000_000 - 4_000_000 * at) for at, name in enumerate([*range(1, 23), "X", "Y"])]
DECOYS = [(f"chrUn_KI{270_302 + at}v1_decoy", 1_000 + at * 37 % 4_000) for at in range(430)]
PARTS = ("cold streams", "hot streams", "footers", "index", "header", "manifest")
FLOOR, SLACK = 1.05, 4096

Place = tuple[int, int, int]
"""Reference ID, 0-based position where the templates begin, and the number of consecutive templates of the source."""
Contigs = Sequence[tuple[str, int]]
Kind = tuple[Contigs, list[Place]]


def low_pass(chance: random.Random) -> Kind:
    """Return the places of 0.1x coverage of 200 Mb."""
    contigs = [(name, length // 15) for name, length in HUMAN]
    return contigs, anywhere(chance, contigs, sum(length for _, length in contigs) // 3_000)


def exome(chance: random.Random) -> Kind:
    """Return the places of 1,500 exons in 400 genes of a human genome, at 20x."""
    genes = chance.choices(anywhere(chance, HUMAN, 400), k=1_500)
    return [*HUMAN, *DECOYS], [(contig, at + chance.randrange(50_000), 25) for contig, at, _ in genes]


def panel(chance: random.Random) -> Kind:
    """Return the places of 164 amplicons with 130 templates each, which begin within about 130 bp."""
    return [*HUMAN, *DECOYS], [(contig, at, 130) for contig, at, _ in anywhere(chance, HUMAN, 164)]


def contigs(chance: random.Random) -> Kind:
    """Return an assembly of 100,000 contigs with 2 templates on each."""
    names = [(f"scaffold_{at}", chance.randrange(800, 4_000)) for at in range(100_000)]
    return names, [(at, chance.randrange(400), 2) for at in range(100_000)]


def ten(chance: random.Random) -> Kind:
    """Return the places of 10 reads, with the contigs of a human genome."""
    return [*HUMAN, *DECOYS], anywhere(chance, HUMAN, 5)


KINDS = {kind.__name__: kind for kind in (low_pass, exome, panel, contigs, ten)}


def anywhere(chance: random.Random, contigs: Contigs, number: int) -> list[Place]:
    chosen = chance.choices(range(len(contigs)), [length for _, length in contigs], k=number)
    return [(contig, chance.randrange(contigs[contig][1] - 1_000), 1) for contig in chosen]


def templates() -> list[list[pysam.AlignedSegment]]:
    """Return pairs of primary reads, both of one contig, in order of position."""
    with pysam.AlignmentFile(str(simulated("novaseq", READS, depth=DEPTH).bam)) as source:
        usable = [read for read in source if read.is_proper_pair and not read.flag & 0x900]
    usable.sort(key=lambda read: read.query_name)
    pairs = [list(of_name) for _, of_name in groupby(usable, lambda read: read.query_name)]
    pairs = [sorted(pair, key=lambda read: read.reference_start) for pair in pairs if len(pair) == 2]
    return sorted(pairs, key=lambda pair: (pair[0].reference_id, pair[0].reference_start))


def write(chance: random.Random, kind: Kind, bam: Path) -> None:
    """Write a BAM with templates at the places of a kind, sorted by coordinate."""
    contigs, places = kind
    sequences = [{"SN": name, "LN": length} for name, length in contigs]
    document = {
        "HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": sequences, "RG": [{"ID": "SIM1", "SM": "SIM1"}],
        "PG": [{"ID": "bwa", "PN": "bwa", "VN": "0.7.17", "CL": "bwa mem -t 8 reference.fa 1.fq 2.fq"}],
    }  # fmt: skip
    header = pysam.AlignmentHeader.from_dict(document)
    moved, pairs = [], templates()
    for contig, at, number in places:
        begin = chance.randrange(len(pairs) - number)
        shift = at + 1 - pairs[begin][0].reference_start
        for read in chain.from_iterable(pairs[begin : begin + number]):
            words = read.to_string().split("\t")
            words[2], words[3] = contigs[contig][0], str(max(read.reference_start + shift, 1))
            words[6], words[7] = "=", str(max(read.next_reference_start + shift, 1))
            moved.append((contig, int(words[3]), "\t".join(words)))
    moved.sort(key=lambda read: read[:2])
    with pysam.AlignmentFile(str(bam), "wb", header=header) as target:
        for *_, text in moved:
            target.write(pysam.AlignedSegment.fromstring(text, header))


def parts(dataset: Path) -> Counter[str]:
    """Return the bytes of each part of a dataset."""
    found: Counter[str] = Counter()
    for path in dataset.rglob("*"):
        if path.suffix == ".chunk":
            chunk = open_chunk(str(path))
            entry = chunk.entry(path.name, chunk.footer.reference_id)
            found["footers"] += entry.footer_bytes
            found["hot streams"] += sum(zone.hot for zone in entry.zones)
            found["cold streams"] += sum(zone.cold for zone in entry.zones)
        elif path.is_file():
            part = {"_metadata.json": "manifest", "_index": "index"}.get(path.relative_to(dataset).parts[0])
            found[part or "header"] += path.stat().st_size
    return found


def main(names: Sequence[str]) -> None:
    print("kind", "reads", "chunks", "CRAM 3.1", "dataset", "of CRAM", "floor", "s", *PARTS, sep="\t")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in names or KINDS:
            bam, cram, dataset = (Path(f"{name}{suffix}") for suffix in (".bam", ".cram", ".bams3"))
            chance = random.Random(1)
            write(chance, KINDS[name](chance), bam)
            arguments = ["-O", "cram,version=3.1,embed_ref=2", "-o", str(cram), str(bam)]
            pysam.samtools.view(*arguments, catch_stdout=False)
            start = perf_counter()
            manifest = convert(bam, dataset)
            seconds = perf_counter() - start
            found, theirs = parts(dataset), cram.stat().st_size
            ours = found.total()
            print(
                name, manifest.records, manifest.chunks, theirs, ours, f"{ours / theirs:.3f}",
                "reached" if ours <= FLOOR * theirs + SLACK else "missed", f"{seconds:.1f}",
                *(found[part] for part in PARTS), sep="\t",
            )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
