"""Filter expressions by themselves: their fields, mistakes in them, types, patterns."""

import numpy as np
import pytest
from bams3.errors import UsageError
from bams3.select.filters import Expression
from bams3.select.filters.ere import compile_ere


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("mapq >= 30 && !flag.duplicate && [NM] < 5", {"mapq", "flag", "[NM]"}),
        ("pos < pnext || mpos > 5 || rnext == mrname", {"pos", "mpos", "mrname"}),
        ("avg(qual) > default([XX], length(seq))", {"qual", "[XX]", "seq"}),
        ("1", set()),
    ],
)
def test_fields(text, fields):
    assert Expression(text).fields == fields


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("", 1, "expected a value"),
        ("mapq >", 7, "expected a value"),
        ("mapq >>= 3", 7, "expected a value"),
        ("mapq 30", 6, "expected an operator"),
        ("mapq = 30", 6, "expected an operator"),
        ("(mapq", 6, "expected '[)]'"),
        ("mapq)", 5, "expected an operator"),
        ("1 && mapqq", 6, "unknown name 'mapqq'"),
        ("flag.duped", 1, "unknown flag 'flag.duped'; the flags are paired"),
        ("[NMX] > 1", 1, "expected a value"),
        ("[9M]", 1, "expected a value"),
        ('rname == "chr1', 10, "expected a value"),
        ("rname == 'chr1'", 10, "expected a value"),
        ("sqrt 4", 6, "expected '[(]'"),
        ("pow(2)", 6, "expected ','"),
        ("sqrt(4, 2)", 7, "expected '[)]'"),
        ("length(mapq)", 1, "length.. needs text"),
        ("1 + sqrt(rname)", 5, "sqrt.. needs a number"),
        ("pos + rname", 5, "[+] needs numbers"),
        ('2 * -"x"', 5, "- needs a number"),
        ('mapq =~ "3"', 6, "=~ needs text"),
        ("qname =~ rname", 7, "=~ needs a quoted pattern"),
        ('qname =~ "a("', 7, "bad pattern 'a.': unmatched"),
        ('qname !~ "*"', 7, "bad pattern"),
        ('qname =~ "[a"', 7, "unmatched"),
        ('qname =~ "[[:foo:]]"', 7, "unknown character class"),
        ('qname =~ "a{2,1}"', 7, "bad pattern"),
        ('qname =~ "{"', 7, "without a repeat count"),
        ('qname =~ "a\\\\"', 7, "ends with a backslash"),
        ('qname =~ "(.)\\\\1"', 7, "is a back-reference"),
        ('qname =~ "a\\\\<b"', 7, "elsewhere, write"),
        ('qname =~ "(a\\\\>)b"', 7, "elsewhere, write"),
        ('qname =~ "a{2000}"', 7, "invalid repetition size"),
        ('qname =~ "((a{99}){99}){99}"', 7, "bad pattern"),
        ("(" * 5000 + "1" + ")" * 5000, 101, "nested more than 100 deep"),
        ("!" * 5000 + "1", 101, "nested more than 100 deep"),
    ],
)
def test_mistakes_name_their_column(text, column, problem):
    with pytest.raises(UsageError, match=f", column {column}: .*{problem}") as raised:
        Expression(text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[XX] =~ "a"', "=~ and !~ need text"),
        ("[XX] + 1 > 2", "[+] needs numbers"),
        ("-[XX]", "- needs a number"),
        ("sqrt([XX])", "sqrt.. needs a number"),
        ("length([XX])", "length.. needs text"),
        ("[XB] > 1", "XB. holds an array"),
    ],
)
def test_tags_of_the_wrong_type(text, problem):
    columns = {"[XX]": [None, 5, "text"], "[XB]": [None, 1, [1, 2]]}
    with pytest.raises(UsageError, match=problem):
        Expression(text).evaluate(columns, 3)


def test_mixed_tags_and_arrays():
    columns = {"[XX]": [None, 5, "5"], "[NM]": np.array([0, 5, 7], np.uint8)}
    for text, expected in {
        "[XX] == 5": [0, 1, 0],
        '[XX] == "5"': [0, 0, 1],
        "[XX] != 5": [0, 0, 1],
        "[XX] == [NM]": [0, 1, 0],
        "[NM]": [1, 1, 1],
        "default([XX], [NM]) == 0": [1, 0, 0],
        'default([XX], "5") == "5"': [1, 0, 1],
    }.items():
        assert Expression(text).evaluate(columns, 3).tolist() == list(map(bool, expected)), text


def test_remainder_of_nothing_is_nothing():
    """As samtools(1) has it; samtools 1.16 itself takes the remainder of a NaN as an integer."""
    column = {"[NM]": [None, 4]}
    assert Expression("[NM] % 2 == 0").evaluate(column, 2).tolist() == [False, True]
    assert Expression("[NM] % 0.5 == 0").evaluate(column, 2).tolist() == [False, False]


@pytest.mark.parametrize("n", [0, 1])
def test_few_records(n):
    columns = {"mapq": np.full(n, 60, np.uint8), "qual": ["##"] * n, "[RG]": ["a"] * n}
    text = 'mapq > 3 && avg(qual) > 3 && default([RG], "b") =~ "a" && length("x") && 1'
    assert Expression(text).evaluate(columns, n).tolist() == [True] * n


# Each takes an engine that goes back through a text longer than the tests may last, as 2 ** 40 steps do.
@pytest.mark.parametrize(
    "pattern",
    [
        "(a|a)*b",
        "(a*)*b",
        "(a+)+$",
        "^(a|aa)+$",
        "(.*)*b",
        "(a?){40}a{40}b",
        "([[:alpha:]]+)*[0-9]",
        "(a|b|ab)*c",
    ],
)
def test_patterns_end(pattern):
    columns = {"qname": ["a" * 40 + "!", "a" * 10_000 + "!", "a" * 50 + "b1c"]}
    found = Expression(f'qname =~ "{pattern}"').evaluate(columns, 3).tolist()
    assert found[:2] == [False, False]


@pytest.mark.parametrize("byte", range(1, 256))
def test_bytes_of_a_pattern(byte):
    """Every byte that an expression can hold, by itself and in brackets, as the C library finds it."""
    character = chr(byte)
    alone = character if character.isalnum() or character in "<>`'" else f"\\{character}"
    member = "[]]" if character == "]" else "[a^]" if character == "^" else f"[{character}]"
    for pattern in (alone, member, f"[^{member[1:]}"):
        search = compile_ere(pattern).search
        found = [bool(search(bytes([other]))) for other in range(256)]
        wanted = [(other == byte) != pattern.startswith("[^") for other in range(256)]
        if "a^" in pattern:
            wanted[ord("a")] = not wanted[ord("a")]
        assert found == wanted, pattern
