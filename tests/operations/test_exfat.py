"""Datasets on exFAT through FUSE: names differ by more than case, files have one name, and those that are deleted while
they are open stay for some time, as on NFS."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bams3.cli import main
from command_line import write_small
from listings import contents
from peers import need

import bams3

CONVERT = "convert --chunk-size 256K -@ 1"
COMMANDS = {
    f"{CONVERT} x.bam new.bams3": "",
    f"{CONVERT} x.bam NEW.bams3": "NEW.bams3 is a complete dataset; use --overwrite to replace it",
    f"{CONVERT} --overwrite --level 1 x.bam new.bams3": "",
    f"{CONVERT} --overwrite x.bam new.bams3": "",
    f"{CONVERT} --batch 1/2 x.bam parts.bams3": "",
    f"{CONVERT} --batch 2/2 --resume x.bam parts.bams3": "",
    "merge parts.bams3": "",
    f"{CONVERT} --sort --memory 20K --tmp-dir . x.bam sorted.bams3": "",
    "to-bam -@ 1 new.bams3 back.bam": "",
    "to-bam -@ 1 --overwrite new.bams3 BACK.bam": "",
    "rewrite -@ 1 new.bams3 level.bams3": "",
    "rewrite -@ 1 --overwrite --level 1 new.bams3 level.bams3": "",
    "append -c -p -@ 1 sorted.bams3 x.bam": "",
    "verify --strict sorted.bams3": "",
    "query -@ 1 -o reads.sam new.bams3 chr2": "",
    "coverage -@ 1 -o depth new.bams3": "",
    "repair new.bams3": "",
}


@pytest.fixture
def exfat(tmp_path: Path) -> Iterator[Path]:
    """A folder on a new file system, in a file."""
    need("mount.exfat-fuse")
    need("mkfs.exfat")
    if os.geteuid() or not Path("/dev/loop-control").exists():
        pytest.skip("only root can mount a file")
    image, folder = tmp_path / "image", tmp_path / "exfat"
    image.touch()
    os.truncate(image, 32 << 20)
    folder.mkdir()
    subprocess.run(["mkfs.exfat", str(image)], check=True, capture_output=True)
    found = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
    device = found.stdout.strip()
    try:
        subprocess.run(["mount.exfat-fuse", device, folder], check=True, capture_output=True)
        yield folder
    finally:
        os.chdir("/")
        subprocess.run(["umount", folder], check=False)
        subprocess.run(["losetup", "--detach", device], check=True)


def test_commands(
    exfat: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each does what it does elsewhere."""
    small = write_small(tmp_path) / "small.bam"
    shutil.copy(small, exfat / "x.bam")
    shutil.copy(f"{small}.bai", exfat / "x.bam.bai")
    monkeypatch.chdir(exfat)
    (exfat / "Abc").touch()
    assert (exfat / "aBC").exists()
    with pytest.raises(OSError, match="not permitted"):
        os.link(exfat / "Abc", exfat / "other")
    for command, refusal in COMMANDS.items():
        code = main(command.split())
        said = capfd.readouterr().err
        assert (code, refusal in said) == (bool(refusal), True), f"{command}: {said}"
    expected = tmp_path / "there.bams3"
    bams3.convert(small, expected, chunk_size="256K", workers=1)
    for name in ("new.bams3", "parts.bams3"):
        assert contents(exfat / name) == contents(expected)
    assert bams3.open("sorted.bams3").count() == 2 * bams3.open(expected).count()
    assert not [path for path in exfat.iterdir() if path.name.startswith((".bams3", "."))]
