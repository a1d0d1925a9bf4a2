"""The sample sheet as spreadsheets and people write it."""

import re

import pytest
from bams3.cohort.regions import PLACE
from bams3.workflow.configuration import check, schema
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.names import check_names
from bams3.workflow.sheet import decoded, rows
from workflows import ROOT

HEADING = "sample\talignments\n"
ONE = [{"sample": "S1", "alignments": "a.bam"}]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"sample\talignments\r\nS1\ta.bam\r\n", [2]),
        (b"sample\talignments\rS1\ta.bam\r", [2]),
        (b"\xef\xbb\xbfsample\talignments\nS1\ta.bam", [2]),
        (b"\xef\xbb\xbf# mine\nsample\talignments\nS1\ta.bam\n", [3]),
        ("sample\talignments\nS1\ta.bam\n".encode("utf-16"), [2]),
        (b"sample\talignments\t\t\nS1\ta.bam\t\t\t\n\t\t\n", [2]),
        (b'sample\talignments\n  # later\n\t# never\n \n"# no"\tx\nS1\ta.bam\n', [6]),
        (b'"sample"\t"alignments"\n"S1"\t"a.bam"\n', [2]),
        (b" sample \talignments\n S1\ta.bam \n", [2]),
        (b"alignments\tsample\tindex\na.bam\tS1\n", [2]),
    ],
    ids=["crlf", "cr", "bom", "bom-comment", "utf-16", "tabs", "comments", "quotes", "blanks", "order"],
)
def test_what_is_meant_is_read(data: bytes, lines: list[int]) -> None:
    found = list(rows(decoded(data, "s.tsv"), "s.tsv"))
    assert ([number for number, _ in found], [row for _, row in found]) == (lines, ONE)


def test_other_columns_are_kept() -> None:
    text = 'sample\talignments\tsex\tnote\nS1\ta.bam\tF\t"a ""b"" c"\nS2\tb.bam\n'
    assert [row for _, row in rows(text, "s.tsv")] == [
        {"sample": "S1", "alignments": "a.bam", "sex": "F", "note": 'a "b" c'},
        {"sample": "S2", "alignments": "b.bam"},
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"sample,alignments\nS1,a.bam\n", "s.tsv:1: commas between columns; "),
        (b"# x\nsample;alignments\n", "s.tsv:2: semicolons between columns; "),
        (b"sample alignments\nS1 a.bam\n", "s.tsv:1: spaces between columns; "),
        (
            b"S1\ta.bam\n",
            "s.tsv:1: the first line must name the columns: sample, and alignments or dataset; it",
        ),
        (b"sample\nS1\n", "s.tsv:1: the first line must name the columns: "),
        (b"Sample\talignments\n", "s.tsv:1: column 'Sample': spell it 'sample'"),
        (b"sample\talignments\tsex\tsex\n", "s.tsv:1: two columns are named 'sex'; "),
        (b"sample\talignments\nS1\ta.bam\tF\n", "s.tsv:2: more cells than column names; "),
        (
            b"sample\talignments\t\tsex\nS1\ta.bam\tF\tx\n",
            "s.tsv:2: more cells than column names; ",
        ),
        (b'sample\talignments\n"S1\ta.bam\nS2\tb.bam\n', "s.tsv:2: a quoted cell must end on the same line"),
        (b'sample\talignments\tsex\nS1\ta.bam\t"a\tb"\n', "s.tsv:2: a tab within a cell; "),
        (b"sample\talignments\nS\xe9\ta.bam\n", "s.tsv:2: not UTF-8; "),
        (b"PK\x03\x04...", "s.tsv: a spreadsheet file; "),
        (b"\n# nothing\n", "s.tsv: no samples; "),
    ],
)
def test_what_is_not_a_sheet_is_told_with_its_line(data: bytes, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        list(rows(decoded(data, "s.tsv"), "s.tsv"))
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_a_heading_alone_has_no_rows() -> None:
    assert list(rows(HEADING, "s.tsv")) == []


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("S1.bam S1", "s.tsv:1: sample S1.bam: a file of sample S1 has that name; rename the sample"),
        ("S1 S1.bam.bai", "s.tsv:2: sample S1.bam.bai: a file of sample S1 "),
        ("a.b S1 a.b.bam.csi", "s.tsv:3: sample a.b.bam.csi: a file of sample a.b "),
        ("S1 S1.bw", "s.tsv:2: sample S1.bw: a file of sample S1 "),
        ("S1 S1.mosdepth.summary.txt", "s.tsv:2: sample S1.mosdepth.summary.txt: a file of sample S1 "),
        ("S1 S1.per-base.bed.gz", "s.tsv:2: sample S1.per-base.bed.gz: a file of sample S1 "),
        ("S1 S1.regions.bed.gz.csi", "s.tsv:2: sample S1.regions.bed.gz.csi: a file of sample S1 "),
        ("S1 contig", "s.tsv:2: sample contig: the matrices of the cohort have a column with that name; "),
        ("start", "s.tsv:1: sample start: the matrices "),
        ("end", "s.tsv:1: sample end: the matrices "),
        ("name", "s.tsv:1: sample name: the matrices "),
        ("S1.bam S2.bam S2 S1.bams S1.sorted.bam Name S1.bam.x 1e5 NA", "s.tsv:2: sample S2.bam: "),
        ("S1.bam S1.bam.bai.x S2.sorted S2 s2 S2.mosdepth Name names 1e5 NA", None),
    ],
)
def test_names_that_would_be_taken_for_something_else(names: str, message: str | None) -> None:
    lines = {name: line for line, name in enumerate(names.split(), 1)}
    if message is None:
        check_names(lines, "s.tsv", PLACE)
        return
    with pytest.raises(ConfigurationError) as raised:
        check_names(lines, "s.tsv", PLACE)
    assert str(raised.value).startswith(message)


def test_columns_of_matrices_are_names_where_there_are_none() -> None:
    check_names({"name": 1}, "s.tsv")


@pytest.mark.parametrize(
    "name",
    ["S;touch x", "$(id)", "`id`", "a b", "a'b", 'a"b', "a|b", "a>b", "a&b", "a*", "-rf", "../x", "a/b", ".x", "_x", "",
     "<b>", "é", "a\x1b[2J", "x" * 201],
)  # fmt: skip
def test_names_of_samples_that_are_refused(name: str) -> None:
    """They are names of files, and words of commands."""
    rules = schema(str(ROOT / "workflow/schemas/samples.schema.yaml"))
    check({"sample": "S-1.a_b", "alignments": "a.bam"}, rules, "s.tsv:2")
    with pytest.raises(ConfigurationError, match=r"^s\.tsv:2: ") as raised:
        check({"sample": name, "alignments": "a.bam"}, rules, "s.tsv:2")
    assert "\n" not in str(raised.value)


def test_rules_quote_what_their_commands_are_given() -> None:
    """A number of threads and a batch i/n apart."""
    files = [*ROOT.glob("workflow/rules/*.smk"), *ROOT.glob("examples/**/*.smk")]
    shells = [
        found
        for path in files
        for found in re.findall(r"^    shell:\n((?: {8}.*\n)+)", path.read_text(), re.M)
    ]
    assert len(shells) >= 8
    given = {word for text in shells for word in re.findall(r"(?<!\{)\{([^{}]+)\}(?!\})", text)}
    assert {word for word in given if not word.endswith(":q")} == {"threads", "params.batch"}
