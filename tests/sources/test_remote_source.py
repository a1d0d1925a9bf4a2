"""Alignments in object storage: the same as from local files, no byte too many, and right or refused whatever fails."""

from collections.abc import Callable, Iterable
from pathlib import Path

import hostile
import pysam
import pytest
from bams3.bam.records import RecordBlock
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, SourceError, UsageError
from bams3.operations.verify import verify
from bams3.sources import remote
from bams3.sources.bam import open_source
from bams3.sources.bgzf import byte_span
from bams3.sources.files import input_at
from bams3.sources.index import Index
from engines import run_bams3
from remote_bams import CONTIGS, index_of, made_records, upload
from servers.faults import KINDS, PASSING, Faults

from bams3 import convert, merge

SLACK = 128 << 10
WINDOWS = ["big:1-1048576", "big:1048577-2097152", "big:2097153-3145728"]


@pytest.fixture(scope="module")
def bam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x.bam and its index x.bam.bai."""
    path = tmp_path_factory.mktemp("local") / "x.bam"
    path.write_bytes(hostile.bam(b"", CONTIGS, made_records(), block=20_000))
    pysam.index(str(path))
    return path


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few megabytes are many portions."""
    monkeypatch.setattr(remote, "PORTION", 1 << 18)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of requests."""
    monkeypatch.setenv("BAMS3_LOG_REQUESTS", str(tmp_path / "requests"))
    return tmp_path / "requests"


@pytest.fixture
def uri(bucket: str, bam: Path) -> str:
    """The URI of x.bam, whose index lies beside it."""
    return upload(bucket, bam, index_of(bam))


def asked(log: Path, uri: str) -> list[tuple[int, int]]:
    """The ranges [start, end) that were asked for of an object, and nothing else was."""
    found = []
    for line in log.read_text().splitlines():
        method, key, span, received, _, status = line.split("\t")
        if key == uri:
            start, last = map(int, span.split("-"))
            assert (method, status) == ("GET", "206")
            assert int(received) <= last - start + 1
            found.append((start, last + 1))
    return found


def records(blocks: Iterable[RecordBlock]) -> bytes:
    return b"".join(bytes(memoryview(block.data)[block.offsets[0] : block.offsets[-1]]) for block in blocks)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_real_bams_are_read_as_from_a_local_file(bucket: str, real_bam: Path) -> None:
    there = upload(bucket, real_bam, index_of(real_bam))
    with open_source(there) as ours, open_source(str(real_bam)) as local:
        assert ours.header == local.header
        assert ours.counts() == local.counts()
        windows = [
            (ref, start, start + (1 << 20))
            for ref, (mapped, _) in enumerate(local.counts().references)
            if mapped
            for start in range(0, local.header.references[ref][1], 1 << 20)
        ]
        assert ours.sizes(windows) == local.sizes(windows)
        filled = [window for window, size in zip(windows, ours.sizes(windows), strict=True) if size]
        ours.will_read([*filled, (-1, 0, 0)])
        assert [records(ours.window(*window)) for window in filled] == [
            records(local.window(*window)) for window in filled
        ]
        assert records(ours.unplaced()) == records(local.unplaced())
        assert records(ours.blocks()) == records(local.blocks()) == records(ours.blocks())


def test_windows_in_any_order_and_at_once(uri: str, bam: Path) -> None:
    """What was said to be read next need not be."""
    windows = [(0, start << 19, start + 1 << 19) for start in range(6)]
    with open_source(uri) as ours, open_source(str(bam)) as local:
        expected = [records(local.window(*window)) for window in windows]
        ours.will_read(windows)
        assert [records(ours.window(*windows[i])) for i in (3, 1, 4, 0, 5)] == [
            expected[i] for i in (3, 1, 4, 0, 5)
        ]
        ours.will_read(windows)
        both = zip(ours.window(*windows[0]), ours.window(*windows[3]), strict=False)
        first, second = zip(*both, strict=True)
        assert expected[0].startswith(records(first))
        assert expected[3].startswith(records(second))


WAYS: dict[str, list[dict]] = {
    "whole": [{}],
    "batches": [{"batch": (i, 3)} for i in (1, 2, 3)],
    "windows": [
        *({"windows": [window]} for window in WINDOWS),
        {"windows": [name for name, _ in CONTIGS[1:]]},
        {"windows": ["_unplaced"]},
    ],
}


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("way", WAYS)
def test_datasets_are_the_same(uri: str, bam: Path, tmp_path: Path, way: str, workers: int) -> None:
    for source, name in ((str(bam), "local"), (uri, "remote")):
        for options in WAYS[way]:
            convert(source, tmp_path / name, workers=workers, **options)
        merge(tmp_path / name)
    assert tree(tmp_path / "remote") == tree(tmp_path / "local")
    assert not list(verify(DatasetReader(str(tmp_path / "remote")), uri))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("window", [*WINDOWS, "decoy7", "_unplaced"])
def test_a_window_takes_its_bytes_and_no_more(
    uri: str, bam: Path, tmp_path: Path, log: Path, window: str, workers: int
) -> None:
    convert(uri, tmp_path / "x.bams3", windows=[window], workers=workers)
    head, *spans = asked(log, uri)
    assert head == (0, remote.FIRST)  # the header
    size = bam.stat().st_size
    index = Index.open(input_at(str(bam)), None, n_ref=len(CONTIGS))
    if window == "_unplaced":
        start, end = index.unplaced_offset() >> 16, size
    else:
        reference_id, place = (0, WINDOWS.index(window) << 20) if window in WINDOWS else (8 - 1, 0)
        ((begin, stop),) = index.chunks_for(reference_id + (window == "decoy7"), place, place + (1 << 20))
        start, end = byte_span(begin, stop)[0], (stop >> 16) + 1
    assert min(spans)[0] == start
    assert sum(b - a for a, b in spans) <= end - start + SLACK
    assert len(spans) <= (end - start + SLACK) // remote.PORTION + 1
    assert [line.split("\t")[1] for line in log.read_text().splitlines()].count(f"{uri}.bai") == 1


def test_small_windows_that_touch_are_read_as_one(
    uri: str, bam: Path, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every byte once, though a block may be the last of one and the first of the next, and lie in two portions."""
    monkeypatch.setattr(remote, "PORTION", 1 << 16)
    convert(uri, tmp_path / "x.bams3", windows=[name for name, _ in CONTIGS[1:]])
    spans = sorted(asked(log, uri)[1:])
    assert [start for start, _ in spans[1:]] == [end for _, end in spans[:-1]]
    assert {end - start for start, end in spans[:-1]} == {1 << 16}
    index = Index.open(input_at(str(bam)), None, n_ref=len(CONTIGS))
    ((first, _),), ((_, last),) = (index.chunks_for(ref, 0, 5000) for ref in (1, len(CONTIGS) - 1))
    assert (spans[0][0], spans[-1][1]) == byte_span(first, last)
    assert len(spans) > 5


def test_a_whole_file_is_read_once_ahead(uri: str, bam: Path, tmp_path: Path, log: Path) -> None:
    convert(uri, tmp_path / "x.bams3")
    spans = sorted(asked(log, uri))
    assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
    assert spans[-1][1] == bam.stat().st_size
    assert max(end - start for start, end in spans) == remote.PORTION


def test_a_header_is_one_request(uri: str, log: Path) -> None:
    with open_source(uri) as source:
        assert len(source.header.references) == len(CONTIGS)
    assert asked(log, uri) == [(0, remote.FIRST)]


# Where the index is → the requests for it.
INDEXES = {"x.bam.bai": 1, "x.bai": 2, "x.bam.csi": 3, "x.csi": 4, "elsewhere": 1}


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("name", INDEXES)
def test_index_is_found_or_given(
    bucket: str, bam: Path, tmp_path: Path, faults: Faults, name: str, refused: bool
) -> None:
    """`refused`: to who may not list a bucket, S3 says of all that is not there that access is denied."""
    uri, index = upload(bucket, bam), tmp_path / name
    pysam.index("-c" if "csi" in name else "-b", "-o", str(index), str(bam))
    given = upload(bucket, index) if name == "elsewhere" else None
    upload(bucket, index)
    with open_source(uri, index=given) as source:
        faults.arm("403" if refused else "", times=INDEXES[name] - 1)
        assert source.counts().references[0] == (15729, 0)
        requests = faults.disarm()
    assert [request.method for request in requests] == ["GET"] * INDEXES[name]
    assert requests[-1].path.endswith(f"/in/{name}")


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("", None, r"/in/x\.bam: reading by window needs an index"),
        ("", "no.bai", r"/in/no\.bai: no such index"),
        ("403", None, r"/in/x\.bam\.bai: access refused"),
        ("403", "no.bai", r"/in/no\.bai: access refused"),
    ],
)
def test_no_index(bucket: str, bam: Path, faults: Faults, kind: str, given: str | None, message: str) -> None:
    uri = upload(bucket, bam)
    with open_source(uri, index=given and f"{bucket}/in/{given}") as source:
        faults.arm(kind, times=99)
        with pytest.raises(SourceError, match=message):
            list(source.window(0, 0, 10))
        assert source.header.references == tuple(CONTIGS)


def test_an_index_can_be_local(bucket: str, bam: Path) -> None:
    with open_source(upload(bucket, bam), index=str(index_of(bam))) as source:
        assert sum(map(len, source.window(0, 0, 1000))) == 5


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in ("409", "late")]
)  # of writes, and lists
def test_each_fault_at_each_request_of_a_window(
    bucket: str, bam: Path, tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The same part, or one clear error and no part."""
    monkeypatch.setenv("BAMS3_TIMEOUT", "0.5" if kind == "stall" else "60")
    uri = upload(bucket, bam, index_of(bam))
    convert(str(bam), tmp_path / "expected", windows=WINDOWS[1:2])
    number, made, failures = 0, True, 0
    while made:
        out = tmp_path / str(number)
        faults.arm(kind, at=number)
        try:
            convert(uri, out, windows=WINDOWS[1:2])
            failure = ""
        except SourceError as error:
            failure = str(error)
        if failure:
            assert kind not in PASSING
            assert uri in failure
            assert "\n" not in failure
            assert "the-secret" not in failure
            assert not list(out.rglob("*-*.json"))
            failures += 1
        else:
            assert tree(out) == tree(tmp_path / "expected")
        made = faults.times == 0
        faults.disarm()
        number += 1
    assert number >= 6
    assert bool(failures) == (kind not in PASSING)


def test_a_file_that_is_replaced_while_it_is_read(bucket: str, bam: Path, tmp_path: Path) -> None:
    uri = upload(bucket, bam, index_of(bam))
    with open_source(uri) as source:
        again = tmp_path / "x.bam"
        again.write_bytes(bam.read_bytes()[:-28] + hostile.bgzf(b"")[-28:] * 2)
        upload(bucket, again)
        for read in (source.blocks(), source.window(0, 2 << 20, 3 << 20)):
            with pytest.raises(SourceError, match=r"x\.bam: the object was replaced while it was read"):
                list(read)


def test_what_is_not_there(bucket: str, tmp_path: Path) -> None:
    for source, message in (
        (f"{bucket}/no.bam", r"/no\.bam: no such object"),
        ("s3://no-such-bucket-here/no.bam", r"no-such-bucket-here/no\.bam: no such bucket"),
    ):
        with pytest.raises(SourceError, match=message):
            convert(source, tmp_path / "x.bams3")
    for source in (bucket, f"{bucket}/", "s3://"):
        with pytest.raises(UsageError, match="not a file"):
            convert(source, tmp_path / "x.bams3")
    assert not (tmp_path / "x.bams3").exists()


@pytest.mark.parametrize("ending", ["sam", "sam.gz", "cram"])
def test_sam_and_cram_are_read_whole(
    bucket: str, bam: Path, tmp_path: Path, faults: Faults, samtools: Callable[..., bytes], ending: str
) -> None:
    path = tmp_path / f"x.{ending}"
    samtools("view", "-h", "--no-PG", "-O", "cram,no_ref=1" if ending == "cram" else ending, "-o", path, bam)
    uri = upload(bucket, path)
    with open_source(uri) as source, open_source(str(path)) as local:
        expected = records(local.blocks())
        assert (records(source.blocks()), records(source.blocks())) == (expected, expected)
        with pytest.raises(SourceError, match="cannot be read by window"):
            list(source.window(0, 0, 10))
        with pytest.raises(SourceError, match="cannot be read by window"):
            source.will_read([(0, 0, 10)])
    # A part of a file is not taken for all of it. All requests fail from one on: another one of a conversion before,
    # which has ended, may still come.
    for number in (0, 1, 2):
        faults.arm("403", at=number, times=1000)
        with pytest.raises(SourceError, match=r"/in/x\..*access refused") as raised:
            convert(uri, tmp_path / "x.bams3")
        assert "\n" not in str(raised.value)
        assert not (tmp_path / "x.bams3").exists() or not tree(tmp_path / "x.bams3")


def test_htslib_is_given_no_uri(
    bucket: str, bam: Path, tmp_path: Path, samtools: Callable[..., bytes]
) -> None:
    path = tmp_path / "x.cram"
    samtools("view", "--no-PG", "-O", "cram,no_ref=1", "-o", path, bam)
    for options in (
        {"reference": f"{bucket}/ref.fa"},
        {"index": f"{bucket}/x.crai"},
        {"sort": True, "reference": f"{bucket}/ref.fa"},
    ):
        with pytest.raises(SourceError, match="htslib reads only local files"):
            convert(path, tmp_path / "x.bams3", **options)


def test_a_source_is_sorted(bucket: str, faults: Faults, tmp_path: Path) -> None:
    made = [hostile.record(ref=0, pos=pos, name=b"%d" % pos) for pos in range(50_000, 0, -5)]
    path = tmp_path / "x.bam"
    path.write_bytes(hostile.bam(b"@HD\tVN:1.6\n", CONTIGS, made))
    uri = upload(bucket, path)
    assert convert(uri, tmp_path / "x.bams3", sort=True).records == len(made)
    faults.arm("403")
    with pytest.raises(SourceError, match=r"/in/x\.bam: access refused"):
        convert(uri, tmp_path / "y.bams3", sort=True)


def test_web_server_and_secrets(
    web_server: tuple[str, Path], bam: Path, tmp_path: Path, s3_at: Callable[..., None]
) -> None:
    """What a URL holds beyond its place goes to the server, for the index as well, and into no message."""
    url, root = web_server
    s3_at("")
    for path in (bam, index_of(bam)):
        (root / path.name).write_bytes(path.read_bytes())
    signed = f"{url.replace('://', '://me:the-secret@')}/x.bam?signature=the-secret"
    with open_source(signed) as source, open_source(str(bam)) as local:
        assert source.path == f"{url}/x.bam"
        assert records(source.window(0, 1000, 1 << 20)) == records(local.window(0, 1000, 1 << 20))
        assert records(source.blocks()) == records(local.blocks())
    (root / "bad.bam").write_bytes(bam.read_bytes()[:-100_000])
    for name in ("no.bam", "bad.bam"):
        with pytest.raises(Bams3Error) as raised:
            convert(signed.replace("x.bam", name), tmp_path / "x.bams3")
        assert f"{url}/{name}" in str(raised.value)
        assert "secret" not in str(raised.value)


def test_command_line(uri: str, bucket: str, tmp_path: Path) -> None:
    """Jobs of their own, from one bucket to another place in it."""

    dataset = f"{bucket}/out/x.bams3"
    for i in (1, 2):
        assert run_bams3("convert", "--batch", f"{i}/2", uri, dataset).returncode == 0
    assert run_bams3("merge", dataset).returncode == 0
    assert run_bams3("verify", "--against", uri, dataset).returncode == 0
    done = run_bams3("convert", uri.replace("x.bam", "y.bam"), tmp_path / "y.bams3")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "y.bam: no such object" in done.stderr
