"""The same records in whatever blocks, by whatever way they come in: a path, a pipe, a window, an object store."""

import gzip
import os
import random
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
from engines import run_bams3
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import isal_zlib
from remote_datasets import files

import bams3
from bams3 import convert, merge
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error
from bams3.operations.verify import verify
from bams3.sources.bam import open_source
from bams3.sources.records import RecordBlock
from bams3.storage import open_storage

CONTIGS = [("chr1", 600_000), ("chr2", 600_000)]
HEADS = [0, 100, 3000, 5000, 70_000, 300_000]
"""Bytes of a header's text."""


def raw_bam(head: int = 100, records: int = 2000) -> bytes:
    """A BAM of two contigs and none, without its compression; 500 bytes of a record hardly compress."""
    chance = random.Random(head)
    text = b"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:600000\n@SQ\tSN:chr2\tLN:600000\n"
    text += b"@CO\t" + bytes(chance.choices(b"ACGT", k=head)) + b"\n"
    made = []
    for number in range(records):
        ref, pos = (number % 2, 250 * number) if number < records * 9 // 10 else (-1, -1)
        noise = [hostile.tag("XX", "Z", bytes(chance.choices(range(33, 127), k=450)))]
        placed = {"ref": ref, "pos": pos, "flag": 0, "cigar": [(4, 0)]} if ref >= 0 else {}
        quality = b"\x1e" * 4
        made.append(
            hostile.record(name=b"%d" % number, sequence=b"ACGT", quality=quality, tags=noise, **placed)
        )
    return hostile.bam_header(text, CONTIGS) + b"".join(sorted(made, key=hostile.coordinate))


def deflated(data: bytes, compressor: str, level: int) -> bytes:
    if compressor == "isal" and len(data):
        return isal_zlib.compress(data, min(level, 3), -15)
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15)
    return deflate.compress(data) + deflate.flush()


def bgzf_block(data: bytes, compressor: str = "zlib", level: int = 1, extra: bytes = b"") -> bytes:
    """A block, with subfields of a gzip header before its own."""
    payload = deflated(data, compressor, level)
    if len(payload) + len(extra) > 65_500:
        payload = deflated(data, "zlib", 0)
    fields = len(extra) + 6
    size = 12 + fields + len(payload) + 8
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + fields.to_bytes(2, "little") + extra
    head += b"BC\x02\0" + (size - 1).to_bytes(2, "little")
    return head + payload + zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")


def header_bytes(raw: bytes) -> int:
    with open_source_of(raw) as source:
        return len(source.header.to_bam())


@contextmanager
def open_source_of(data: bytes, *cuts: int) -> Iterator[Any]:
    with piped(data, *cuts) as path, open_source(path) as source:
        yield source


@contextmanager
def piped(data: bytes, *cuts: int) -> Iterator[str]:
    """The path of a pipe that gives some bytes, written in pieces that end at `cuts`."""
    readable, writable = os.pipe()

    def write() -> None:
        with open(writable, "wb", buffering=0) as pipe:
            try:
                for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
                    pipe.write(data[start:end])
            except BrokenPipeError:
                pass

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield f"/dev/fd/{readable}"
    finally:
        os.close(readable)
        writer.join()


def content(source: Any) -> bytes:
    """Header and records, as uncompressed BAM."""
    return source.header.to_bam() + records_of(source.blocks())


def records_of(blocks: Iterable[RecordBlock]) -> bytes:
    return b"".join(bytes(memoryview(b.data)[b.offsets[0] : b.offsets[len(b)]]) for b in blocks)


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
        ["bash", "-c", line.format(**places)], env=commands, capture_output=True, text=True, timeout=60
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
    done = run_bams3(*(word.format(**places) for word in AGAIN[case]), stdin=subprocess.DEVNULL, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    name = "standard input" if "-" in AGAIN[case] else str(pipe)
    assert f"{name} can be read only once, and " in done.stderr
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


# Inputs that give nothing


def spark_uris(*paths: str, **options: str) -> list[str]:
    import json

    from bams3.spark import _uris

    return _uris({"paths": json.dumps(paths)} | options)


NOTHING: dict[str, tuple[Callable[..., object], str]] = {
    "Spark, a pattern": (lambda d: spark_uris(d, "nothing/*.bams3"), r"nothing/\*\.bams3 matches nothing"),
    "Spark, of datasets": (lambda d: spark_uris(d, datasets=f"{d}\nx[y]"), r"x\[y\] matches nothing"),
    "Spark, a file: pattern": (lambda d: spark_uris(d, "file:/nothing/*"), r"/nothing/\* matches nothing"),
    "Spark, no path": (lambda d: spark_uris(d, ""), "one of the paths is empty"),
    "Spark, nothing": (lambda d: spark_uris(), "give .load"),
    "query_parallel": (lambda d: bams3.query_parallel([d, "nothing.bams3"], ["c1"]), "nothing.bams3"),
    "query_parallel, a region": (lambda d: bams3.query_parallel([d], ["c1", "c2"]), "c2"),
    "query_parallel, none": (lambda d: bams3.query_parallel([], ["c1"]), "no dataset is given"),
}


@pytest.mark.parametrize("case", NOTHING)
def test_inputs_that_give_nothing(small_sam: Path, case: str) -> None:
    if case.startswith("Spark"):
        pytest.importorskip("pyspark")
    action, message = NOTHING[case]
    with pytest.raises(Bams3Error, match=message):
        action(str(small_sam.with_suffix(".bams3")))


NOTHING_NAMED = {
    "count": (["count", "--regions", "{bed}", "{dataset}", "{here}/none/*.bams3"], "{here}/none/*.bams3"),
    "count, a list": (["count", "--regions", "{bed}", "{dataset}", "--datasets", "{empty}"], "empty names no dataset"),
    "count, no word": (["count", "--regions", "{bed}", "{dataset}", ""], "an empty path; give a path or a URI"),
    "chunks": (["chunks", "{dataset}", "{here}/none/*.bams3"], "{here}/none/*.bams3"),
    "chunks, no word": (["chunks", "{dataset}", ""], "an empty path; give a path or a URI"),
    "map": (["map", "{here}/none/*.bams3", "--", "cat"], "{here}/none/*.bams3"),
    "gather": (["coverage", "{dataset}", "-o", "{here}/x", "--gather", "{here}/none"], "{here}/none"),
    "query": (["query", "{dataset}", "c1", "c2"], "'c2'"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOTHING_NAMED)
def test_named_inputs_that_give_nothing(
    small_sam: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    words, message = NOTHING_NAMED[case]
    (tmp_path / "empty").write_text("\n \n")
    (tmp_path / "x.bed").write_text("c1\t1\t3\n")
    places = {
        "dataset": small_sam.with_suffix(".bams3"), "here": tmp_path, "empty": tmp_path / "empty",
        "bed": tmp_path / "x.bed",
    }  # fmt: skip
    assert main([word.format(**places) for word in words]) == 1
    out, errors = capsys.readouterr()
    assert (out, errors.count("\n")) == ("", 1)
    assert message.format(**places) in errors


def test_patterns_of_spark(tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    for name in ("b.bams3", "a.bams3", "s[1].bams3"):
        (tmp_path / name).mkdir()
    assert spark_uris(f"{tmp_path}/?.bams3") == [f"{tmp_path}/a.bams3", f"{tmp_path}/b.bams3"]
    assert spark_uris(f"file:{tmp_path}/a*", f"{tmp_path}/s[1].bams3", "s3://b/*") == [
        f"{tmp_path}/a.bams3", f"{tmp_path}/s[1].bams3", "s3://b/*"
    ]  # fmt: skip
