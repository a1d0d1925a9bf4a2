"""Input that is not whole is refused, whatever reads it; and nothing that htslib only warns of is lost."""

import gzip
import io
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import hostile
import pytest
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, DatasetError, SourceError
from bams3.operations import stats
from bams3.operations.verify import verify
from bams3.sources import cram
from bams3.sources.bam import open_source
from bams3.sources.bgzf import EOF_MARKER
from hypothesis import given, settings
from hypothesis import strategies as st
from small_inputs import HEAD, RECORDS, SAM, Samtools, records_of, run

import bams3

CRAMS = {"cram": "3.0", "v31.cram": "3.1", "v21.cram": "2.1"}


@pytest.fixture(scope="module")
def files(samtools: Samtools, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The same records in every format, by the ending of its name; of several blocks or containers each."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "x.sam").write_bytes(SAM)
    for name, version in CRAMS.items():
        options = f"cram,no_ref=1,seqs_per_slice=50,version={version}"
        samtools("view", "-O", options, "--no-PG", "-o", folder / f"x.{name}", folder / "x.sam")
    bam = gzip.decompress(samtools("view", "-b", "--no-PG", folder / "x.sam"))
    made = {name: (folder / f"x.{name}").read_bytes() for name in CRAMS}
    packed = {
        "bam": hostile.bgzf(bam, 2000),
        "sam.gz": hostile.bgzf(SAM, 2000),
        "gzip.sam": gzip.compress(SAM),
    }
    return made | packed | {"sam": SAM}


def borders(name: str, data: bytes) -> list[int]:
    """Where a file's blocks, containers or lines end, the last one's end left out."""
    at, found = 0, []
    if name.endswith("cram"):
        at = cram._Containers.DEFINITION
        while at < len(data):
            container = cram._parse_container(data[at : at + 256], data[4], of_header=at == 26)
            assert container
            at += container.header + container.size
            found.append(at)
    elif name == "sam":
        found = [i + 1 for i, byte in enumerate(data) if byte == ord("\n")]
    elif name != "gzip.sam":
        while at < len(data):
            at += int.from_bytes(data[at + 16 : at + 18], "little") + 1
            found.append(at)
    return [end for end in found if end < len(data)]


PLACES = {
    "before the marker": lambda name, data: borders(name, data)[-1],
    "at a border": lambda name, data: borders(name, data)[2],
    "after a border": lambda name, data: borders(name, data)[2] + 10,
    "before a border": lambda name, data: borders(name, data)[2] - 3,
    "within the marker": lambda name, data: len(data) - 5,
}
NAMES = ["bam", "sam.gz", *CRAMS]
WAYS = [("path", False), ("path", True), ("pipe", True), ("pipe", False)]


@contextmanager
def given_by(way: str, path: Path) -> Iterator[str]:
    """What to open: the path, or a pipe that the file comes out of."""
    if way == "path":
        yield str(path)
        return
    readable, writable = os.pipe()

    def write() -> None:
        try:
            with open(writable, "wb") as pipe:
                pipe.write(path.read_bytes())
        except BrokenPipeError:
            pass

    thread = threading.Thread(target=write)
    thread.start()
    yield f"/dev/fd/{readable}"
    os.close(readable)
    thread.join()


CASES = [
    pytest.param(name, place, way, sort, id=f"{name} {place}, {'sorted, ' * sort}by {way}")
    for name in NAMES
    for place in PLACES
    for way, sort in (WAYS if name in ("bam", "sam.gz", "cram") else WAYS[:1])
]


@pytest.mark.parametrize(("name", "place", "way", "sort"), CASES)
def test_truncated_input_is_refused(
    files: dict[str, bytes], tmp_path: Path, name: str, place: str, way: str, sort: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """With the option that helps, where one does: it takes what ends at a border, and the dataset says so."""
    data, path, out = files[name], tmp_path / f"x.{name}", tmp_path / "d.bams3"
    cut = PLACES[place](name, data)
    path.write_bytes(data[:cut])
    with given_by(way, path) as source, pytest.raises(SourceError) as caught:
        bams3.convert(source, out, sort=sort)
    assert str(caught.value).startswith(source)
    assert "truncated" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (out / "_metadata.json").exists()
    at_border = cut in borders(name, data)
    assert ("--allow-truncated" in str(caught.value)) == at_border
    # A block's end may be within a record or a line: that is no whole file of any kind.
    whole = at_border and (name.endswith("cram") or place == "before the marker")
    with given_by(way, path) as source, nullcontext() if whole else pytest.raises(SourceError):
        bams3.convert(source, out, sort=sort, allow_truncated=True)
        assert [message for message in caplog.messages if source in message and "end-of-file" in message]
    assert (out / "_metadata.json").exists() == whole
    if whole:
        dataset = DatasetReader(str(out))
        manifest = dataset.manifest
        assert manifest.truncated
        assert "truncated" in stats.summary(dataset) + stats.to_json(dataset)
        assert manifest.records == (100 if name.endswith("cram") and place == "at a border" else RECORDS)


@pytest.mark.parametrize("name", [*NAMES, "sam", "gzip.sam"])
def test_whole_input_is_taken(files: dict[str, bytes], tmp_path: Path, name: str) -> None:
    """And nothing is said of it in the manifest, whatever is allowed."""
    path = tmp_path / f"x.{name}"
    path.write_bytes(files[name])
    for way, sort in WAYS:
        with given_by(way, path) as source:
            bams3.convert(source, tmp_path / "d", sort=sort, allow_truncated=sort, overwrite=True)
        assert records_of(tmp_path / "d") == RECORDS
        assert b"truncated" not in (tmp_path / "d/_metadata.json").read_bytes()
    assert not list(verify(DatasetReader(str(tmp_path / "d")), path))


@given(name=st.sampled_from([*NAMES, "sam", "gzip.sam"]), part=st.floats(0, 1), sort=st.booleans())
@settings(max_examples=40, deadline=None)
def test_no_cut_gives_fewer_records(
    files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, name: str, part: float, sort: bool
) -> None:
    """But of text that is not packed, where a line ends, which nobody can know."""
    folder = tmp_path_factory.mktemp("cut")
    data = files[name]
    cut = int(part * len(data))
    (folder / "x").write_bytes(data[:cut])
    known = name == "sam" and data[cut - 1 : cut] == b"\n"
    with nullcontext() if cut == len(data) or known else pytest.raises(SourceError):
        bams3.convert(folder / "x", folder / "d", sort=sort)
        assert records_of(folder / "d") == (data[:cut].count(b"\nr") - (not data[:cut].count(b"\nr"))
                                            if known else RECORDS)  # fmt: skip


def test_cuts_at_lines_and_within_tags(files: dict[str, bytes], tmp_path: Path) -> None:
    """A line that is cut within its last tag is still a record, but not the file's."""
    path = tmp_path / "x.sam"
    path.write_bytes(SAM[:-3])
    for allow in (False, True):
        with pytest.raises(SourceError, match=r"x\.sam: the last line does not end with a newline"):
            bams3.convert(path, tmp_path / "d", allow_truncated=allow)


def test_parts_of_truncated_files(files: dict[str, bytes], samtools: Samtools, tmp_path: Path) -> None:
    """Read by window, by an index that knows no more than the file: the batch with the end tells; merge keeps it."""
    for name in ("bam", "cram"):
        path, out = tmp_path / f"x.{name}", tmp_path / f"{name}.bams3"
        path.write_bytes(files[name][: borders(name, files[name])[-1]])
        try:
            samtools("index", path)
        except subprocess.CalledProcessError:
            path.write_bytes(files[name])
            samtools("index", path)
            path.write_bytes(files[name][: borders(name, files[name])[-1]])
        refused = 0
        for batch in (1, 2):
            try:
                bams3.convert(path, out, batch=(batch, 2))
            except SourceError as error:
                assert "--allow-truncated" in str(error)  # noqa: PT017 (of one batch or both)
                refused += 1
        assert refused
        with pytest.raises(DatasetError):
            bams3.merge(out)
        for batch in (1, 2):
            bams3.convert(path, out, batch=(batch, 2), allow_truncated=True, resume=True)
        assert bams3.merge(out).truncated
        assert records_of(out) == RECORDS


def test_a_truncated_source_is_verified_against(files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "x.cram"
    path.write_bytes(files["cram"][: borders("cram", files["cram"])[-1]])
    bams3.convert(path, tmp_path / "d", allow_truncated=True)
    assert not list(verify(DatasetReader(str(tmp_path / "d")), path))


def test_the_manifest_says_only_what_is_true(files: dict[str, bytes], tmp_path: Path) -> None:
    from bams3.dataset.manifest import Manifest

    (tmp_path / "x.bam").write_bytes(files["bam"])
    manifest = bams3.convert(tmp_path / "x.bam", tmp_path / "d")
    assert manifest
    said = manifest._replace(truncated=True).to_bytes()
    assert Manifest.from_bytes(said, "d").truncated
    for value in (b"false", b"1", b'"true"'):
        import zlib

        text = said.rpartition(b'  "crc32": ')[0].replace(b'"truncated": true', b'"truncated": ' + value)
        with pytest.raises(Bams3Error, match="damaged"):
            Manifest.from_bytes(text + b'  "crc32": %d\n}\n' % zlib.crc32(text), "d")


def changed_crams() -> list[tuple[str, Callable[[bytes], bytes]]]:
    def without(number: int) -> Callable[[bytes], bytes]:
        def change(data: bytes) -> bytes:
            ends = borders("cram", data)
            return data[: ends[number - 1]] + data[ends[number] :]

        return change

    def more_records(data: bytes) -> bytes:
        """The last container of records says that it has one more, and its checksum is right."""
        import zlib

        start = borders("cram", data)[-2]
        container = cram._parse_container(data[start : start + 256], 3)
        assert container
        header = bytearray(data[start : start + container.header - 4])
        at = 4
        for _ in range(3):
            at = cram._itf8(header, at)[1]
        assert header[at] == container.records < 127
        header[at] += 1
        seal = zlib.crc32(header).to_bytes(4, "little")
        return data[:start] + header + seal + data[start + container.header :]

    return [
        ("a container's count", more_records),
        ("something after the end", lambda data: data + b"x"),
        ("another file after the end", lambda data: data + data),
        ("a container header without end", lambda data: data[:26] + b"\xff" * 200_000),
    ]


@pytest.mark.parametrize(("what", "change"), changed_crams(), ids=[what for what, _ in changed_crams()])
@pytest.mark.parametrize("sort", [False, True])
def test_crams_whose_containers_do_not_add_up(
    files: dict[str, bytes], tmp_path: Path, what: str, change: Callable[[bytes], bytes], sort: bool
) -> None:
    path = tmp_path / "x.cram"
    path.write_bytes(change(files["cram"]))
    with pytest.raises(SourceError, match=r"x\.cram"):
        bams3.convert(path, tmp_path / "d", sort=sort, allow_truncated=True)


def test_an_index_knows_how_many_records_there_are(
    files: dict[str, bytes], samtools: Samtools, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, other = tmp_path / "x.bam", tmp_path / "y.bam"
    path.write_bytes(files["bam"])
    other.write_bytes(hostile.bam(b"@SQ\tSN:c\tLN:1000\n", [("c", 1000)], [hostile.record(ref=0, pos=1)]))
    samtools("index", other)
    index = other.with_name("y.bam.bai").rename(tmp_path / "x.bam.bai")
    with pytest.raises(DatasetError, match="240 records of c, but the source's index says 1"):
        bams3.convert(path, tmp_path / "d")
    os.utime(index, (1, 1))
    bams3.convert(path, tmp_path / "d", overwrite=True)  # one that is older knows nothing
    index.write_bytes(index.read_bytes()[:30])
    bams3.convert(path, tmp_path / "d", overwrite=True)  # nor one that is damaged, which is not needed
    assert any("x.bam.bai: the index is truncated" in message for message in caplog.messages)


def test_an_eof_marker_in_the_middle_is_no_end(tmp_path: Path) -> None:
    """Files put one after another, as some tools do."""
    raw = hostile.bam_header(HEAD, [("c", 1000)])
    made = [hostile.record(ref=0, pos=i) for i in range(4)]
    blocks = [hostile.bgzf(raw)[: -len(EOF_MARKER)], *(hostile.bgzf(record) for record in made)]
    path = tmp_path / "x.bam"
    path.write_bytes(b"".join(blocks))
    with open_source(str(path)) as source:
        assert sum(map(len, source.blocks())) == 4


def test_what_is_written_is_what_its_name_says(
    files: dict[str, bytes], samtools: Samtools, tmp_path: Path
) -> None:
    (tmp_path / "x.bam").write_bytes(files["bam"])
    dataset = tmp_path / "d"
    bams3.convert(tmp_path / "x.bam", dataset)
    for name, start in {
        "y.sam": b"@HD",
        "y.sam.gz": EOF_MARKER[:4],
        "y.bam": b"\x1f\x8b",
        "y.cram": b"CRAM",
    }.items():
        assert run("query", "-h", dataset, "-o", tmp_path / name).returncode == 0
        assert (tmp_path / name).read_bytes().startswith(start)
        assert samtools("view", "--no-PG", "-h", tmp_path / name) == SAM
        back = tmp_path / f"back.{name}"
        assert run("to-bam", dataset, back).returncode == 0
        assert back.read_bytes().startswith(start)
        assert samtools("view", "--no-PG", "-h", back) == SAM
    assert (tmp_path / "y.sam.gz").read_bytes().endswith(EOF_MARKER)
    assert run("query", "-c", dataset, "-o", tmp_path / "number").stdout == ""
    assert (tmp_path / "number").read_text() == f"{RECORDS}\n"


@pytest.mark.parametrize("name", CRAMS)
def test_the_marker_of_a_cram_is_known(files: dict[str, bytes], name: str) -> None:
    """Before windows of it are read, which need not reach its end."""
    data = files[name]
    cuts = [*borders(name, data), len(data) - 1, len(data) - 40, 30, 5, 0]
    found = [cut for cut in [*cuts, len(data)] if cut >= 5 and cram.has_marker(io.BytesIO(data[:cut]))]
    assert found == [len(data)]
