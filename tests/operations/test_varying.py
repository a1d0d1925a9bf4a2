"""Calling leaves out positions where no variant can be; its result is the same, to the byte."""

import random
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pysam
import pytest
from bams3.dataset.reader import DatasetReader
from bams3.operations.bcftools import CALL, MPILEUP, options
from bams3.operations.call import call_jointly
from bams3.operations.varying import is_safe, varying
from hostile import Bam
from hostile_pairs import crowds
from hypothesis import given, settings
from peers import DATA, need

import bams3


@pytest.mark.parametrize(
    ("mpileup", "call", "safe"),
    [
        ("", "-mv", True),
        ("-q 20 -Q 15 -a AD,DP -d 1000 -x -B --ff 1024", "-mv --ploidy 1 -a GQ", True),
        ("-E -C 50 -F 0.1 -m 2 --min-MQ=5", "-cv", True),
        ("", "-m", False),
        ("", "-mvA", False),
        ("", "-mv -g 0", False),
        ("", "-mv -C alleles -T x.tsv", False),
        ("", "-mv -*", False),
        ("-g 5", "-mv", False),
        ("-D", "-mv", False),
        ("-X ont", "-mv", False),
        ("--indels-2.0", "-mv", False),
    ],
)
def test_options_with_which_positions_may_be_left_out(mpileup: str, call: str, safe: bool) -> None:
    assert is_safe(options(MPILEUP, mpileup), options(CALL, call)) is safe


Source = tuple[dict[str, str], list[tuple[str, int, int]], str]
"""Datasets by sample, all of their contigs, and a FASTA file."""


@pytest.fixture(scope="module")
def sources(simulate, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    need("bcftools")
    folder = tmp_path_factory.mktemp("varying")
    simulate.cohort(folder, samples=2, genome=24_000, contigs=2, depth=20, profile="hiseq")
    (folder / "reference.fa").rename(folder / "simulated.fa")
    write_real(folder)
    write_deep(folder)
    found = {}
    for kind, names in {"simulated": ["S1", "S2"], "real": ["real"], "deep": ["deep"]}.items():
        for name in names:
            bams3.convert(folder / f"{name}.bam", folder / f"{name}.bams3", chunk_size="256K")
        pysam.faidx(str(folder / f"{kind}.fa"))
        with pysam.FastaFile(str(folder / f"{kind}.fa")) as file:
            contigs = [(name, 0, file.get_reference_length(name)) for name in file.references]
        found[kind] = {name: str(folder / f"{name}.bams3") for name in names}, contigs, file.filename.decode()
    return found


def write(folder: Path, name: str, bases: str, reads: Iterable[dict]) -> None:
    """A BAM of reads on the contig `c`, and a FASTA file of it."""
    header = pysam.AlignmentHeader.from_references(["c"], [len(bases)])
    with pysam.AlignmentFile(str(folder / f"{name}.bam"), "wb", header=header) as file:
        for read in sorted(reads, key=lambda read: int(read["ref_pos"])):
            file.write(pysam.AlignedSegment.from_dict(read, header))
    (folder / f"{name}.fa").write_text(f">c\n{bases}\n")


def write_real(folder: Path, contig: str = "chrX", start: int = 101_050_000, length: int = 8_000) -> None:
    """Real reads of a place; the reference has what most of them have."""
    source = str(DATA / "illumina_wgs_NA12878.bam")
    bams3.convert(source, folder / "whole.bams3")
    counts = bams3.open(folder / "whole.bams3").pileup(contig, start, start + length, min_baseq=0)
    table = np.zeros((5, length), np.int32)
    for row, (forward, reverse) in enumerate(("Aa", "Cc", "Gg", "Tt"), 1):
        table[row, counts["position"] - start] = counts[forward] + counts[reverse]
    bases = np.frombuffer(b"NACGT", np.uint8)[table.argmax(axis=0)].tobytes().decode()
    reads = []
    with pysam.AlignmentFile(source) as file:
        for read in file:
            end = read.reference_end or 0
            if read.reference_name == contig and start <= read.reference_start and end <= start + length:
                fields = read.to_dict() | {"ref_name": "c", "ref_pos": str(read.reference_start - start + 1)}
                mate = read.next_reference_start - start + 1
                has_mate = read.next_reference_name == contig and 0 < mate <= length
                reads.append(
                    fields | {"next_ref_name": "=" if has_mate else "*", "next_ref_pos": str(mate * has_mate)}
                )
    write(folder, "real", bases, reads)


def write_deep(folder: Path) -> None:
    """More reads than bcftools takes of a sample at a position, and variants among them."""
    chance = random.Random(5)
    bases = "".join(chance.choices("ACGT", k=1500))
    other = "".join(chance.choice("ACGT") if at % 60 == 0 else base for at, base in enumerate(bases))
    header = pysam.AlignmentHeader.from_references(["c"], [len(bases)])
    reads = []
    for number in range(4000):
        at = chance.randrange(250, 1150)
        sequence = (other if chance.random() < 0.4 else bases)[at : at + 100]
        qualities = "".join(chance.choices("-5?F", k=100))
        line = f"r{number}\t{16 * (number % 2)}\tc\t{at + 1}\t60\t100M\t*\t0\t0\t{sequence}\t{qualities}"
        reads.append(pysam.AlignedSegment.fromstring(line, header).to_dict())
    write(folder, "deep", bases, reads)


def calls(source: Source, folder: Path, mpileup: str, call: str) -> bytes:
    datasets, contigs, fasta = source
    with open(folder / "log", "w") as log:
        call_jointly(datasets, contigs, fasta, str(folder / "calls.bcf"), log, mpileup=mpileup, call=call)
    return (folder / "calls.bcf").read_bytes()


@pytest.mark.parametrize(
    ("kind", "mpileup", "call"),
    [
        ("simulated", "-q 20 -a AD,DP,SP", "-mv -a GQ"),
        ("simulated", "-B -x", "-cv"),
        ("simulated", "-E -Q 20 -F 0.2", "-mv --ploidy 1"),
        ("real", "-a AD,ADF,ADR,NMBZ,SCR", "-mv"),
        ("real", "-x -A --ff 0 -C 50", "-mv -P 0.1"),
        ("deep", "", "-mv"),
        ("deep", "-d 2000 -B", "-mv"),
    ],
)
def test_calls_are_those_of_all_positions(
    sources: dict[str, Source],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    mpileup: str,
    call: str,
) -> None:
    found = calls(sources[kind], tmp_path, mpileup, call)
    assert len(list(pysam.VariantFile(str(tmp_path / "calls.bcf")))) > 8
    monkeypatch.setattr("bams3.operations.call.is_safe", lambda *_: False)
    assert found == calls(sources[kind], tmp_path, mpileup, call)


@pytest.mark.parametrize(("kind", "most"), [("simulated", 0.6), ("real", 0.6), ("deep", 0.8)])
def test_positions_are_left_out(sources: dict[str, Source], kind: str, most: float) -> None:
    datasets, contigs, fasta = sources[kind]
    places = varying([DatasetReader(path) for path in datasets.values()], contigs, fasta)
    assert 0 < sum(end - start for _, start, end in places) < most * sum(end for _, _, end in contigs)


def test_positions_of_targets_are_among_those_of_all(
    sources: dict[str, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is looked at at a time."""
    monkeypatch.setattr("bams3.operations.varying.mark_a_position_of_each_read", lambda *_: None)
    datasets, contigs, fasta = sources["simulated"]
    readers = [DatasetReader(path) for path in datasets.values()]

    def positions(places: list[tuple[str, int, int]]) -> list[tuple[str, int]]:
        return [(contig, at) for contig, start, end in places for at in range(start, end)]

    whole = positions(list(varying(readers, contigs, fasta)))
    targets = [(contig, at, at + 90) for contig, _, end in contigs for at in range(7, end - 90, 130)]
    inside = {*positions(targets)}
    monkeypatch.setattr("bams3.operations.varying.TILE", 500)
    assert positions(list(varying(readers, contigs, fasta))) == whole
    assert positions(list(varying(readers, targets, fasta))) == [each for each in whole if each in inside]


@settings(max_examples=30, deadline=None)
@given(crowds())
def test_where_nothing_is_left_all_reads_have_the_base_of_the_reference(source: Bam) -> None:
    """At positions that are left out, samtools mpileup shows nothing but matches, of reads without an indel."""
    with tempfile.TemporaryDirectory() as work:
        bam, fasta = f"{work}/x.bam", f"{work}/x.fa"
        Path(bam).write_bytes(source.data())
        Path(fasta).write_text("".join(f">{name}\n{'a' * length}\n" for name, length in source.references))
        pysam.faidx(fasta)
        bams3.convert(bam, f"{work}/x.bams3", chunk_size="256K")
        contigs = [(name, 0, length) for name, length in source.references]
        kept = {
            (contig, at)
            for contig, start, end in varying([DatasetReader(f"{work}/x.bams3")], contigs, fasta)
            for at in range(start, end)
        }
        pysam.samtools.mpileup(
            "-ABxQ0", "-d0", "--ff", "4", "-f", fasta, "-o", f"{work}/x.txt", bam, catch_stdout=False
        )
        for line in Path(f"{work}/x.txt").read_text().splitlines():
            contig, position, _, _, bases = line.split("\t")[:5]
            if (contig, int(position) - 1) not in kept:
                assert set(re.sub(r"\^.", "", bases)) <= set(".,$"), line
        lengths = dict(source.references)
        for read in pysam.AlignmentFile(bam):
            if read.is_unmapped:
                continue
            end = min(read.reference_end or read.reference_start + 1, lengths[read.reference_name])
            own = {(read.reference_name, at) for at in range(read.reference_start, end)}
            assert own & kept or not own
            assert own <= kept or not re.search("[IDN]", read.cigarstring or "")
