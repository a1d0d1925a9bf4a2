"""Datasets on file systems through FUSE. On exFAT, names differ by more than case, and files have one name. A network
folder has no files without a name, and a client of it does not see at once what another one does. On both, files that
are deleted while they are open stay for some time, as on NFS."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager, suppress
from pathlib import Path

import httpx2
import network_folder
import pytest
from bams3.bridge.virtual_bam import VirtualBam
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from command_line import write_small
from listings import contents
from peers import need
from served import HANG, serving
from virtual_bams import whole

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
    "markdup -@ 1 -S --tmp-dir . sorted.bams3 marked.bams3": "",
    "verify --strict sorted.bams3": "",
    "query -@ 1 -o reads.sam new.bams3 chr2": "",
    "coverage -@ 1 -o depth new.bams3": "",
    "repair new.bams3": "",
}
KILLED = """
import os, sys
from bams3.cli import main
from bams3.dataset import parts
parts.assembled = lambda *_: os.kill(os.getpid(), 9)
main(sys.argv[1:])
"""
"""A command that is killed when it has written all but the manifest."""


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
        subprocess.run(["umount", folder], check=False)
        subprocess.run(["losetup", "--detach", device], check=True)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a network folder, the same for each client, and returns where."""
    need("fusermount3")
    (shared := tmp_path / "shared").mkdir()

    @contextmanager
    def mounted(name: str) -> Iterator[Path]:
        (place := tmp_path / name).mkdir()
        process = subprocess.Popen([sys.executable, network_folder.__file__, shared, place])
        try:
            while not os.path.ismount(place):
                assert process.poll() is None
                os.sched_yield()
            yield place
        finally:
            subprocess.run(["fusermount3", "-u", "-z", place], check=False)
            process.kill()
            process.wait()

    with ExitStack() as stack:
        yield lambda name: stack.enter_context(mounted(name))


def with_source(folder: Path, tmp_path: Path) -> Path:
    """Have x.bam and its index in a folder; return the dataset that a local disk has of it."""
    small = write_small(tmp_path) / "small.bam"
    shutil.copy(small, folder / "x.bam")
    shutil.copy(f"{small}.bai", folder / "x.bam.bai")
    bams3.convert(small, tmp_path / "there.bams3", chunk_size="256K", workers=1)
    return tmp_path / "there.bams3"


def check_commands(folder: Path, expected: Path, capfd: pytest.CaptureFixture[str], *, by_case: bool) -> None:
    """Each does what it does elsewhere. `by_case`: names may differ in case alone."""
    with chdir(folder):
        for command, refusal in COMMANDS.items():
            refused = refusal and not by_case
            code = main(command.split())
            said = capfd.readouterr().err
            assert (code, not refused or refusal in said) == (bool(refused), True), f"{command}: {said}"
    for name in ("new.bams3", "parts.bams3"):
        assert contents(folder / name) == contents(expected)
    assert bams3.open(folder / "sorted.bams3").count() == 2 * bams3.open(expected).count()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_exfat(exfat: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    expected = with_source(exfat, tmp_path)
    (exfat / "Abc").touch()
    assert (exfat / "aBC").exists()
    with pytest.raises(OSError, match="not permitted"):
        os.link(exfat / "Abc", exfat / "other")
    check_commands(exfat, expected, capfd, by_case=False)


def test_a_network_folder(
    client: Callable[[str], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = client("one")
    expected = with_source(folder, tmp_path)
    with pytest.raises(OSError, match="not supported"):
        os.open(folder, os.O_TMPFILE | os.O_RDWR)
    check_commands(folder, expected, capfd, by_case=True)


def test_two_clients_of_a_network_folder(
    client: Callable[[str], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What one writes, or is killed in, is for the other one the old dataset, the new one, or an error."""
    writer, reader = client("one"), client("other")
    expected = with_source(writer, tmp_path)
    assert main(["stats", str(reader / "d.bams3")]) == 1
    words = ["convert", "--chunk-size", "256K", "-@", "1", str(writer / "x.bam"), str(writer / "d.bams3")]
    assert subprocess.run([sys.executable, "-c", KILLED, *words]).returncode == -signal.SIGKILL
    assert main(["stats", str(writer / "d.bams3")]) == 1
    assert main([words[0], "--resume", *words[1:]]) == 0
    assert contents(writer / "d.bams3") == contents(expected)
    reader = client("third")  # the other one remembers for an hour that there is no dataset
    data = whole(VirtualBam(DatasetReader(expected)))
    other = [*words[:-2], str(tmp_path / "small.bam"), str(tmp_path / "other.bams3"), "--drop-tags", "NM"]
    assert main(other) == 0
    other_data = whole(VirtualBam(DatasetReader(tmp_path / "other.bams3")))
    assert data != other_data
    with serving(reader / "d.bams3") as server:
        url = f"{server.url}/bam/d.bam"
        assert httpx2.get(url, timeout=HANG).content == data
        assert main([words[0], "--overwrite", "--drop-tags", "NM", *words[1:]]) == 0
        with suppress(httpx2.HTTPError):  # an answer that is broken off
            answer = httpx2.get(url, timeout=HANG)
            assert answer.status_code >= 500 or answer.content in (data, other_data)
    capfd.readouterr()
