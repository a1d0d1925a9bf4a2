"""Small files that ask for much, and what is no file: one line, soon, and within bounds of memory."""

import gzip
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from functools import cache
from pathlib import Path

import hostile
import pytest
import zstandard
from bams3.chunk.footer import TRAILER
from bams3.dataset import layout
from bams3.dataset.manifest import Counts, sealed
from bams3.inflate import MAX_LINE

MEMORY = 500 << 20  # beyond what the program takes before it reads anything
START = (
    "import resource, sys; from bams3.cli import main;"
    "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize();"
    f"resource.setrlimit(resource.RLIMIT_AS, (size + {MEMORY}, resource.RLIM_INFINITY));"
    "sys.exit(main(sys.argv[1:]))"
)


def refused(*words: object) -> str:
    """What a command says on standard error: one line."""
    run = subprocess.run(
        [sys.executable, "-c", START, *map(str, words)], capture_output=True, text=True, timeout=600
    )
    assert run.returncode in (1, 2), (run.returncode, run.stdout[:200], run.stderr)
    assert run.stderr.count("\n") == 1, run.stderr
    assert "Traceback" not in run.stderr
    assert "out of memory" not in run.stderr
    return run.stderr


def done(*words: object, given: bytes = b"") -> str:
    """What a command says on standard output. `given`: its standard input, a pipe."""
    run = subprocess.run(
        [sys.executable, "-c", START, *map(str, words)], capture_output=True, input=given, timeout=600
    )
    assert (run.returncode, run.stderr) == (0, b"")
    return run.stdout.decode()


@cache
def bomb(size: int, fill: bytes = b"\0") -> bytes:
    """A small zstd frame that inflates to so many bytes."""
    stream = zstandard.ZstdCompressor().compressobj(size=size)
    portion = fill * ((1 << 20) // len(fill))
    return b"".join([*(stream.compress(portion) for _ in range(size // len(portion))), stream.flush()])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a BAM, t.bam, and its dataset, t."""
    here = tmp_path_factory.mktemp("limits")
    records = [
        hostile.record(ref=0, pos=i, flag=0, mapq=60, cigar=[(4, 0)], sequence=b"ACGT") for i in range(99)
    ]
    (here / "t.bam").write_bytes(hostile.bam(b"@HD\tVN:1.6\n", [("c", 1000), ("d", 900)], records))
    subprocess.run(["samtools", "index", here / "t.bam"], check=True)
    done("convert", here / "t.bam", here / "t")
    done("convert", "--batch", "1/2", here / "t.bam", here / "begun")
    return here


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


CHUNK = "data/c/000000000-001048576.chunk"
READ = {  # part of a dataset, and what reads it
    layout.METADATA: ("query -c {t} c:5-9", "stats {t}", "verify {t}", "coverage -n {t} -o {here}/o"),
    layout.INDEX: ("query -c {t} c:5-9", "verify {t}", "coverage -n {t} -o {here}/o", "chunks {t}"),
    layout.HEADER: ("query {t} c:5-9", "to-bam {t} -", "verify {t}"),
    CHUNK: (
        "query -c {t} c:5-9",
        "to-bam {t} -",
        "verify {t}",
        "coverage -n {t} -o {here}/o",
    ),
    layout.PLAN: ("merge {begun}",),
    "_parts/000001-of-000002.json": ("merge {begun}",),
}


def become(path: Path, what: str) -> None:
    path.unlink()
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "device":
        path.symlink_to("/dev/zero")
    else:  # without its bytes on the disk
        with path.open("wb") as file:
            file.truncate(1 << 40)


@pytest.mark.parametrize("what", ["pipe", "folder", "device", "huge"])
@pytest.mark.parametrize("part", READ)
def test_parts_that_are_no_files(copy: Path, part: str, what: str) -> None:
    place = "begun" if part.startswith(layout.PARTS) else "t"
    become(copy / place / part, what)
    commands = READ[part] if what == "pipe" else READ[part][:1]
    for command in commands:
        message = refused(*command.format(t=copy / "t", begun=copy / "begun", here=copy).split())
        if what != "folder":  # a folder of parts may hold folders
            assert Path(part).name in message


def forge(dataset: Path, *, index: bytes | None = None, **changes: object) -> None:
    """Change a dataset's manifest, or its index, with checksums that are right."""
    document = json.loads((dataset / layout.METADATA).read_bytes())
    document.pop("crc32")
    if index is not None:
        (dataset / layout.INDEX).write_bytes(index)
        document |= {"index_bytes": len(index), "index_crc32": zlib.crc32(index)}
    (dataset / layout.METADATA).write_bytes(sealed(document | changes))


DEEP = b"[" * 200_000
# What is large is made when it is tried, as that takes long.
INDEXES = {
    "deep": lambda: zstandard.compress(DEEP),
    "zeros": lambda: bomb(1 << 30),
    "lists": lambda: bomb(1 << 28, b"[[],"),
    "says that it is huge": lambda: (
        zstandard.ZstdCompressor().compressobj(size=1 << 50).compress(b"[") + DEEP[:100]
    ),
}


@pytest.mark.parametrize("what", INDEXES)
def test_indexes(copy: Path, what: str) -> None:
    index = INDEXES[what]()
    for records in (99, 1 << 40):
        mapped = [records, records, 0, 0, 0, 0, records, records, *[0] * 8]
        counts = Counts(mapped, [0] * 16, {0: [records, 0]}).to_json()
        sums = [[None, [records, 1, 1, 1, 1], [0, 1, 1, 1, 1]]]
        forge(copy / "t", index=index, records=records, chunks=records, counts=counts, sums=sums)
        assert "damaged _index/chunks.json.zst" in refused("query", "-c", copy / "t", "c")
    assert "damaged _index/chunks.json.zst" in refused("verify", copy / "t")


MANIFESTS = {
    "deep": DEEP,
    "deep value": b'{"format": ' + DEEP,
    "objects": b'{"a":' * 200_000,
    "digits": b'{"version": ' + b"9" * 1_000_000 + b"}",
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_manifests(copy: Path, what: str) -> None:
    (copy / "t" / layout.METADATA).write_bytes(MANIFESTS[what])
    for command in ("stats", "verify"):
        assert "damaged _metadata.json" in refused(command, copy / "t")
    for part in (layout.PLAN, "_parts/000001-of-000002.json"):
        (copy / "begun" / part).write_bytes(MANIFESTS[what])
        assert "damaged" in refused("merge", copy / "begun")


@pytest.mark.parametrize("number", [1 << 28, 1 << 40, 1 << 62])
@pytest.mark.parametrize(
    ("field", "command"), [("header_bytes", "query {} c"), ("index_bytes", "query -c {} c")]
)
def test_lengths(copy: Path, field: str, command: str, number: int) -> None:
    forge(copy / "t", **{field: number})
    assert "damaged" in refused(*command.format(copy / "t").split())


@pytest.mark.parametrize("what", ["deep", "zeros"])
def test_footers(copy: Path, what: str) -> None:
    footer = INDEXES[what]()
    path = copy / "t" / CHUNK
    data = path.read_bytes()
    path.write_bytes(data[:9] + footer + TRAILER.pack(len(footer), zlib.crc32(footer), data[-8:]))
    assert "damaged chunk" in refused("inspect", path)


def test_a_window_of_a_part_is_no_list_of_its_cells(copy: Path) -> None:
    part = copy / "begun/_parts/000001-of-000002.json"
    document = json.loads(part.read_bytes())
    document.pop("crc32")
    part.write_bytes(sealed(document | {"windows": [[0, 0, (1 << 32) - 1]] * 100_000}))
    assert "is not on this dataset's grid" in refused("merge", copy / "begun")


def test_parts_of_coverage(copy: Path) -> None:
    for data in (
        bomb(1 << 30),
        zstandard.compress(DEEP + b"\n"),
        zstandard.compress(b'{"portions": ' + DEEP + b"\n"),
    ):
        (copy / "part").write_bytes(data)
        assert "part: not a coverage part" in refused(
            "coverage", copy / "t", "-n", "-o", copy / "o", "--gather", copy / "part"
        )


BEDS = {
    "blank lines": lambda: gzip.compress(b"\n" * (1 << 26), 1),
    "lines": lambda: gzip.compress(b"c\t1\t2\n" * (1 << 23), 9),
    "zeros": lambda: gzip.compress(bytes(1 << 26), 1),
    "one line": lambda: b"c\t1\t" + b"2" * MAX_LINE * 2,
}


@pytest.mark.parametrize("what", BEDS)
def test_lists_of_intervals(copy: Path, what: str) -> None:
    bed = copy / "x.bed"
    bed.write_bytes(BEDS[what]())
    commands = [
        ("query", "-c", "-L", bed),
        ("count", "--regions", bed),
        ("coverage", "-n", "-o", copy / "o", "-b", bed),
    ]
    for words in commands[: 2 if what == "lines" else 3]:
        assert "x.bed" in refused(*words, copy / "t")
    bed.unlink()
    bed.symlink_to("/dev/zero")
    assert "x.bed" in refused("query", "-c", "-L", bed, copy / "t")


def header(text: int, references: int, name: int = 2) -> bytes:
    return b"BAM\1" + struct.pack("<i", text) + (b"" if text else struct.pack("<2i", references, name))


ZEROS = hostile.bgzf_block(bytes(65280)) * 20_000
BAMS = {
    "text of 2 GiB": (hostile.bgzf(header(2**31 - 1, 0)), "claims to take at least"),
    "two thousand million references": (hostile.bgzf(header(0, 2**31 - 1)), "ends within"),
    "a name of 2 GiB": (hostile.bgzf(header(0, 1, 2**31 - 1)), "claims to take at least"),
    "text of 2 GiB, all there": (
        hostile.bgzf_block(header(2**31 - 1, 0)) + hostile.bgzf_block(bytes(65280)) * 20_000,
        "claims to take at least",
    ),
    "a name of 10 MB": (
        hostile.bgzf(hostile.bam_header(b"", [("x" * 10_000_000, 1000)])),
        "name of 10000000",
    ),
}


@pytest.mark.parametrize("what", BAMS)
def test_headers_of_bams(tmp_path: Path, what: str) -> None:
    data, problem = BAMS[what]
    (tmp_path / "x.bam").write_bytes(data)
    message = refused("convert", tmp_path / "x.bam", tmp_path / "x")
    assert "x.bam" in message
    assert problem in message


@pytest.mark.parametrize("fill", [b"\0", b"CSI\1"])
def test_indexes_of_bams(copy: Path, fill: bytes) -> None:
    (copy / "t.bam.bai").unlink()
    (copy / "t.bam.csi").write_bytes(
        hostile.bgzf_block(fill * (65280 // len(fill))) * 10_000 + hostile.END_OF_FILE
    )
    assert "t.bam.csi" in refused("convert", "--batch", "1/2", copy / "t.bam", copy / "x")


BESIDE = {  # a file that is found by its name, and what looks for it
    "t.bam.bai": ("convert --batch 1/2 {here}/t.bam {here}/x",),
    "t.bai": ("convert --batch 1/2 {here}/t.bam {here}/x",),
    "t.bam.csi": ("convert --batch 1/2 {here}/t.bam {here}/x",),
    "t.csi": ("convert --batch 1/2 {here}/t.bam {here}/x",),
    "t.cram.crai": ("convert --batch 1/2 -T {here}/r.fa {here}/t.cram {here}/x",),
    "t.crai": ("convert --batch 1/2 -T {here}/r.fa {here}/t.cram {here}/x",),
    "r.fa.fai": (
        "convert -T {here}/r.fa {here}/t.cram {here}/x",
        "verify {here}/t --against {here}/t.cram -T {here}/r.fa",
        "query -T {here}/r.fa -o {here}/y.cram {here}/t",
    ),
    "r.fa.gzi": ("convert -T {here}/r.fa {here}/t.cram {here}/x",),
}


@pytest.mark.parametrize("what", ["pipe", "device"])
@pytest.mark.parametrize("name", BESIDE)
def test_what_is_beside_a_file_and_is_none(copy: Path, name: str, what: str) -> None:
    (copy / "r.fa").write_text(f">c\n{'ACGT' * 250}\n>d\n{'ACGT' * 225}\n")
    done("query", "-T", copy / "r.fa", "-o", copy / "t.cram", copy / "t")
    for index in (*copy.glob("t.*ai"), copy / "r.fa.fai"):
        index.unlink()
    (copy / name).touch()
    become(copy / name, what)
    for command in BESIDE[name] if what == "pipe" else BESIDE[name][:1]:
        message = refused(*command.format(here=copy).split())
        assert f"{name}: found next to another file, but neither a regular file nor a link to one" in message


def test_a_small_chunk_through_a_pipe_takes_little_memory(made: Path) -> None:
    assert done("query", "-c", "-", given=(made / "t" / CHUNK).read_bytes()) == "99\n"


def test_an_index_that_is_none_need_not_be_there(copy: Path) -> None:
    become(copy / "t.bam.bai", "pipe")
    command = [sys.executable, "-m", "bams3", "convert", copy / "t.bam", copy / "x"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (run.returncode, run.stderr.count("\n")) == (0, 1)
    assert "t.bam.bai: found next to another file, but neither a regular file nor a link to one" in run.stderr
    assert done("query", "-c", copy / "x") == "99\n"


def test_an_index_that_is_named_may_be_a_pipe(copy: Path) -> None:
    (copy / "t.bam.bai").rename(copy / "elsewhere")
    os.mkfifo(copy / "t.bam.bai")
    with subprocess.Popen(["cp", copy / "elsewhere", copy / "t.bam.bai"]) as writer:
        done("convert", "--batch", "1/1", "--index", copy / "t.bam.bai", copy / "t.bam", copy / "x")
    assert writer.returncode == 0


def test_a_grid_of_forty_million_windows(tmp_path: Path) -> None:
    """19,999 contigs as long as can be (convert warns of more), and a read on one in a thousand."""
    contigs = [(f"k{i}", 2**31 - 1) for i in range(19_999)]
    records = [
        hostile.record(ref=i, pos=2**29 - 9, flag=0, mapq=9, cigar=[(4, 0)], sequence=b"ACGT")
        for i in range(0, 19_999, 1000)
    ]
    (tmp_path / "x.bam").write_bytes(hostile.bam(b"", contigs, records))
    subprocess.run(["samtools", "index", "-c", tmp_path / "x.bam"], check=True)
    done("convert", "--chunk-size", "256K", tmp_path / "x.bam", tmp_path / "whole")
    for number in (1, 3):
        done(
            "convert",
            "--chunk-size",
            "256K",
            "--batch",
            f"{number}/3",
            tmp_path / "x.bam",
            tmp_path / "parts",
        )
    assert "windows have not been converted yet (k" in refused("merge", tmp_path / "parts")
    done("convert", "--chunk-size", "256K", "--batch", "2/3", tmp_path / "x.bam", tmp_path / "parts")
    done("merge", tmp_path / "parts")
    assert (tmp_path / "parts" / layout.METADATA).read_bytes() == (
        tmp_path / "whole" / layout.METADATA
    ).read_bytes()
    assert [int(done("query", "-c", "--batch", f"{i}/4", tmp_path / "whole")) for i in (1, 2, 3, 4)] == [
        5
    ] * 4
    assert done("query", "-c", tmp_path / "whole", "*") == "20\n"
    assert done("chunks", tmp_path / "whole").count("\n") == 20


FEW_FILES = """
import resource, sys
from bams3.cli import main
resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
for words in ("convert x.bam d --chunk-size 256K", "rewrite d e", "markdup d f", "merge -cp d e g", "verify g"):
    assert main(words.split()) == 0, words
"""


def test_open_files_do_not_grow_with_chunks(tmp_path: Path) -> None:
    """Many small chunks are written at the same time, but not more than any system allows."""
    reads = [hostile.good(0, window << 18, name=b"r%d" % window) for window in range(300)]
    (tmp_path / "x.bam").write_bytes(hostile.bam(b"", [("c", 300 << 18)], reads))
    done = subprocess.run(
        [sys.executable, "-c", FEW_FILES], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
