"""Writing SAM, BAM and CRAM: the same records and header as samtools reads, and nothing half-written."""

import gzip
import os
import stat
import subprocess
import sys
from pathlib import Path

import hostile
import pytest
from bams3.bam.header import Header, program_line
from bams3.bam.records import walk
from bams3.bam.regions import Region
from bams3.output.alignments import write_alignments
from bams3.select.query import RecordFilter, query
from memory_dataset import MemoryDataset
from sam_files import REAL, read_bam, samtools

HEADER = Header(b"@HD\tVN:1.6\n@SQ\tSN:c\tLN:5000\n", (("c", 5000),))
READS = [
    hostile.record(
        ref=0, pos=i, flag=0, cigar=[(8, 0)], sequence=b"ACGTTGCA", quality=b"\x1e" * 8, name=b"r%d" % i
    )
    for i in range(2000)
]
BLOCK = walk(b"".join(READS), 1)[0]
DATASET = MemoryDataset(HEADER, BLOCK, 300)


def single_blocks():
    return (BLOCK[i : i + 1] for i in range(len(BLOCK)))


@pytest.mark.parametrize("path", REAL[:4], ids=lambda path: path.stem)
def test_to_bam_gives_the_same_bytes(path, tmp_path):
    dataset = MemoryDataset(*read_bam(path), 5000)
    blocks = query(dataset, None, RecordFilter(), 2)
    write_alignments(blocks, dataset.header, str(tmp_path / "out.bam"), format="bam", level=1, workers=2)
    assert gzip.decompress((tmp_path / "out.bam").read_bytes()) == gzip.decompress(path.read_bytes())
    samtools("quickcheck", tmp_path / "out.bam")


def test_to_bam_of_regions(tmp_path):
    out = tmp_path / "out.bam"
    blocks = query(DATASET, [Region(0, 700, 703), Region(0, 100, 101)], RecordFilter())
    write_alignments(blocks, HEADER, str(out), format="bam")
    header, block = read_bam(out)
    assert header == HEADER
    assert bytes(block.data)[len(header.to_bam()) :] == b"".join(READS[93:101] + READS[693:703])


@pytest.mark.parametrize("path", REAL[:2], ids=lambda path: path.stem)
@pytest.mark.parametrize("workers", [1, 3])
def test_sam_with_its_header(path, workers, tmp_path):
    dataset = MemoryDataset(*read_bam(path), 5000)
    blocks = [group.block() for group in dataset.groups]
    write_alignments(blocks, dataset.header, str(tmp_path / "out.sam"), workers=workers)
    assert (tmp_path / "out.sam").read_bytes() == samtools("view", "-h", "--no-PG", path)


@pytest.mark.parametrize(
    ("format", "level", "workers"),
    [("bam", 0, 1), ("bam", 1, 3), ("bam", 6, 2), ("bam", 9, 1), ("ubam", 9, 2)],
)
def test_bam_at_every_level_from_blocks_of_any_size(format, level, workers, tmp_path):
    out, other = str(tmp_path / "out.bam"), str(tmp_path / "other.bam")
    write_alignments([BLOCK], HEADER, out, format=format, level=level, workers=workers)
    write_alignments(single_blocks(), HEADER, other, format=format, level=level)
    data = Path(out).read_bytes()
    assert gzip.decompress(data) == HEADER.to_bam() + b"".join(READS)
    assert data == Path(other).read_bytes()
    samtools("quickcheck", out)
    is_stored = len(data) > len(gzip.decompress(data))
    assert is_stored == (format == "ubam" or level == 0)


def test_a_slice_of_a_block(tmp_path):
    write_alignments([BLOCK[5:7], BLOCK[7:7]], HEADER, str(tmp_path / "out.bam"), format="bam")
    assert gzip.decompress((tmp_path / "out.bam").read_bytes()) == HEADER.to_bam() + b"".join(READS[5:7])


@pytest.mark.parametrize("path", REAL[:1], ids=lambda path: path.stem)
def test_cram_that_holds_its_bases(path, tmp_path):
    header, block = read_bam(path)
    write_alignments([block], header, str(tmp_path / "out.cram"), format="cram", workers=2)
    assert (tmp_path / "out.cram").read_bytes()[:4] == b"CRAM"
    assert samtools("view", tmp_path / "out.cram") == samtools("view", path)


def test_cram_against_a_reference(tmp_path):
    reference = tmp_path / "ref.fa"
    reference.write_text(">c\n" + "ACGTTGCA" * 625 + "\n")
    write_alignments([BLOCK], HEADER, str(tmp_path / "out.cram"), format="cram", reference=str(reference))
    write_alignments([BLOCK], HEADER, str(tmp_path / "out.sam"), with_header=False)
    text = samtools("view", "-T", reference, "--input-fmt-option", "decode_md=0", tmp_path / "out.cram")
    assert text == (tmp_path / "out.sam").read_bytes()
    assert b"M5:" in samtools("view", "-H", "--no-PG", tmp_path / "out.cram")


def test_records_that_cannot_be_made_fail_a_cram_too(tmp_path):
    with pytest.raises(RuntimeError, match="no more records"):
        write_alignments(failing_blocks(), HEADER, str(tmp_path / "out.cram"), format="cram")
    assert list(tmp_path.iterdir()) == []


PG = b"@PG\tID:bams3\tVN:1"
HEADERS = {
    "as it is": (b"@SQ\tSN:c\tLN:9\n@CO\tx\n", None, b"@SQ\tSN:c\tLN:9\n@CO\tx\n"),
    "without @SQ": (b"@CO\t@SQ\tSN:x\n", None, b"@CO\t@SQ\tSN:x\n@SQ\tSN:c\tLN:5000\n@SQ\tSN:d\xff\tLN:7\n"),
    "empty": (b"", None, b"@SQ\tSN:c\tLN:5000\n@SQ\tSN:d\xff\tLN:7\n"),
    "without its last newline": (b"@SQ\tSN:c\tLN:9", None, b"@SQ\tSN:c\tLN:9\n"),
    "NULs at its end": (b"@SQ\tSN:c\tLN:9\n\0\0", None, b"@SQ\tSN:c\tLN:9\n"),
    "with a program": (b"@SQ\tSN:c\tLN:9\n\0", PG, b"@SQ\tSN:c\tLN:9\n" + PG + b"\n"),
}


@pytest.mark.parametrize(("text", "pg_line", "expected"), HEADERS.values(), ids=HEADERS.keys())
def test_sam_headers(text, pg_line, expected, tmp_path):
    header = Header(text, (("c", 5000), ("d\udcff", 7)))
    write_alignments([], header, str(tmp_path / "out.sam"), pg_line=pg_line)
    assert (tmp_path / "out.sam").read_bytes() == expected


def test_program_line_in_bam(tmp_path):
    write_alignments([], HEADER, str(tmp_path / "out.bam"), format="bam", pg_line=PG)
    header, _ = read_bam(tmp_path / "out.bam")
    assert header == Header(HEADER.text + PG + b"\n", HEADER.references)


PROGRAMS = {
    "none": (b"@CO\t@PG\tID:x\n", b"@PG\tID:bams3\tPN:bams3\tVN:"),
    "another": (b"@PG\tID:bwa\n@PG\tID:dup\tPP:bwa\n\0", b"@PG\tID:bams3\tPN:bams3\tPP:dup\tVN:"),
    "twice": (b"@PG\tID:bams3\n@PG\tID:bams3.1\n", b"@PG\tID:bams3.2\tPN:bams3\tPP:bams3.1\tVN:"),
}


@pytest.mark.parametrize(("text", "expected"), PROGRAMS.values(), ids=PROGRAMS.keys())
def test_program_lines(text, expected):
    line = program_line(Header(text, ()), ["bams3", "to-bam", "a\tb"])
    assert line.startswith(expected)
    assert line.endswith(b"\tCL:bams3 to-bam a b")


def failing_blocks():
    yield BLOCK
    raise RuntimeError("no more records")


@pytest.mark.parametrize("format", ["sam", "bam"])
@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_half_written(format, workers, tmp_path):
    old = tmp_path / "old"
    old.write_bytes(b"kept")
    for name in ("old", "new"):
        with pytest.raises(RuntimeError, match="no more records"):
            write_alignments(failing_blocks(), HEADER, str(tmp_path / name), format=format, workers=workers)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert old.read_bytes() == b"kept"


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_alignments([BLOCK], HEADER, str(tmp_path / "none" / "out.sam"))


def test_a_device_stays_one_and_a_link_too(tmp_path):
    write_alignments([BLOCK], HEADER, os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "target").write_bytes(b"")
    write_alignments([], HEADER, str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == HEADER.text


STDOUT = """
import sys
from test_export import BLOCK, HEADER, write_alignments
write_alignments([BLOCK] * int(sys.argv[2]), HEADER, "-", format=sys.argv[1])
"""


@pytest.mark.parametrize("format", ["sam", "bam", "cram"])
def test_stdout(format, tmp_path):
    command = [sys.executable, "-c", STDOUT, format, "1"]
    data = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment()).stdout
    assert samtools("view", "-c", "-", input=data) == b"2000\n"


@pytest.mark.parametrize("format", ["sam", "ubam"])
def test_a_reader_of_stdout_who_leaves_ends_it_quietly(format):
    command = [sys.executable, "-c", STDOUT, format, "100"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def environment():
    here = Path(__file__).parent
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(here), *sys.path])}
