"""docs/trust.md: its commands do what it says, and the tests that hold its promises are there."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from peers import need
from workflows import ROOT

PAGE = (ROOT / "docs" / "trust.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_what_holds_a_promise_exists(path: str, name: str) -> None:
    text = (ROOT / path).read_text()
    assert re.search(rf"^(async )?def {name}\(" if name else r"^def test_", text, re.MULTILINE)


def test_every_promise_has_a_test() -> None:
    table = PAGE.partition("| promise | test |\n|---|---|\n")[2].partition("\n\n")[0].splitlines()
    assert len(table) > 20
    assert [row for row in table if not re.search(r"\| .*`tests/.*` ?.*\|$", row)] == []


def test_every_campaign_has_a_command() -> None:
    """A target of the Makefile, or it was done by hand."""
    table = (
        PAGE.partition("| what | command | how much | when | wrong |\n")[2]
        .partition("\n\n")[0]
        .splitlines()[1:]
    )
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert len(table) > 10
    for row in table:
        command = row.split(" | ")[1]
        assert set(re.findall(r"`make ([a-z-]+)", command)) <= targets
        assert "`make " in command or command.startswith("by hand"), row


def test_the_page_signs_a_dataset(tmp_path: Path, commands: dict[str, str]) -> None:
    """And its check fails for another manifest, and for another chunk."""
    need("ssh-keygen")
    variables = os.environ | commands | {"CHECKOUT": str(ROOT)}

    def run(script: str) -> subprocess.CompletedProcess[str]:
        shell = ["bash", "-euo", "pipefail", "-c", script]
        return subprocess.run(shell, cwd=tmp_path, env=variables, capture_output=True, text=True)

    *making, checking, hiding = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    printed, listed = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for script in making:
        done = run(script)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run(checking)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")
    done = run(hiding)
    assert (done.returncode, done.stdout, done.stderr) == (0, listed, "")
    manifest = tmp_path / "NA12878.bams3" / "_metadata.json"
    signed = manifest.read_bytes()
    manifest.write_bytes(signed.replace(b'"level":5', b'"level":6').replace(b'"level": 5', b'"level": 6'))
    assert manifest.read_bytes() != signed
    assert run(checking).returncode != 0
    manifest.write_bytes(signed)
    chunk = next((tmp_path / "NA12878.bams3" / "data").rglob("*.chunk"))
    data = bytearray(chunk.read_bytes())
    data[100] ^= 1
    chunk.write_bytes(data)
    done = run(checking)
    assert done.returncode == 1
    assert f"{chunk.relative_to(tmp_path)}: its SHA-256 is not the one in" in done.stderr
