"""The pileup as samtools mpileup prints it, byte for byte."""

import random
import re
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pysam
import pytest
from bams3.cli import main
from engines import run_block
from hostile import CONTIGS, TEXT, Bam, bam, good, tag
from hostile_pairs import crowds
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import DATA, real_bams
from symbols import entries
from workflows import ROOT

import bams3

BASES = "ACGTacgtNnRrACGTTGCA=ACGTGGCATCGAT*ACGTACGGT0123U"
FASTA = {"one": 3 * BASES + "AC", "two": "ACGTT" * 12, "three": 60 * "a"}
"""One contig as long as reads lie, one too short, one repetitive; the contig "empty" is missing."""
SITES = "# chosen\ntrack x\none\t3\t9\ntwo 7\none\t20\none\t11\t11\nthree\t0\t100000\textra\nnowhere\t1\n"


def theirs(bam: Path, words: list[str], out: Path) -> bytes:
    pysam.samtools.mpileup(*words, str(bam), catch_stdout=False, save_stdout=str(out))
    return out.read_bytes()


def ours(dataset: Path, words: list[str], out: Path) -> bytes:
    assert main(["pileup", *words, "-o", str(out), str(dataset)]) == 0
    return out.read_bytes()


def made(source: Path, folder: Path) -> Path:
    """Copy a BAM, index it, and convert it; return the copy. Files that options name are beside it."""
    path = folder / source.name
    path.write_bytes(source.read_bytes())
    pysam.index(str(path))
    bams3.convert(path, path.with_suffix(".bams3"), chunk_size="256K")
    return path


def assert_equal(path: Path, words: list[str], *more: str) -> None:
    """Compare the pileups of a BAM and of its dataset, where `more` words are given, too."""
    expected = theirs(path, words, path.with_suffix(".theirs"))
    assert ours(path.with_suffix(".bams3"), [*words, *more], path.with_suffix(".ours")) == expected, words


CROWDED = [
    "", "-x", "-A", "-Q 0 -A --ff 0", "-d 1", "-d 2 -Q 0 -A", "-d 3 -s", "-O -s -Q 1", "-a", "-aa", "-a -r two:5-12",
    "-aa -r one:12", "-r one:9-11 -Q 0", "-q 21 -Q 5", "--rf 16 --reverse-del", "-d 4 -A -r one:3", "-Q 94",
    "-aa -r empty", "-B -f FASTA -A -Q 0", "-B -f FASTA -aa", "-B -f FASTA -r two:8- -a -O", "-l SITES", "-l SITES -aa",
    "-l SITES -r one:5-30 -d 3", "-f FASTA", "-f FASTA -E -A -Q 0 -x", "-B -f FASTA -l SITES -a -x -s", "-R -d 0",
]  # fmt: skip


@settings(max_examples=50)
@given(bam=crowds(), options=st.lists(st.sampled_from(CROWDED), min_size=3, max_size=3, unique=True))
def test_crowds_equal_samtools(bam: Bam, options: list[str]) -> None:
    assert_crowd_equal(bam, options)


BORDER = 1 << 18
"""Between the first two chunks of a contig."""
ACROSS = [
    "",
    "-A -Q 0",
    "-d 1",
    "-d 2 -Q 0 -A",
    "-d 3 -s -O",
    f"-r two:{BORDER}-{BORDER + 4}",
    f"-r one:{BORDER}",
]


@settings(max_examples=50)
@given(
    bam=crowds(BORDER - 7),
    options=st.lists(st.sampled_from(ACROSS), min_size=3, max_size=3, unique=True),
)
def test_crowds_across_chunks_equal_samtools(bam: Bam, options: list[str]) -> None:
    assert_crowd_equal(bam, options)


def assert_crowd_equal(bam: Bam, options: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.bam"
        path.write_bytes(bam.data())
        pysam.index(str(path))
        bams3.convert(path, path.with_suffix(".bams3"), chunk_size="256K")
        (path.parent / "SITES").write_text(SITES)
        (path.parent / "FASTA").write_text("".join(f">{key}\n{bases}\n" for key, bases in FASTA.items()))
        for words in map(str.split, options):
            words = [f"{name}/{word}" if word in ("SITES", "FASTA") else word for word in words]
            assert_equal(path, words, "--workers", "1")


def test_a_line_shows_the_quality_of_its_time(tmp_path: Path) -> None:
    """A deletion shows the quality of the base behind it, which a mate changes: in lines that are written later."""
    deletion = {"cigar": [(10, 0), (10, 2), (10, 0)], "sequence": b"ACGTA" * 4, "quality": b"\x1e" * 20}
    match = {"cigar": [(10, 0)], "sequence": b"ACGTA" * 2, "quality": b"\x05" * 10}
    for name in (b"a", b"b", b"c", b"d"):  # one or the other mate loses its quality
        pair = {"name": name, "next_ref": 0, "mapq": 60}
        records = [
            good(pos=100, flag=99, next_pos=120, **pair, **deletion), good(pos=115, name=b"x", **match),
            good(pos=120, flag=147, next_pos=100, **pair, **match),
        ]  # fmt: skip
        path = tmp_path / f"{name.decode()}.bam"
        path.write_bytes(bam(TEXT, CONTIGS, records))
        bams3.convert(path, path.with_suffix(".bams3"))
        for options in ("-Q 13", "-Q 31", "-Q 1"):
            assert_equal(path, options.split())


def test_a_name_is_forgotten_when_an_earlier_chunk_held_it(tmp_path: Path) -> None:
    """The fourth read does not meet the third one: the first one, of the same name, has ended in between."""

    def read(pos: int, length: int, flag: int, name: bytes = b"r") -> bytes:
        bases = {"cigar": [(length, 0)], "sequence": b"A" * length, "quality": b"\x14" * length}
        return good(pos=BORDER + pos, flag=flag, name=name, next_ref=0, next_pos=BORDER + 20, **bases)

    records = [read(-5, 12, 99), read(-4, 40, 147), read(2, 30, 99), read(9, 10, 0, b"x"), read(12, 20, 147)]
    (tmp_path / "x.bam").write_bytes(bam(TEXT, CONTIGS, records))
    bams3.convert(tmp_path / "x.bam", tmp_path / "x.bams3", chunk_size="256K")
    assert_equal(tmp_path / "x.bam", [])


def test_baq_of_short_and_long_reads(tmp_path: Path) -> None:
    chance = random.Random(7)
    genome = bytes(chance.choice(b"ACGT") for _ in range(6000))
    records = []
    for i in range(60):
        length, pos = (1500 if i % 10 == 0 else 100), 100 + 60 * i
        clip, indel, kind = chance.choice((0, 7)), chance.choice((1, 3, 30)), chance.choice((1, 2))
        skipped = pos + 50 + (indel if kind == 2 else 0)
        rest = length - clip - 50 - (indel if kind == 1 else 0)
        sequence = bytearray(b"N" * clip + genome[pos : pos + 50] + b"T" * (indel if kind == 1 else 0))
        sequence += genome[skipped : skipped + rest]
        for _ in range(length // 20):
            sequence[chance.randrange(length)] = chance.choice(b"ACGTN")
        cigar = [(clip, 4)] * bool(clip) + [(50, 0), (indel, kind), (rest - 9, 7), (9, 8)]
        quality = bytes(chance.choice((2, 20, 30, 41)) for _ in range(length))
        records.append(
            good(
                pos=pos,
                flag=16 * (i % 2),
                cigar=cigar,
                sequence=bytes(sequence),
                quality=quality,
                name=b"%d" % i,
            )
        )
    # The matches of a read that begins with a deletion may lie past the end of the reference.
    records.append(good(ref=1, pos=2, cigar=[(8, 2), (3, 0)], sequence=b"AAA", quality=bytes((41, 30, 30))))
    (tmp_path / "x.fa").write_text(f">chr1\n{genome.decode()}\n>chr2\nACGT\n")
    (tmp_path / "x.bam").write_bytes(bam(TEXT, CONTIGS, records))
    bams3.convert(tmp_path / "x.bam", tmp_path / "x.bams3")
    for options in ("-Q 0", "-E"):
        assert_equal(tmp_path / "x.bam", ["-f", str(tmp_path / "x.fa"), *options.split()])


def test_baq_of_reads_with_its_tags_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.fa").write_text(">chr1\n" + "ACGTA" * 100 + "\n")
    (tmp_path / "x.bam").write_bytes(bam(TEXT, CONTIGS, [good(tags=[tag("BQ", "Z", b"@" * 50)])]))
    bams3.convert(tmp_path / "x.bam", tmp_path / "x.bams3")
    words = ["-f", str(tmp_path / "x.fa"), "-Q", "0"]
    assert main(["pileup", *words, str(tmp_path / "x.bams3")]) == 1
    assert "reads have the tag BQ" in capfd.readouterr().err
    assert_equal(tmp_path / "x.bam", [*words, "-E"])
    assert_equal(tmp_path / "x.bam", [*words, "-B"])


def test_baq_of_reads_that_take_too_much_memory_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise MemoryError("not enough memory to align a read again (9 bytes)")

    monkeypatch.setattr("bams3.alleles.baq.realign", fails)
    (tmp_path / "x.fa").write_text(">chr1\n" + "ACGTA" * 100 + "\n")
    (tmp_path / "x.bam").write_bytes(bam(TEXT, CONTIGS, [good()]))
    bams3.convert(tmp_path / "x.bam", tmp_path / "x.bams3")
    assert main(["pileup", "-f", str(tmp_path / "x.fa"), str(tmp_path / "x.bams3")]) == 1
    said = capfd.readouterr().err
    assert "row group 0: not enough memory to align a read again" in said
    assert "give -B" in said


@pytest.fixture(scope="module", params=real_bams(), ids=lambda path: path.stem)
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(request.param, tmp_path_factory.mktemp("real"))


@pytest.mark.parametrize("options", ["", "-Q 0 -A -x -s -O", "-q 20 -d 12 --reverse-del"])
def test_real_reads_equal_samtools(real: Path, options: str) -> None:
    assert_equal(real, options.split(), "--workers", "2")


def test_regions_come_one_after_another(real: Path, tmp_path: Path) -> None:
    with pysam.AlignmentFile(real) as file:
        read = next(read for read in file if not read.is_unmapped)
        contig, start, length = (
            read.reference_name,
            read.reference_start,
            file.get_reference_length(read.reference_name),
        )
    regions = [
        f"{contig}:{start + 50}-{start + 150}",
        f"{contig}:{start + 1}-{start + 80}",
        f"{contig}:{length}",
    ]
    expected = b"".join(theirs(real, ["-a", "-r", region], tmp_path / "theirs") for region in regions)
    dataset = real.with_suffix(".bams3")
    assert main(["pileup", "-a", "-o", str(tmp_path / "ours"), str(dataset), *regions]) == 0
    assert (tmp_path / "ours").read_bytes() == expected


def test_a_lone_chunk_is_the_bam_of_its_reads(real: Path, tmp_path: Path) -> None:
    chunk = max(real.with_suffix(".bams3").glob("data/*/*.chunk"), key=lambda path: path.stat().st_size)
    assert main(["to-bam", str(chunk), str(tmp_path / "x.bam")]) == 0
    expected = theirs(tmp_path / "x.bam", ["-s"], tmp_path / "theirs")
    assert expected
    assert ours(chunk, ["-s"], tmp_path / "ours") == expected


@pytest.mark.parametrize("options", ["-d 0", "-d 8000", "", "-d 500 -A -O", "-d 9000 -x"])
def test_deep_piles_equal_samtools(deep: Path, options: str) -> None:
    assert_equal(deep, options.split())


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 reads at few positions, on both sides of a border between chunks."""
    folder = tmp_path_factory.mktemp("deep")
    cigars = [[(20, 0), (30, 7)], [(5, 4), (10, 0), (2, 1), (33, 0)], [(20, 0), (3, 2), (30, 0)], [(50, 0)]]
    records = [
        good(
            pos=262_100 + i // 4000 * 12, flag=(99, 147, 0, 16)[i % 4], name=b"%d" % (i // 2), cigar=cigars[i % 3],
            next_ref=0, next_pos=262_110, mapq=i % 70, quality=bytes([i % 41]) * 50,
        )
        for i in range(20_000)
    ]  # fmt: skip
    source = folder / "source" / "deep.bam"
    source.parent.mkdir()
    source.write_bytes(bam(TEXT, CONTIGS, records))
    return made(source, folder)


def test_mates_without_bases_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pair = [
        good(flag=flag, name=b"pair", next_ref=0, next_pos=100, sequence=b"", quality=None)
        for flag in (99, 147)
    ]
    (tmp_path / "x.bam").write_bytes(bam(TEXT, CONTIGS, pair))
    bams3.convert(tmp_path / "x.bam", tmp_path / "x.bams3")
    assert main(["pileup", str(tmp_path / "x.bams3")]) == 1
    assert "read pair at position 101 overlaps its mate" in capfd.readouterr().err
    assert main(["pileup", "-x", str(tmp_path / "x.bams3")]) == 0


def test_counts_are_those_of_the_text(real: Path, tmp_path: Path) -> None:
    with pysam.AlignmentFile(real) as file:
        read = next(read for read in file if not read.is_unmapped)
        contig, start = read.reference_name, read.reference_start
    words = ["-r", f"{contig}:{start + 1}-{start + 3000}", "--reverse-del", "-Q", "10", "-x"]
    lines = [
        line.split("\t")
        for line in ours(real.with_suffix(".bams3"), words, tmp_path / "text").decode().splitlines()
    ]
    found = bams3.open(real.with_suffix(".bams3")).pileup(
        contig, start, start + 3000, min_baseq=10, overlaps=False
    )
    np.testing.assert_array_equal(found["position"] + 1, [int(line[1]) for line in lines])
    np.testing.assert_array_equal(found["depth"], [int(line[3]) for line in lines])
    symbols = [
        Counter(symbol for symbol, _ in entries(line[4])) if line[3] != "0" else Counter() for line in lines
    ]
    for symbol in "ACGTNacgtn*#><":
        np.testing.assert_array_equal(found[symbol], [each[symbol] for each in symbols])


def test_each_block_of_the_page(tmp_path: Path, commands: dict[str, str]) -> None:
    bams3.convert(DATA / "illumina_wgs_NA12878.bam", tmp_path / "NA12878.bams3")
    page = (ROOT / "docs" / "pileup.md").read_text()
    blocks = re.findall(r"^```(?:sh|python)\n(.*?)^```\n```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for code, printed in blocks:
        assert run_block(code, tmp_path, commands) == printed


ERRORS = {
    "-f none.fa -B -E {d}": "cannot be combined",
    "-f none.fa -B {d}": "none.fa",
    "-d-1 {d}": "0 or more",
    "-l none.bed {d}": "none.bed",
    "{d} nowhere": "unknown contig 'nowhere'",
    "-r . {d}": "give one region",
    "-M {d}": "samtools mpileup",
    "-b x {d}": "run the command once for each dataset",
    "none.bams3": "none.bams3",
    "-o {d}/x {d}": "must not contain other files",
}


@pytest.mark.parametrize("typed", ERRORS)
def test_errors(deep: Path, typed: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["pileup", *typed.format(d=deep.with_suffix(".bams3")).split()]) == 1
    error = capfd.readouterr().err.splitlines()
    assert len(error) == 1
    assert ERRORS[typed] in error[0]
