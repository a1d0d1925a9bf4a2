"""Tiles: where in a row group the records of each 2^14 bp begin, as the index of a dataset has it. They are those of
the records, whoever wrote them; without them, or with false ones, nobody is misled."""

import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import forge
import hostile
import pysam
import pytest
import zstandard
from bams3.bam.records import walk
from bams3.bridge.decoder import Decoder
from bams3.bridge.virtual_bam import VirtualBam
from bams3.chunk import tiles
from bams3.dataset.reader import DatasetReader
from bams3.errors import FormatError
from bams3.operations.append import append
from bams3.operations.convert import convert
from bams3.operations.merge import merge, merge_inputs
from bams3.operations.repair import repair
from bams3.operations.rewrite import rewrite
from bams3.operations.verify import verify
from hypothesis import given
from hypothesis import strategies as st
from listings import contents
from reader.records import read_tiles

INDEX = "_index/chunks.json.zst"
SIZE: dict[str, Any] = {"chunk_size": "256K", "level": 1, "workers": 1}
TILE = 1 << 14
LEAST = 3000  # bytes between two tiles that are listed, in these tests


@pytest.fixture(scope="module", autouse=True)
def small_tiles() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "LEAST_BYTES", LEAST)
        yield


def spliced(pos: int, length: int) -> bytes:
    """A read whose ends are `length` apart."""
    return hostile.record(ref=0, pos=pos, flag=0, cigar=[(1, 0), (length, 3), (1, 0)], sequence=b"AC")


RECORDS = [spliced(pos, 7 * pos % 40_000) for pos in range(0, 700_000, 700)]


def listed(records: Sequence[tuple[int, int, int]], least: int) -> list[int]:
    """The tiles of records (pos, end, bytes), as docs/format.md defines them."""
    found: list[int] = []
    offsets = [sum(size for *_, size in records[:i]) for i in range(len(records) + 1)]
    before = 0
    for tile in range(max(records[0][0], 0) // TILE + 1, max(records[-1][0], 0) // TILE + 2):
        start = next((offsets[i] for i, (pos, *_) in enumerate(records) if pos >= tile * TILE), offsets[-1])
        reach = [offsets[i] for i, (_, end, _) in enumerate(records) if end > tile * TILE]
        if reach and start - before >= least:
            found += tile, start, reach[0]
            before = start
    return found


@given(
    st.lists(st.tuples(st.integers(-1, 20 * TILE), st.integers(0, 6 * TILE)), min_size=1, max_size=25),
    st.sampled_from([1, 100, 1000]),
)
def test_tiles_of_records(places: list[tuple[int, int]], least: int) -> None:
    made = [spliced(pos, length) for pos, length in sorted(places)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "LEAST_BYTES", least)
        found = tiles.tiles_of(walk(b"".join(made), 1)[0])
    ends = [
        (pos, pos + length + 2, len(record))
        for (pos, length), record in zip(sorted(places), made, strict=True)
    ]
    assert list(found) == listed(ends, least)


@pytest.mark.parametrize(
    "records", [[], [hostile.good(-1, -1)] * 40, [hostile.good(0, 5 * TILE), hostile.good(0, 3)] * 40]
)
def test_records_without_tiles(records: list[bytes]) -> None:
    """None, with no position, and out of order, which `verify` can meet."""
    assert len(tiles.tiles_of(walk(b"".join(records), 2)[0])) == 0


@pytest.fixture(scope="module")
def bam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiles") / "in.bam"
    records = [*RECORDS, *(hostile.good(1, pos) for pos in range(0, 4000, 500)), hostile.record(name=b"u")]
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    pysam.index(str(path))
    return path


@pytest.fixture(scope="module")
def made(bam: Path) -> Path:
    convert(bam, bam.with_name("d.bams3"), **SIZE)
    return bam.with_name("d.bams3")


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "d.bams3"))


def in_parts(bam: Path, made: Path, out: Path) -> None:
    for number in (1, 2):
        convert(bam, out, batch=(number, 2), **SIZE)
    merge(out)


def resumed(bam: Path, made: Path, out: Path) -> None:
    convert(bam, out, batch=(1, 2), **SIZE)
    next(out.glob("_parts/0*.json")).unlink()
    for number in (1, 2):
        convert(bam, out, batch=(number, 2), resume=True, **SIZE)
    merge(out)


def repaired(bam: Path, made: Path, out: Path) -> None:
    shutil.copytree(made, out)
    (out / INDEX).unlink()
    repair(out)


def repaired_with_manifest(bam: Path, made: Path, out: Path) -> None:
    shutil.copytree(made, out)
    for path in (INDEX, "_metadata.json"):
        (out / path).unlink()
    repair(out)


def grown(bam: Path, made: Path, out: Path) -> None:
    header = pysam.AlignmentFile(str(bam)).header
    for name, chosen in (("first", range(375)), ("rest", range(375, 10_000))):
        with pysam.AlignmentFile(str(out.with_name(f"{name}.bam")), "wb", header=header) as file:
            for number, read in enumerate(pysam.AlignmentFile(str(bam)).fetch(until_eof=True)):
                if number in chosen:
                    file.write(read)
    convert(out.with_name("first.bam"), out, **SIZE)
    append(out, [out.with_name("rest.bam")], combine_read_groups=True, combine_programs=True)


WAYS: dict[str, Callable[[Path, Path, Path], Any]] = {
    "in parts": in_parts,
    "resumed": resumed,
    "repaired": repaired,
    "repaired with its manifest": repaired_with_manifest,
    "appended to": grown,
    "copied": lambda _, made, out: rewrite(made, out),
    "encoded again": lambda _, made, out: rewrite(made, out, level=2) and rewrite(out, f"{out}2", level=1) and (
        shutil.rmtree(out), shutil.move(f"{out}2", out)
    ),
    "copied by a merge": lambda _, made, out: merge_inputs([made], out, **SIZE),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_a_dataset_leaves_the_same_tiles(
    way: str, bam: Path, made: Path, tmp_path: Path
) -> None:
    assert sum(number > 0 for number in map(len, lists(made))) > 2
    WAYS[way](bam, made, tmp_path / "out.bams3")
    assert lists(tmp_path / "out.bams3") == lists(made)
    assert list(verify(DatasetReader(tmp_path / "out.bams3"), strict=True)) == []
    if way != "appended to":  # whose manifest and chunks name two headers
        assert contents(tmp_path / "out.bams3") == contents(made)


def test_another_reader_finds_the_same(made: Path) -> None:
    assert list(read_tiles(made, LEAST)) == lists(made)


def lists(dataset: Path) -> list[list[int]]:
    reader = DatasetReader(dataset)
    assert reader.tiles
    return [
        list(reader.tiles[number]) for number in range(sum(len(entry.row_groups) for entry in reader.index))
    ]


def frames(dataset: Path) -> tuple[bytes, Any]:
    """The first frame of the index, and what is in the second one."""
    first = zstandard.ZstdDecompressor().decompressobj()
    data = (dataset / INDEX).read_bytes()
    first.decompress(data)
    rest = first.unused_data
    return data[: len(data) - len(rest)], json.loads(zstandard.decompress(rest))


def write_frames(dataset: Path, entries: bytes, rest: bytes) -> None:
    """All that tells of the index follows."""
    (dataset / INDEX).write_bytes(entries + rest)
    told = {"index_bytes": len(entries + rest), "index_sha256": sha256(entries + rest).hexdigest()}
    told["index_crc32"] = zlib.crc32(entries + rest)
    forge.rewrite(dataset, forge.MANIFEST, lambda document: document | told)


def test_false_tiles_are_found(dataset: Path) -> None:
    """By those who parse them, by `verify`, and by whoever has the records. Other readers need none."""
    entries, columns = frames(dataset)
    right = forge.answers(dataset, forge.COUNTS)
    kinds = {"refused": 0, "false": 0}
    for what, lie in islice(forge.lies(columns), 0, None, 7):
        write_frames(dataset, entries, zstandard.compress(json.dumps(lie).encode()))
        assert forge.complains(dataset), what
        assert forge.answers(dataset, forge.COUNTS) == right
        bam = VirtualBam(DatasetReader(dataset), Decoder())
        try:
            bam.index("bai")
        except FormatError as error:
            forge.check_message(error)
            kinds["refused"] += 1
            continue
        kinds["false"] += 1
        with pytest.raises(FormatError, match="tiles in the index are not those"):
            print(what, bam.read(len(bam.header), bam.size))
    assert min(kinds.values()) > 5


@pytest.mark.parametrize("rest", [b"x", b"\x28\xb5\x2f\xfd", zstandard.compress(b"[" * 9)])
def test_what_is_not_a_frame_of_tiles(rest: bytes, dataset: Path) -> None:
    entries, _ = frames(dataset)
    write_frames(dataset, entries, rest)
    assert forge.complains(dataset)
    with pytest.raises(FormatError, match="damaged _index"):
        VirtualBam(DatasetReader(dataset)).index("bai")


def test_a_dataset_of_an_earlier_version(dataset: Path, made: Path, bam: Path, tmp_path: Path) -> None:
    """It lacks tiles, and has a coarser index; a copy of it has them."""
    entries, _ = frames(dataset)
    write_frames(dataset, entries, b"")
    assert DatasetReader(dataset).tiles is None
    assert list(verify(DatasetReader(dataset))) == []
    virtual = VirtualBam(DatasetReader(dataset))
    assert len(virtual.index("bai")) < len(VirtualBam(DatasetReader(made)).index("bai"))
    assert virtual.read(0, virtual.size)
    before = (dataset / INDEX).read_bytes()
    (dataset / INDEX).unlink()
    repair(dataset)
    assert (dataset / INDEX).read_bytes() == before
    rewrite(dataset, tmp_path / "new.bams3")
    assert contents(tmp_path / "new.bams3") == contents(made)


def test_contigs_that_share_a_window_have_none(tmp_path: Path) -> None:
    contigs = [(f"c{number}", 40_000) for number in range(4100)]
    text = b"".join(b"@SQ\tSN:%s\tLN:40000\n" % name.encode() for name, _ in contigs)
    records = [hostile.good(contig, pos) for contig in (0, 7) for pos in range(0, 39_000, 400)]
    (tmp_path / "in.bam").write_bytes(hostile.bam(text, contigs, records))
    convert(tmp_path / "in.bam", tmp_path / "d.bams3", workers=1)
    assert lists(tmp_path / "d.bams3") == [[], []]
    assert list(verify(DatasetReader(tmp_path / "d.bams3"))) == []
    bam = VirtualBam(DatasetReader(tmp_path / "d.bams3"))
    assert len(bam.read(0, bam.size)) == bam.size
