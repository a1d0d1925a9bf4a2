"""Pages of the documentation as tests run them: each command as it stands there.

A block of `text` is what the block before it prints; a block without one prints nothing. Seconds, minutes
and jobs a minute may differ. `<!-- run by tests/test_x.py -->` stands before a block that another test runs. A block
of `bash` is run by none: it needs more than a machine.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"^(?:<!-- run by (?P<elsewhere>[^>]+) -->\n)?```(?P<language>sh|python|yaml|bash)\n(?P<code>.*?)^```$"
    r"(?:\n```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
VARIES = re.compile(r"\b\d\S* (?:s|min|jobs/min)(?!\w)")


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


def taken_by(test: str, page: str) -> list[str]:
    """The code of the blocks of a page that says that a test file runs them."""
    own = str(Path(test).relative_to(ROOT))
    taken = [
        block.code
        for block in blocks_of(ROOT / page)
        if block.elsewhere and own in block.elsewhere.split(" and ")
    ]
    assert taken, f"{page} names no block that {own} runs"
    return taken


def run(code: str, language: str, folder: Path, variables: dict[str, str]) -> str:
    """Run commands of a page; what they printed."""
    command = ["python", "-c", code] if language == "python" else ["bash", "-euo", "pipefail", "-c", code]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
    return done.stdout


def same(printed: str, expected: str) -> bool:
    """Whether commands printed what the page says."""
    return VARIES.sub("…", printed) == VARIES.sub("…", expected)
