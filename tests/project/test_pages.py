"""What every page of the documentation has: "You need", an install line that works, lines and tables that read well."""

import re
from pathlib import Path

import pytest
from bams3.extras import EXTRAS
from workflows import ROOT

PAGES = [
    path
    for pattern in (
        "docs/**/*.md",
        "examples/**/*.md",
        "integrations/*/*.md",
        "benchmarks/*.md",
        "config/*.md",
        "CONTRIBUTING.md",
    )
    for path in ROOT.glob(pattern)
]
# Pages with commands that need more than this machine: an account of AWS, and Docker. The page says so.
NEED_MORE = {"aws-batch.md"}
CODE = re.compile(r"^ *```.*?^ *```|^    .*?$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r'^ *""".*?"""|^ */\*.*?\*/|^ *#[^\n]*', re.MULTILINE | re.DOTALL)
PACKAGE = ROOT / "bams3" / "bams3"


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_a_page_begins_with_what_it_needs(path: Path) -> None:
    assert re.findall(r"^## .*", CODE.sub("", path.read_text()), re.MULTILINE)[0] == "## You need"


@pytest.mark.parametrize("path", [ROOT / "README.md", *PAGES], ids=name_of)
def test_commands_are_run(path: Path) -> None:
    """By the tests that the page names, or else by one that names the page: tests/support/pages.py says how."""
    blocks = re.findall(r"^(?:<!-- run by (.+) -->\n)?```(sh|python|bash)$", path.read_text(), re.MULTILINE)
    tests = {file: file.read_text() for file in (ROOT / "tests").rglob("test_*.py") if file != Path(__file__)}
    by = {file for file, text in tests.items() if path.name in text}
    for named, language in blocks:
        if language == "bash":
            assert path.name in NEED_MORE
        elif named:
            assert {ROOT / test for test in named.split(" and ")} <= by
        else:
            assert by


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_nothing_is_installed_by_a_name_that_no_registry_has(path: Path) -> None:
    assert re.findall(r"pip install[^`\n]*['\" ]bams3\b.*", path.read_text()) == []


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CHANGELOG.md"], ids=name_of)
def test_lines_of_prose_are_short(path: Path) -> None:
    prose = CODE.sub("", path.read_text()).splitlines()
    assert [line for line in prose if len(line) > 120 and not line.startswith("|")] == []


def test_comments_of_kernels_are_short() -> None:
    """As ruff has it for Python."""
    kernels = [path for suffix in ("pyx", "pxd", "h") for path in PACKAGE.rglob(f"*.{suffix}")]
    found = [comment for path in kernels for comment in COMMENT.findall(path.read_text())]
    assert len(found) > len(kernels)
    assert [line for comment in found for line in comment.splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_tables_have_headings_that_are_nouns(path: Path) -> None:
    tables = re.findall(r"^\|(.*)\|\n\|[-| ]*\|$", path.read_text(), re.MULTILINE)
    headings = [cell.strip() for row in tables for cell in row.split("|")]
    assert not {"", "is", "is read", "wanted", "given", "shows"} & set(headings)


@pytest.mark.parametrize("extra", sorted({*EXTRAS.values(), "workflow", "slurm", "aws-batch"}))
def test_the_page_of_installation_has_every_extra(extra: str) -> None:
    assert f"| `{extra}` |" in (ROOT / "docs" / "install.md").read_text()


@pytest.mark.parametrize(
    "room", sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists())
)
def test_the_table_of_rooms_has_every_module(room: str) -> None:
    rows = re.findall(rf"^\| `{room}` \|.*", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    modules = {path.name.partition(".")[0] for path in (PACKAGE / room).iterdir() if path.name[0] != "_"}
    named = set(re.findall(r"`(\w+)/?`", rows[0]))
    assert room == "cli" or modules - named == set()
