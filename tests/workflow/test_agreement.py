"""What files say of contigs, lengths and checksums is compared with what the samples have."""

import gzip
from pathlib import Path
from typing import Any

import pysam
import pytest
from bams3.bam.header import checksums
from bams3.workflow import agreement, calling, reference
from bams3.workflow.genotyping import read_loci
from bams3.workflow.internals import Run
from bams3.workflow.places import Places, read_lines
from workflows import told

CONTIGS = [("chr1", 1000), ("chr2", 500), ("HLA-A*01:01", 90)]
ALL = [name for name, _ in CONTIGS]
BEYOND = "chr2 10 501: chr2 has 500 bp in the samples; "


def says(found: str, expected: str) -> bool:
    """Is what is expected in it, or nothing where nothing is?"""
    return expected in found if expected else not found


BEDS = [
    ("chr1\t0\t1000\nchr2\t10\t500\tx\n", "", ""),
    ("track name=x\n#c\nchr1\t1000\t1000\n", "", ""),
    ("1\t0\t10\n2\t0\t10\n", "the samples have none of its contigs: it has 1, 2, they have chr1, chr2, ", ""),
    ("1\t0\t10\n", "(chr1 instead of 1)", ""),
    ("", "no intervals", ""),
    ("#chr1\t0\t10\n", "no intervals", ""),
    ("chr2\t10\t501\n", BEYOND, ""),
    ("x\t0\t9\nchr2\t10\t501\n", BEYOND, ""),
    ("chr1\t0\t10\nchr9\t5\t9\n8\t5\t9\n8\t6\t9\n", "", "3 intervals are ignored because the samples lack"),
    ("chr1\t0\t10\na\t5\t9\nb\t5\t9\nc\t6\t9\nd\t6\t9\n", "", "lack their contigs: a, b, c and 1 more"),
]  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("check", [agreement.check_query_bed, agreement.check_coverage_bed])
@pytest.mark.parametrize(("text", "error", "warning"), BEDS)
def test_a_bed_file(check: Any, packed: bool, text: str, error: str, warning: str) -> None:
    data = gzip.compress(text.encode()) if packed else text.encode()
    found = told(lambda warn: check(data, "x.bed", CONTIGS, "config: key", warn))
    assert list(map(says, found, (error, warning))) == [True, True]
    assert all(not text or text.startswith("config: key: x.bed: ") for text in found)


@pytest.mark.parametrize(
    ("text", "of_query", "of_coverage"),
    [
        (
            "chr1\t0\t9\nchr1\t9\t5\n",
            "x.bed, line 2: expected contig, start and end",
            "x.bed:2: 9-5 is not an",
        ),
        ("chr1\t0\t9\nchr1\tfive\t9\n", "x.bed, line 2: ", "x.bed:2: columns 2 and 3 of a BED line"),
        ("chr1\t0\t9\nchr1\t-3\t9\n", "x.bed, line 2: ", "x.bed:2: -3-9 is not an interval"),
    ],
)
def test_a_line_that_is_no_interval(text: str, of_query: str, of_coverage: str) -> None:
    for check, message in (
        (agreement.check_query_bed, of_query),
        (agreement.check_coverage_bed, of_coverage),
    ):
        found, _ = told(lambda warn, check=check: check(text.encode(), "x.bed", CONTIGS, "config: k", warn))
        assert message in found


def test_lines_that_are_left_out_of_coverage() -> None:
    data = b"chr1\t0\t9\nchr1 9 12\nchr2\t4\n"
    note = "config: k: x.bed:2: line skipped; it has fewer than 3 tab-separated columns"
    for strict, expected in (
        (False, ("", f"{note}, and 1 more lines like it")),
        (True, (f"{note}; remove the line or fix it", "")),
    ):
        assert expected == told(
            lambda warn, strict=strict: agreement.check_coverage_bed(
                data, "x.bed", CONTIGS, "config: k", warn, strict=strict
            )
        )
    only = told(
        lambda warn: agreement.check_coverage_bed(
            b"chr1\t0\t9\n", "x.bed", CONTIGS, "config: k", warn, only="chr2"
        )
    )
    assert "no interval of chr2" in only[0]


@pytest.mark.parametrize(
    ("text", "error", "warning"),
    [
        ("chr2 1 500 M 1\n* * * M 2\n", "", ""),
        ("*  * *  M 1\n", "", ""),
        ("chr2 1 99999 M 1\n", "", ""),  # as bcftools' own have it
        ("2 1 500 M 1\n", "x.txt: the samples have none of its contigs: it has 2, they have ", ""),
        ("chr2 1 500 M 1\n2 1 500 M 1\n", "", "because the samples lack their contigs: 2"),
        ("# x\nchr2 1 500 M\n", "x.txt:2: expected contig, from, to", ""),
        ("chr2 a 500 M 1\n", "x.txt:1: expected contig, from, to", ""),
        ("chr2 9 5 M 1\n", "x.txt:1: from and to are 1-based", ""),
    ],
)
def test_ploidies(text: str, error: str, warning: str) -> None:
    found = told(lambda warn: agreement.check_ploidy(text.encode(), "x.txt", CONTIGS, "config: call", warn))
    assert list(map(says, found, (error, warning))) == [True, True]


@pytest.mark.parametrize(
    ("mpileup", "call", "text", "error", "warning"),
    [
        ("", "-S x.txt", "S1\n\n#x\n S2 F\n", "", ""),
        ("", "--samples-file=x.txt", "s1 F\nS3\n", "x.txt: none of its names is a sample of the sheet: it has s1,", ""),
        ("", "-S x.txt", "", "call: x.txt: none of its names is a sample of the sheet: it has none, the sheet", ""),
        ("", "-S x.txt", "S1 F\r\nS3\r\n", "", "x.txt: names of samples that are not in the sheet are ignored: S3"),
        ("", "-S x.txt", "S\udcff\nS1\n", "", "not in the sheet are ignored: S\udcff"),
        ("", "-S x.txt", "f S1 S2 0 1\n", "", ""),
        ("", "-S x.txt", "S1 a b 0 1\n", "it has a, b, the sheet has S1, S2; use names from the sheet", ""),
        ("", "-S ^x.txt", "S9\n", "it has S9, the sheet", ""),
        ("", "-s S1,S2", "", "", ""),
        ("", "-s S8,S9", "", "call: its list of samples: none of its names is a sample of the sheet: it has S8, ", ""),
        ("-s ^S2,S9", "", "", "", "mpileup: its list of samples: names of samples that are not in the sheet"),
        ("-S x.txt", "", "S9\n", "mpileup: x.txt: none of its names", ""),
        ("-S x.txt", "-s A", "S1 A\n", "", ""),
        ("-S x.txt", "-s S1", "S1 A\n", "it has S1, the sheet has A; use names from the sheet", ""),
        ("-s ^S1", "-s S1", "", "it has S1, the sheet has S2; use names from the sheet", ""),
        ("", "-m -C alleles -T x.txt", "chr1\t5\tA,C\n", "", ""),
        ("", "-m -C alleles -T x.txt", "1\t5\tA,C\n", "call: x.txt: the samples have none of its contigs", ""),
        ("", "-m -C alleles -T x.txt", "1\t5\tA,C\nchr1\t5\tA,C\n", "", "1 intervals are ignored"),
        ("", "-m -C alleles -T x.txt", "chr1\t1001\tA,C\n", "chr1 has 1000 bp in the samples", ""),
        ("", "-m -C alleles -T x.txt", "chr1\tA,C\n", "call: x.txt:1: not a target; a line must have contig", ""),
        ("", "-T x.txt", "", "config: call: call: -T: use the key `targets`", ""),
    ],
)  # fmt: skip
def test_what_the_options_of_bcftools_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mpileup: str, call: str, text: str, error: str, warning: str
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("x.txt").write_bytes(text.encode(errors="surrogateescape"))
    settings = {"mpileup": mpileup, "call": call}
    found = told(
        lambda warn: calling.check_options("call", settings, ["S1", "S2"], CONTIGS, Places(Run()), warn)
    )
    assert list(map(says, found, (error, warning))) == [True, True]
    assert all(not text or text.startswith("config: call: ") for text in found)


def test_a_dictionary_that_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "x.dict").write_bytes(b"@SQ\tSN:\xff\tLN:5\n")
    places = Places(Run())
    for path in (f"{tmp_path}/x.dict", f"file://{tmp_path}/x.dict"):
        header = reference.read_dictionary(places.stored_if_there(path) or b"", path)
        assert header.references == (("\udcff", 5),)
        assert places.stored_if_there(f"{path}.dict") is None
    assert places.stored_if_there(str(tmp_path)) is None


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xff\t5\t1\t5\t6\n")
    assert reference.read_fai(path.read_bytes(), "x") == [reference.Entry("\udcff", 5, 1, 5, 6)]
    path.write_bytes(b"\xef\xbb\xbfS1\tchr\x85\xff\t5\r\nS1\tchr\x85\xff\t3\n")
    loci = read_loci(read_lines(str(path), ""), "x", ["S1"], [("chr\udc85\udcff", 5)])
    assert loci == [("S1", "chr\udc85\udcff", position) for position in (5, 3)]


def test_read_groups() -> None:
    header = b"@HD\tVN:1.6\n@RG\tSM:ID:x\tID:a\r\n@RG\tID:b\n@CO\tID:c\n"
    assert agreement.read_groups(header) == {"a", "b"}
    groups = {"S1": {"a", "b"}, "S2": {"c"}}
    for wanted, error, warning in (
        (["a", "c"], "", ""),
        (["a"], "", "1 of 2 samples have none of the read groups a: S2"),
        (["a", "d"], "no sample has a read group 'd'; they have a, b, c", ""),
    ):
        found = told(lambda warn, wanted=wanted: agreement.check_read_groups(wanted, groups, "config", warn))
        assert list(map(says, found, (error, warning))) == [True, True]


@pytest.mark.parametrize(
    ("sequences", "needed", "error"),
    [
        (CONTIGS, ALL, ""),
        ([*reversed(CONTIGS), ("decoy", 7)], ALL, ""),
        (CONTIGS[:1], ALL[:1], ""),
        (CONTIGS[:1], [], ""),
        (CONTIGS[:1], ALL, "does not list these contigs of the samples: chr2, HLA-A*01:01; use"),
        (
            [("1", 1000), ("2", 500)],
            ALL,
            "does not list these contigs of the samples: chr1, chr2, HLA-A*01:01, it has 1, 2; use",
        ),
        (
            [("1", 1000), ("2", 500)],
            [],
            "does not list these contigs of the samples: chr1, chr2, HLA-A*01:01, it has 1, 2; use",
        ),
        (
            [("chr2", 499), ("chr1", 1000)],
            [],
            "chr2 has 499 bp, but 500 bp in the samples: another genome build; use",
        ),
        ([], [], "does not list these contigs of the samples: chr1"),
    ],
)
def test_names_and_lengths_of_a_fasta(sequences: list, needed: list[str], error: str) -> None:
    found, _ = told(lambda _: reference.check_lengths("x.fa.fai", sequences, CONTIGS, needed))
    assert says(found, error)


def test_checksums_of_a_dictionary() -> None:
    found = checksums(b"@HD\tVN:1.6\n@SQ\tSN:a\tLN:5\tM5:AB\r\n@SQ\tLN:5\tSN:b\n@SQ\tM5:cd\tSN:c\n")
    assert found == {"a": "ab", "c": "cd"}
    for of_sample, error in (
        ({"a": "ab", "b": "x"}, ""),
        ({}, ""),
        ({"c": "ce"}, "the sequence of c differs"),
    ):
        told_error, _ = told(lambda _, own=of_sample: reference.check_checksums("x.dict", found, "S1", own))
        assert says(told_error, error)


FASTA = ">a first\nACGTA\nCGTAC\nGT\n>b\nACGTACG\n>c\nACGTA\n"


@pytest.mark.parametrize(
    ("text", "is_of_it"),
    [
        (FASTA, True),
        (FASTA.rstrip(), True),
        (FASTA + "\n", True),
        (FASTA.replace("\n", "\r\n"), True),
        (FASTA.lower(), True),
        (FASTA.replace(">b", ">d"), False),
        (FASTA.replace("first", "1st"), False),
        (FASTA.replace("GT\n>b", "GTA\n>b"), False),
        (FASTA + "C\n", False),
        (FASTA[:-3], False),
        (">a first\nACGTA\n", False),
        ("", False),
    ],
)
def test_an_index_is_that_of_its_fasta(tmp_path: Path, text: str, is_of_it: bool) -> None:
    path = str(tmp_path / "x.fa")
    Path(path).write_text(FASTA.replace("\n", "\r\n") if "\r" in text else FASTA, newline="")
    pysam.faidx(path)
    index = reference.read_fai(Path(f"{path}.fai").read_bytes(), f"{path}.fai")
    assert [(entry.name, entry.length) for entry in index] == [("a", 12), ("b", 7), ("c", 5)]
    Path(path).write_text(text, newline="")
    error, _ = told(lambda _: reference.check_index(path, index))
    assert says(error, "" if is_of_it else f"recreate the index with: samtools faidx {path}")
