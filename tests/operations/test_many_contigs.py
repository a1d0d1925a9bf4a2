"""Many contigs with few reads: their chunks are written some at a time, and are what each alone would be."""

import signal
import subprocess
import sys
from pathlib import Path

import hostile
import pysam
import pytest
from bams3.dataset.layout import METADATA
from bams3.operations.convert import convert
from bams3.operations.merge import merge
from bams3.parallel.uploads import PENDING, TOGETHER
from bams3.parallel.workers import SMALL_TASK
from conversions import fails
from engines import run_bams3 as run
from listings import contents

CONTIGS = [(f"scaffold_{number}", 600_000 + number) for number in range(2 * TOGETHER * PENDING // 5)]
LARGE = 40  # the contig with reads in two chunks, one of which has several row groups
_KILLED = """
import os, signal, sys, threading
from bams3.cli import main
lock = threading.Lock()
left = int(sys.argv.pop(1))
replace = os.replace
def until_killed(source, target):
    global left
    with lock:
        left -= target.endswith(".chunk")
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
os.replace = until_killed
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "x.bam"
    made = [
        hostile.good(contig, 300 * copy, name=b"r%d.%d" % (contig, copy))
        for contig in range(len(CONTIGS))
        for copy in range(1 + contig % 3)
        if contig % 7
    ]
    made += [hostile.good(LARGE, at, name=b"l%d" % at) for at in range(0, 500_000, 60)]
    path.write_bytes(
        hostile.bam(b"@HD\tVN:1.6\tSO:coordinate\n", CONTIGS, sorted(made, key=hostile.coordinate))
    )
    assert sum(map(len, made)) > 3 * SMALL_TASK
    pysam.index(str(path))
    return path


@pytest.fixture(scope="module")
def whole(source: Path) -> Path:
    dataset = source.parent / "whole.bams3"
    convert(source, dataset, chunk_size="256K", workers=1, verify=True)
    return dataset


def test_workers_and_batches_change_nothing(source: Path, whole: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "three", chunk_size="256K", workers=3)
    for number in (2, 1, 3):
        convert(source, tmp_path / "parts", chunk_size="256K", batch=(number, 3), workers=2, verify=True)
    merge(tmp_path / "parts")
    assert contents(tmp_path / "three") == contents(tmp_path / "parts") == contents(whole)


def test_back_to_bam(source: Path, whole: Path, tmp_path: Path) -> None:
    assert run("to-bam", whole, tmp_path / "back.bam").returncode == 0
    read = [pysam.samtools.view("-h", "--no-PG", str(path)) for path in (source, tmp_path / "back.bam")]  # type: ignore[attr-defined]
    assert read[0] == read[1]


@pytest.mark.parametrize("chunks", [0, 1, TOGETHER + 3])
def test_killed_and_resumed(source: Path, whole: Path, tmp_path: Path, chunks: int) -> None:
    target = tmp_path / "d.bams3"
    command = ["convert", "--chunk-size", "256K", str(source), str(target)]
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(chunks), *command])
    assert killed.returncode == -signal.SIGKILL
    assert len(list(target.glob("data/*/[0-9]*.chunk"))) == chunks
    assert list(target.glob("data/*/.incomplete-*"))
    assert "incomplete" in fails(run("stats", target))
    assert run(*command, "--resume").returncode == 0
    assert contents(target) == contents(whole)
    assert METADATA in contents(target)
