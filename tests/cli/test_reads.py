"""Which reads query, count and to-bam take, and in which format: flags, regions and formats are those of samtools."""

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from bams3.bam.flags import NAMES as FLAG_NAMES
from bams3.cli.options import flag_bits
from command_line import Run
from engines import BAMS3
from peers import DATA

REAL = DATA / "illumina_chr22_NA12878.bam"


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("0", 0), ("4", 4), ("0x400", 0x400), ("0X400", 0x400), ("010", 8), ("DUP", 0x400), ("dup,UNMAP", 0x404),
        ("PAIRED,PROPER_PAIR", 3), (",".join(FLAG_NAMES), 0xFFF), ("65535", 65535),
    ],
)  # fmt: skip
def test_flags(text: str, bits: int) -> None:
    assert flag_bits(text) == bits


@pytest.mark.parametrize(
    "options",
    [
        "", "-F DUP,UNMAP", "-F 0x400", "-f 16", "-f PAIRED,READ1", "-F 03", "-q 30", "-f 1 -F 16 -q 10", "-e flag.dup",
        "-e mapq>=20&&[NM]<9", "-F SECONDARY -e 'pos > 1000000'",
    ],
)  # fmt: skip
def test_filters_are_those_of_samtools(
    run: Run, samtools: Callable[..., bytes], small: Path, dataset: str, options: str
) -> None:
    expected = samtools("view", *shlex.split(options), small / "small.bam").decode()
    assert run("query", dataset, *shlex.split(options)) == (0, expected, "")
    assert run("query", "-c", *shlex.split(options), dataset) == (0, f"{len(expected.splitlines())}\n", "")


@pytest.mark.parametrize(
    ("regions", "names"),
    [
        ([], "0 1 2 3 4 5 6 7 8 9 10 11 12 lost"),
        (["chr2"], "6 7 8 9"),
        (["chr1:1-500,102"], "0 1"),
        (["chr1:1,000,000-2,000,000"], "2 3"),
        (["chr1:1M-2M"], "2 3"),
        (["chr1:1.5M-2.6m"], "3 4 5"),
        (["chr1:500k-0.5M"], ""),
        (["chr1:2500100"], "5"),
        (["chr1:2M-"], "4 5"),
        (["chr1:-1M"], "0 1"),
        (["chr1-3"], "0 1 2 3 4 5 6 7 8 9 10 11"),
        (["chr2-3"], "6 7 8 9 10 11"),
        (["*"], "0 1 2 3 4 5 6 7 8 9 10 11 12"),
        (["."], "0 1 2 3 4 5 6 7 8 9 10 11 12 lost"),
        (["HLA-A*01:01"], "12"),
        (["{HLA-A*01:01}:1-200"], "12"),
        (["HLA-A*01:01:1-99"], ""),
        (["chr3", "chr1:1-200", "chr3:1-200", "chr1"], "0 1 2 3 4 5 10 11"),
    ],
)
def test_regions(run: Run, dataset: str, regions: list[str], names: str) -> None:
    code, text, errors = run("query", dataset, *regions)
    found = [line.split("\t")[0].removeprefix("r") for line in text.splitlines()]
    assert (code, " ".join(found), errors) == (0, names, "")
    assert run("query", "-c", dataset, *regions) == (0, f"{len(found)}\n", "")


def test_regions_of_a_file(run: Run, dataset: str, tmp_path: Path) -> None:
    (tmp_path / "r.bed").write_text("chr3\t0\t1000\nchr1\t0\t100\textra\nchr9\t0\t5\n")
    code, text, _ = run("query", dataset, "-L", tmp_path / "r.bed")
    assert (code, [line.split("\t")[0] for line in text.splitlines()]) == (0, ["r0", "r10"])


def test_batches_partition_the_reads(run: Run, dataset: str) -> None:
    whole = run("query", dataset)[1]
    for of in (1, 2, 5, 20):
        assert "".join(run("query", "--batch", f"{i}/{of}", dataset)[1] for i in range(1, of + 1)) == whole


# count

COUNTED = """#comment
chr1\t0\t3000000\twhole
chr1\t0\t1600000
chr1\t499999\t500500
chr2\t100\t100\tpoint
chr1\t1500000\t9000000\tpast-the-end
HLA-A*01:01\t90\t110
chr3\t100\t200\tnothing
chr1\t499999\t500500\tagain
"""


@pytest.mark.parametrize(
    "options", ["", "-q 30", "-F DUP,UNMAP -f 16", "--filter [NM]<3||mapq>50", "-r nobody"]
)
def test_count(
    run: Run, samtools: Callable[..., bytes], small: Path, dataset: str, tmp_path: Path, options: str
) -> None:
    (tmp_path / "r.bed").write_text(COUNTED)
    (tmp_path / "list").write_text(f"{dataset}\n\n")
    words = ["--regions", tmp_path / "r.bed", *options.split()]
    code, text, errors = run("count", *words, "--datasets", tmp_path / "list", dataset)
    header, *rows = [line.split("\t") for line in text.splitlines()]
    assert (code, errors, header) == (0, "", ["#contig", "start", "end", "name", dataset, dataset])
    assert [row[:4] for row in rows] == [
        [*line.split("\t"), "."][:4] for line in COUNTED.splitlines() if line[0] != "#"
    ]
    for contig, start, end, _, *counts in rows:
        (tmp_path / "one.bed").write_text(f"{contig}\t{start}\t{end}\n")
        view = samtools(
            "view",
            "-c",
            *options.replace("--filter", "-e").split(),
            "-L",
            tmp_path / "one.bed",
            small / "small.bam",
        )
        assert counts == [view.decode().strip()] * 2, (contig, start, end)
    for more in (["--parallel", "1"], ["--parallel", "3"]):
        assert run("count", *words, *more, dataset, dataset)[1] == text


def test_count_of_listed_datasets(dataset: str, tmp_path: Path) -> None:
    (tmp_path / "r.bed").write_text("chr2\t0\t600000\nchr3\t5\t7\n")
    command = [*BAMS3, "count", "--regions", str(tmp_path / "r.bed"), "--datasets", "-"]
    done = subprocess.run(command, input=f"{dataset}\n", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"#contig\tstart\tend\t{dataset}\nchr2\t0\t600000\t2\nchr3\t5\t7\t0\n"


def test_count_names_the_dataset_that_lacks_a_contig(
    run: Run, dataset: str, real: str, tmp_path: Path
) -> None:
    (tmp_path / "r.bed").write_text("chr1\t0\t10\n")
    code, text, errors = run("count", "--regions", tmp_path / "r.bed", dataset, real)
    assert (code, text) == (1, "")
    assert f"{real}: unknown contig 'chr1'" in errors


MAGIC = {"sam": b"@HD", "bam": b"\x1f\x8b\x08\x04", "ubam": b"\x1f\x8b\x08\x04", "cram": b"CRAM"}


@pytest.mark.parametrize(
    ("options", "format"),
    [
        (["-o", "x.bam"], "bam"), (["-o", "x.cram"], "cram"), (["-h", "-o", "x.sam"], "sam"),
        (["-h", "-o", "x.txt"], "sam"), (["-h", "-O", "sam", "-o", "x.bam"], "sam"),
        (["-O", "bam", "-o", "x.sam"], "bam"), (["-O", "ubam", "-o", "x.bam"], "ubam"),
        (["-O", "cram", "-o", "x"], "cram"),
    ],
)  # fmt: skip
def test_formats(
    run: Run, samtools: Callable[..., bytes], real: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    options: list[str], format: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run("query", *options, real) == (0, "", "")
    assert [path for path in os.listdir() if path == options[-1]] == os.listdir()
    data = Path(options[-1]).read_bytes()
    assert data.startswith(MAGIC[format])
    assert (len(data) > 1_000_000) == (format in ("sam", "ubam"))  # of the same reads
    assert samtools("view", "--no-PG", options[-1]) == samtools("view", REAL)


@pytest.mark.parametrize("format", ["bam", "ubam", "cram"])
def test_formats_on_stdout(samtools: Callable[..., bytes], real: str, format: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("wb") as file:
        done = subprocess.run([*BAMS3, "query", "-O", format, real], stdout=file, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert samtools("view", out) == samtools("view", REAL)


def test_headers(run: Run, samtools: Callable[..., bytes], small: Path, dataset: str) -> None:
    header = samtools("view", "-H", "--no-PG", small / "small.bam").decode()
    assert run("query", "-H", dataset, "chr1") == (0, header, "")
    assert run("query", "-h", dataset, "chr3")[1].startswith(header + "r10\t")
    assert not run("query", dataset)[1].startswith("@")


def test_to_bam(run: Run, samtools: Callable[..., bytes], real: str, tmp_path: Path) -> None:
    assert run("to-bam", real, tmp_path / "x.bam") == (0, "", "")
    assert samtools("view", "-h", "--no-PG", tmp_path / "x.bam") == samtools("view", "-h", "--no-PG", REAL)
    assert run("to-bam", "--pg", "--level", "1", real, tmp_path / "y.bam", "q:1-200") == (0, "", "")
    assert b"\tCL:bams3 to-bam --pg" in samtools("view", "-H", tmp_path / "y.bam")
    assert os.listdir(tmp_path) in (["x.bam", "y.bam"], ["y.bam", "x.bam"])
