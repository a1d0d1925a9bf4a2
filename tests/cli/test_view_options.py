"""bams3 query and to-bam with the options of samtools view: the same reads, byte for byte, and the same formats."""

import gzip
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pysam
import pytest
from bams3.cli import main
from peers import DATA

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
    (folder / "more").write_text("\n".join(line.split("\t")[0] for line in reads[::5]) + "\n")
    (folder / "x.bed").write_text("chr4\t115922900\t115923100\nchrX\t0\t200000000\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


OPTIONS = [
    "-G 80", "--rf 64", "--incl-flags DUP,READ1", "-m 101", "-m 60 -q 20", "-N names", "-N ^names -f 2", "-R groups",
    "-l nothing", "-d NM", "-d NM:1", "-D NM:values", "-s 7.3", "-s 0.25", "--subsample 0.1 --subsample-seed 3",
    "-x MD,NM", "-x ^NM", "--keep-tag NM,AS", "--keep-tag=", "--add-flags DUP", "--remove-flags 3", "-p -f 64",
    "-p -e [NM]==0", "-z all", "-G 12 -F 1024 -q 10 -e mapq<60", "-L x.bed", "-L x.bed -p", "-S -M -F 4",
    "-d NM:1 -x MD --add-flags 512",
    "-f 16 -f 64", "-F 16 -F 64", "-G 80 -G 1024", "--rf 1024 --rf 4", "-N names -N more", "-d NM:1 -d NM:0",
    "-x MD -x NM", "--keep-tag NM --keep-tag AS", "--add-flags DUP --add-flags 512", "-q 60 -q 20", "-s 7.3 -s 1.5",
    "-r 1 -r NA12878", "-r 1 -r groups", "-r NA12878 -R groups", "-r 1 -r NA12878 -p -f 64",
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("count", [[], ["-c"]], ids=["reads", "count"])
def test_options(folder: Path, capfd: pytest.CaptureFixture[str], options: str, count: list[str]) -> None:
    words = [*options.split(), *count]
    expected = pysam.samtools.view(*words, BAM, REGION)
    assert main(["query", *words, "d.bams3", REGION]) == 0, capfd.readouterr().err
    assert capfd.readouterr().out == expected
    assert expected or "nothing" in options or "groups" in options


def test_intervals_with_unmap(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """All reads stay; with -M only those that overlap, as with its index in samtools."""
    for more, least in ([], 40_000), (["-M"], 100):
        assert main(["query", "-p", "-L", "x.bed", *more, "d.bams3"]) == 0
        out = capfd.readouterr().out
        assert out == pysam.samtools.view("-p", "-L", "x.bed", *more, BAM)
        assert out.count("\n") > least


@pytest.mark.parametrize(
    ("options", "message"),
    [("--subsample 2", 'sampling argument "2"'), ("-m x", 'min_qlen "x"'), ("-G x", "flag 'x'")],
)
def test_values_that_samtools_refuses(
    folder: Path, capfd: pytest.CaptureFixture[str], options: str, message: str
) -> None:
    """In one line, though samtools ends some of them with exit code 0."""
    assert main(["query", *options.split(), "d.bams3", REGION]) == 1
    said = capfd.readouterr().err
    assert message in said
    assert said.count("\n") == 1


FORMATS = {
    "-b": b"\x1f\x8b", "-bh": b"\x1f\x8b", "-u": b"\x1f\x8b", "-1": b"\x1f\x8b", "-C": b"CRAM", "-O BAM": b"\x1f\x8b",
    "-O CRAM": b"CRAM", "-h": b"@SQ", "-S": None, "-Sh": b"@SQ", "-o x.bam": b"\x1f\x8b", "-o x.cram": b"CRAM",
    "-o x.sam": None, "-o x.sam.gz": b"\x1f\x8b",
}  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS)
def test_options_of_to_bam(folder: Path, capfd: pytest.CaptureFixture[str], options: str) -> None:
    """The reads, and the header verbatim: samtools writes another one with -R and -s."""
    expected = pysam.samtools.view("-H", "--no-PG", BAM) + pysam.samtools.view(*options.split(), BAM, REGION)
    words = options.replace("-l ", "--library ").split()  # -l is the level
    assert main(["to-bam", *words, "-O", "sam", "d.bams3", "-", REGION]) == 0, capfd.readouterr().err
    assert capfd.readouterr().out == expected


NAMED = ["x.bam", "x.sam", "x.sam.gz", "x.cram", "x", "x.any -O cram", "x.cram -O bam", "x.bam -l 0", "x -1"]


@pytest.mark.parametrize("words", NAMED)
@pytest.mark.parametrize("at", ["by position", "-o"])
def test_formats_of_to_bam(folder: Path, tmp_path: Path, words: str, at: str) -> None:
    """The header, verbatim, and the reads; the format by -O, by name, or BAM."""
    name, *options = words.split()
    given = str(tmp_path / name)
    where = (
        ["d.bams3", *options, given, REGION]
        if at == "by position"
        else ["d.bams3", REGION, "-o", given, *options]
    )
    assert main(["to-bam", *where]) == 0
    style = options[1] if options[:1] == ["-O"] else name.partition(".")[2] or "bam"
    start = {"bam": b"\x1f\x8b", "sam.gz": b"\x1f\x8b", "cram": b"CRAM", "sam": b"@"}[style]
    assert (tmp_path / name).read_bytes().startswith(start)
    found, expected = (
        pysam.samtools.view("-h", "--no-PG", path, *of) for path, *of in ([given], [BAM, REGION])
    )
    if style == "cram":  # CRAM has its own order of tags
        assert rows(found, 11) == rows(expected, 11)
    else:
        assert found == expected
    before = (tmp_path / name).read_bytes()
    assert main(["to-bam", *where]) == 1  # it exists
    assert main(["to-bam", *where, "--overwrite"]) == 0
    assert (tmp_path / name).read_bytes() == before
    assert os.listdir(tmp_path) == [name]


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


@pytest.mark.parametrize("name", ["x.bam", "x.cram", "x.sam.gz"])
@pytest.mark.parametrize("command", ["query", "to-bam"])
def test_an_index_is_written(folder: Path, tmp_path: Path, command: str, name: str) -> None:
    """The files that samtools writes; the index is that of samtools index, and goes with its file."""
    (tmp_path / "theirs").mkdir()
    kind = name.partition(".")[2]
    pysam.samtools.view(
        "--write-index", "-O", kind, "-o", str(tmp_path / "theirs" / name), BAM, catch_stdout=False
    )
    out = tmp_path / "ours" / name
    out.parent.mkdir()
    assert main([command, "--write-index", "-o", str(out), "d.bams3", "chr4"]) == 0
    assert sorted(os.listdir(out.parent)) == sorted(os.listdir(tmp_path / "theirs"))
    assert rows(pysam.samtools.view(str(out), REGION), 11) == rows(pysam.samtools.view(BAM, REGION), 11)
    (index,) = set(out.parent.iterdir()) - {out}
    pysam.samtools.index(*([] if kind == "cram" else ["-c"]), "-o", str(tmp_path / "index"), str(out))
    assert index.read_bytes() == (tmp_path / "index").read_bytes()
    assert main(["to-bam", "--overwrite", "-o", str(out), "d.bams3", "chr4"]) == 0
    assert os.listdir(out.parent) == [name]


@pytest.mark.parametrize("kind", ["bai", "csi"])
def test_an_index_that_is_named(folder: Path, tmp_path: Path, kind: str) -> None:
    """As in samtools, its suffix tells its kind."""
    index = tmp_path / f"index.{kind}"
    for name in ("x.bam", f"x.bam##idx##{index}"):
        assert main(["query", "--write-index", "-o", str(tmp_path / name), "d.bams3", "chr4"]) == 0
    assert sorted(os.listdir(tmp_path)) == [f"index.{kind}", "x.bam"]  # the first one's index is old
    pysam.samtools.index(*["-c"] * (kind == "csi"), "-o", str(tmp_path / "theirs"), str(tmp_path / "x.bam"))
    assert index.read_bytes() == (tmp_path / "theirs").read_bytes()


def test_an_index_is_not_replaced_unasked(folder: Path, tmp_path: Path) -> None:
    out, index = tmp_path / "x.bam", tmp_path / "x.bam.csi"
    index.write_text("of another")
    assert main(["to-bam", "--write-index", "d.bams3", str(out)]) == 1
    assert (index.read_text(), os.listdir(tmp_path)) == ("of another", [index.name])


GIVEN = {
    "-N": "names", "-N ^": "names", "-R": "groups", "-R ^": "groups", "-D NM:": "values", "-L": "x.bed", "-T": "x.fa",
}  # fmt: skip


@pytest.mark.parametrize("command", ["query", "to-bam --overwrite"])
@pytest.mark.parametrize("option", GIVEN)
def test_no_file_that_is_given_is_written(
    folder: Path, capfd: pytest.CaptureFixture[str], command: str, option: str
) -> None:
    Path("x.fa").touch()
    name = GIVEN[option]
    before = Path(name).read_bytes()
    words = [*command.split(), *(option + name if " " in option else f"{option} {name}").split()]
    assert main([*words, "-o", f"./{name}", "d.bams3"]) == 1
    assert "must not be overwritten" in capfd.readouterr().err
    Path("link.csi").unlink(missing_ok=True)
    Path("link.csi").hardlink_to(name)
    assert main([*words, "--write-index", "-O", "bam", "-o", "link", "d.bams3"]) == 1
    assert "must not be overwritten" in capfd.readouterr().err
    assert Path(name).read_bytes() == before
    assert not Path("link").exists()


REFUSED = {
    "-P": "give the list to -N", "--fetch-pairs": "give the list to -N", "-U x.bam": "opposite filter",
    "--write-index": "needs -o FILE", "-N none": "none", "--write-index -o x.sam": "needs -o FILE",
    "--write-index -O bam -o /dev/null": "local", "--keep-tag N": "samtools view", "-s 1.x": "samtools view",
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
