"""Clients of htsget that others wrote find the records that samtools finds in the BAM; htsjdk does at files, too."""

import subprocess
from pathlib import Path

import pysam
import pytest
from mounts import fuse, limit, mounted  # noqa: F401
from peers import need
from remote_datasets import REGION
from served import serving

CONTIG, FIRST, LAST = REGION.replace(":", "-").split("-")
CLIENTS = [
    "samtools view -b -o {out} '{url}?referenceName={contig}&start={start}&end={end}'",
    "htsget --reference-name {contig} --start {start} --end {end} -O {out} {url}",
    "htsget -O {out} {url}",
]


@pytest.mark.parametrize("command", CLIENTS)
def test_what_clients_fetch(command: str, source: Path, local: Path, tmp_path: Path) -> None:
    need(command.split()[0])
    with serving(local) as server:
        words = {"contig": CONTIG, "start": int(FIRST) - 1, "end": LAST, "url": f"{server.url}/reads/d"}
        line = command.format(out=tmp_path / "out.bam", **words)
        subprocess.run(["sh", "-c", line], check=True)
    place = [REGION] if CONTIG in line else []
    given = pysam.view(str(tmp_path / "out.bam"))
    assert given == pysam.view(str(source), *place)
    assert given


def test_htsjdk(source: Path, local: Path, gatk: None, tmp_path: Path) -> None:
    """One process reads the BAM, the mount, the file at the server, and htsget."""
    need("htsjdk")
    with mounted(local, at=tmp_path / "mnt") as folder, serving(local) as server:
        places = [source, folder / "d.bam", f"{server.url}/bam/d.bam", f"{server.url}/reads/d"]
        script = Path(__file__).with_name("htsjdk.js")
        given = subprocess.run(
            ["htsjdk", script, CONTIG, FIRST, LAST, *places], check=True, text=True, stdout=subprocess.PIPE
        ).stdout
    first, *others = given.split("--\n")[:-1]
    assert others == [first] * 3
    assert first.count("\n") == pysam.view(str(source), REGION).count("\n") > 0
