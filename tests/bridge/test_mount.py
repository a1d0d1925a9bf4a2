"""Mounted datasets: programs that read BAM files read them, and a mount never outlives what it is for."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pysam
import pytest
from bams3.bridge.decoder import Decoder
from bams3.bridge.shelf import datasets_of, files
from bams3.bridge.virtual_bam import VirtualBam
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from bams3.errors import DatasetError, UsageError
from bams3.storage import open_storage
from conftest import need
from virtual_bams import fetched, index_counts, places, whole


@pytest.fixture(autouse=True)
def _fuse() -> None:
    need("fusermount3")


@contextmanager
def running(*words: object) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """`bams3 mount`, which has printed its first line; it is killed in the end, with all that it started."""
    command = ["bams3", "mount", *map(str, words)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, start_new_session=True, **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), process.communicate()[1]
            yield process, process.stdout
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)


@contextmanager
def mounted(*sources: object, at: Path) -> Iterator[Path]:
    """The folder in which sources are mounted."""
    with running(*sources, at, "--", "sh", "-c", "echo; read line") as (process, _):
        yield at
        _, said = process.communicate()
        assert (process.returncode, said) == (1, "")  # nothing to read
    assert not at.exists()


def mount(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bams3", "mount", *map(str, words)], capture_output=True, text=True)


CLIENTS = {
    "samtools": [
        "samtools view -h --no-PG {bam}", "samtools view -c {bam} {region}", "samtools idxstats {bam}",
        "samtools flagstat {bam}",
    ],
    "bcftools": ["bcftools mpileup --no-version --no-reference -r {region} {bam}"],
    "mosdepth": ["mosdepth x {bam} && zcat x.per-base.bed.gz && cat x.mosdepth.*"],
}  # fmt: skip


def test_clients_give_what_they_give_of_the_bam(real_bam: Path, real_dataset: Path, tmp_path: Path) -> None:
    for tool in CLIENTS:
        need(tool)
    with pysam.AlignmentFile(str(real_bam)) as file:
        first = next(read for read in file if not read.is_unmapped)
    region = f"{first.reference_name}:{first.reference_start}-{first.reference_start + 500}"
    with mounted(real_dataset, at=tmp_path / "mnt") as folder:
        shown = folder / real_bam.name
        found = os.stat(shown)
        assert found.st_size == VirtualBam(DatasetReader(real_dataset)).size
        assert found.st_mtime == int((real_dataset / "_metadata.json").stat().st_mtime * 1e9) / 1e9
        assert sorted(os.listdir(folder)) == [real_bam.name, f"{real_bam.name}.bai"]
        for commands in CLIENTS.values():
            for command in commands:
                outputs = [
                    printed(command.format(bam=bam, region=region), bam, tmp_path)
                    for bam in (shown, real_bam)
                ]
                assert outputs[0] == outputs[1], command
        at = places(real_bam, 20)
        assert fetched(shown, at) == fetched(real_bam, at)
        assert index_counts(shown) == index_counts(real_bam)


def printed(command: str, bam: Path, folder: Path) -> bytes:
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout
    return done.stdout.replace(os.fsencode(bam), b"BAM")


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


def test_a_prefix_of_datasets(small: Path, bucket: str) -> None:
    for name in ("S1", "S2"):
        storage = open_storage(f"{bucket}/cohort/{name}.bams3")
        for path in (path for path in small.with_suffix(".bams3").rglob("*") if path.is_file()):
            storage.put(str(path.relative_to(small.with_suffix(".bams3"))), path.read_bytes())
    open_storage(f"{bucket}/cohort/logs").put("x", b"")
    found = files(datasets_of([f"{bucket}/cohort/"]), Decoder())
    assert [*found] == ["S1.bam", "S1.bam.bai", "S2.bam", "S2.bam.bai"]
    bam = VirtualBam(DatasetReader(small.with_suffix(".bams3")))
    assert found["S2.bam"].read(0, bam.size) == whole(bam)
    assert (found["S1.bam"].size, found["S1.bam.bai"].size) == (bam.size, len(bam.index("bai")))
    with pytest.raises(DatasetError, match="neither a dataset nor a folder with datasets"):
        datasets_of([f"{bucket}/cohort/logs"])


def test_what_can_not_be_a_bam(small: Path) -> None:
    dataset = str(small.with_suffix(".bams3"))
    with pytest.raises(UsageError, match=r"would be in\.bam, as"):
        files(datasets_of([dataset, dataset]), Decoder())
    chunk = next((small.with_suffix(".bams3") / "data").rglob("*.chunk"))
    with pytest.raises(UsageError, match="a chunk has no BAM"):
        datasets_of([str(chunk)])


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("test -s $0", 0)]
)
def test_the_exit_code_of_the_command(small: Path, tmp_path: Path, script: str, code: int) -> None:
    done = mount(
        small.with_suffix(".bams3"), tmp_path / "m", "--", "sh", "-c", script, tmp_path / "m" / "in.bam"
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize("with_command", [True, False], ids=["command", "foreground"])
def test_signals(small: Path, tmp_path: Path, name: str, with_command: bool) -> None:
    """They go to the command, and end a mount without one, which is no error."""
    number = signal.Signals[name]
    command = ["--", "sh", "-c", "echo; exec sleep 1000"] if with_command else []
    with running(small.with_suffix(".bams3"), tmp_path / "m", *command) as (process, _):
        assert os.path.ismount(tmp_path / "m")
        process.send_signal(number)
        assert process.wait() == (128 + number if with_command else 0)
        assert not (tmp_path / "m").exists()


def test_a_killed_bams3_leaves_no_mount(small: Path, tmp_path: Path) -> None:
    with running(small.with_suffix(".bams3"), tmp_path / "m", "--", "sh", "-c", "echo; exec sleep 1000") as (
        process,
        out,
    ):
        process.kill()
        process.wait()
        os.killpg(process.pid, signal.SIGKILL)  # the command, which holds its output, too
        assert out.read() == ""  # the serving process has ended as well
        assert not os.path.ismount(tmp_path / "m")
        assert os.listdir(tmp_path / "m") == []


def test_unmounting_ends_it(small: Path, tmp_path: Path) -> None:
    with running(small.with_suffix(".bams3"), tmp_path / "m") as (process, _):
        subprocess.run(["fusermount3", "-u", tmp_path / "m"], check=True)
        assert process.wait() == 0


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


CAN_NOT = {
    "no dataset": (["{0}/none.bams3", "{0}/m"], "not a bams3 dataset"),
    "an empty folder": (["{0}/empty", "{0}/m"], "neither a dataset nor a folder with datasets"),
    "files in the folder": (["{1}", "{0}"], "not empty"),
    "in a dataset": (["{1}", "{1}/m"], "lies in the dataset"),
    "nowhere": (["{1}", "{0}/none/m"], "No such file"),
    "no command": (["{1}", "{0}/m", "--", "{0}/none"], "No such file"),
    "no memory": (["--memory", "0", "{1}", "{0}/m"], "give a positive number"),
}  # fmt: skip


@pytest.mark.parametrize("case", CAN_NOT)
@pytest.mark.parametrize("ending", [[], ["--", "true"]], ids=["foreground", "command"])
def test_mistakes_are_one_line(small: Path, tmp_path: Path, case: str, ending: list[str]) -> None:
    words, message = CAN_NOT[case]
    (tmp_path / "empty").mkdir()
    done = mount(
        *(word.format(tmp_path, small.with_suffix(".bams3")) for word in words),
        *(ending if "--" not in words else []),
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == ["empty"]


def test_without_the_device(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bams3.bridge.mount.DEVICE", "/dev/none")
    assert main(["mount", str(small.with_suffix(".bams3")), str(tmp_path / "m")]) == 1
    assert capfd.readouterr().err.startswith(
        f"bams3 mount: {tmp_path}/m: can't be mounted: /dev/none does not exist"
    )


def test_without_the_right_to_mount(small: Path, tmp_path: Path) -> None:
    need("setpriv")
    done = subprocess.run(
        ["setpriv", "--bounding-set", "-sys_admin", "bams3", "mount", small.with_suffix(".bams3"), tmp_path / "m"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"bams3 mount: {tmp_path}/m: can't be mounted: ")
    assert done.stderr.count("\n") == 1
