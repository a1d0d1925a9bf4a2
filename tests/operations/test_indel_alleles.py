"""Insertions, deletions and other alleles of more than a base, as samtools mpileup shows them."""

import csv
import random
import re
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import indels
import pysam
import pytest
from bams3.cli import main
from hostile import Bam, bam, record
from hostile_pairs import CONTIGS, crowds
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import need, real_bams
from symbols import entries

import bams3

Site = tuple[str, int, str, str]
"""Contig, position from 1, REF, ALT."""
BASES = "ACGT"


def adf_adr(path: Path, sites: Iterable[Site], *options: str) -> list[list[list[int]]]:
    """What `bams3 alleles` prints for each site and allele, on both strands, of the dataset beside a BAM."""
    table, out = path.with_suffix(".sites"), path.with_suffix(".ours")
    table.write_text("".join("\t".join(map(str, site)) + "\n" for site in sites))
    words = ["--strands", "--workers", "2", "--sites", str(table), "-o", str(out), *options]
    assert main(["alleles", *words, str(path.with_suffix(".bams3"))]) == 0
    rows = list(csv.DictReader(out.read_text().splitlines(), delimiter="\t"))
    depths = [zip(row["ADF"].split(","), row["ADR"].split(","), strict=True) for row in rows]
    return [[[-1 if n == "." else int(n) for n in of_allele] for of_allele in each] for each in depths]


def shown(
    path: Path, places: Iterable[tuple[str, int]], *options: str
) -> dict[tuple[str, int], Counter[tuple[bool, str, str]]]:
    """What samtools mpileup shows at positions: how many reads of a strand have a symbol, and what behind it."""
    text, bed = path.with_suffix(".theirs"), path.with_suffix(".bed")
    bed.write_text("".join(f"{contig}\t{position - 1}\t{position}\n" for contig, position in places))
    words = [*options, *(() if "-Q" in options else ("-Q", "0")), "-d", "0", "-l", str(bed)]
    pysam.samtools.mpileup(*words, str(path), catch_stdout=False, save_stdout=str(text))
    found = {}
    for line in text.read_text().splitlines():
        contig, position, _, depth, symbols, *_ = line.split("\t")
        found[contig, int(position)] = Counter(
            (symbol.islower() or symbol == ",", "=" if symbol in ".,=" else symbol.upper(), behind.upper())
            for symbol, behind in (entries(symbols) if depth != "0" else ())
        )
    return found


def has(kind: str, symbol: str, behind: str) -> bool:
    """Whether what samtools shows of a read is an allele: a base, or an insertion or a deletion behind any base."""
    return symbol == kind if kind in BASES else behind == kind


def alleles_of(kinds: Sequence[str]) -> tuple[str, str]:
    """REF, which is a T with as many C as are deleted, and ALT."""
    longest = max((len(kind) - 1 for kind in kinds if kind[0] == "-"), default=0)
    alts = []
    for kind in kinds:
        kept = longest - (len(kind) - 1 if kind[0] == "-" else 0)
        alts.append((kind if kind in BASES else "T" + kind[1:] * (kind[0] == "+")) + "C" * kept)
    return "T" + "C" * longest, ",".join(alts)


def assert_indels_equal(path: Path, places: Sequence[tuple[str, int, list[str]]], *options: str) -> None:
    """Compare sites of a SNV, insertions and deletions (`+AC`, `-NN`), each alone and all together."""
    of_samtools = shown(path, [place[:2] for place in places], *options)
    sites, expected = [], []
    for contig, position, every in places:
        reads = {
            what: n for what, n in of_samtools.get((contig, position), {}).items() if what[1] not in "*#><"
        }
        for kinds in (*([kind] for kind in every), every, ["G", *every]):
            ref = [what for what in reads if not what[2] and (what[1] in "T=" or not set(kinds) & set(BASES))]
            alts = [[what for what in reads if has(kind, *what[1:])] for kind in kinds]
            sites.append((contig, position, *alleles_of(kinds)))
            expected.append(
                [
                    [sum(reads[what] for what in each if what[0] == on) for on in (0, 1)]
                    for each in (ref, *alts)
                ]
            )
    found = adf_adr(path, sites, *options)
    assert len(found) == len(sites)
    for site, ours, theirs in zip(sites, found, expected, strict=True):
        assert ours == theirs, site


OPTIONS = ["", "-x -Q 7", "-A --ff 0", "-Q 13", "-Q 1", "-q 21 -Q 5 -A"]
KINDS = ["+A", "+C", "+AC", "+CA", "-N", "-NN", "-NNNNN"]


@settings(max_examples=20)
@given(bam=crowds(), options=st.sampled_from(OPTIONS))
def test_crowds_equal_samtools(bam: Bam, options: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.bam"
        path.write_bytes(bam.data())
        pysam.index(str(path))
        bams3.convert(path, path.with_suffix(".bams3"), chunk_size="256K")
        places = [
            (contig, position, KINDS) for contig, length in CONTIGS for position in range(1, min(length, 80))
        ]
        assert_indels_equal(path, places, *options.split())


@pytest.fixture(scope="module", params=real_bams(), ids=lambda path: path.stem)
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BAM with its dataset beside it."""
    path = tmp_path_factory.mktemp("real") / request.param.name
    path.symlink_to(request.param)
    pysam.index(str(path), str(path) + ".bai")
    bams3.convert(path, path.with_suffix(".bams3"), chunk_size="256K")
    return path


def indels_of(path: Path) -> list[tuple[str, int, list[str]]]:
    """Some of the indels of the reads of a BAM: contig, position from 1 of the base before, and its kinds."""
    found: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    with pysam.AlignmentFile(str(path)) as file:
        for read in file:
            at, base = read.reference_start, 0
            for operation, length in read.cigartuples or ():
                if operation == 1 and read.query_sequence:
                    found[read.reference_name, at]["+" + read.query_sequence[base : base + length]] += 1
                elif operation == 2:
                    found[read.reference_name, at]["-" + "N" * length] += 1
                at += length if operation in (0, 2, 3, 7, 8) else 0
                base += length if operation in (0, 1, 4, 7, 8) else 0
    places = sorted((contig, at, kinds) for (contig, at), kinds in found.items() if at > 0)
    return [
        (contig, at, [kind for kind, _ in kinds.most_common(3)])
        for contig, at, kinds in places[:: len(places) // 250 + 1]
    ]


@pytest.mark.parametrize("options", ["", "-Q 10", "-q 20 -A -x -Q 7"])
def test_real_reads_equal_samtools(real: Path, options: str) -> None:
    places = indels_of(real)
    assert len(places) > 20
    assert_indels_equal(real, places, *options.split())


def named(path: Path, *options: str) -> dict[tuple[str, int], dict[tuple[str, bool], tuple[str, str]]]:
    """What samtools mpileup shows at each position of each read: by name and strand, its symbol and what is behind."""
    text = path.with_suffix(".theirs")
    words = [*options, *(() if "-Q" in options else ("-Q", "0")), "-d", "0", "--output-QNAME"]
    pysam.samtools.mpileup(*words, str(path), catch_stdout=False, save_stdout=str(text))
    found = {}
    for line in text.read_text().splitlines():
        contig, position, _, depth, symbols, _, names = line.split("\t")
        reads = zip(names.split(","), entries(symbols), strict=True) if depth != "0" else ()
        found[contig, int(position)] = {
            (name, symbol.islower()): (symbol.upper(), behind) for name, (symbol, behind) in reads
        }
    return found


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs whose mates overlap, with indels all over; its dataset, and its reference."""
    folder = tmp_path_factory.mktemp("simulated")
    indels.write(folder, ("x",))
    bams3.convert(folder / "x.bam", folder / "x.bams3", chunk_size="256K")
    return folder / "x.bam"


@pytest.mark.parametrize("options", ["", "-Q 25", "-x -Q 20"])
def test_longer_alleles_equal_samtools(simulated: Path, options: str) -> None:
    """REF and ALT of several bases that all differ, behind some that do not. The true ones are REF or ALT."""
    with pysam.FastaFile(str(simulated.parent / "reference.fa")) as file:
        bases = file.fetch("chr1")
    by_position = named(simulated, *options.split())
    sites, expected = [], []
    for number, start in enumerate(range(600, 6000, 41)):
        length, lead = (2, 3, 5)[number % 3], number % 4
        reads = [by_position.get(("chr1", start + k + 1), {}) for k in range(length)]
        whole = {
            read: "".join(of_read[read][0] for of_read in reads)
            for read in reads[0]
            if all(read in of_read for of_read in reads)
            and not any(of_read[read][1] for of_read in reads[:-1])
        }
        true = bases[start : start + length]
        both = [true, "".join(BASES[BASES.index(base) - 1] for base in true)][:: 1 if number % 2 else -1]
        sites.append(("chr1", start - lead + 1, *(bases[start - lead : start] + each for each in both)))
        expected.append(
            [
                [sum(seen == each and read[1] == on for read, seen in whole.items()) for on in (0, 1)]
                for each in both
            ]
        )
    assert adf_adr(simulated, sites, *options.split()) == expected
    assert sum(sum(map(sum, counts)) > 1 for counts in expected) > len(expected) / 2


READS = {  # CIGAR and bases, from position 6: number of reads
    "14M TTTTTAGTCTTTTT": 4,
    "14M TTTTTCGTCTTTTT": 1,
    "6M1I8M TTTTTATGTCTTTTT": 3,
    "6M1D7M TTTTTATCTTTTT": 2,
    "14M TTTTTCATCTTTTT": 1,
    "14M TTTTTACTCTTTTT": 1,
    "6M TTTTTA": 1,
}
COUNTED = {
    "A C": "11,2",
    "A A": "11,11",
    "AG CG": "11,2",  # the base at the site, whatever follows
    "AG AC": "8,1",
    "A AT": "8,3",
    "AG ATG": "8,3",  # the end that both share goes first
    "AGT AT": "8,2",
    "AG A,ATG,CG": "6,2,3,2",
    "AGT CGT,A": "6,2,0",
    "AG CA": "4,1",
    "ag cA": "4,1",
    "AG CA,A": "4,1,2",
    "AG CT": "4,0",
    "NG CG": ".,2",
    "A AT,<*>": "8,3,.",
    **dict.fromkeys(("A <DEL>", "A *", "A A[x:7[", "A AN", "A ATR"), "11,."),
    **dict.fromkeys(("AG GCA", "AG T", "AG <*>", "N AT", "N <*>"), ".,."),
    **dict.fromkeys(("AG .", "AG", "N", "."), "."),
}


def test_how_alleles_are_counted(tmp_path: Path) -> None:
    reads = []
    for what, number in READS.items():
        cigar, sequence = what.split()
        operations = [(int(n), "MID".index(kind)) for n, kind in re.findall(r"(\d+)([MID])", cigar)]
        reads += [record(ref=0, pos=5, flag=0, cigar=operations, sequence=sequence.encode())] * number
    (tmp_path / "x.bam").write_bytes(bam(b"@SQ\tSN:x\tLN:99\n", [("x", 99)], reads))
    bams3.convert(tmp_path / "x.bam", tmp_path / "x.bams3")
    found = adf_adr(tmp_path / "x.bam", [("x", 11, *alleles.split()) for alleles in COUNTED])
    shown = [",".join(str(sum(n)) if min(n) >= 0 else "." for n in each) for each in found]
    assert dict(zip(COUNTED, shown, strict=True)) == COUNTED


def test_indels_equal_bcftools_where_nothing_is_ambiguous(tmp_path: Path) -> None:
    """bcftools realigns reads; where each spans the indel by far, and has no error, it finds the same."""
    need("bcftools")
    chance = random.Random(3)
    bases = "".join(chance.choices(BASES, k=3000))
    kinds = {500: "+GATTACA", 900: "-" + "N" * 6, 1300: "+CC", 1700: "-N", 2100: "-" + "N" * 20}
    reads, sites = [], []
    for position, kind in kinds.items():
        deleted = len(kind) - 1 if kind[0] == "-" else 0
        inserted = kind[1:] if kind[0] == "+" else ""
        ref = bases[position - 1 : position + deleted]
        sites.append(("x", position, ref, ref[0] + inserted))
        for number in range(30):
            start, end = position - 60 - number, position + 60 + deleted
            cigar, sequence = [(end - start, 0)], bases[start:end]
            if number % 3 == 0:
                indel = (deleted, 2) if deleted else (len(inserted), 1)
                cigar = [(position - start, 0), indel, (end - position - deleted, 0)]
                sequence = bases[start:position] + inserted + bases[position + deleted : end]
            reads.append((start, cigar, sequence, 16 * (number % 2)))
    made = [
        record(ref=0, pos=start, mapq=60, flag=flag, cigar=cigar, sequence=sequence.encode(),
               quality=bytes([40]) * len(sequence), name=b"%d" % number)
        for number, (start, cigar, sequence, flag) in enumerate(sorted(reads))
    ]  # fmt: skip
    path = tmp_path / "x.bam"
    path.write_bytes(bam(b"@SQ\tSN:x\tLN:3000\n@RG\tID:1\tSM:x\n", [("x", 3000)], made))
    bams3.convert(path, path.with_suffix(".bams3"))
    pysam.index(str(path))
    (tmp_path / "x.fa").write_text(f">x\n{bases}\n")
    command = ["bcftools", "mpileup", "-B", "-Q", "0", "-a", "ADF,ADR", "-f", tmp_path / "x.fa", path]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    expected = {}
    for line in text.splitlines():
        if "INDEL;" in line:
            words = line.split("\t")
            fields = dict(zip(words[8].split(":"), words[9].split(":"), strict=True))
            depths = zip(fields["ADF"].split(","), fields["ADR"].split(","), strict=True)
            expected[int(words[1])] = [[int(n) for n in each] for each in depths]
    found = adf_adr(path, sites)
    assert len(expected) == len(sites)
    assert [sum(map(sum, each)) for each in found] == [30] * len(sites)
    assert dict(zip(kinds, found, strict=True)) == expected
