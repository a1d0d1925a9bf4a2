"""Where there are many contigs, short ones share chunks: nobody who reads a dataset sees it."""

import gzip
import random
import shutil
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hostile
import pytest
from bams3.bam.records import walk
from bams3.chunk.reader import open_chunk
from bams3.cli import main
from bams3.codec import streams
from bams3.codec.joined import joint_of
from bams3.codec.joint import mentioned, runs
from bams3.dataset import layout
from bams3.dataset.layout import Grid, Window
from bams3.dataset.opening import open_reader
from bams3.dataset.plan import Plan, write_plan
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, DatasetError, FormatError, SourceError, UsageError
from bams3.operations.convert import convert
from bams3.operations.merge import merge
from bams3.operations.repair import repair
from bams3.operations.verify import verify
from bams3.select.filters import Expression
from bams3.select.query import RecordFilter, batch, count, query, reads
from bams3.select.schema import RECORD_FIELDS
from fuzz.mutate import edit_footer, footer_of, lies, with_footer
from hypothesis import given, settings
from hypothesis import strategies as st

import bams3

CONTIGS = [("a", 500), ("b", 1), ("c", 900), ("long", 3_000_000), ("d", 70), ("e", 1000), ("f", 5)]
SHARED = {0: 0, 1: 0, 2: 0, 4: 4, 5: 4, 6: 4}


@pytest.fixture(scope="module")
def joins() -> Iterator[None]:
    """So few contigs are many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "MANY_CONTIGS", 1)
        patch.setattr(layout, "SHARED_ROW_GROUP", 100)
        yield


EVERYTHING = RecordFilter()


def record(ref: int, pos: int, **fields: Any) -> bytes:
    return hostile.good(ref, pos, **fields)


ODD: dict[str, list[bytes]] = {
    "mates near, far and past the end": [
        record(0, 10, flag=65, next_ref=2, next_pos=899),
        record(0, 11, flag=65, next_ref=2, next_pos=900),
        record(0, 12, flag=65, next_ref=2, next_pos=901),
        record(0, 13, flag=65, next_ref=2, next_pos=-1),
        record(0, 14, flag=65, next_ref=1, next_pos=0),
        record(0, 15, flag=65, next_ref=3, next_pos=7),
        record(0, 16, flag=65, next_ref=6, next_pos=7),
        record(0, 17, flag=65, next_ref=-1, next_pos=7),
        record(2, 20, flag=65, next_ref=0, next_pos=10),
    ],
    "places": [record(0, -1), record(0, 499), record(0, 500), record(0, 5_000_000), record(1, -1), record(1, 9)],
    "pairs": [
        record(0, 10, name=b"p", flag=99, next_ref=0, next_pos=30, tlen=70),
        record(0, 30, name=b"p", flag=147, next_ref=0, next_pos=10, tlen=-70),
        record(0, 40, name=b"q", flag=65, next_ref=2, next_pos=3),
        record(2, 3, name=b"q", flag=129, next_ref=0, next_pos=40),
        record(2, 3, name=b"p", flag=0),
    ],
    "bins": [record(0, 10, bin=0), record(0, 11, bin=65_535), record(2, 12, bin=4681), record(4, 1, bin=4680)],
    "a contig between": [record(2, 5), record(3, 5), record(3, 1_500_000), record(4, 5), record(-1, -1, flag=4)],
    "none": [],
}  # fmt: skip


def bam(folder: Path, records: list[bytes], contigs: Any = CONTIGS) -> Path:
    path = folder / "in.bam"
    path.write_bytes(hostile.bam(b"", contigs, sorted(records, key=hostile.coordinate)))
    return path


def bytes_of(blocks: Any) -> bytes:
    return b"".join(bytes(memoryview(block.data)[block.offsets[0] : block.offsets[-1]]) for block in blocks)


def records_of(dataset: DatasetReader, chosen: RecordFilter = EVERYTHING) -> bytes:
    return bytes_of(query(dataset, None, chosen))


def check_all(path: Path, contigs: Any, records: list[bytes], folder: Path) -> None:
    """All readers say of a dataset whose contigs share chunks what they say of one in which none do."""
    convert(path, folder / "joined.bams3", chunk_size="8M")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "MANY_CONTIGS", 100)
        convert(path, folder / "plain.bams3", chunk_size="8M")
    readers = [DatasetReader(folder / f"{name}.bams3") for name in ("joined", "plain")]
    assert records_of(readers[0]) == b"".join(sorted(records, key=hostile.coordinate))
    assert list(verify(readers[0], path)) == []
    assert readers[0].counts == readers[1].counts
    batches = (batch(readers[0], None, EVERYTHING, number, 3) for number in (1, 2, 3))
    assert b"".join(map(records_of, batches)) == records_of(readers[0])
    ours, theirs = (bams3.open(folder / f"{name}.bams3") for name in ("joined", "plain"))
    fields = [*RECORD_FIELDS, "[NM]", "[MD]", "[zz]"]
    regions = [None, *((name, 0, max(length, 1)) for name, length in contigs)]
    for region in regions:
        got, wanted = (each.query(region, fields=fields) for each in (ours, theirs))
        for name in fields:
            assert list(map(repr, got[name])) == list(map(repr, wanted[name])), (region, name)
        assert region is None or ours.count(*region) == theirs.count(*region)
    assert [(each.contig, each.records) for each in ours.chunks] == _by_contig(theirs)
    for chosen in FILTERS:
        got, wanted = (_chosen(each, chosen) for each in readers)
        assert got == wanted, chosen


def _chosen(dataset: DatasetReader, chosen: RecordFilter) -> Any:
    """What a filter lets pass, or the error of a filter that does not suit the records."""
    try:
        return (
            count(dataset, None, chosen),
            records_of(dataset, chosen),
            bytes_of(reads(dataset, None, chosen)),
        )
    except UsageError as error:
        return str(error)


FILTERS = [
    EVERYTHING,
    RecordFilter(require=64),
    RecordFilter(exclude=16),
    RecordFilter(min_mapq=20),
    *(
        RecordFilter(expression=Expression(text))
        for text in (
            'rname == "c" || refid == 4', "pos > 12 && endpos < 900", 'mrname == "a" || mpos > 5',
            "tlen > 0 || mrefid == 2", 'qname == "r" && qlen > 0', "[NM] > 1", 'seq =~ "A" && qlen < 20',
        )
    ),
]  # fmt: skip


def _by_contig(dataset: Any) -> list[tuple[str | None, int]]:
    return [(each.contig, each.records) for each in dataset.chunks]


@pytest.mark.parametrize("what", ODD)
def test_odd_records(what: str, tmp_path: Path, joins: None) -> None:
    check_all(bam(tmp_path, ODD[what]), CONTIGS, ODD[what], tmp_path)


@settings(max_examples=25)
@given(records=st.lists(hostile.records(CONTIGS, (b"r", b"s")), max_size=15))
def test_hostile_records(records: list[bytes], tmp_path_factory: pytest.TempPathFactory, joins: None) -> None:
    folder = tmp_path_factory.mktemp("made")
    try:
        check_all(bam(folder, records), CONTIGS, records, folder)
    finally:
        shutil.rmtree(folder)


def test_which_contigs_share(joins: None) -> None:
    grid = Grid(CONTIGS, 1 << 20)
    assert grid.shared == SHARED
    assert list(grid.runs()) == [
        Window(0, 0, 1 << 20), Window(3, 0, 3 << 20), Window(4, 0, 1 << 20), Window(-1, 0, 0),
    ]  # fmt: skip
    assert [grid.index_of(number, 0) for number in range(7)] == [0, 0, 0, 1, 4, 4, 4]
    assert grid.path(1, 0) == grid.path(2, 0) == "data/_contigs/000000000-000000003.chunk"
    assert grid.path(3, 1 << 20) == "data/long/001048576-002097152.chunk"
    assert not Grid(CONTIGS, 1 << 20, joins=False).shared
    assert Grid([("x", 1), ("y", 1 << 17), ("z", (1 << 17) + 1)], 1 << 20).shared == {0: 0, 1: 0}


def test_a_window_holds_so_many_bases_and_contigs(joins: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [*Grid([("x", 1 << 17)] * 65, 1 << 20).firsts] == [0] * 32 + [32] * 32 + [64]
    assert [*Grid([("x", length) for length in (9, 1 << 18, 0, 0)], 1 << 20).firsts] == [0, 1, 2, 2]
    monkeypatch.setattr(layout, "MOST_JOINED", 3)
    assert [*Grid([("x", 0)] * 7, 1 << 20).firsts] == [0, 0, 0, 3, 3, 3, 6]


def many() -> list[bytes]:
    """Reads on 12 contigs, in several row groups of one chunk."""
    return [record(ref, pos % 800, name=b"r%d" % (pos // 2)) for ref in range(12) for pos in range(40)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, joins: None) -> Path:
    folder = tmp_path_factory.mktemp("many")
    contigs = [(f"c{number}", 1000) for number in range(12)]
    path = bam(folder, many(), contigs)
    pysam_index(path)
    convert(path, folder / "d.bams3")
    return folder / "d.bams3"


def pysam_index(path: Path) -> None:
    import pysam

    pysam.index(str(path))


def test_row_groups_end_where_contigs_do(dataset: Path) -> None:
    (path,) = (dataset / "data/_contigs").iterdir()
    groups = open_chunk(str(path)).footer.row_groups
    assert [[contig[0] for contig in group.contigs] for group in groups] == [
        [0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11],
    ]  # fmt: skip
    assert [group.zone.records for group in groups] == [120] * 4


WAYS: dict[str, Callable[[Path, Path], object]] = {
    "batches": lambda path, out: [convert(path, out, batch=(i, 2)) for i in (2, 1)],
    "windows": lambda path, out: [convert(path, out, windows=[name]) for name in ("c3", "_unplaced")],
    "again": lambda path, out: [convert(path, out), convert(path, out, overwrite=True)],
    "verified": lambda path, out: convert(path, out, verify=True),
}


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_make_it(way: str, dataset: Path, tmp_path: Path, joins: None) -> None:
    WAYS[way](dataset.parent / "in.bam", tmp_path / "d.bams3")
    merge(tmp_path / "d.bams3")
    for path in dataset.rglob("*"):
        if path.is_file():
            assert (tmp_path / "d.bams3" / path.relative_to(dataset)).read_bytes() == path.read_bytes()


def test_resumed(dataset: Path, tmp_path: Path, joins: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups that an interrupted run left are not encoded again."""
    import bams3.operations.convert as module

    shutil.copytree(dataset / "data", tmp_path / "d.bams3/data")
    plan = Plan.of(open_reader(dataset).header, 1 << 20, 5)
    write_plan(module.open_storage(str(tmp_path / "d.bams3")), plan, b"", join=False)
    monkeypatch.setattr(module, "compress_joined", None)
    convert(dataset.parent / "in.bam", tmp_path / "d.bams3", resume=True)
    assert list(verify(DatasetReader(tmp_path / "d.bams3"))) == []


def test_repaired(dataset: Path, tmp_path: Path, joins: None) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "d.bams3"))
    (copy / "_metadata.json").unlink()
    (copy / "_index/chunks.json.zst").unlink()
    repair(copy)
    assert (copy / "_index/chunks.json.zst").read_bytes() == (dataset / "_index/chunks.json.zst").read_bytes()
    assert list(verify(DatasetReader(copy))) == []


def test_the_grid_is_unknown_without_the_header(tmp_path: Path, joins: None) -> None:
    convert(bam(tmp_path, [record(0, 10), record(5, 10)]), tmp_path / "d.bams3")
    for document in ("_metadata.json", "_header.sam.zst"):
        (tmp_path / "d.bams3" / document).unlink()
    with pytest.raises(DatasetError, match="grid; give the header with --header"):
        repair(tmp_path / "d.bams3")


def printed(capfd: pytest.CaptureFixture[str], *words: Any) -> str:
    assert main([str(word) for word in words]) == 0, capfd.readouterr().err
    return capfd.readouterr().out


def test_chunks_at_the_command_line(dataset: Path, capfd: pytest.CaptureFixture[str], joins: None) -> None:
    """A contig has a chunk of its own, even if it is no file; the file that they share can be read, too."""
    listed = [line.split("\t") for line in printed(capfd, "chunks", dataset).splitlines()]
    assert [line[1:3] for line in listed] == [[f"c{i}:1-1000", "40"] for i in range(12)]
    assert sum(int(line[3]) for line in listed) <= DatasetReader(dataset).objects[0].size
    uri = listed[5][0]
    assert uri.endswith(".chunk#5")
    whole = printed(capfd, "query", dataset)
    of_contig = [line for line in whole.splitlines() if line.split("\t")[2] == "c5"]
    assert printed(capfd, "query", uri).splitlines() == of_contig
    assert printed(capfd, "query", listed[4][0], uri).splitlines()[40:] == of_contig
    assert printed(capfd, "query", uri.partition("#")[0]) == whole
    command = ["sh", "-c", 'echo "$1"', "-", "{chunk}"]
    mapped = printed(capfd, "map", dataset, "--input-fmt", "none", "--", *command)
    assert mapped.splitlines() == [line[0] for line in listed]
    chunk = bams3.read_chunk(uri)
    assert (chunk.contig, chunk.records, chunk.window) == ("c5", 40, (0, 1 << 20))
    assert bams3.read_chunk(uri.partition("#")[0]).contig is None
    with pytest.raises(FormatError, match="no records of contig 77"):
        open_reader(uri.replace("#5", "#77"))


@pytest.mark.parametrize("options", [[], ["-Q", "20"], ["-a"], ["-x", "--by", "100"]], ids=" ".join)
def test_coverage(options: list[str], dataset: Path, tmp_path: Path) -> None:
    """It is that of a dataset in which no contigs share chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "MANY_CONTIGS", 100)
        convert(dataset.parent / "in.bam", tmp_path / "plain.bams3")
    for name, path in (("joined", dataset), ("plain", tmp_path / "plain.bams3")):
        assert main(["coverage", *options, "-o", str(tmp_path / name), str(path)]) == 0
    made = [path for path in tmp_path.iterdir() if path.name.startswith("joined.") and path.suffix != ".csi"]
    assert len(made) >= 3
    for path in made:
        other = path.with_name(path.name.replace("joined", "plain", 1))
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rb") as ours, opened(other, "rb") as theirs:
            assert ours.read() == theirs.read(), path.name


def test_a_lone_chunk_that_knows_few_contigs(
    tmp_path: Path, joins: None, capfd: pytest.CaptureFixture[str]
) -> None:
    """Reference ids are others then."""
    contigs = [(f"c{number}" * 50, 1000) for number in range(300)]
    records = [record(number, 5, flag=65, next_ref=250, next_pos=3) for number in range(100, 120, 3)]
    convert(bam(tmp_path, records, contigs), tmp_path / "d.bams3", chunk_size="256K")
    path = next((tmp_path / "d.bams3/data/_contigs").iterdir())
    whole = printed(capfd, "query", tmp_path / "d.bams3")
    shutil.rmtree(tmp_path / "d.bams3/_index")
    alone = shutil.copy(path, tmp_path / "alone.chunk")
    assert printed(capfd, "query", alone) == whole
    assert printed(capfd, "query", f"{alone}#103") == whole.splitlines(keepends=True)[1]
    assert printed(capfd, "verify", alone).endswith("no problems found\n")


LIES: dict[str, Callable[[Any], object]] = {
    "no contigs": lambda group: group["contigs"].clear(),
    "a contig twice": lambda group: group["contigs"].insert(0, group["contigs"][0]),
    "out of order": lambda group: group["contigs"].reverse(),
    "another contig": lambda group: group["contigs"][0].__setitem__(0, 11),
    "more records": lambda group: group["contigs"][0].__setitem__(1, 41),
    "no records": lambda group: group["contigs"][0].__setitem__(1, 0),
    "too few values": lambda group: group["contigs"][0].pop(),
    "no number": lambda group: group["contigs"][0].__setitem__(2, "x"),
    "no list": lambda group: group.__setitem__("contigs", 7),
    "positions": lambda group: group["contigs"][0].__setitem__(3, -2),
    "missing": lambda group: group.pop("contigs"),
}


def test_a_stream_that_two_threads_decode_is_kept_once(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns point into the stream that they were decoded from."""
    (path,) = (dataset / "data/_contigs").iterdir()
    group = next(open_chunk(str(path)).stored_row_groups)
    found = []

    def decompress(*stream: Any) -> Any:
        if not found:
            found.append(None)
            found[0] = group.stream("pos")  # by another thread, meanwhile
        return real(*stream)

    real = streams.decompress
    monkeypatch.setattr(streams, "decompress", decompress)
    assert group.stream("pos") is found[0]
    assert group.stream("pos") is found[0]


@pytest.mark.parametrize("lie", LIES)
def test_forged_footers(lie: str, dataset: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(next((dataset / "data/_contigs").iterdir()), tmp_path / "x.chunk"))
    edit_footer(path, lambda footer: LIES[lie](footer["row_groups"][0]))
    with pytest.raises(FormatError):
        records_of(open_reader(path))


@pytest.mark.parametrize("seed", range(200))
def test_lies_in_a_footer(seed: int, dataset: Path) -> None:
    data = next((dataset / "data/_contigs").iterdir()).read_bytes()
    changed = with_footer(data, lambda footer: footer.update(lies(footer, random.Random(seed))))
    try:
        records_of(open_reader(changed))  # type: ignore[arg-type]
    except Bams3Error:
        return
    assert footer_of(changed) == footer_of(data) or seed


def test_too_far_past_the_end(tmp_path: Path, joins: None) -> None:
    contigs = [(f"c{number}", 100) for number in range(9)]
    with pytest.raises(SourceError, match="too far past the end of its contig"):
        convert(bam(tmp_path, [record(0, 5), record(7, (1 << 31) - 80)], contigs), tmp_path / "d.bams3")
    assert not (tmp_path / "d.bams3/_metadata.json").exists()


def test_joining_is_undone() -> None:
    records = sorted(
        [*ODD["mates near, far and past the end"], *ODD["places"], *ODD["bins"]], key=hostile.coordinate
    )
    block, _ = walk(b"".join(records), len(CONTIGS))
    contigs = runs(block)
    joint = joint_of(contigs, mentioned(block), [length for _, length in CONTIGS])
    assert (list(joint.contigs), joint.reference_id) == ([0, 1, 2, 4], 7)
    assert list(joint.starts) == [1, 503, 506, 1408, 1480]
    joined = joint.joined(block)
    assert bytes(joint.parted(joined).data) == block.data
    assert bytes(joined.data) != block.data
    refs = array("i", [7, 7, 3, -1])
    assert [*map(list, joint.mates(refs, array("i", [1407, 0, 5, -1])))] == [[4, 0, 3, -1], [-1, -1, 5, -1]]
    with pytest.raises(FormatError, match="the mate of record 1"):
        joint.mates(array("i", [7]), array("i", [1479]))
