"""Opening BAM, CRAM and SAM: whatever the format, the same records as samtools gives."""

import gzip
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable
from hashlib import md5
from pathlib import Path

import hostile
import pysam
import pytest
from bams3.bam.records import RecordBlock
from bams3.errors import SourceError
from bams3.sources.bam import open_source
from bams3.sources.bgzf import PORTION_SIZE
from hypothesis import given, settings
from malformed import malformed
from peers import real_bams

Samtools = Callable[..., bytes]


def records(blocks: Iterable[RecordBlock]) -> bytes:
    return b"".join(
        bytes(memoryview(block.data)[block.offsets[0] : block.offsets[len(block)]]) for block in blocks
    )


def content(path: Path, **options) -> bytes:
    """Header and records of a file, as uncompressed BAM."""
    with open_source(str(path), **options) as source:
        return source.header.to_bam() + records(source.blocks())


def as_samtools(samtools: Samtools, path: Path, *options: str) -> bytes:
    return gzip.decompress(samtools("view", "-u", "-h", "--no-PG", *options, path))


def test_bam_is_read_bit_for_bit(real_bam: Path) -> None:
    assert content(real_bam) == gzip.decompress(real_bam.read_bytes())


@given(bam=hostile.bams())
@settings(max_examples=60)
def test_hostile_bam_is_read_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, bam: hostile.Bam) -> None:
    path = tmp_path_factory.mktemp("hostile") / "x.bam"
    path.write_bytes(bam.data())
    assert content(path) == hostile.bam_header(bam.text, bam.references) + b"".join(bam.records)


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["raw", "gzip"])
def test_bam_need_not_be_bgzf(real_bam: Path, tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    raw = gzip.decompress(real_bam.read_bytes())
    path = tmp_path / "x.bam"
    path.write_bytes(compress(raw))
    assert content(path) == raw
    with open_source(str(path)) as source:
        assert source.counts() is None
        with pytest.raises(SourceError, match="needs an index"):
            list(source.window(0, 0, 10))
    path.write_bytes(compress(raw)[:-9])
    with pytest.raises(SourceError, match=r"x\.bam"):
        content(path)


FORMATS = {
    "sam": ["-O", "sam"],
    "sam.gz": ["-O", "sam.gz"],
    **{f"{version}.cram": ["-O", "cram,no_ref=1,version=" + version] for version in ("2.1", "3.0", "3.1")},
}


OLDER = ("2.1.cram", "3.0.cram")  # one file shows how they differ


@pytest.mark.parametrize(
    ("real_bam", "name"),
    [(path, name) for path in real_bams() for name in FORMATS if name not in OLDER or path == real_bams()[0]],
    indirect=["real_bam"],
    ids=lambda value: value if isinstance(value, str) else value.stem,
)
def test_sam_and_cram_are_read_as_samtools_does(
    real_bam: Path, samtools: Samtools, tmp_path: Path, name: str
) -> None:
    path = tmp_path / f"x.{name}"
    samtools("view", "-h", "--no-PG", *FORMATS[name], "-o", path, real_bam)
    assert content(path) == as_samtools(samtools, path)
    if name.endswith("cram"):
        by_window(path, samtools)
    else:
        with open_source(str(path)) as source, pytest.raises(SourceError, match="cannot be read by window"):
            list(source.window(0, 0, 10))


def by_window(path: Path, samtools: Samtools) -> None:
    """Each record of a CRAM file is in one window, before and after a place on its reference."""
    samtools("index", path)
    with open_source(str(path)) as source:
        whole = records(source.blocks())
        lines = samtools("view", path).splitlines()
        names = {line.split(b"\t")[2].decode() for line in lines}
        taken = []
        for reference_id, (name, length) in enumerate(source.header.references):
            if name in names:
                cut = min(12_000, length)
                taken += source.window(reference_id, 0, cut)
                taken += source.window(reference_id, cut, max(length, cut + 1))
        assert records(taken) + records(source.unplaced()) == whole
        assert source.counts() is None


REFERENCE = b"ACGTTGCA" * 500
PLACED = [(0, 0), (0, 10), (0, 3000), (1, 7), (-1, -1), (-1, -1)]
SEVERAL = [(0, 0), (1, 7), (-1, -1)]
HALF_PLACED = [(0, -1), *PLACED[:3], (1, -1), *PLACED[3:]]


def make_cram(folder: Path, samtools: Samtools, places: list[tuple[int, int]], *options: str) -> Path:
    """x.cram, its index and ref.fa, whose first contig is called a:1-5; records at (reference id, pos)."""
    fasta, bam, path = folder / "ref.fa", folder / "x.bam", folder / "x.cram"
    fasta.write_bytes(b">a:1-5\n" + REFERENCE + b"\n>b\n" + REFERENCE + b"\n")
    made = []
    for i, (ref, pos) in enumerate(places):
        mapped = {"flag": 0, "cigar": [(20, 0)]} if pos >= 0 else {"flag": 4}
        bases = REFERENCE[pos : pos + 20] if pos >= 0 else b"ACGT"
        fields = mapped | {"sequence": bases, "quality": b"\x1e" * len(bases)}
        made.append(hostile.record(ref=ref, pos=pos, name=b"%d" % i, **fields))
    text = b"@SQ\tSN:a:1-5\tLN:4000\n@SQ\tSN:b\tLN:4000\n"
    bam.write_bytes(hostile.bam(text, [("a:1-5", 4000), ("b", 4000)], made))
    samtools("view", "-C", "--no-PG", "-T", fasta, *options, "-o", path, bam)
    samtools("index", path)
    return path


WINDOWS = [(0, 0, 10), (0, 10, 3000), (0, 3000, 4000), (1, 0, 4000)]


def test_cram_with_a_reference(samtools: Samtools, tmp_path: Path) -> None:
    cram, fasta = make_cram(tmp_path, samtools, PLACED), str(tmp_path / "ref.fa")
    assert content(cram, reference=fasta) == as_samtools(samtools, cram, "-T", fasta)
    index = cram.with_name("x.cram.crai").rename(tmp_path / "elsewhere")
    with open_source(str(cram), reference=fasta) as source, pytest.raises(SourceError, match=r"x\.cram"):
        list(source.window(0, 0, 10))
    with open_source(str(cram), reference=fasta, index=str(index)) as source:
        assert [sum(map(len, source.window(*window))) for window in WINDOWS] == [1, 1, 1, 1]
        assert sum(map(len, source.unplaced())) == 2
    Path(fasta).unlink()
    with pytest.raises(SourceError, match=r"x\.cram: htslib cannot read it: .*ref\.fa"):
        content(cram, reference=fasta)


@pytest.mark.parametrize(
    "options", [["-O", "cram,multi_seq_per_slice=1"], []]
)  # htslib checks the latter's slices
@pytest.mark.parametrize("named", ["by -T", "in the header"])
def test_a_fasta_that_a_cram_was_not_written_with(
    samtools: Samtools, tmp_path: Path, named: str, options: list[str]
) -> None:
    cram, fasta = make_cram(tmp_path, samtools, SEVERAL, *options), tmp_path / "ref.fa"
    reference = str(fasta) if named == "by -T" else None
    text = fasta.read_bytes().lower()
    fasta.write_bytes(text)
    assert content(cram, reference=reference) == as_samtools(samtools, cram)
    at = text.index(b">b")
    fasta.write_bytes(text[:at] + text[at:].replace(b"a", b"c"))
    with pytest.raises(SourceError, match=r"x\.cram: .*(sequence of b than .*ref\.fa|MD5 .* mismatch at b)"):
        content(cram, reference=reference)
    with open_source(str(cram), reference=reference) as source:
        assert sum(map(len, source.window(0, 0, 4000))) == 1
        with pytest.raises(
            SourceError, match=r"x\.cram: .*(sequence of b than .*ref\.fa|MD5 .* mismatch at b)"
        ):
            list(source.window(1, 0, 4000))


def test_a_sequence_that_is_found_by_its_checksum(
    samtools: Samtools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then htslib does not open the FASTA that the header names, which may be another one."""
    cram = make_cram(tmp_path, samtools, SEVERAL, "-O", "cram,multi_seq_per_slice=1")
    right, name = content(cram), md5(REFERENCE).hexdigest()
    (tmp_path / "ref.fa").write_bytes((tmp_path / "ref.fa").read_bytes().replace(b"A", b"C"))
    for pattern, place in (("%s", name), ("%2s/%s", f"{name[:2]}/{name[2:]}"), ("x", f"x/{name}")):
        with pytest.raises(SourceError, match=r"sequence of a:1-5 than .*ref\.fa"):
            content(cram)
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(REFERENCE)
        for variable in ("REF_PATH", "REF_CACHE"):
            with monkeypatch.context() as patch:
                patch.setenv(variable, f"{tmp_path}/{pattern}")
                assert content(cram) == right
        (tmp_path / place).unlink()


def test_cram_windows_hold_records_without_a_position(samtools: Samtools, tmp_path: Path) -> None:
    """Of a CRAM with no reference: from one with a reference htslib itself can't read such records."""
    cram = make_cram(tmp_path, samtools, HALF_PLACED, "--output-fmt-option", "no_ref=1")
    assert content(cram) == as_samtools(samtools, cram)
    with open_source(str(cram)) as source:
        assert [sum(map(len, source.window(*window))) for window in WINDOWS] == [2, 1, 1, 2]
        assert sum(map(len, source.unplaced())) == 2


def test_standard_input_is_told_apart_by_content(real_bam: Path, samtools: Samtools, tmp_path: Path) -> None:
    code = (
        "import sys, hashlib\n"
        "from bams3.sources.bam import open_source\n"
        "source = open_source('-')\n"
        "for block in source.blocks():\n"
        "    sys.stdout.buffer.write(block.data[block.offsets[0]:block.offsets[-1]])\n"
        "list(source.blocks())\n"
    )
    whole = gzip.decompress(real_bam.read_bytes())
    as_sam = tmp_path / "x.sam"
    samtools("view", "-h", "--no-PG", "-o", as_sam, real_bam)
    for path, expected in ((real_bam, whole), (as_sam, as_samtools(samtools, as_sam))):
        with path.open("rb") as file:
            run = subprocess.run([sys.executable, "-c", code], stdin=file, capture_output=True)
        assert len(run.stdout) > 100_000
        assert expected.endswith(run.stdout)
        assert b"standard input can be read only once" in run.stderr


def test_records_larger_than_a_block_are_read(tmp_path: Path) -> None:
    bases = 2 * PORTION_SIZE
    tags = [hostile.tag("ZZ", "Z", b"z" * bases)]
    made = [hostile.record(name=b"%d" % i, tags=tags * i) for i in range(3)] + [hostile.record(name=b"last")]
    path = tmp_path / "x.bam"
    path.write_bytes(hostile.bam(b"", [], made))
    assert content(path)[12:] == b"".join(made)


def test_blocks_are_of_bounded_size(tmp_path: Path) -> None:
    record = hostile.record(tags=[hostile.tag("ZZ", "Z", b"z" * 1000)])
    path = tmp_path / "x.bam"
    path.write_bytes(hostile.bam(b"", [], [record] * 15_000))
    with open_source(str(path)) as source:
        sizes = [block.offsets[-1] - block.offsets[0] for block in source.blocks()]
        assert sum(sizes) == 15_000 * len(record)
        assert max(sizes) <= PORTION_SIZE + (1 << 16)
        assert len([size for size in sizes if size > len(record)]) < 30
        assert sum(map(len, source.blocks())) == 15_000  # and once more


@pytest.mark.parametrize(("what", "data"), malformed(), ids=[what for what, _ in malformed()])
def test_malformed_files_are_refused_in_one_line(tmp_path: Path, what: str, data: bytes) -> None:
    path = tmp_path / "x.bam"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"x\.bam") as caught:
        content(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == data


def sam(*fields: str) -> bytes:
    return b"@SQ\tSN:a\tLN:100\n" + "\t".join(fields).encode() + b"\n"


OTHERS = {
    "a directory": (None, "a folder; give a BAM"),
    "VCF": (b"##fileformat=VCFv4.2\n", "neither BAM, CRAM nor SAM"),
    "a gzipped text": (gzip.compress(b"hello\n"), "neither BAM, CRAM nor SAM"),
    "a cut CRAM": (b"CRAM\3\0" + bytes(30), "near offset 26: the file is truncated within a container"),
    "SAM with a bad CIGAR": (sam("r", "0", "a", "1", "9", "3M", "*", "0", "0", "A", "*"), "different length"),
    "SAM with too few fields": (sam("r", "0", "a"), "htslib cannot read it"),
    "SAM out of order": (
        sam("r", "0", "a", "9", "9", "1M", "*", "0", "0", "A", "*") + b"q\t0\ta\t8\t9\t1M\t*\t0\t0\tA\t*\n",
        "not sorted by coordinate: record 2 (q) is at a:8, after one at a:9; use bams3 convert --sort",
    ),
}


def test_an_error_of_a_header_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if its name is a part of the message."""
    monkeypatch.chdir(tmp_path)
    Path("a").write_bytes(b"BAM\1\0\0")
    with pytest.raises(SourceError, match=r"^a: the BAM header ends within the header text"):
        open_source("a")


@pytest.mark.parametrize(("data", "message"), OTHERS.values(), ids=OTHERS)
def test_what_can_not_be_read_is_refused_in_one_line(
    tmp_path: Path, data: bytes | None, message: str
) -> None:
    path = tmp_path / "x"
    path.mkdir() if data is None else path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        content(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        open_source(str(tmp_path / "x.bam"))


def test_sam_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "x.sam"
    path.write_bytes(b"r\t4\t*\t0\t0\t*\t*\t0\t0\tACGT\t*\n")
    with open_source(str(path)) as source:
        assert source.header.references == ()
        assert sum(map(len, source.blocks())) == 1


def test_stopping_early_leaves_nothing_running(real_bam: Path, samtools: Samtools, tmp_path: Path) -> None:
    path = tmp_path / "x.sam"
    samtools("view", "-h", "-o", path, real_bam)
    with open_source(str(path)) as source:
        assert len(next(iter(source.blocks())))
    with open_source(str(path)):
        pass


def test_damage_behind_the_first_records_is_found(tmp_path: Path, real_bam: Path) -> None:
    """Of each real BAM: one byte of each of some blocks flipped."""
    data = bytearray(real_bam.read_bytes())
    offsets = [0]
    while offsets[-1] < len(data):
        offsets.append(offsets[-1] + struct.unpack_from("<H", data, offsets[-1] + 16)[0] + 1)
    path = tmp_path / "x.bam"
    for offset in offsets[1:-2][:: max(1, len(offsets) // 6)]:
        changed = bytearray(data)
        changed[offset + 200] ^= 1
        path.write_bytes(changed)
        with pytest.raises(SourceError, match=f"compressed offset {offset}:"):
            content(path)


def test_pysam_reads_what_the_block_writer_writes(real_bam: Path, tmp_path: Path) -> None:
    from bams3.output.bgzf import BlockWriter

    path = tmp_path / "x.bam"
    with path.open("wb") as file, BlockWriter(file, 1) as writer:
        writer.write(content(real_bam))
    with pysam.AlignmentFile(str(path)) as ours, pysam.AlignmentFile(str(real_bam)) as theirs:
        assert all(a == b for a, b in zip(ours, theirs, strict=True))
