"""Names of datasets and contigs are data: for a shell, for a browser, and in a log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import hostile
import pytest
from bams3.operations.convert import convert
from mounts import mount, mounted
from peers import need
from served import client

MAKE = "touch MADE"
NAMES = [
    f"s;{MAKE}", f"$({MAKE})", f"`{MAKE}`", f"';{MAKE};'", f'";{MAKE};"', "-rf", "--help", "*", "a b", "{x}", "%s%n",
    "<img src=x onerror=alert(1)>", "<script>alert(1)<", "\" onload='alert(1)", "&lt;", "\x1b[2J", "a\nb", "ü",
]  # fmt: skip
CONTIG = "<img src=x onerror=alert(1)>$(touch MADE)"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of each name."""
    folder = tmp_path_factory.mktemp("names")
    header = b"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:%s\tLN:5000\n" % CONTIG.encode()
    (folder / "x.bam").write_bytes(hostile.bam(header, [(CONTIG, 5000)], [hostile.good()]))
    (folder / "cohort").mkdir()
    for name in NAMES:
        convert(folder / "x.bam", folder / "cohort" / f"{name}.bams3", workers=1)
    return folder / "cohort"


@contextmanager
def nothing_made(folder: Path) -> Iterator[None]:
    """In a folder, which is the current one."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
        assert not (folder / "MADE").exists()
    finally:
        os.chdir(before)


def test_a_server_gives_them_as_data(cohort: Path) -> None:
    http = client(cohort)
    answer = http.get("/datasets")
    assert (answer.headers["content-type"], sorted(answer.json())) == ("application/json", sorted(NAMES))
    for name in NAMES:
        answer = http.get(f"/datasets/{quote(name, safe='')}")
        assert answer.headers["content-type"] == "application/json"
        assert (answer.json()["name"], answer.json()["contigs"][0][0]) == (name, CONTIG)
        assert http.get(f"/bam/{quote(name, safe='')}.bam").content[:2] == b"\x1f\x8b"
        answer = http.get(f"/datasets/{quote(name + 'x', safe='')}")
        assert (answer.status_code, "html" in answer.headers["content-type"]) == (404, False)
    page = http.get("/")
    assert "<script>alert" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'self';")


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    """They do not keep a client from those of other datasets."""
    header = b"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:c\xff\tLN:5000\n"
    (tmp_path / "x.bam").write_bytes(hostile.bam(header, [("c\udcff", 5000)], [hostile.good()]))
    for name in ("x", "x\udcff"):
        convert(tmp_path / "x.bam", tmp_path / f"{name}.bams3")
    http = client(tmp_path)
    assert sorted(http.get("/datasets").json()) == ["x", "x\udcff"]
    assert http.get("/datasets/x").json()["contigs"] == [["c\udcff", 5000, 1, 0]]
    assert http.get("/reads/x").status_code == 200


def test_a_mount_has_files_of_these_names(cohort: Path, tmp_path: Path) -> None:
    need("fusermount3")
    with nothing_made(tmp_path), mounted(cohort, at=tmp_path / "mnt") as folder:
        assert sorted(os.listdir(folder)) == sorted(
            f"{name}.bam{end}" for name in NAMES for end in ("", ".bai")
        )
        for name in NAMES:
            assert (folder / f"{name}.bam").read_bytes()[:2] == b"\x1f\x8b"


def test_no_shell_reads_the_words_of_a_command(cohort: Path, tmp_path: Path) -> None:
    need("fusermount3")
    name = f"$({MAKE})"
    with nothing_made(tmp_path):
        done = mount(cohort / f"{name}.bams3", tmp_path / "m", "--", "echo", name, "*", "; echo")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{name} * ; echo\n", "")


def test_scripts_of_the_pages_make_no_html_of_text() -> None:
    """They set text, so that no name is markup."""
    root = Path(__file__).parents[2] / "bams3" / "bams3"
    scripts = [*root.glob("bridge/page/*.js"), *root.glob("cohort/page/*.js")]
    assert len(scripts) > 1
    banned = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function")
    assert [(path.name, word) for path in scripts for word in banned if word in path.read_text()] == []
