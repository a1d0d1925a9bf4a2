"""Who is who, of simulated people: kinship, sex and contamination that are known; sheets that are right or wrong."""

import csv
import gzip
import re
from pathlib import Path
from textwrap import dedent

import pytest
from bams3.cli import main
from families import World, write_sheet
from pages import ROOT, run

import bams3

TABLES = ("pairs", "samples", "findings")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def counts(world: World) -> Path:
    """Files of counts of a family, of strangers, and of samples that are mixed, shallow or of a tumour."""
    born = world.child
    father, mother, stranger, friend = map(world.stranger, ("male", "female", "female", "female"))
    son, brother, daughter = (born(father, mother, sex) for sex in ("male", "male", "female"))
    niece, half = born(brother, friend, "female"), born(father, stranger, "male")
    samples = {
        "father": world.reads(father),
        "mother": world.reads(mother),
        "son": world.reads(son),
        "daughter": world.reads(daughter),
        "half": world.reads(half),
        "niece": world.reads(niece),
        "stranger": world.reads(stranger),
        "again": world.reads(son, depth=15),
        "tumour": world.reads(son, depth=60, lost=0.4),
        "shallow": world.reads(daughter, depth=1),
        "mixed": world.reads(mother, other=friend, share=0.1),
    }
    folder = world.vcf.parent / "counts"
    folder.mkdir()
    world.write(folder, samples)
    return folder


def relate(world: World, out: Path, *words: object) -> dict[str, list[dict[str, str]]]:
    """The rows of the tables that `bams3 relate` writes."""
    assert main(["relate", "--sites", str(world.vcf), "-o", str(out / "x"), *map(str, words)]) == 0
    return {
        table: list(csv.DictReader((out / f"x.{table}.tsv").read_text().splitlines(), delimiter="\t"))
        for table in TABLES
    }


def files(counts: Path, names: str) -> list[Path]:
    return [counts / f"{name}.counts" for name in names.split()]


@pytest.fixture(scope="module")
def tables(
    world: World, counts: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[dict[str, str]]]:
    return relate(world, tmp_path_factory.mktemp("all"), *sorted(counts.iterdir()))


KINSHIPS = [
    ("father son", 0.25, "parent-child"),
    ("daughter mother", 0.25, "parent-child"),
    ("daughter son", 0.25, "siblings"),
    ("half son", 0.125, "second-degree"),
    ("half stranger", 0.25, "parent-child"),
    ("father niece", 0.125, "second-degree"),
    ("father mother", 0, "unrelated"),
    ("son stranger", 0, "unrelated"),
    ("again son", 0.5, "same"),
    ("son tumour", 0.5, "same"),
    ("father tumour", 0.25, "parent-child"),
    (
        "stranger tumour",
        -0.36,
        "unrelated",
    ),  # lost heterozygosity makes strangers of relatives, never the reverse
    ("mother tumour", -0.08, "unrelated"),
    ("mixed mother", 0.5, "same"),
    ("daughter shallow", None, "unknown"),
]


@pytest.mark.parametrize(("names", "kinship", "relation"), KINSHIPS)
def test_kinship(
    tables: dict[str, list[dict[str, str]]], names: str, kinship: float | None, relation: str
) -> None:
    (row,) = (row for row in tables["pairs"] if f"{row['sample_a']} {row['sample_b']}" == names)
    assert row["relation"] == relation
    assert (float(row["kinship"]) if row["kinship"] else None) == pytest.approx(kinship, abs=0.05)


SAMPLES = [
    ("father", "male", 0), ("mother", "female", 0), ("son", "male", 0), ("daughter", "female", 0),
    ("tumour", "male", None), ("mixed", "female", 0.1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "sex", "contamination"), SAMPLES)
def test_sex_and_contamination(
    tables: dict[str, list[dict[str, str]]], name: str, sex: str, contamination: float | None
) -> None:
    (row,) = (row for row in tables["samples"] if row["sample"] == name)
    assert row["sex"] == sex
    if contamination is not None:
        assert float(row["contamination"]) == pytest.approx(contamination, abs=0.01)


FAMILY = """
father - male - -
mother - f - -
son P1 1 father mother
again P1 - - -
tumour P1 - - -
brother - XY father mother
daughter - female father mother
niece - female brother wife
half - male father stranger
stranger - unknown - .
"""


def test_a_sheet_that_is_right(
    world: World, counts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`brother`, who has no sample, connects his niece with the others."""
    sheet = write_sheet(tmp_path / "sheet.tsv", FAMILY.strip().splitlines())
    names = "father mother son again tumour daughter niece half stranger"
    assert relate(world, tmp_path, "--samples", sheet, *files(counts, names))["findings"] == []
    assert capsys.readouterr().out == "9 samples at 4300 sites: no findings\n"


# Samples, rows of a sheet with `;` between (none: no sheet), and what is found: the gravest first.
SHEETS = {
    "another's sample": ("son stranger", "son a; stranger a", ["not-same son stranger"]),
    "another's tumour": ("stranger tumour", "stranger a; tumour a", ["not-same stranger tumour"]),
    "one person twice": ("again son", "again a; son b", ["same again son"]),
    "one person twice, without a sheet": ("again son", "", ["same again son"]),
    "a father": ("father son", "son - - father", []),
    "a stranger as mother": ("son stranger", "son - - - stranger", ["not-parent son stranger"]),
    "a sibling as mother": ("daughter son", "son - - - daughter", ["not-parent daughter son"]),
    "half siblings as siblings": ("half son", "half - - F M; son - - F M", []),
    "strangers as siblings": ("son stranger", "stranger - - F M; son - - F M", ["not-related son stranger"]),
    "strangers as half siblings": ("son stranger", "stranger - - F M; son - - F N", ["not-related son stranger"]),
    "siblings as strangers": ("daughter son", "daughter; son", ["related daughter son"]),
    "siblings without a sheet": ("daughter son", "", ["related daughter son"]),
    "half siblings as strangers": ("half son", "half - male", ["related half son"]),
    "another sex": ("mother son", "son - female - mother", ["sex son"]),
    "a mother as father": ("mother son", "son - - mother", ["sex mother"]),
    "a mixture": ("mixed stranger", "", ["contaminated mixed"]),
    "few reads of one person": (
        "shallow daughter", "shallow a; daughter a", ["unclear shallow", "unclear shallow daughter"],
    ),
    "few reads of a stranger": ("shallow stranger", "", ["unclear shallow"]),
    "much at once": (
        "shallow half son mixed again",
        "shallow - female; half; son - F; again - F",
        ["same son again", "sex son", "sex again", "contaminated mixed", "related half son", "related half again",
         "related son mixed", "related mixed again", "unclear shallow"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SHEETS)
def test_findings(
    world: World, counts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    names, rows, expected = SHEETS[case]
    words = ["--samples", write_sheet(tmp_path / "sheet.tsv", rows.split(";"))] if rows else []
    found = relate(world, tmp_path, *words, *files(counts, names))["findings"]
    assert [f"{row['kind']} {row['sample_a']} {row['sample_b']}".strip() for row in found] == expected
    assert {row["severity"] for row in found if row["kind"] in ("related", "unclear")} <= {"low"}
    *lines, last = capsys.readouterr().out.splitlines()
    assert [
        line.replace(",", "").replace(":", "").split()[: len(wanted.split())]
        for line, wanted in zip(lines, expected, strict=True)
    ] == [wanted.split() for wanted in expected]
    assert last.startswith(f"{len(names.split())} samples at 4300 sites: ")


MISTAKES = {
    "son - hen": "sheet.tsv: sample son: sex 'hen'; write male, female or unknown",
    "son a male; half a female": "sheet.tsv: subject a: sex is male in one row and female in another",
    "son a - b; half a - c": "sheet.tsv: subject a: father is b in one row and c in another",
    "son - - half; half - female": "sheet.tsv: half, the father of son, is female elsewhere in the sheet",
    "son - - half half": "sheet.tsv: half, the mother of son, is male elsewhere in the sheet",
    "son a; son b": "sheet.tsv: sample son: subject is a in one row and b in another",
    "son - - half; half - - son": "sheet.tsv: subjects are their own ancestors: ",
    "sun - male": "sheet.tsv: has none of the samples, such as son; names must be those of the files",
}


@pytest.mark.parametrize("rows", MISTAKES)
def test_mistakes_in_a_sheet(
    world: World, counts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: str
) -> None:
    sheet = write_sheet(tmp_path / "sheet.tsv", rows.split(";"))
    words = ["--samples", str(sheet), "-o", str(tmp_path / "x"), *map(str, files(counts, "son half"))]
    assert main(["relate", "--sites", str(world.vcf), *words]) == 1
    assert MISTAKES[rows] in capsys.readouterr().err
    assert not list(tmp_path.glob("x*"))


def test_a_sheet_without_columns(
    world: World, counts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sheet.tsv").write_text("sample,sex\nson,male\n")
    words = ["--samples", str(tmp_path / "sheet.tsv"), *map(str, files(counts, "son half"))]
    assert main(["relate", "--sites", str(world.vcf), *words]) == 1
    assert "sheet.tsv: the first line must name columns" in capsys.readouterr().err


# Frequencies are not in every VCF, and X and Y not in every panel.
def test_what_sites_do_not_tell_is_empty(world: World, counts: Path, tmp_path: Path) -> None:
    lines = world.vcf.read_text().splitlines()
    (tmp_path / "sites.vcf").write_text("".join(f"{line.rpartition('AC=')[0] or line}\n" for line in lines))
    words = [
        "relate",
        "--sites",
        str(tmp_path / "sites.vcf"),
        "-o",
        str(tmp_path / "x"),
        str(counts / "mixed.counts"),
    ]
    assert main(words) == 0
    heading, row = (tmp_path / "x.samples.tsv").read_text().splitlines()
    found = dict(zip(heading.split("\t"), row.split("\t"), strict=True))
    assert found["contamination"] == ""
    assert float(found["middling_rate"]) > 0.1
    assert (tmp_path / "x.pairs.tsv").read_text().count("\n") == 1


def test_the_commands_of_the_page(tmp_path: Path, commands: dict[str, str]) -> None:
    """What it prints, but for numbers: of a family whose tumour is another woman's."""
    world = World(tmp_path, seed=2, autosomal=400)
    father, mother, other = map(world.stranger, ("male", "female", "female"))
    people = {"father": father, "mother": mother, "tumour": other, "son": world.child(father, mother, "male")}
    places = [line.split("\t")[:2] for line in world.vcf.read_text().splitlines()[1:]]
    for name, person in people.items():
        head = "@HD\tVN:1.6\tSO:coordinate\n" + "".join(f"@SQ\tSN:chr{x}\tLN:900000\n" for x in "1XY")
        reads = world.reads(person, depth=20)
        bases = ("A" * ref + "G" * alt for ref, alt in zip(reads.ref, reads.alt, strict=True))
        lines = (
            f"r\t0\t{contig}\t{position}\t60\t1M\t*\t0\t0\t{base}\tI\n"
            for (contig, position), read in zip(places, bases, strict=True)
            for base in read
        )
        (tmp_path / f"{name}.sam").write_text(head + "".join(lines))
        bams3.convert(tmp_path / f"{name}.sam", tmp_path / f"{name}.bams3")
    (tmp_path / "sites.vcf.gz").write_bytes(gzip.compress(world.vcf.read_bytes()))
    page = (ROOT / "docs" / "identity.md").read_text()
    (sheet,) = re.findall(r"is the sheet:\n\n(.*?)\n\n", page, re.DOTALL)
    (tmp_path / "samples.tsv").write_text(f"{dedent(sheet)}\n")
    whole, counts = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (expected,) = re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    numbers = re.compile(r"-?\b\d[\d.]*")
    printed = run(whole, "sh", tmp_path, commands)
    assert numbers.sub("0", printed) == numbers.sub("0", expected)
    assert "1 sample at 700 sites: no findings" in run(counts, "sh", tmp_path, commands)
