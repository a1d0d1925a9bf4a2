"""What can be derived is not believed: every field of every metadata file is falsified in turn, its checksums made
right. `verify` complains of each, and no reader answers wrongly."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import forge
import hostile
import pysam
import pytest
from bams3.bam.header import Header
from bams3.bam.regions import parse_regions
from bams3.chunk.header import HeaderLines
from bams3.chunk.reader import open_chunk
from bams3.chunk.writer import compress_row_group, write_chunk
from bams3.chunk.zones import check_zones
from bams3.codec import ZoneMap
from bams3.dataset.manifest import Counts
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, FormatError
from bams3.operations.convert import convert
from bams3.operations.merge import merge
from bams3.operations.verify import verify
from bams3.select.query import RecordFilter, count, count_each
from forge import (
    COUNTS,
    HEADER,
    INDEX,
    MANIFEST,
    OTHERS,
    answer_records,
    answers,
    check_message,
    complains,
    lies,
    rewrite,
)

FIRST, SECOND = "data/chr1/000000000-000262144.chunk", "data/chr1/000262144-000524288.chunk"
UNPLACED = "data/_unplaced/000000.chunk"
PART, PLAN = "_parts/000001-of-000002.json", "_parts/plan.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BAM, and its dataset whole and in parts."""
    folder = tmp_path_factory.mktemp("forge")
    path = folder / "x.bam"
    path.write_bytes(forge.bam())
    pysam.index(str(path))
    convert(path, folder / "d.bams3", chunk_size="256K", workers=1)
    for number in (1, 2):
        convert(path, folder / "parts.bams3", chunk_size="256K", batch=(number, 2), workers=1)
    return folder


@pytest.fixture
def dataset(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder / "d.bams3", tmp_path / "d.bams3"))


class Trial:
    """Tries lies about one dataset, which stays as it was."""

    def __init__(self, dataset: Path, **readers: Callable[[DatasetReader], Any]) -> None:
        self.dataset, self.readers = dataset, readers or COUNTS | OTHERS
        self.right = answers(dataset, self.readers)
        assert len(self.right) == len(self.readers)
        assert not complains(dataset)

    def wrong(self, path: str, lie: Any, **options: Any) -> str:
        """What goes wrong with a document in place of that at `path`; "" if nothing."""
        kept = {name: (self.dataset / name).read_bytes() for name in {MANIFEST, INDEX, path}}
        try:
            rewrite(self.dataset, path, lambda _: lie, **options)
            told = answers(self.dataset, self.readers)
            wrong = [name for name in told if told[name] != self.right[name]]
            return ", ".join([*wrong, *([] if complains(self.dataset) else ["verify says that all is well"])])
        finally:
            for name, data in kept.items():
                (self.dataset / name).write_bytes(data)


def tried(trial: Trial, path: str, forged: Iterator[tuple[str, Any]], **options: Any) -> dict[str, str]:
    """All that goes wrong."""
    found = {what: trial.wrong(path, lie, **options) for what, lie in forged}
    assert len(found) > 10
    return {what: wrong for what, wrong in found.items() if wrong}


EARLIER = ("sums dropped", "sums renamed")
"""What makes a manifest or a part of an earlier version."""


def test_the_manifest(dataset: Path) -> None:
    forged = (lie for lie in lies(forge.read(dataset, MANIFEST)) if lie[0] != EARLIER[0])
    assert tried(Trial(dataset), MANIFEST, forged) == {}


def test_the_index(dataset: Path) -> None:
    """A zone map that could be true is found out where the footer is read, and by `verify`."""
    document = forge.read(dataset, INDEX)
    assert tried(Trial(dataset, **OTHERS), INDEX, lies(document)) == {}


def test_zone_maps_are_compared_whole(dataset: Path) -> None:
    found = 0
    for what, lie in lies(forge.read(dataset, INDEX)):
        rewrite(dataset, INDEX, lambda _, lie=lie: lie)
        reader = DatasetReader(dataset)
        try:
            entries = reader.index
        except FormatError:
            continue
        found += 1
        with pytest.raises(FormatError, match="index"):
            print(what, [reader.chunk(entry).footer for entry in entries])
    assert found > 20


def test_counts_of_other_references(dataset: Path) -> None:
    """The sums are right."""
    document = forge.read(dataset, MANIFEST)
    rows = document["counts"]["by_reference"]
    rows[1][1], rows[2][1] = rows[1][1] - 1, rows[2][1] + 1
    trial = Trial(dataset, **COUNTS | {"records": answer_records})
    assert trial.wrong(MANIFEST, document) == ""


FEW = ("one more", "huge", "swapped", "dropped", "renamed")
"""Lies about streams of a chunk that has many, and about parts; another with few streams is told lies of all kinds."""


@pytest.mark.parametrize(
    ("path", "kinds", "readers"),
    [(FIRST, FEW, ("count of reads", "records", "depth")), (UNPLACED, (), ("count", "records"))],
)
def test_footers(dataset: Path, path: str, kinds: tuple[str, ...], readers: tuple[str, ...]) -> None:
    trial = Trial(dataset, **{name: (COUNTS | OTHERS)[name] for name in readers})
    forged = [(what, lie) for what, lie in lies(forge.read(dataset, path)) if what != "header dropped"]
    # Without a header, it is a chunk of an early version. Every third lie about streams is told: all kinds, in turn.
    streams = [lie for lie in forged if "streams." in lie[0]]
    told = [lie for lie in streams if not kinds or lie[0].endswith(kinds)][::3]
    others = [lie for lie in forged if "streams." not in lie[0]]
    assert tried(trial, path, iter(others + told)) == {}


def test_footers_and_zones_alike(dataset: Path) -> None:
    """`verify` makes again what the records determine."""
    footer = forge.read(dataset, SECOND)
    (group,) = footer["row_groups"]
    streams = {"streams": group.pop("streams")}
    trial, found = Trial(dataset, records=answer_records), {}
    for what, lie in lies(group):
        if lie.keys() >= set(forge.ZONE):
            found[what] = trial.wrong(SECOND, footer | {"row_groups": [lie | streams]}, follow=True)
    assert len(found) > 50
    assert {what: wrong for what, wrong in found.items() if wrong} == {}


def test_streams(dataset: Path) -> None:
    """Records that are not those that were converted, and streams that none of them need."""
    (group,) = open_chunk(dataset / FIRST).row_groups
    raw = {name: bytes(group.stream(name)) for name in group.entry.streams}
    assert {"border", "border.hash", "rank"} < raw.keys()
    right, found = answer_records(DatasetReader(dataset)), {}
    for name, data in raw.items():
        for what, other in {
            "longer": data + b"\0", "shorter": data[:-1], "zeros": bytes(len(data)), "ones": b"\1" * len(data),
            "reversed": data[::-1], "twice": data + data,
        }.items():  # fmt: skip
            if other in (data, b""):
                continue
            copy = Path(shutil.copytree(dataset, dataset.parent / "copy"))
            forge.rewrite_stream(copy, FIRST, name, other)
            if not complains(copy) or answers(copy, {"": answer_records}).get("") not in (None, right):
                found[f"{name} {what}"] = other
            shutil.rmtree(copy)
    assert not found, " ".join(found)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"",
        lambda text: text + b"@CO\tmore\n",
        lambda text: text[:-1],
        lambda text: text.replace(b"LN:1000000", b"LN:1000001"),
        lambda text: text.replace(b"SN:chr2", b"SN:chr3"),
        lambda text: text + b"\0",
    ],
)
def test_the_header(dataset: Path, change: forge.Change) -> None:
    assert Trial(dataset).wrong(HEADER, change(forge.read(dataset, HEADER))) == ""


def test_row_groups_that_end_too_soon(dataset: Path) -> None:
    """Nothing is lost, but a dataset of these records has others."""
    (group,) = open_chunk(dataset / FIRST).row_groups
    footer, block = group.chunk.footer, group.block()
    halves = [compress_row_group(half, 0, footer.level) for half in (block[:7], block[7:])]
    with (dataset / FIRST).open("wb") as file:
        write_chunk(
            file, FIRST, footer.identity, halves, HeaderLines(Header(hostile.TEXT, tuple(hostile.CONTIGS)))
        )
    rewrite(dataset, FIRST, lambda _: None, follow=True)
    problems = list(verify(DatasetReader(dataset)))
    assert ["ends too early" in problem for problem in problems] == [True]


def test_files_of_another_dataset(dataset: Path, folder: Path, tmp_path: Path) -> None:
    """Of the same header, or of an older state: what is read is right, or refused."""
    data = hostile.bam(
        hostile.TEXT, hostile.CONTIGS, [hostile.good(0, pos) for pos in range(0, 400_000, 9000)]
    )
    (tmp_path / "y.bam").write_bytes(data)
    convert(tmp_path / "y.bam", tmp_path / "other.bams3", chunk_size="256K", workers=1)
    readers = {name: OTHERS[name] for name in ("records", "depth")}
    right = answers(dataset, readers)
    for path in (MANIFEST, INDEX, FIRST, SECOND):
        kept = {name: (dataset / name).read_bytes() for name in (MANIFEST, path)}
        shutil.copy(tmp_path / "other.bams3" / path, dataset / path)
        if path == INDEX:
            rewrite(dataset, INDEX, lambda _: None)
        assert answers(dataset, readers).items() <= right.items()
        assert complains(dataset)
        for name, data in kept.items():
            (dataset / name).write_bytes(data)


@pytest.mark.parametrize("path", [PLAN, PART])
def test_parts(folder: Path, tmp_path: Path, path: str) -> None:
    """A dataset of false parts is refused, or is the same; or readers and `verify` find out."""
    parts = folder / "parts.bams3"
    document, tried = forge.read(parts, path), 0
    whole = Path(shutil.copytree(parts, tmp_path / "whole"))
    merge(whole)
    right = answers(whole, OTHERS)
    for what, lie in ((what, lie) for what, lie in lies(document) if path == PLAN or what.endswith(FEW)):
        copy = Path(shutil.copytree(parts, tmp_path / "copy"))
        rewrite(copy, path, lambda _, lie=lie: lie)
        try:
            merged = merge(copy)
        except Bams3Error as error:
            check_message(error)
        else:
            found = complains(copy) and answers(copy, OTHERS).items() <= right.items()
            found = found or (what in EARLIER and merged.sums is None)
            assert found or same(copy, whole), what
        tried += 1
        shutil.rmtree(copy)
    assert tried > 50


def same(one: Path, other: Path) -> bool:
    """Do two folders have the same files?"""
    found = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (one, other)
    ]
    return found[0] == found[1]


ZONE = dict.fromkeys(forge.ZONE, 0) | {"records": 5, "bytes": 200, "max_end": 1, "hot": 9, "cold": 9}
SPAN = {"min_pos": 300_000, "max_pos": 300_010, "max_end": 300_500}


@pytest.mark.parametrize(
    ("window", "groups", "possible"),
    [
        ((0, 0, 1 << 18), [{}], True),
        ((0, 0, 1 << 18), [{"min_pos": -1, "max_pos": -1, "max_end": 0}, {}], True),
        ((0, 0, 1 << 18), [{"max_pos": (1 << 18) - 1, "max_end": 1 << 18}], True),
        ((0, 0, 1 << 18), [{"max_pos": (1 << 18) - 1, "max_end": (1 << 31) - 1}], True),
        ((0, 1 << 18, 1 << 19), [SPAN, {"min_pos": 300_010, "max_pos": 300_010, "max_end": 300_011}], True),
        ((-1, 0, 0), [{"min_pos": 7, "max_pos": 8, "max_end": 9}, {"min_pos": -1, "max_end": 1}], True),
        ((0, 0, 1 << 18), [], False),
        ((0, 0, 1 << 18), [{"min_pos": -2}], False),
        ((0, 0, 1 << 18), [{"max_pos": 1 << 18, "max_end": 1 << 19}], False),
        ((0, 1 << 18, 1 << 19), [{"min_pos": -1, "max_pos": 300_000, "max_end": 300_001}], False),
        ((0, 1 << 18, 1 << 19), [SPAN | {"min_pos": (1 << 18) - 1}], False),
        ((0, 1 << 18, 1 << 19), [SPAN, SPAN], False),
        ((0, 0, 1 << 18), [{"min_pos": 1}], False),
        ((0, 0, 1 << 18), [{"max_end": 0}], False),
        ((0, 0, 1 << 18), [{"max_end": 1 << 31}], False),
        ((0, 0, 1 << 18), [{"min_mapq": 1}], False),
        ((0, 0, 1 << 18), [{"max_mapq": 256}], False),
        ((0, 0, 1 << 18), [{"flags_all": 1}], False),
        ((0, 0, 1 << 18), [{"flags_all": 1, "flags_any": 2}], False),
        ((0, 0, 1 << 18), [{"flags_any": 1 << 16}], False),
        ((0, 0, 1 << 18), [{"records": 0}], False),
        ((0, 0, 1 << 18), [{"records": (1 << 16) + 1, "bytes": 1 << 30}], False),
        ((0, 0, 1 << 18), [{"records": True}], False),
        ((0, 0, 1 << 18), [{"bytes": 179}], False),
        ((0, 0, 1 << 18), [{"bytes": 1 << 32}], False),
        ((0, 0, 1 << 18), [{"hot": -1}], False),
        ((0, 0, 1 << 18), [{"cold": 1.0}], False),
    ],
)
def test_zones(window: tuple[int, int, int], groups: list[dict[str, Any]], possible: bool) -> None:
    zones = [ZoneMap(**(ZONE | group)) for group in groups]
    if possible:
        check_zones(zones, *window, 1 << 20)
        return
    with pytest.raises(ValueError, match="row group"):
        check_zones(zones, *window, 1 << 20)


@pytest.mark.parametrize(
    "change",
    [
        {0: 9},
        {2: 2, 1: 9},
        {4: 4},
        {5: 3},
        {6: 11},
        {7: 9},
        {7: 3},
        {8: 9},
        {9: 9},
        {11: 9},
        {12: 7, 13: 2},
        {14: 7},
        {15: 2},
    ],
)
def test_counts_that_contradict_each_other(change: dict[int, int]) -> None:
    row = [10, 8, 1, 1, 2, 1, 9, 8, 8, 4, 4, 7, 6, 1, 1, 1]
    Counts(row, [0] * 16, {0: [9, 1]}).check(1)
    wrong = [change.get(number, value) for number, value in enumerate(row)]
    with pytest.raises(ValueError, match="counts"):
        Counts(wrong, [0] * 16, {0: [wrong[6], wrong[0] - wrong[6]]}).check(1)


@pytest.mark.parametrize(("place", "value"), [(3, 5), (2, 200_000)])
def test_a_false_zone_map_where_a_region_ends(dataset: Path, place: int, value: int) -> None:
    """The index alone would tell that all reads of the window are in the region, or that none is."""
    regions = parse_regions(["chr1:1-100000"], DatasetReader(dataset).references)
    rewrite(dataset, INDEX, lambda entries: entries[0][7][0].__setitem__(place, value))
    reader = DatasetReader(dataset)
    assert reader.index[0].row_groups[0][place] == value
    for answer in (count, count_each):
        with pytest.raises(FormatError, match="row groups differ from those in the dataset's index"):
            answer(reader, regions, RecordFilter())
