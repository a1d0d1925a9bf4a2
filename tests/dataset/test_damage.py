"""Damaged datasets: one clear error, never wrong data, never a crash. `make test` runs it on the checked build too."""

import json
import random
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import hostile
import pytest
from bams3.chunk.footer import MAGIC, Footer
from bams3.chunk.reader import ChunkReader, open_chunk
from bams3.coverage import depth_of
from bams3.dataset.manifest import sealed
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, DatasetError, FormatError
from bams3.operations.convert import convert
from bams3.operations.verify import verify
from bams3.select.query import RecordFilter, query
from conversions import fails
from engines import run_bams3 as run
from fuzz.mutate import edit_footer, mutated

MUTATIONS = 100  # for each of four seeds; `make fuzz` makes a million


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    record = hostile.record
    kinds = (("NM", "C", 3), ("MD", "Z", b"50"), ("RG", "Z", b"a"), ("ML", "BC", [1, 2]), ("zz", "f", 1.5))
    tags = [hostile.tag(*kind) for kind in kinds]
    records = [
        record(
            ref=0, pos=pos, name=b"read%d" % (pos // 200), flag=99 if pos % 200 else 147, tags=tags,
            cigar=[(20, 0), (3, 2), (30, 0)], sequence=b"ACGTN" * 10, quality=bytes(pos % 40 for _ in range(50)),
            next_ref=0, next_pos=pos,
        )
        for pos in range(0, 200_000, 100)
    ]  # fmt: skip
    records.append(hostile.record(ref=-1, pos=-1, flag=4, sequence=b"A", quality=None))
    (folder / "in.bam").write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    convert(folder / "in.bam", folder / "d.bams3", chunk_size="256K")
    return folder / "d.bams3"


@pytest.fixture
def dataset(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "d.bams3"))


def chunk_of(dataset: Path) -> Path:
    return next((dataset / "data/chr1").iterdir())


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(data)


def edit_manifest(dataset: Path, **changes: object) -> None:
    path = dataset / "_metadata.json"
    document = json.loads(path.read_text()) | changes
    document.pop("crc32")
    path.write_bytes(sealed(document))


def stream(document: dict, name: str) -> list:
    return document["row_groups"][0]["streams"][name]


def stream_items(document: dict) -> list:
    return list(document["row_groups"][0]["streams"].items())


def set_stream(name: str, index: int, value: object) -> Callable[[dict], None]:
    return lambda document: stream(document, name).__setitem__(index, value)


def read_all(dataset: Path) -> None:
    """Header and records."""
    opened = DatasetReader(dataset)
    assert opened.header
    list(query(opened, None, RecordFilter()))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda d: flip(chunk_of(d), 20), "damaged"),
        (lambda d: flip(chunk_of(d), -100), "checksum"),
        (lambda d: flip(chunk_of(d), -1), "unknown chunk version|not a bams3 chunk"),
        (lambda d: chunk_of(d).write_bytes(chunk_of(d).read_bytes()[:-9]), "truncated"),
        (lambda d: chunk_of(d).write_bytes(b""), "truncated"),
        (lambda d: chunk_of(d).unlink(), "missing"),
        (
            lambda d: shutil.copy(next((d / "data/_unplaced").iterdir()), chunk_of(d)),
            "from another dataset",
        ),
        (lambda d: (d / "_header.sam.zst").unlink(), "missing"),
        (lambda d: (d / "_header.sam.zst").write_bytes(b"@CO\tanother\n"), "_header.sam.zst is damaged"),
        (lambda d: (d / "_index/chunks.json.zst").unlink(), "missing"),
        (lambda d: flip(d / "_index/chunks.json.zst", 30), "damaged"),
        (lambda d: (d / "_metadata.json").write_text("{"), "damaged"),
        (lambda d: (d / "_metadata.json").write_text("[]"), "damaged"),
        (lambda d: edit_manifest(d, version=99), "version 99 is not supported"),
        (lambda d: edit_manifest(d, format="zarr"), "not a bams3 dataset"),
        (lambda d: edit_manifest(d, surprise=1), "damaged"),
        (lambda d: flip(d / "_metadata.json", -30), "damaged"),
        (lambda d: (d / "_metadata.json").unlink(), "bams3 repair rebuilds it"),
        (lambda d: shutil.rmtree(d), "no such file or directory"),
    ],
)
def test_damage_is_one_line(dataset: Path, damage: Callable[[Path], object], says: str) -> None:
    damage(dataset)
    with pytest.raises(Bams3Error, match=says):
        read_all(dataset)
    assert fails(run("query", dataset)).count(".chunk") <= 1


def test_every_command_says_it_in_one_line(dataset: Path, tmp_path: Path) -> None:
    (pos,) = (entry.streams["pos"] for entry in open_chunk(chunk_of(dataset)).footer.row_groups[:1])
    flip(chunk_of(dataset), pos.offset)
    assert "damaged" in fails(run("query", "-c", dataset, "chr1:5-150"))
    assert "damaged" in fails(run("coverage", dataset, "-o", tmp_path / "out"))
    assert "damaged" in fails(run("verify", dataset))
    assert "damaged" in fails(run("to-bam", dataset, tmp_path / "out.bam"))
    assert not list(tmp_path.glob("*out*"))
    assert "no such file or directory" in fails(run("stats", tmp_path / "nothing"))
    assert "not a bams3 chunk" in fails(run("inspect", dataset / "_metadata.json"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f["encodings"].update(sequences="telepathy"), "unknown encoding 'telepathy' of sequences"),
        (lambda f: f["encodings"].update(auras="colours"), "unknown encoding 'colours' of auras"),
        (set_stream("pos", 0, "brotli"), "unknown codec 'brotli'"),
        (set_stream("pos", 2, 10), "'pos'"),
        (set_stream("pos", 2, 1 << 60), "invalid offset or length"),
        (set_stream("pos", 1, -1), "invalid offset or length"),
        (set_stream("pos", 1, 1.5), "invalid numbers in a row group"),
        (set_stream("pos", 1, 0), "invalid offset or length"),
        (lambda f: stream(f, "pos").append(7), "invalid footer"),
        (lambda f: f["row_groups"][0].update(checksums=[0, None]), "invalid footer"),
        (lambda f: stream(f, "pos").clear(), "invalid footer"),
        (lambda f: f["row_groups"][0].update(checksums=[1]), "invalid footer"),
        (lambda f: f["row_groups"][0].pop("checksums"), "invalid footer"),
        (lambda f: f["row_groups"][0]["checksums"].reverse(), "streams is damaged"),
        (lambda f: f.update(reference_id=1 << 31), "a reference that no row group mentions"),
        (lambda f: f["row_groups"][0].update(records=0), "invalid numbers"),
        (lambda f: f["row_groups"][0].update(records=1 << 40), "invalid numbers"),
        (lambda f: f["row_groups"][0].update(records=60_000), "invalid numbers in row group 0"),
        (lambda f: f["row_groups"][0].update(records=f["row_groups"][0]["records"] + 1), "stream|shorter"),
        (lambda f: f["row_groups"][0].update(bytes=5), "invalid numbers in row group 0"),
        (lambda f: f["row_groups"][0].update(bytes=80_000), "no valid length"),
        (
            lambda f: f["row_groups"][0].update(bytes=f["row_groups"][0]["bytes"] - 1),
            "exceeds the size in the footer",
        ),
        (lambda f: f["row_groups"][0].update(bytes=f["row_groups"][0]["bytes"] + 1), "instead of"),
        (lambda f: f["row_groups"][0].update(bytes=1 << 32), "invalid numbers"),
        (set_stream("mapq", 2, 1 << 31), "invalid offset or length"),
        (lambda f: f["row_groups"][0]["streams"].pop("pos"), "do not add up to its size"),
        (lambda f: f["row_groups"][0]["streams"].pop("qual"), "do not add up to its size"),
        (lambda f: f["row_groups"][0]["streams"].pop("tag.ML:BC"), "do not add up to its size"),
        (lambda f: f["row_groups"][0]["streams"].popitem(), "do not add up to its size"),
        (
            lambda f: f["row_groups"][0].update(streams=dict(reversed(stream_items(f)))),
            "hot streams are out of order",
        ),
        (lambda f: f.pop("row_groups"), "invalid footer"),
        (lambda f: f.update(row_groups=7), "invalid footer"),
    ],
)
def test_hostile_footers(dataset: Path, change: Callable[[dict], object], says: str) -> None:
    path = chunk_of(dataset)
    edit_footer(path, change)
    with pytest.raises(FormatError, match=says) as error:
        [group.block() for group in open_chunk(path).row_groups]
    assert str(path) in str(error.value)


def test_verify_finds_what_reading_does_not(dataset: Path) -> None:
    assert list(verify(DatasetReader(dataset))) == []
    (dataset / "data/chr1/stray.chunk").write_bytes(b"x")
    flip(chunk_of(dataset), 1)
    reader = DatasetReader(dataset)
    problems = list(verify(reader))
    assert reader.foreign() == ["data/chr1/stray.chunk"]
    assert any("magic" in problem for problem in problems)


def test_verify_against_names_the_record(dataset: Path, original: Path, tmp_path: Path) -> None:
    assert list(verify(DatasetReader(dataset), original.parent / "in.bam")) == []
    records = [hostile.good(0, 0, name=b"other")]
    (tmp_path / "x.bam").write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    (problem,) = verify(DatasetReader(dataset), tmp_path / "x.bam")
    assert "record 1 (other) differs" in problem


def use(chunk: ChunkReader) -> None:
    """All that decodes."""
    groups = list(chunk.row_groups)
    for group in groups:
        for name in ("NM", "ML", "RG", "zz"):
            group.tag(name)
    depth_of(groups, chunk.footer.reference_id, 0, 300_000).values()
    for group in groups:
        group.block()  # which its checksum refuses


@pytest.mark.parametrize("seed", range(4))
def test_streams_of_random_bytes(dataset: Path, seed: int) -> None:
    """Streams that pass their checksums and hold nonsense: FormatError, or data; never a crash or a hang."""
    chance = random.Random(seed)
    path = chunk_of(dataset)
    chunk = open_chunk(path)
    plain = {name: chunk.row_groups.__next__()._streams[name] for name in chunk.footer.row_groups[0].streams}
    refused = 0
    for _ in range(MUTATIONS):
        streams = dict(plain)
        for name in chance.sample(sorted(streams), chance.choice((1, 1, 2, 5))):
            streams[name] = mutated(streams[name], chance)
        path.write_bytes(rebuilt(chunk.footer, streams))
        try:
            use(open_chunk(path))
        except FormatError:
            refused += 1
    assert refused > MUTATIONS // 2


def rebuilt(footer: Footer, streams: dict[str, bytes]) -> bytes:
    """The chunk with other contents of its first row group's streams, all stored raw and checksummed."""
    import copy

    from bams3.chunk.footer import StreamEntry

    footer = copy.deepcopy(footer)
    footer.row_groups[:] = [footer.row_groups[0]._replace(checksums=(None, None))]
    body = bytearray(MAGIC)
    for name, data in streams.items():
        told = StreamEntry("raw", len(body), len(data), len(data), zlib.crc32(data))
        footer.row_groups[0].streams[name] = told
        body += data
    return bytes(body) + footer.to_bytes()


def test_the_checked_build(request: pytest.FixtureRequest) -> None:
    """The tests above that decode nonsense, on the build whose kernels check every index."""
    import os

    import bams3

    checked = request.config.rootpath / "build/checked"
    if Path(bams3.__file__).is_relative_to(checked):
        return  # this is it
    if not (checked / ".built").exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "the checked build is missing; make test builds it"
        )
    environment = os.environ | {"PYTHONPATH": str(checked)}
    check = "import bams3, sys; sys.exit('checked' not in bams3.__file__)"
    assert subprocess.run([sys.executable, "-c", check], env=environment, cwd=checked).returncode == 0
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", __file__,
         "-k", "random_bytes or hostile_footers or damage_is_one_line"],
        env=environment, cwd=request.config.rootpath / "tests", capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:]


def test_an_index_of_other_row_groups(dataset: Path) -> None:
    reader = DatasetReader(dataset)
    reader.index[0].row_groups.append(reader.index[0].row_groups[-1])
    with pytest.raises(FormatError, match="row groups differ from those in the dataset's index"):
        _ = reader.chunk(reader.index[0]).footer
    with pytest.raises(FormatError, match="row groups differ") as refused:
        _ = next(iter(reader.chunk(reader.index[0]).row_groups)).pos
    assert str(refused.value).count(".chunk") == 1
    assert any("row groups differ" in problem for problem in verify(reader))


def test_unlike_things_are_not_datasets(tmp_path: Path) -> None:
    for path, message in ((tmp_path, "not a bams3 dataset"), (tmp_path / "no", "no such file or directory")):
        with pytest.raises(DatasetError, match=message):
            DatasetReader(path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DatasetError):
        DatasetReader(tmp_path / "file")
    with pytest.raises(Bams3Error, match="not supported"):
        DatasetReader("ftp://host/x")
