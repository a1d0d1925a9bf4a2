"""A mounted dataset in an object store: few requests, and no wrong byte when some of them fail."""

import subprocess
from pathlib import Path

import pytest
from bams3.dataset.reader import DatasetReader
from mounts import fuse, limit, mounted  # noqa: F401
from remote_datasets import REGION
from servers.faults import Faults


def viewed(bam: Path, region: str = REGION) -> bytes:
    """The proxy is in this process: a library of it that waits for the mount would stop it."""
    return subprocess.run(["samtools", "view", bam, region], capture_output=True, check=True).stdout


def test_a_region_takes_few_requests(
    remote: str, local: Path, source: Path, faults: Faults, tmp_path: Path
) -> None:
    """Beside the two of mounting: index, header, time; and the footer with the streams of the row group."""
    with mounted(remote, at=tmp_path / "m") as folder:
        faults.arm("")
        assert viewed(folder / "d.bam") == viewed(source)
        requests = faults.disarm()
    chunk = DatasetReader(local).index[0]
    touched = chunk.zones[1].hot + chunk.zones[1].cold + chunk.footer_bytes
    assert len(requests) <= 4
    assert touched <= sum(request.received for request in requests) <= 1.1 * touched


@pytest.mark.parametrize("kind", ["503", "reset", "cut", "corrupt"])
@pytest.mark.parametrize("at", [0, 3])
def test_faults(remote: str, source: Path, faults: Faults, tmp_path: Path, kind: str, at: int) -> None:
    """`at`: which request after mounting fails: the index, or records."""
    with mounted(remote, at=tmp_path / "m") as folder:
        faults.arm(kind, at=at)
        assert viewed(folder / "d.bam") == viewed(source)
        assert len(faults.disarm()) > at


def test_a_lasting_fault_is_an_error(remote: str, faults: Faults, tmp_path: Path) -> None:
    script = "samtools quickcheck $0 && echo opened && read line; samtools view -c $0 chr2"
    command = [
        "bams3",
        "mount",
        remote,
        str(tmp_path / "m"),
        "--",
        "sh",
        "-c",
        script,
        str(tmp_path / "m/d.bam"),
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "opened\n"
        faults.arm("403", times=1000)
        out, said = process.communicate("\n")
    assert (process.returncode != 0, out) == (True, "")
    own = [line for line in said.splitlines() if line.startswith("bams3 mount: ")]
    assert len(own) == 1
    assert "403" in own[0] or "denied" in own[0].lower()
