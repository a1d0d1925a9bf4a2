"""The same records in whatever blocks, by whatever way they come in: a path, a pipe, a window, an object store."""

import gzip
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
from bam_blocks import (
    HEADS,
    bgzf_block,
    content,
    header_bytes,
    open_source_of,
    piped,
    raw_bam,
    records_of,
)
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from bams3.operations.verify import verify
from bams3.sources.bam import open_source
from bams3.storage import open_storage
from engines import run_bams3
from hypothesis import given, settings
from hypothesis import strategies as st
from remote_datasets import files

import bams3
from bams3 import convert, merge


@st.composite
def blockings(draw: st.DrawFn, raw: bytes, header: int, indexed: bool = False) -> bytes:
    """A BGZF file of some bytes: blocks of 1 to 65,280 bytes and of none, of all compressors, with and without other
    subfields, which htslib takes for plain gzip and does not index."""
    most = draw(st.sampled_from([1 if len(raw) < 4000 else 97, 1000, 4095, 4096, 4097, 30_000, 65_280]))
    chance = draw(st.randoms(use_true_random=False))
    cuts, at = [], 0
    ends = {header} if draw(st.booleans()) else set()
    fixed = draw(st.booleans())
    while at < len(raw):
        end = min(at + (most if fixed else chance.randint(1, most)), len(raw))
        end = min([end, *(border for border in ends if at < border)])
        cuts.append(raw[at:end])
        at = end
    level, compressor = draw(st.integers(0, 9)), draw(st.sampled_from(["zlib", "isal"]))
    empty = draw(st.sampled_from([0, 0.1]))
    extra = b"" if indexed else draw(st.sampled_from([b"", b"XY\x03\0abc", b"AB\0\0" * 50]))
    parts = []
    for part in cuts:
        while chance.random() < empty:
            parts.append(hostile.END_OF_FILE)
        parts.append(bgzf_block(part, compressor, level, extra))
    return b"".join(parts) + hostile.END_OF_FILE


RAW = {head: raw_bam(head, 400) for head in HEADS}


@given(head=st.sampled_from(HEADS), data=st.data())
@settings(max_examples=40)
def test_blocks_may_have_their_borders_anywhere(tmp_path_factory, head: int, data: st.DataObject) -> None:
    raw = RAW[head]
    path = tmp_path_factory.mktemp("blocks") / "x.bam"
    path.write_bytes(data.draw(blockings(raw, header_bytes(raw))))
    with open_source(str(path)) as source:
        assert content(source) == raw


@given(data=st.data())
@settings(max_examples=15)
def test_windows_are_found_in_any_blocks(tmp_path_factory, data: st.DataObject) -> None:
    raw = RAW[100]
    path = tmp_path_factory.mktemp("blocks") / "x.bam"
    path.write_bytes(data.draw(blockings(raw, header_bytes(raw), indexed=True)))
    pysam.index(*data.draw(st.sampled_from([[], ["-c"], ["-c", "-m", "10"]])), str(path))
    cut = data.draw(st.integers(1, 100_000))
    with open_source(str(path)) as source:
        found = [
            *(block for ref in (0, 1) for span in ((0, cut), (cut, 600_000)) for block in source.window(ref, *span)),
            *source.unplaced(),
        ]  # fmt: skip
        assert source.header.to_bam() + records_of(found) == raw


def few_records(raw: bytes, size: int) -> bytes:
    """The start of an inflated BAM, up to a record's end."""
    end = header_bytes(raw)
    while (following := end + 4 + int.from_bytes(raw[end : end + 4], "little")) <= size:
        end = following
    return raw[:end]


@given(data=st.data())
@settings(max_examples=25)
def test_pipes_may_give_a_few_bytes_at_a_time(data: st.DataObject) -> None:
    raw = few_records(RAW[100], 10_000)
    blocks = blockings(raw, header_bytes(raw))
    member = st.builds(gzip.compress, st.just(raw), st.integers(0, 9))
    members = st.just(gzip.compress(raw[:99]) + gzip.compress(b"") + gzip.compress(raw[99:]))
    file = data.draw(st.one_of(st.just(raw), member, members, blocks))
    cuts = sorted(data.draw(st.sets(st.integers(1, min(len(file) - 1, 300)), max_size=20)))
    with open_source_of(file, *cuts) as source:
        assert content(source) == raw


def htslib_file(raw: bytes, path: Path, mode: str) -> None:
    with pysam.BGZFile(str(path), mode) as file:
        file.write(raw)


FILES: dict[str, Callable[[bytes, Path], object]] = {
    "stored": lambda raw, path: path.write_bytes(
        b"".join(bgzf_block(raw[at : at + 65_280], level=0) for at in range(0, len(raw), 65_280)) + hostile.END_OF_FILE
    ),
    "members": lambda raw, path: path.write_bytes(
        b"".join(hostile.bgzf(raw[at : at + 100_000], 3000) for at in range(0, len(raw), 100_000))
    ),
    **{f"htslib {mode}": lambda raw, path, mode=mode: htslib_file(raw, path, mode) for mode in ("wb0", "wb1", "wb9")},
    "isal": lambda raw, path: path.write_bytes(
        b"".join(bgzf_block(raw[at : at + 9999], "isal", 2) for at in range(0, len(raw), 9999)) + hostile.END_OF_FILE
    ),
    "header of its own": lambda raw, path: path.write_bytes(
        b"".join(
            bgzf_block(part, level=0)
            for part in (raw[:300], *(raw[at : at + 65_280] for at in range(300, len(raw), 65_280)))
        ) + hostile.END_OF_FILE
    ),
}  # fmt: skip
OPTIONS = {"chunk_size": "512K", "workers": 1}


@pytest.fixture(scope="module")
def raw() -> bytes:
    return raw_bam()


@pytest.fixture(scope="module")
def expected(raw: bytes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the dataset."""
    folder = tmp_path_factory.mktemp("expected")
    (folder / "x.bam").write_bytes(hostile.bgzf(raw))
    convert(folder / "x.bam", folder / "d.bams3", **OPTIONS)
    return files(folder / "d.bams3")


def by_path(bam: Path, out: Path) -> None:
    convert(bam, out, **OPTIONS)


def by_pipe(bam: Path, out: Path, **options: Any) -> None:
    with piped(bam.read_bytes()) as path:
        convert(path, out, **OPTIONS, **options)


def by_fifo(bam: Path, out: Path) -> None:
    fifo = bam.with_suffix(".fifo")
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(bam.read_bytes()))
    writer.start()
    convert(fifo, out, **OPTIONS)
    writer.join()


def by_batches(bam: Path, out: Path) -> None:
    pysam.index(str(bam))
    for number in (2, 1):
        convert(bam, out, batch=(number, 2), **OPTIONS)
    merge(out)


def by_windows(bam: Path, out: Path) -> None:
    pysam.index("-c", str(bam))
    for window in ("chr2", "_unplaced", "chr1:1-524288", "chr1:524289-600000"):
        convert(bam, out, windows=[window], **OPTIONS)
    merge(out)


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "path": by_path,
    "pipe": by_pipe,
    "fifo": by_fifo,
    "batches": by_batches,
    "windows": by_windows,
    "sort": lambda bam, out: convert(bam, out, sort=True, **OPTIONS),
    "sort of a pipe": lambda bam, out: by_pipe(bam, out, sort=True),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", FILES)
def test_a_dataset_is_the_same_whatever_way_it_came(
    raw: bytes, expected: dict[str, bytes], tmp_path: Path, kind: str, way: str
) -> None:
    FILES[kind](raw, tmp_path / "x.bam")
    WAYS[way](tmp_path / "x.bam", tmp_path / "d.bams3")
    assert files(tmp_path / "d.bams3") == expected


@pytest.mark.parametrize("kind", FILES)
def test_from_an_object_store_and_against_a_dataset(
    raw: bytes, expected: dict[str, bytes], tmp_path: Path, bucket: str, kind: str
) -> None:
    bam = tmp_path / "x.bam"
    FILES[kind](raw, bam)
    open_storage(bucket).put("x.bam", bam.read_bytes())
    convert(f"{bucket}/x.bam", tmp_path / "d.bams3", **OPTIONS)
    assert files(tmp_path / "d.bams3") == expected
    with piped(bam.read_bytes()) as path:
        for against in (bam, path, f"{bucket}/x.bam"):
            assert list(verify(DatasetReader(tmp_path / "d.bams3"), against)) == []


# Other formats, and what is no regular file

FORMATS = {
    "SAM": ["-O", "sam"],
    "SAM.gz": ["-O", "sam,level=1"],
    "BGZF SAM": ["-O", "sam.gz"],
    "CRAM": ["-O", "cram,no_ref=1"],
    "BAM": ["-O", "bam"],
    "uncompressed BAM": ["-u"],
}
SHELL = {
    "<(...)": "bams3 convert {options} <(cat {file}) {out}",
    "/dev/stdin, a pipe": "cat {file} | bams3 convert {options} /dev/stdin {out}",
    "/dev/stdin, a file": "bams3 convert {options} /dev/stdin {out} < {file}",
    "-": "cat {file} | bams3 convert {options} - {out}",
    "a descriptor of a file": "bams3 convert {options} /dev/fd/7 {out} 7< {file}",
    "a deleted file": "exec 7< {file}; rm {file}; bams3 convert {options} /dev/fd/7 {out}",
    "a named pipe": "mkfifo {file}.p; cat {file} > {file}.p & bams3 convert {options} {file}.p {out}",
}


def shell(line: str, commands: dict[str, str], **places: object) -> None:
    done = subprocess.run(
        ["bash", "-c", line.format(**places)], env=commands, capture_output=True, text=True, timeout=600
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", FORMATS)
def test_formats_through_pipes(
    raw: bytes, expected: dict[str, bytes], samtools: Callable[..., bytes], tmp_path: Path, kind: str
) -> None:
    file, bam = tmp_path / "x", tmp_path / "x.bam"
    bam.write_bytes(hostile.bgzf(raw))
    samtools("view", "-h", "--no-PG", *FORMATS[kind], "-o", file, bam)
    by_path(file, tmp_path / "path.bams3")
    for number, way in enumerate((by_pipe, by_fifo, WAYS["sort of a pipe"])):
        way(file, tmp_path / f"{number}.bams3")
        assert files(tmp_path / f"{number}.bams3") == files(tmp_path / "path.bams3")
    if kind != "CRAM":  # whose header has M5 tags
        assert files(tmp_path / "path.bams3") == expected


@pytest.mark.parametrize("options", ["", "--sort"])
@pytest.mark.parametrize("way", SHELL)
def test_ways_of_the_shell(
    small_sam: Path, commands: dict[str, str], tmp_path: Path, way: str, options: str
) -> None:
    (tmp_path / "x.sam").write_bytes(small_sam.read_bytes())
    shell(SHELL[way], commands, options=options, file=tmp_path / "x.sam", out=tmp_path / "d.bams3")
    assert bams3.open(tmp_path / "d.bams3").count() == 3


@pytest.fixture(scope="module")
def small_sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sam") / "x.sam"
    lines = ["@HD\tVN:1.6\tSO:coordinate", "@SQ\tSN:c1\tLN:1000"]
    lines += [f"r{i}\t0\tc1\t{i}\t60\t4M\t*\t0\t0\tACGT\tIIII" for i in (1, 2, 3)]
    path.write_text("\n".join(lines) + "\n")
    convert(path, path.with_suffix(".bams3"))
    return path


def test_an_index_may_come_from_a_pipe(raw: bytes, expected: dict[str, bytes], tmp_path: Path) -> None:
    bam = tmp_path / "x.bam"
    bam.write_bytes(hostile.bgzf(raw))
    pysam.index(str(bam))
    index = bam.with_name("x.bam.bai")
    with piped(index.read_bytes()) as path:
        index.unlink()
        convert(bam, tmp_path / "d.bams3", batch=(1, 1), index=path, **OPTIONS)
    merge(tmp_path / "d.bams3")
    assert files(tmp_path / "d.bams3") == expected


AGAIN = {
    "batch": ["convert", "--batch", "1/2", "{pipe}", "{out}"],
    "window": ["convert", "--window", "c1", "{pipe}", "{out}"],
    "batch of stdin": ["convert", "--batch", "1/2", "-", "{out}"],
    "reference": ["convert", "-T", "{pipe}", "{sam}", "{out}"],
    "reference and sort": ["convert", "--sort", "-T", "{pipe}", "{sam}", "{out}"],
    "reference of what is a pipe": ["convert", "-T", "{pipe}", "{pipe}", "{out}"],
    "reference of a CRAM to write": ["query", "-O", "cram", "-T", "{pipe}", "-o", "{out}", "{dataset}"],
    "index of a CRAM": ["convert", "--index", "{pipe}", "--batch", "1/1", "{cram}", "{out}"],
    "parts": ["coverage", "-o", "{out}", "--gather", "{pipe}", "--", "{dataset}"],
}


@pytest.mark.parametrize("case", AGAIN)
def test_what_is_needed_again_is_refused_before_it_is_waited_for(
    small_sam: Path, tmp_path: Path, case: str
) -> None:
    pipe, out, cram = tmp_path / "pipe", tmp_path / "out", tmp_path / "x.cram"
    os.mkfifo(pipe)
    cram.write_bytes(pysam.view("-C", "--output-fmt-option", "no_ref=1", str(small_sam), raw=True))
    dataset = small_sam.with_suffix(".bams3")
    places = {"pipe": pipe, "out": out, "sam": small_sam, "dataset": dataset, "cram": cram}
    done = run_bams3(*(word.format(**places) for word in AGAIN[case]), stdin=subprocess.DEVNULL, timeout=600)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    name = "standard input" if "-" in AGAIN[case] else str(pipe)
    assert f"{name} can be read only once, but " in done.stderr
    assert not out.exists()


TEXTS = {
    "query -L": ["query", "-L", "{bed}", "{dataset}"],
    "query -c -L": ["query", "-c", "-L", "{bed}", "{dataset}"],
    "count": ["count", "--regions", "{bed}", "{dataset}"],
    "cost": ["cost", "{dataset}", "query", "-L", "{bed}"],
    "coverage": ["coverage", "-n", "--by", "{bed}", "-o", "{out}/x", "{dataset}"],
    "list": ["count", "--regions", "{file}", "--datasets", "{list}"],
}


@pytest.mark.parametrize("case", TEXTS)
def test_texts_may_come_from_pipes(
    small_sam: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    dataset, bed = small_sam.with_suffix(".bams3"), b"c1\t1\t3\nc1\t2\t9\n"
    (tmp_path / "x.bed").write_bytes(bed)
    (tmp_path / "list").write_text(f"{dataset}\n")
    made = []
    with piped(bed) as pipe, piped(f"{dataset}\n".encode()) as listed:
        for number, (of_bed, of_list) in enumerate(((pipe, listed), (tmp_path / "x.bed", tmp_path / "list"))):
            out = tmp_path / str(number)
            out.mkdir()
            file = tmp_path / "x.bed"
            places = {"dataset": dataset, "bed": of_bed, "list": of_list, "file": file, "out": out}
            assert main([word.format(**places) for word in TEXTS[case]]) == 0
            found = {name: data for name, data in files(out).items() if not name.endswith(".csi")}
            made.append((capsys.readouterr().out, found))
    assert made[0] == made[1]
    assert any(made[0])


def test_names_that_a_cram_has_lost_are_those_of_samtools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """htslib makes names of the file's; parts of a dataset have the same ones as the whole."""
    monkeypatch.chdir(tmp_path)
    pairs = [(1 + 90_000 * i, name) for i, name in enumerate("abcdefgh")]
    text = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:c\tLN:900000\n"
    for at, name in pairs:
        text += f"{name}\t99\tc\t{at}\t60\t4M\t=\t{at + 9}\t13\tACGT\tIIII\n"
        text += f"{name}\t147\tc\t{at + 9}\t60\t4M\t=\t{at}\t-13\tACGT\tIIII\n"
    Path("in.sam").write_text(text)
    options = [
        f"--output-fmt-option={option}" for option in ("lossy_names=1", "no_ref=1", "seqs_per_slice=4")
    ]
    pysam.samtools.view("-C", *options, "-o", "x=1,y.cram", "in.sam", catch_stdout=False)
    pysam.index("x=1,y.cram")
    names = [line.split("\t")[0] for line in pysam.samtools.view("x=1,y.cram").splitlines()]
    assert len({*names}) == len(pairs)
    assert names[0].startswith("x=1,y.cram:")

    convert("x=1,y.cram", "whole.bams3", chunk_size="256K")
    for number in (1, 2, 3):
        convert("x=1,y.cram", "parts.bams3", chunk_size="256K", batch=(number, 3))
    merge("parts.bams3")
    assert bams3.open("whole.bams3").query(None, ["qname"])["qname"].tolist() == names
    assert files(Path("whole.bams3")) == files(Path("parts.bams3"))
