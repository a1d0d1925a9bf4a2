"""README.md and some pages of docs/: each command as it stands there, in an empty folder, in an
environment that has what the page installs and nothing else. `pages` says what blocks mean.
"""

import os
import re
import shutil
from pathlib import Path

import pytest
from environments import environment
from pages import blocks_of, run, same
from peers import need
from workflows import ROOT

README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "commands.md"
GUIDE = ROOT / "docs" / "guide.md"
DELETING = ROOT / "docs" / "deleting-the-bam.md"
INSTALL = ROOT / "docs" / "install.md"
BRIDGE = ROOT / "docs" / "bridge.md"
STORAGE = ROOT / "docs" / "object-storage.md"
INSTALLS = re.compile(
    r"""^(?:mkdir\ try.*|git\ clone.*|python3\ -m\ venv.*|\.\ ~/bams3-env/.*
    |pip\ install\ ['"]?(?:\./bams3|\$CHECKOUT|\$\(echo\ ~/bams3/dist/bams3-\*\.whl\))(?:\[(.*)\])?['"]?
    (?:\ +\#.*)?)$""",
    re.MULTILINE | re.VERBOSE,
)
PROGRAMS = {
    "samtools ": "samtools",
    "| parallel ": "parallel",
    "mosdepth ": "mosdepth",
    "bams3 mount": "fusermount3",
}
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


def files_of(folder: Path) -> dict[Path, tuple[int, int]]:
    """The files that commands of a page have made, and what changes when one is written."""
    kept = (
        path for path in folder.rglob("*") if path.relative_to(folder).parts[0] not in ("env", ".snakemake")
    )
    return {path: ((stat := path.stat()).st_size, stat.st_mtime_ns) for path in kept if path.is_file()}


@pytest.mark.parametrize(
    "page", [README, COMMANDS, GUIDE, DELETING, INSTALL, BRIDGE, STORAGE], ids=lambda page: page.stem
)
def test_what_a_page_says_is_what_happens(
    page: Path, wheel: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    blocks = blocks_of(page)
    used = " ".join(block.code for block in blocks if not block.elsewhere)
    for words, program in PROGRAMS.items():
        if words in used:
            need(program)
    ignored = shutil.ignore_patterns("__pycache__", "golden")
    for part in ("workflow", "profiles", "tests/data"):
        shutil.copytree(ROOT / part, tmp_path / "bams3" / part, ignore=ignored)
    extras: list[str] = []
    variables = environment(tmp_path / "env", wheel, "")
    for block in blocks:
        if block.elsewhere:
            continue
        if asked := [match[1] for match in INSTALLS.finditer(block.code) if match[1]]:
            extras += asked
            variables = environment(tmp_path / "env", wheel, ",".join(extras))
        code = INSTALLS.sub("", block.code)
        if "s3://bucket" in code:
            code = code.replace("s3://bucket", request.getfixturevalue("bucket"))
            variables |= {name: os.environ[name] for name in os.environ if name.startswith("AWS_")}
        if "https://host" in code:
            url, root = request.getfixturevalue("web_server")
            shutil.copy(tmp_path / "NA12878.bam", root)
            code = code.replace("https://host", url)
        if "~/bams3" in code:
            variables["HOME"] = str(tmp_path)
        before = files_of(tmp_path)
        printed = run(code, block.language, tmp_path, variables)
        assert same(printed, block.output), f"{block.code}{printed}"
        after = files_of(tmp_path)
        kept = {path: state for path, state in before.items() if path in after or "rm " not in block.code}
        assert kept.items() <= after.items(), f"overwritten by {block.code}"


def test_readme_is_short() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 250
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"(?ms)^```.*?^```$", "", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [README, *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(re.sub(r"(?ms)^```.*?^```$", "", page.read_text())):
        if not re.match("[a-z]+:", target):
            path = page.parent / target if target else page
            assert path.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors_of(path), f"{page.name}: {target}#{anchor}"
