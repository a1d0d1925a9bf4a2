"""A chunk alone is enough: copied elsewhere, renamed or piped, chunks answer as the part of a dataset that they are."""

import io
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import hostile
import pysam
import pytest
from bams3.bam.header import Header
from bams3.chunk import header as chunk_header
from bams3.chunk.footer import Footer
from bams3.chunk.reader import open_chunk
from bams3.cli import main
from bams3.dataset.opening import inputs_of, open_reader
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, UsageError
from bams3.operations.convert import convert
from bams3.operations.verify import verify
from bams3.output.alignments import write_alignments
from bams3.select.query import RecordFilter, query
from fuzz.mutate import with_footer
from peers import real_bams

import bams3

CONTIGS = [("unused", 900), ("chr1", 1_000_000), ("between", 77), ("chr2", 600_000), ("last", 10)]
TEXT = b"".join(
    [
        b"@HD\tVN:1.6\tSO:coordinate\n",
        *(b"@SQ\tSN:%s\tLN:%d\tM5:%032d\n" % (name.encode(), length, length) for name, length in CONTIGS),
        *(b"@RG\tID:%s\tSM:S1\n" % name for name in (b"a", b"b", b"other")),
        b"@PG\tID:first\tPN:x\n@PG\tID:second\tPP:first\n@PG\tID:else\n@CO\tnobody needs this\n",
    ]
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small chunks, which keep only the lines of the header that they need."""
    folder = tmp_path_factory.mktemp("loose")
    tags = [hostile.tag("RG", "Z", b"a"), hostile.tag("PG", "Z", b"second")]
    mate = {"next_ref": 3, "next_pos": 500}
    records = [
        *(hostile.good(1, pos, tags=tags, flag=65, **mate) for pos in range(100, 500_000, 5000)),
        *(hostile.good(3, pos, tags=[hostile.tag("RG", "Z", b"b")]) for pos in range(500, 600_000, 5000)),
        *(hostile.record(ref=-1, pos=-1, flag=4, sequence=b"A", quality=None) for _ in range(3)),
    ]
    (folder / "in.bam").write_bytes(hostile.bam(TEXT, CONTIGS, records))
    convert(folder / "in.bam", folder / "d.bams3", chunk_size="256K")
    return folder / "d.bams3"


@pytest.fixture
def chunks(dataset: Path, tmp_path: Path) -> list[str]:
    """Copies of its chunks: two of chr1, three of chr2, and the one of reads without a position."""
    found = [
        path for name in ("chr1", "chr2", "_unplaced") for path in sorted((dataset / "data" / name).iterdir())
    ]
    return [str(shutil.copy(path, tmp_path / f"{number}.x")) for number, path in enumerate(found)]


def printed(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 0, capfd.readouterr().err
    return capfd.readouterr().out


COMMANDS: dict[str, Callable[[Sequence[str]], Sequence[str]]] = {
    "query": lambda names: ["query", *names],
    "regions": lambda names: ["query", *names, "chr1:100-300000", "chr2"],
    "count": lambda names: ["query", "-c", "-f", "1", *names],
    "samtools-stats": lambda names: ["stats", "--samtools-stats", *names],
    "flagstat": lambda names: ["stats", "--flagstat", *names],
    "map": lambda names: ["map", "--no-header", *names, "--", "wc", "-l"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_all_chunks_are_the_dataset(
    dataset: Path, chunks: list[str], capfd: pytest.CaptureFixture[str], command: str
) -> None:
    """In any order."""
    whole = printed(capfd, *COMMANDS[command]([str(dataset)]))
    assert whole == printed(capfd, *COMMANDS[command](chunks[::-1]))


@pytest.mark.parametrize("real", real_bams(), ids=lambda path: path.name)
def test_a_chunk_is_its_window(real: Path, tmp_path: Path) -> None:
    """Each chunk of real alignments, alone: all columns of its records as SAM, and their depth."""
    convert(real, tmp_path / "d.bams3", chunk_size="256K", level=1)
    opened = DatasetReader(str(tmp_path / "d.bams3"))
    for entry in opened.index:
        alone = bams3.open(shutil.copy(opened.chunk_uri(entry), tmp_path / "alone"))
        part = opened.only([entry])
        sam = tmp_path / "sam"
        assert main(["query", "-o", str(sam), str(tmp_path / "alone")]) == 0
        everything = query(part, None, RecordFilter())
        write_alignments(everything, opened.header, str(tmp_path / "expected"), with_header=False)
        assert sam.read_bytes() == (tmp_path / "expected").read_bytes() != b""
        assert alone.count(until_eof=True) == entry.records == alone.stats["records"]
        assert alone.stats["flagstat"]["QC-passed reads"]["total"] <= entry.records
        if entry.reference_id >= 0:
            name = opened.references[entry.reference_id][0]
            depth = bams3.read_chunk(tmp_path / "alone").coverage()
            expected = bams3.Dataset(part).coverage(name, entry.start, entry.end)
            assert (depth == expected).all()
            assert depth.any() or not len(depth)


def test_what_other_tools_get(chunks: list[str], tmp_path: Path) -> None:
    """The contigs that the records mention, in their order, with all fields; read groups and programs."""
    assert main(["query", "-o", str(tmp_path / "x.bam"), chunks[0]]) == 0
    with pysam.AlignmentFile(tmp_path / "x.bam") as file:
        assert list(zip(file.references, file.lengths, strict=True)) == [CONTIGS[1], CONTIGS[3]]
        assert file.text == "".join(
            line
            for line in TEXT.decode().splitlines(keepends=True)
            if any(word in line for word in ("@HD", "chr", "ID:a", "ID:first", "ID:second"))
        )
        record = next(file)
        assert (record.reference_name, record.next_reference_name) == ("chr1", "chr2")


def test_the_whole_header_if_it_is_small(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_header, "SHARE", 0)
    convert(dataset.parent / "in.bam", tmp_path / "d.bams3", chunk_size="256K")
    opened = DatasetReader(str(tmp_path / "d.bams3"))
    assert not list(verify(opened))
    loose = open_reader(opened.chunk_uri(opened.index[0]))
    assert loose.header == Header(TEXT, tuple(CONTIGS)) == opened.header


def test_a_header_is_prepared_once(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for each chunk: with a chunk for each of 100,000 contigs, that would take hours."""
    read: list[bytes] = []
    by_kind = chunk_header._by_kind
    monkeypatch.setattr(chunk_header, "_by_kind", lambda text: read.append(text) or by_kind(text))
    convert(dataset.parent / "in.bam", tmp_path / "d.bams3", chunk_size="256K")
    assert read == [TEXT]
    assert not list(verify(DatasetReader(str(tmp_path / "d.bams3"))))
    assert read == [TEXT] * 2


def test_a_header_text_without_references(tmp_path: Path) -> None:
    """BAM's own list of references counts."""
    (tmp_path / "in.bam").write_bytes(hostile.bam(b"", CONTIGS, [hostile.good(3, 5), hostile.good(4, 5)]))
    convert(tmp_path / "in.bam", tmp_path / "d.bams3")
    opened = DatasetReader(str(tmp_path / "d.bams3"))
    assert not list(verify(opened))
    both = open_reader([opened.chunk_uri(entry) for entry in opened.index])
    assert both.references == CONTIGS[3:]
    assert both.header.text == b"@SQ\tSN:chr2\tLN:600000\n@SQ\tSN:last\tLN:10\n"


@pytest.mark.parametrize("way", ["-", "/dev/stdin", "pipe"])
def test_streams(chunks: list[str], way: str) -> None:
    command = {"pipe": f"bams3 query -c <(cat {chunks[0]})"}.get(way, f"bams3 query -c {way} < {chunks[0]}")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("53\n", "")


def test_python(chunks: list[str]) -> None:
    data = Path(chunks[0]).read_bytes()
    for source in (chunks[0], Path(chunks[0]), data, memoryview(data), io.BytesIO(data)):
        chunk = bams3.read_chunk(source)  # type: ignore[arg-type]
        assert chunk.count() == chunk.records == len(list(chunk.fetch())) == 53
        assert chunk.count("chr1", 0, 5101) == 2
        assert chunk.references == ("chr1", "chr2")
        assert chunk.query(["mrname", "mrefid"])["mrefid"].tolist() == [3] * 53
    with pytest.raises(UsageError, match="no position"):
        bams3.read_chunk(chunks[-1]).coverage()
    assert bams3.open(chunks[:2]).count("chr1") == 100


def test_several_datasets(
    dataset: Path, chunks: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.bam").write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, [hostile.good(0, 5)]))
    convert(tmp_path / "in.bam", tmp_path / "other.bams3")
    (other,) = (tmp_path / "other.bams3/data/chr1").iterdir()
    with pytest.raises(UsageError, match="not from the same dataset"):
        open_reader([chunks[0], other])
    (tmp_path / "x.bed").write_text("chr1\t0\t6000\n")
    counted = printed(
        capfd, "count", "--regions", str(tmp_path / "x.bed"), *chunks[:2], str(other), str(dataset)
    )
    names = "\t".join([chunks[0], str(other), str(dataset)])
    assert counted == f"#contig\tstart\tend\t{names}\nchr1\t0\t6000\t2\t1\t2\n"
    assert len(printed(capfd, "chunks", chunks[0], str(other)).splitlines()) == 2
    assert printed(capfd, "verify", chunks[0], str(other)).count("no problems found") == 2


BED = "chr1\t0\t300\tgene A\nlast\t0\t9\nelsewhere\t0\t900\nchr2\t0\t600000\n"


@pytest.mark.parametrize("number", range(6))
def test_contigs_that_a_chunk_does_not_know(
    dataset: Path, chunks: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], number: int
) -> None:
    """Lines of a BED file on them match nothing, in every command; a whole dataset knows that they are mistakes."""
    (tmp_path / "x.bed").write_text(BED)
    known = {name for name, _ in open_reader(chunks[number]).references}
    of_dataset = query(
        open_reader(str(dataset)).only([open_reader(str(dataset)).index[number]]), None, RecordFilter()
    )
    expected = [0, 0, 0, 0]
    for block in of_dataset:
        for record in _records(block):
            expected[0] += record[0] == 1 and record[1] < 300
            expected[3] += record[0] == 3
    rows = printed(capfd, "count", "--regions", str(tmp_path / "x.bed"), chunks[number]).splitlines()[1:]
    assert [int(row.split("\t")[4]) for row in rows] == expected
    assert (
        printed(capfd, "query", "-c", "-L", str(tmp_path / "x.bed"), chunks[number]) == f"{sum(expected)}\n"
    )
    assert "last" not in known
    assert main(["count", "--regions", str(tmp_path / "x.bed"), str(dataset)]) == 1
    assert "unknown contig 'elsewhere'" in capfd.readouterr().err


def _records(block: object) -> list[tuple[int, int]]:
    """Reference ids and positions."""
    return [struct.unpack_from("<ii", block.data, at + 4) for at in block.offsets[:-1]]  # type: ignore[attr-defined]


WRONG = {
    "twice": (lambda names: ["query", names[0], names[0]], "the same window"),
    "of another kind": (lambda names: ["query", __file__], "not a bams3 chunk"),
    "a folder": (lambda names: ["inspect", str(Path(names[0]).parent)], "a folder, not a chunk"),
    "unknown contig": (lambda names: ["query", names[0], "unused"], "unused"),
    "against": (lambda names: ["verify", "--against", names[0], names[0]], "give the dataset"),
    "no output": (lambda names: ["to-bam", *names], "give the file to write"),
    "onto itself": (lambda names: ["query", "-o", names[0], names[0]], "input"),
    "not a number of bases": (lambda names: ["cost", *names, "sing"], "OPERATION"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(chunks: list[str], capfd: pytest.CaptureFixture[str], case: str) -> None:
    words, message = WRONG[case]
    before = Path(chunks[0]).read_bytes()
    assert main(words(chunks)) in (1, 2)
    assert message in capfd.readouterr().err.splitlines()[-1]
    assert Path(chunks[0]).read_bytes() == before


def test_a_region_is_no_chunk(
    dataset: Path, chunks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the region's name does no harm."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chr1").write_text("notes")
    assert inputs_of([chunks[0], "chr1"]) == ([chunks[0]], ["chr1"])
    assert inputs_of([str(dataset), chunks[0]]) == ([str(dataset)], [chunks[0]])


def _foreign(footer: dict[str, object]) -> None:
    footer["header"] = str(footer["header"]).replace("SN:chr1", "SN:chr9")


def test_a_forged_header_is_found(dataset: Path, chunks: list[str], tmp_path: Path) -> None:
    path = Path(shutil.copytree(dataset, tmp_path / "d.bams3")) / "data/chr1/000000000-000262144.chunk"
    path.write_bytes(with_footer(path.read_bytes(), _foreign))
    loose = open_reader(str(path))
    assert [name for name, _ in loose.references] == ["chr1", "chr2"]  # those of the records
    assert b"@SQ\tSN:chr1\tLN:1000000\n" in loose.header.text


def test_chunks_without_header_lines(chunks: list[str]) -> None:
    """Those of early versions."""

    def without(footer: dict[str, object]) -> None:
        del footer["header"]

    old = with_footer(Path(chunks[0]).read_bytes(), without)
    assert open_chunk(old).footer.header is None
    assert isinstance(open_chunk(old).footer, Footer)
    chunk = bams3.read_chunk(old)
    assert chunk.references == ("chr1", "chr2")
    assert chunk.count() == 53


def test_results_beside_chunks(dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "d.bams3"))
    (copy / "data/chr1/000000000-000262144.result").write_text("53\n")
    assert main(["verify", str(copy)]) == 0
    out, err = capfd.readouterr()
    assert "no problems found" in out
    assert (
        err == f"bams3 verify: note: {copy}: not in the index: 1 file data/chr1/000000000-000262144.result\n"
    )


def test_damage_is_refused(chunks: list[str]) -> None:
    data = Path(chunks[0]).read_bytes()
    for at in range(0, len(data), max(len(data) // 200, 1)):
        broken = bytearray(data)
        broken[at] ^= 0x10
        try:
            found = [str(record) for record in bams3.read_chunk(bytes(broken)).fetch()]
        except Bams3Error:
            continue
        assert found == [str(record) for record in bams3.read_chunk(data).fetch()]


def test_memory_is_bounded_by_what_a_chunk_mentions(chunks: list[str]) -> None:
    """Not by the largest id of a reference that a footer gives."""

    def far(footer: dict[str, object]) -> None:
        text = str(footer)
        assert "'references': [[1, " in text
        footer["references"][1][0] = 2**31 - 2  # type: ignore[index]
        for group in footer["row_groups"]:  # type: ignore[attr-defined]
            group["references"][1] = 2**31 - 2

    data = with_footer(Path(chunks[0]).read_bytes(), far)
    assert open_reader(_file(data, Path(chunks[0]).parent)).references == [CONTIGS[1], CONTIGS[3]]
    with pytest.raises(Bams3Error, match="mentions reference 3"):
        list(bams3.read_chunk(data).fetch())


def _file(data: bytes, folder: Path) -> str:
    path = folder / f"{os.urandom(4).hex()}.chunk"
    path.write_bytes(data)
    return str(path)
