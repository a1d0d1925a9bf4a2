"""README.md and some pages of docs/: each command as it stands there, in an empty folder, in an
environment that has what the page installs and nothing else.

A block of `text` is what the block before it prints; a block without one prints nothing. Seconds, minutes
and jobs a minute may differ. `<!-- run by tests/test_x.py -->` stands before a block that another test runs.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from environments import environment
from peers import need
from workflows import ROOT

README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "commands.md"
GUIDE = ROOT / "docs" / "guide.md"
DELETING = ROOT / "docs" / "deleting-the-bam.md"
BLOCK = re.compile(
    r"^(?:<!-- run by (?P<elsewhere>[^>]+) -->\n)?```(?P<language>sh|python)\n(?P<code>.*?)^```$"
    r"(?:\n```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
INSTALLS = re.compile(
    r"^(?:mkdir try.*|git clone.*|python3 -m venv.*|pip install '?\./bams3(?:\[(.*)\])?'?)$", re.MULTILINE
)
VARIES = re.compile(r"\b\d\S* (?:s|min|jobs/min)(?!\w)")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


@dataclass
class Block:
    """A block of commands of a page."""

    language: str
    code: str
    output: str
    elsewhere: str | None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    found = [
        Block(match["language"], match["code"], match["output"] or "", match["elsewhere"])
        for match in BLOCK.finditer(text)
    ]
    fences = sum(1 + bool(block.output) for block in found)
    assert 2 * fences == len(re.findall("^```", text, re.MULTILINE)), f"{page.name}: a block of another kind"
    return found


def files_of(folder: Path) -> dict[Path, tuple[int, int]]:
    """The files that commands of a page have made, and what changes when one is written."""
    kept = (
        path for path in folder.rglob("*") if path.relative_to(folder).parts[0] not in ("env", ".snakemake")
    )
    return {path: ((stat := path.stat()).st_size, stat.st_mtime_ns) for path in kept if path.is_file()}


def run(code: str, language: str, folder: Path, variables: dict[str, str]) -> str:
    """Run commands of a page; what they printed."""
    command = ["python", "-c", code] if language == "python" else ["bash", "-euo", "pipefail", "-c", code]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", [README, COMMANDS, GUIDE, DELETING], ids=lambda page: page.stem)
def test_what_a_page_says_is_what_happens(
    page: Path, wheel: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    need("samtools")
    if "| parallel " in page.read_text():
        need("parallel")
    ignored = shutil.ignore_patterns("__pycache__", "golden")
    for part in ("workflow", "profiles", "tests/data"):
        shutil.copytree(ROOT / part, tmp_path / "bams3" / part, ignore=ignored)
    extras: list[str] = []
    variables = environment(tmp_path / "env", wheel, "")
    for block in blocks_of(page):
        if block.elsewhere:
            assert all((ROOT / test).exists() for test in block.elsewhere.split(" and "))
            continue
        if asked := [match[1] for match in INSTALLS.finditer(block.code) if match[1]]:
            extras += asked
            variables = environment(tmp_path / "env", wheel, ",".join(extras))
        code = INSTALLS.sub("", block.code)
        if "s3://bucket" in code:
            code = code.replace("s3://bucket", request.getfixturevalue("bucket"))
            variables |= {name: os.environ[name] for name in os.environ if name.startswith("AWS_")}
        before = files_of(tmp_path)
        printed = run(code, block.language, tmp_path, variables)
        assert VARIES.sub("…", printed) == VARIES.sub("…", block.output), block.code
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
