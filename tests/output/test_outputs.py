"""No command replaces or deletes what it was not told to: inputs, a dataset's files, files of others."""

import errno
import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pysam
import pytest
from bams3.cli import main
from bams3.cohort.regions import write_bins
from bams3.dataset import cache
from bams3.dataset.reader import DatasetReader
from bams3.errors import UsageError
from bams3.operations.convert import convert
from bams3.output.alignments import write_alignments
from bams3.output.files import all_or_none, open_output, refuse_place
from bams3.storage import open_storage
from bams3.storage.beside import FileBeside
from remote_datasets import files

CHUNK = "data/c/000000000-001048576.chunk"
SAM = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:c\tLN:3000\n" + "".join(
    f"r{i}\t0\tc\t{i}\t60\t4M\t*\t0\t0\tACGT\tIIII\n" for i in range(1, 9)
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, from now on the current one, with a BAM, its dataset and unfinished dataset, a BED file, a FASTA."""
    monkeypatch.chdir(tmp_path)
    Path("in.sam").write_text(SAM)
    pysam.view("-b", "--no-PG", "-o", "in.bam", "in.sam", catch_stdout=False)
    pysam.index("in.bam")
    convert("in.bam", "d.bams3")
    convert("in.bam", "parts.bams3", batch=(1, 2))
    Path("s.regions.bed.gz").write_text("c\t1\t9\n")
    Path("ref.fa").write_text(">c\n" + "A" * 3000 + "\n")
    Path("notes").write_text("precious\n")
    Path("folder/a").mkdir(parents=True)
    return tmp_path


def refused(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command says that fails with one line."""
    capfd.readouterr()
    assert main([str(argument) for argument in arguments]) == 1
    out, said = capfd.readouterr()
    assert (out, said.count("\n"), "Traceback" in said) == ("", 1, False)
    return said


WRITERS: dict[str, Callable[[str], list[str]]] = {
    "query": lambda out: ["query", "d.bams3", "-o", out],
    "query BAM": lambda out: ["query", "-O", "bam", "d.bams3", "-o", out],
    "query CRAM": lambda out: ["query", "-O", "cram", "d.bams3", "-o", out],
    "number": lambda out: ["query", "-c", "d.bams3", "-o", out],
    "to-bam": lambda out: ["to-bam", "--overwrite", "d.bams3", out],
    "export": lambda out: ["export", "d.bams3", "--parquet", out],
    "part": lambda out: ["coverage", "--batch", "1/1", "d.bams3", "-o", out],
    "coverage": lambda out: ["coverage", "d.bams3", "-o", out],
    "job log": lambda out: ["map", "--joblog", out, "d.bams3", "--", "true"],
    "job log to resume": lambda out: ["map", "--resume", "--joblog", out, "d.bams3", "--", "true"],
    "map": lambda out: ["map", "--output-dir", out, "d.bams3", "--", "cat"],
    "requests": lambda out: ["query", "-c", "--log-requests", out, "d.bams3"],
}
IN_DATASETS = [
    "d.bams3/x", f"d.bams3/{CHUNK}", "d.bams3/_metadata.json", "d.bams3/data/c/new", "parts.bams3/x",
    "parts.bams3/_parts/plan.json", "to_d/x",
]  # fmt: skip


@pytest.fixture
def unlogged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAMS3_LOG_REQUESTS", "")  # and what the option sets is unset afterwards


@pytest.mark.parametrize("out", IN_DATASETS)
@pytest.mark.parametrize("writer", WRITERS)
def test_nothing_is_written_into_a_dataset(
    writer: str, out: str, here: Path, unlogged: None, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("to_d").symlink_to("d.bams3")
    before = files(here)
    assert "lies in the dataset" in refused(capfd, *WRITERS[writer](out))
    assert files(here) == before


@pytest.mark.parametrize("writer", [name for name in WRITERS if name not in ("coverage", "map")])
@pytest.mark.parametrize("out", ["d.bams3", "folder"])
def test_directories(
    writer: str, out: str, here: Path, unlogged: None, capfd: pytest.CaptureFixture[str]
) -> None:
    before = files(here)
    assert "a directory" in refused(capfd, *WRITERS[writer](out))
    assert files(here) == before


@pytest.mark.parametrize("prefix", ["folder/", ".", "folder/.."])
def test_prefixes_that_hide_files(prefix: str, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = files(here)
    assert f"{prefix}: the files would be hidden" in refused(capfd, "coverage", "d.bams3", "-o", prefix)
    assert files(here) == before


def test_a_file_system_that_replaces_nothing(tmp_path: Path) -> None:
    """Such as SFTP, which does not say why."""

    def refuse(_: str, target: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), target)

    for there, said in (
        (False, "Operation not permitted"),
        (True, "it exists, and this file system does not"),
    ):
        target = tmp_path / str(there)
        if there:
            target.touch()
        with pytest.raises(PermissionError, match=said), FileBeside(str(target), ".new") as beside:
            beside.appear(refuse)
        assert list(tmp_path.iterdir()) == [target] * there


BED = "s.regions.bed.gz"
TOUCH_NOTES = "touch {output}; touch $(dirname {output})/notes"

FOREIGN = {
    "BAM that was converted": (["to-bam", "d.bams3", "in.bam"], "--overwrite"),
    "through a link": (["to-bam", "d.bams3", "link"], "--overwrite"),
    "a link to nothing": (["to-bam", "d.bams3", "dangling"], "--overwrite"),
    "BED": (["query", "d.bams3", "-L", "s.regions.bed.gz", "-o", "s.regions.bed.gz"], "an input"),
    "BED, counted": (["query", "-c", "d.bams3", "-L", "link_to_bed", "-o", "s.regions.bed.gz"], "an input"),
    "BED, exported": (["export", "d.bams3", "-L", "s.regions.bed.gz", "--parquet", "./s.regions.bed.gz"], "an input"),
    "BED of coverage": (["coverage", "d.bams3", "--by", "s.regions.bed.gz", "-o", "s"], "an input"),
    "BED of a part": (["coverage", "d.bams3", "-b", "link_to_bed", "--batch", "1/1", "-o", BED], "an input"),
    "FASTA": (["query", "d.bams3", "-O", "cram", "-T", "ref.fa", "-o", "ref.fa"], "an input"),
    "job log": (["map", "--joblog", "notes", "d.bams3", "--", "true"], "not a job log"),
    "job log to resume": (["map", "--resume", "--joblog", "in.bam", "d.bams3", "--", "true"], "not a job log"),
    "log of requests": (["query", "-c", "--log-requests", "in.bam", "d.bams3"], "not a log of requests"),
    "directory among the files": (["coverage", "d.bams3", "-o", "folder/b"], "a directory"),
    "beside a chunk's file": (["map", "--output-dir", ".", "d.bams3", "--", TOUCH_NOTES], "notes: already exists"),
}  # fmt: skip


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign_files_stay(case: str, here: Path, unlogged: None, capfd: pytest.CaptureFixture[str]) -> None:
    Path("link").symlink_to("notes")
    Path("link_to_bed").symlink_to("s.regions.bed.gz")
    Path("dangling").symlink_to("nowhere")
    Path("folder/b.mosdepth.global.dist.txt").mkdir()
    Path("folder/b.mosdepth.summary.txt").write_text("precious\n")
    before = files(here)
    command, said = FOREIGN[case]
    capfd.readouterr()
    assert main(command) == 1
    errors = capfd.readouterr().err
    assert said in errors
    assert "Traceback" not in errors
    assert files(here) == before
    assert os.readlink("dangling") == "nowhere"


def test_existing_output(here: Path) -> None:
    with pytest.raises(UsageError, match=r"in\.bam: already exists"):
        write_alignments([], DatasetReader("d.bams3").header, "in.bam", format="bam", overwrite=False)
    before = files(here)
    with suppress(InterruptedError), open_output("notes") as file:
        file.write(b"half")
        raise InterruptedError
    with suppress(InterruptedError), all_or_none("s") as create:
        create(".regions.bed.gz").write(b"half")
        raise InterruptedError
    assert files(here) == before
    Path("link").symlink_to("notes")
    with open_output("link") as file:
        file.write(b"new")
    assert (Path("link").is_symlink(), Path("notes").read_text()) == (True, "new")
    os.chmod("notes", 0o444)
    if not os.access("notes", os.W_OK):  # root may write everywhere
        with pytest.raises(PermissionError), open_output("notes"):
            pass


@pytest.mark.parametrize(
    "command", [["to-bam", "--overwrite", "d.bams3", "in.bam"], ["query", "d.bams3", "-o", "in.bam"]]
)
def test_a_stale_index_goes(command: list[str], here: Path) -> None:
    Path("in.bai").write_text("of the old one")
    Path("in.bam.csi").symlink_to("notes")
    Path("in.bam.bak").write_text("precious")
    assert main(command) == 0
    assert {path.name for path in here.glob("in.*")} == {"in.sam", "in.bam", "in.bam.csi", "in.bam.bak"}
    assert Path("notes").read_text() == "precious\n"
    Path("new.bam.bai").write_text("of another")
    assert main(["query", "d.bams3", "-o", "new.bam"]) == 0  # replaces nothing
    assert Path("new.bam.bai").exists()


def test_pipes_are_written_to(here: Path) -> None:
    os.mkfifo("pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_bytes()))
    reader.start()
    assert main(["query", "-h", "d.bams3", "-o", "pipe"]) == 0
    reader.join()
    assert read[0].decode() == SAM
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_a_redirected_output_is_continued(name: str, here: Path, commands: dict[str, str]) -> None:
    import subprocess

    subprocess.run(["bash", "-c", f"bams3 query d.bams3 -o {name} >> notes"], env=commands, check=True)
    assert Path("notes").read_text() == "precious\n" + "".join(SAM.splitlines(keepends=True)[2:])


def test_map_keeps_what_is_in_its_folder(here: Path) -> None:
    Path("out").mkdir()
    Path("out/c-notes").write_text("precious")
    for _ in range(2):  # the second replaces its own
        command = [
            "map",
            "--joblog",
            "log",
            "--output-dir",
            "out",
            "d.bams3",
            "--",
            "touch {output} {output}.x",
        ]
        assert main(command) == 0
    stem = "c-000000000-001048576"
    assert files(Path("out")) == {"c-notes": b"precious", stem: b"", f"{stem}.x": b""}


def test_a_folder_that_only_looks_like_a_dataset(here: Path) -> None:
    Path("folder/_metadata.json").write_text('{"format": "of another tool"}')
    refuse_place("folder/x")
    write_bins("folder/bins.bed", [("c", 3000)])
    with pytest.raises(UsageError, match="lies in the dataset"):
        write_bins("d.bams3/bins.bed", [("c", 3000)])


def test_cache_in_a_folder_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only entries that the cache made are dropped, whatever else has such names."""
    monkeypatch.setenv(cache.SIZE, "10")
    folder, elsewhere, digest = tmp_path / "home", tmp_path / "elsewhere", "0123456789abcdef" * 2
    foreign = [
        "thesis", "7-00000000", "a/7-00000000", f"{digest}/thesis", f"{digest}/7-0000000g", f"{digest}/9-00000000",
        f"{digest}/a/8-00000000", f"{digest}.old/8-00000000",
    ]  # fmt: skip
    for name in foreign:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("precious")
    elsewhere.mkdir()
    (elsewhere / "8-00000000").write_text("precious")
    (folder / ("f" * 32)).symlink_to(elsewhere)
    (folder / digest / "8-11111111").symlink_to(elsewhere / "8-00000000")
    before = files(tmp_path)
    left = folder / digest / "8-00000000.1.00000000.tmp"
    for old in (left, folder / digest / "8-22222222"):
        old.write_text("8 bytes.")
        os.utime(old, (1, 1))
    for number in range(3):
        cache.Cache(str(folder), f"s3://b/{number}").put(b"%d" % number * 9)
    after = files(tmp_path)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 1
    linked = cache.Cache(str(folder), "s3://b/linked")
    os.symlink(elsewhere, linked._folder)
    linked.put(b"x")
    assert files(elsewhere) == {"8-00000000": b"precious"}


REMOTE = {
    "in the dataset": (["query", "{d}", "-o", "{d}/x.sam"], "an input"),
    "in another": (["query", "d.bams3", "-o", "{d}/data/c/x.sam"], "lies in the dataset"),
    "over a manifest": (["export", "d.bams3", "--parquet", "{d}/_metadata.json"], "lies in the dataset"),
    "coverage": (["coverage", "d.bams3", "-o", "{d}/_index/x"], "lies in the dataset"),
    "existing": (["to-bam", "d.bams3", "{b}/x.bam"], "exists"),
    "BED": (["query", "d.bams3", "-L", "{b}/x.bed", "-o", "{b}/x.bed"], "an input"),
}


@pytest.mark.parametrize("case", REMOTE)
def test_in_a_bucket(case: str, here: Path, bucket: str, capfd: pytest.CaptureFixture[str]) -> None:
    storage = open_storage(bucket)
    for name, data in files(Path("d.bams3")).items():
        storage.put(f"d.bams3/{name}", data)
    for name in ("x.bam", "x.bam.bai", "x.bed"):
        storage.put(name, b"precious")
    before = {name: storage.get(name) for name in storage.list()}
    command, said = REMOTE[case]
    assert said in refused(capfd, *(word.format(d=f"{bucket}/d.bams3", b=bucket) for word in command))
    assert {name: storage.get(name) for name in storage.list()} == before
    if case == "existing":
        assert main(["to-bam", "--overwrite", "d.bams3", f"{bucket}/x.bam"]) == 0
        assert before.keys() - set(storage.list()) == {"x.bam.bai"}
