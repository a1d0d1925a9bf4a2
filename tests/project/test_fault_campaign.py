"""Faults of system calls and power cuts, on a small scale: see tests/faults, and CONTRIBUTING.md for a campaign."""

import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from faults import campaign, shim
from faults.campaign import Fault, Good
from faults.cases import STDOUT, case
from faults.power import CREATE, MKDIR, RENAME, SYNC, UNLINK, WRITE, Disk, Entry
from faults.runs import Files, Ran

TESTS = Path(__file__).parents[1]
CASES = ["convert", "resume", "overwrite", "merge", "repair", "query", "coverage", "map", "append", "hashed"]
SAMPLE, CUTS = 40, 600


@pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD and /proc are Linux's")
def test_a_short_campaign() -> None:
    options = ["--sample", str(SAMPLE), "--cuts", str(CUTS), "--workers", "1"]
    paths = [str(TESTS / "support"), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "faults", *CASES, *options], env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        cwd=TESTS, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SAMPLE} runs" in done.stdout


def test_the_orders_are_those_of_the_library() -> None:
    """Python and C agree on the structure: what its fields are, and in which order kinds come."""
    source = (TESTS / "faults/orders.h").read_text()
    kinds = source.partition("enum kind { ")[2].partition(" }")[0]
    assert [kind.lower() for kind in kinds.split(", ")] == shim.KINDS
    assert "{ LOCK = LIST + 1, EXCHANGE, REPLACE, FOLDER_SYNC, TRAITS }" in source
    assert shim.TRAITS == ["lock", "exchange", "replace", "sync of a folder"]
    assert struct.calcsize("1024s1024s4iI2i19ii65536B") == shim.ctypes.sizeof(shim.Control)


OLD, NEW = b"old", b"new"
MERGE = case("merge", "merge d.bams3", "d.bams3", "d.bams3")
QUERY = case("query", "query -o x d.bams3", "d.bams3", "x")
MANIFEST = "d.bams3/_metadata.json"
WHOLE: Files = {MANIFEST: NEW, "d.bams3/data/c": NEW, STDOUT: b""}
LINE = "bams3 merge: d.bams3: Input/output error\n"


@pytest.mark.parametrize(
    ("code", "said", "left", "finding"),
    [
        (0, "", WHOLE, ""),
        (0, "", WHOLE | {"d.bams3/data/c": OLD}, "exit code 0, but other results"),
        (0, "", WHOLE | {"d.bams3/more": b""}, "exit code 0, but other results"),
        (0, "", WHOLE | {"d.bams3/_parts/plan.json": b""}, ""),
        (1, LINE, {"d.bams3/data/c": NEW, STDOUT: b""}, ""),
        (1, LINE, {MANIFEST: NEW, "d.bams3/data/c": OLD}, "d.bams3: opens, but is not whole"),
        (1, LINE, {MANIFEST: b"{", "d.bams3/data/c": NEW}, "d.bams3: opens, but is not whole"),
        (1, LINE, WHOLE, "d.bams3: complete, but the run failed"),
        (1, "bams3 merge: Input/output error\n", {}, "exit code 1 without one line"),
        (1, "", {}, "exit code 1 without one line"),
        (1, f"d.bams3: well\n{LINE}", {}, "exit code 1 without one line"),
        (1, "Traceback (most recent call last):\n", {}, "a traceback"),
        (-11, "", {}, "ended by signal 11"),
    ],
)
def test_what_a_merge_may_leave(code: int, said: str, left: Files, finding: str) -> None:
    good = Good({"d.bams3/data/c": NEW}, WHOLE, [])
    fault = Fault("merge", 1, "write", 5, False)
    wrong = campaign.wrong_if_ended(MERGE, good, fault, left, Ran(code, said, [], 1))
    assert wrong.startswith(finding)
    assert bool(wrong) == bool(finding)


@pytest.mark.parametrize(
    ("left", "finding"),
    [
        ({"d.bams3": OLD}, ""),
        ({"d.bams3": OLD, "x": NEW}, ""),
        ({"d.bams3": OLD, "x": NEW[:1]}, "x: not whole"),
        ({"d.bams3": NEW}, "an input changed"),
        ({"x": NEW}, "an input changed"),
    ],
)
def test_what_a_query_may_leave(left: Files, finding: str) -> None:
    good = Good({"d.bams3": OLD}, {"d.bams3": OLD, "x": NEW, STDOUT: b""}, [])
    ran = Ran(1, "bams3 query: x: No space left on device\n", [], 1)
    wrong = campaign.wrong_if_ended(QUERY, good, Fault("query", 1, "write", 28, False), left, ran)
    assert wrong.startswith(finding)
    assert bool(wrong) == bool(finding)


def entry(kind: int, path: str, data: bytes = b"", inode: int = 0) -> Entry:
    return Entry(kind, inode, 0, path, data)


CREATES = [entry(MKDIR, "d"), entry(CREATE, "d/new", inode=7), entry(WRITE, "d/new", NEW, inode=7)]
SYNCED = [*CREATES, entry(SYNC, "d/new", inode=7)]
MOVED = [*SYNCED, entry(RENAME, "d/new", b"d/x")]


@pytest.mark.parametrize(
    ("calls", "may_be"),
    [
        (
            CREATES,
            [{}, {"d/new": b""}, {"d/new": b"\0\0\0"}, {"d/new": b"n"}, {"d/new": b"ne"}, {"d/new": NEW}],
        ),
        (SYNCED, [{}, {"d/new": NEW}]),
        (MOVED, [{}, {"d/new": NEW}, {"d/x": NEW}]),
        ([*MOVED, entry(SYNC, "d")], [{}, {"d/x": NEW}]),
        ([*MOVED, entry(SYNC, "."), entry(SYNC, "d")], [{"d/x": NEW}]),
        ([*MOVED, entry(SYNC, "."), entry(SYNC, "d"), entry(UNLINK, "d/x")], [{}, {"d/x": NEW}]),
    ],
)
def test_what_a_power_cut_may_leave(calls: list[Entry], may_be: list[Files]) -> None:
    disk = Disk()
    for call in calls:
        disk.apply(call)
    chance = random.Random(1)
    found = [disk.after_a_cut(chance) for _ in range(300)]
    assert [files for files in may_be if files not in found] == []
    assert [files for files in found if files not in may_be] == []
    assert disk.for_sure() in may_be
