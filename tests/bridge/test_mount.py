"""Mounted datasets are read by programs that read BAM files."""

import os
import shutil
import subprocess
from pathlib import Path

import pysam
import pytest
from bams3.bridge.blocks import joined
from bams3.bridge.decoder import Decoder
from bams3.bridge.shelf import datasets_of, files
from bams3.bridge.virtual_bam import VirtualBam
from bams3.dataset.reader import DatasetReader
from bams3.errors import DatasetError, UsageError
from bams3.storage import open_storage
from mounts import fuse, limit, mount, mounted  # noqa: F401
from pages import run, taken_by
from peers import need
from virtual_bams import whole


def test_a_folder_of_datasets_is_read_only(small: Path, local: Path, tmp_path: Path) -> None:
    cohort = tmp_path / "cohort"
    shutil.copytree(small.with_suffix(".bams3"), cohort / "S1.bams3")
    shutil.copytree(local, cohort / "S2.bams3")
    (cohort / "other").mkdir()
    with mounted(cohort, local, at=tmp_path / "mnt") as folder:
        names = [f"{name}.bam{ending}" for name in ("S1", "S2", "d") for ending in ("", ".bai")]
        assert sorted(os.listdir(folder)) == names
        assert (folder / "S2.bam").read_bytes() == whole(VirtualBam(DatasetReader(local)))
        pysam.view("-c", str(folder / "S1.bam"), "chr1:1-1000")
        with pytest.raises(OSError, match="Read-only"):
            (folder / "S1.bam").write_bytes(b"")
        with pytest.raises(FileNotFoundError):
            (folder / "S3.bam").stat()


def test_paths_may_be_relative(local: Path, tmp_path: Path) -> None:
    """Those of datasets, and those that are opened later, such as a log: libfuse changes the current directory."""
    shutil.copytree(local, tmp_path / "S1.bams3")
    command = ["bams3", "mount", "S1.bams3", "mnt", "--", "sh", "-c", "cat mnt/S1.bam > S1.bam"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (tmp_path / "S1.bam").read_bytes() == whole(VirtualBam(DatasetReader(local)))


def test_a_prefix_of_datasets(small: Path, bucket: str, tmp_path: Path) -> None:
    for name in ("S1", "S2"):
        storage = open_storage(f"{bucket}/cohort/{name}.bams3")
        for path in (path for path in small.with_suffix(".bams3").rglob("*") if path.is_file()):
            storage.put(str(path.relative_to(small.with_suffix(".bams3"))), path.read_bytes())
    open_storage(f"{bucket}/cohort/logs").put("x", b"")
    found = files(datasets_of([f"{bucket}/cohort/"]), Decoder())
    assert [*found] == ["S1.bam", "S1.bam.bai", "S2.bam", "S2.bam.bai"]
    bam = VirtualBam(DatasetReader(small.with_suffix(".bams3")))
    assert joined(found["S2.bam"].portions(0, bam.size)) == whole(bam)
    assert (found["S1.bam"].size, found["S1.bam.bai"].size) == (bam.size, len(bam.index("bai")))
    with pytest.raises(DatasetError, match="neither a dataset nor a folder with datasets"):
        datasets_of([f"{bucket}/cohort/logs"])

    need("samtools")
    (code,) = taken_by(__file__, "docs/bridge.md")
    shown = run(code.replace("s3://bucket", bucket), "sh", tmp_path, dict(os.environ))
    assert shown == pysam.idxstats(str(small))


def test_what_can_not_be_a_bam(small: Path) -> None:
    dataset = str(small.with_suffix(".bams3"))
    with pytest.raises(UsageError, match=r"would have the same name, in\.bam"):
        files(datasets_of([dataset, dataset]), Decoder())
    chunk = next((small.with_suffix(".bams3") / "data").rglob("*.chunk"))
    with pytest.raises(UsageError, match="a single chunk can't be shown"):
        datasets_of([str(chunk)])


def test_damage_is_an_error_for_the_reader_and_one_line(local: Path, tmp_path: Path) -> None:
    dataset = Path(shutil.copytree(local, tmp_path / "d.bams3"))
    entry = DatasetReader(dataset).index[0]
    chunk = bytearray((dataset / entry.path).read_bytes())
    chunk[20] ^= 1
    (dataset / entry.path).write_bytes(chunk)
    done = mount(
        dataset,
        tmp_path / "m",
        "--",
        "sh",
        "-c",
        'cat "$0" "$0" > "$1"',
        tmp_path / "m/d.bam",
        tmp_path / "out",
    )
    assert done.returncode == 1
    own = [line for line in done.stderr.splitlines() if line.startswith("bams3 mount: ")]
    assert len(own) == 1
    assert "row group 0: stream" in own[0]
    assert "Input/output error" in done.stderr
    header = VirtualBam(DatasetReader(local)).header
    assert header.startswith((tmp_path / "out").read_bytes()[: len(header)])
