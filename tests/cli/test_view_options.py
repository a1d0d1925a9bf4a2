"""bams3 query with the options of samtools view: the same reads, byte for byte, and the same formats."""

import gzip
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pysam
import pytest
from bams3.cli import main
from conftest import DATA

import bams3

BAM = "in.bam"  # a copy, which has an index
REGION = "chr4:115922000-115924000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("view")
    shutil.copy(DATA / "illumina_wgs_NA12878.bam", folder / BAM)
    pysam.index(str(folder / BAM))
    bams3.convert(folder / BAM, folder / "d.bams3", level=1)
    reads = pysam.samtools.view(str(folder / BAM), REGION).splitlines()
    names = [line.split("\t")[0] for line in reads[::7]]
    (folder / "names").write_text("\n".join(names) + "\n")
    (folder / "groups").write_text("no such group\n")
    (folder / "values").write_text("0\n1\n")
    (folder / "x.bed").write_text("chr4\t115922900\t115923100\nchrX\t0\t200000000\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


OPTIONS = [
    "-G 80", "--rf 64", "--incl-flags DUP,READ1", "-m 101", "-m 60 -q 20", "-N names", "-N ^names -f 2", "-R groups",
    "-l nothing", "-d NM", "-d NM:1", "-D NM:values", "-s 7.3", "-s 0.25", "--subsample 0.1 --subsample-seed 3",
    "-x MD,NM", "-x ^NM", "--keep-tag NM,AS", "--add-flags DUP", "--remove-flags 3", "-p -f 64", "-p -e [NM]==0",
    "-z all", "-G 12 -F 1024 -q 10 -e mapq<60", "-L x.bed", "-S -M -F 4", "-d NM:1 -x MD --add-flags 512",
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("count", [[], ["-c"]], ids=["reads", "count"])
def test_options(folder: Path, capfd: pytest.CaptureFixture[str], options: str, count: list[str]) -> None:
    words = [*options.split(), *count]
    expected = pysam.samtools.view(*words, BAM, REGION)
    assert main(["query", *words, "d.bams3", REGION]) == 0, capfd.readouterr().err
    assert capfd.readouterr().out == expected
    assert expected or "nothing" in options or "groups" in options


FORMATS = {
    "-b": b"\x1f\x8b", "-bh": b"\x1f\x8b", "-u": b"\x1f\x8b", "-1": b"\x1f\x8b", "-C": b"CRAM", "-O BAM": b"\x1f\x8b",
    "-O CRAM": b"CRAM", "-h": b"@SQ", "-S": None, "-Sh": b"@SQ", "-o x.bam": b"\x1f\x8b", "-o x.cram": b"CRAM",
    "-o x.sam": None, "-o x.sam.gz": b"\x1f\x8b",
}  # fmt: skip


@pytest.mark.parametrize("options", FORMATS)
def test_formats(folder: Path, tmp_path: Path, options: str) -> None:
    words = options.split()
    out = tmp_path / (words[1] if words[0] == "-o" else "out")
    words = ["-o", str(out), *([] if words[0] == "-o" else words)]
    assert main(["query", *words, "d.bams3", REGION]) == 0
    assert FORMATS[options] is None or out.read_bytes().startswith(FORMATS[options] or b"")
    if options == "-o x.sam.gz":
        text = gzip.decompress(out.read_bytes()).decode()
    else:
        text = pysam.samtools.view(str(out)) if FORMATS[options] else out.read_text()
    columns = 11 if FORMATS[options] == b"CRAM" else None  # CRAM has its own order of tags
    assert rows(text, columns) == rows(pysam.samtools.view(BAM, REGION), columns)


def rows(text: str, columns: int | None) -> list[list[str]]:
    return [line.split("\t")[:columns] for line in text.splitlines() if not line.startswith("@")]


@pytest.mark.parametrize(("name", "index"), [("x.bam", ".csi"), ("x.cram", ".crai")])
def test_an_index_is_written(folder: Path, tmp_path: Path, name: str, index: str) -> None:
    out = tmp_path / name
    assert main(["query", "--write-index", "-o", str(out), "d.bams3", "chr4"]) == 0
    assert Path(f"{out}{index}").exists()
    assert rows(pysam.samtools.view(str(out), REGION), 11) == rows(pysam.samtools.view(BAM, REGION), 11)


REFUSED = {
    "-P": "give the list to -N", "--fetch-pairs": "give the list to -N", "-U x.bam": "opposite filter",
    "--write-index": "needs -o FILE", "-N none": "none", "--keep-tag N": "samtools view", "-s 1.x": "samtools view",
}  # fmt: skip


@pytest.mark.parametrize("options", REFUSED)
def test_what_is_refused(folder: Path, capfd: pytest.CaptureFixture[str], options: str) -> None:
    assert main(["query", *options.split(), "d.bams3"]) != 0
    said = capfd.readouterr().err.splitlines()
    assert said[-1].startswith("bams3 query: ")
    assert REFUSED[options] in said[-1]


@pytest.mark.parametrize("option", ["-N", "-L"])
def test_files_may_be_pipes_of_the_shell(folder: Path, option: str) -> None:
    name = {"-N": "names", "-L": "x.bed"}[option]
    line = f"bams3 query -c {option} <(cat {name}) d.bams3 {REGION}"
    done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (pysam.samtools.view("-c", option, name, BAM, REGION), "")


def test_a_reader_may_leave_early(folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", "set -o pipefail; bams3 query -x NM d.bams3 | head -n 1"],
        cwd=folder,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("name", ["--workers", "--parallel", "--threads", "-@"])
@pytest.mark.parametrize("command", ["query -c", "stats --samtools-stats", "verify"])
def test_threads_by_any_name(
    folder: Path, capfd: pytest.CaptureFixture[str], command: str, name: str
) -> None:
    assert main([*command.split(), name, "2", "d.bams3"]) == 0
