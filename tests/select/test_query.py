"""Queries against `samtools view`: regions, filters and counts; and that no more is decoded than needed."""

import random

import hostile
import pytest
from bams3.bam.header import Header
from bams3.bam.records import walk
from bams3.bam.regions import UNPLACED, Region, merge_regions, parse_regions
from bams3.dataset.reader import DatasetReader
from bams3.errors import UsageError
from bams3.operations.convert import convert
from bams3.output.sam import ReferenceNames, format_sam
from bams3.parallel.workers import in_order
from bams3.select.fields import FilterColumns
from bams3.select.filters import Expression
from bams3.select.query import RecordFilter, columns, count, count_each, query
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_dataset import MemoryDataset, MemoryGroup
from sam_files import REAL, read_bam, samtools

ALL = RecordFilter()


def sam(dataset, blocks):
    names = ReferenceNames(name for name, _ in dataset.header.references)
    return b"".join(bytes(format_sam(block, names)) for block in blocks)


@pytest.fixture(scope="module", params=REAL[:3], ids=lambda path: path.stem)
def real(request, tmp_path_factory):
    """A real BAM file, indexed, and a dataset of its records in row groups of 97."""
    path = tmp_path_factory.mktemp("bam") / request.param.name
    path.write_bytes(request.param.read_bytes())
    samtools("index", path)
    return path, MemoryDataset(*read_bam(path), 97)


def random_regions(dataset, number, seed):
    """Regions around records, and their samtools strings."""
    rng = random.Random(seed)
    placed = [group for group in dataset.groups if group.reference_id >= 0]
    for _ in range(number):
        group = rng.choice(placed)
        name, length = dataset.header.references[group.reference_id]
        start = max(0, rng.choice((*group.pos, *group.end)) + rng.randint(-2, 2))
        end = min(length, start + rng.choice((1, 2, 150, 5000, 1_000_000)))
        yield Region(group.reference_id, start, end), f"{name}:{start + 1}-{end}"


def test_counts_in_random_regions(real):
    path, dataset = real
    for region, text in random_regions(dataset, 60, seed=1):
        assert count(dataset, [region], ALL) == int(samtools("view", "-c", path, text)), text


@pytest.mark.parametrize("workers", [1, 3])
def test_records_in_several_regions_come_once_and_in_order(real, workers):
    path, dataset = real
    regions, texts = zip(*random_regions(dataset, 12, seed=2), strict=True)
    expected = samtools("view", "-M", path, *texts)
    assert sam(dataset, query(dataset, regions, ALL, workers)) == expected


def test_whole_contigs_and_unplaced_reads(real):
    path, dataset = real
    for reference_id, (name, length) in enumerate(dataset.header.references[:30]):
        assert count(dataset, [Region(reference_id, 0, length)], ALL) == int(
            samtools("view", "-c", path, name)
        )
    assert count(dataset, [UNPLACED], ALL) == int(samtools("view", "-c", path, "*"))
    assert sam(dataset, query(dataset, None, ALL)) == samtools("view", path)
    assert count(dataset, None, ALL) == int(samtools("view", "-c", path))


FILTERS = {
    "-f 16": RecordFilter(require=16),
    "-F 1796": RecordFilter(exclude=1796),
    "-f 3 -F 1040 -q 30": RecordFilter(require=3, exclude=1040, min_mapq=30),
    "-q 60": RecordFilter(min_mapq=60),
    "-q 255": RecordFilter(min_mapq=255),
    "-f 65535": RecordFilter(require=65535),
}


@pytest.mark.parametrize("options", FILTERS)
def test_filters_on_flags_and_mapq(real, options):
    path, dataset = real
    region, text = next(random_regions(dataset, 1, seed=3))
    wanted = FILTERS[options]
    arguments = ["view", *options.split(), path]
    assert sam(dataset, query(dataset, None, wanted)) == samtools(*arguments)
    assert count(dataset, None, wanted) == int(samtools(*arguments, "-c"))
    assert count(dataset, [region], wanted) == int(samtools(*arguments, text, "-c"))


EXPRESSIONS = [
    "mapq >= 30 && !flag.dup",
    "mapq > 300",
    "pos % 7 == 3",
    "mpos > pos && mrefid == refid",
    "endpos - pos + 1 == rlen && rlen > 50",
    "ncigar > 1 && qlen != rlen",
    "sclen >= 3",
    'cigar =~ "^[0-9]+S"',
    'qname =~ "[13579]$" && rname == mrname',
    'rnext == "*"',
    'seq =~ "^A.*T$"',
    "avg(qual) > 30",
    'length(seq) == length(qual) && library != "x"',
    "tlen < 0",
    "[NM] < 2 && mapq > 0",
    "exists([MD])",
    '[RG] =~ "A"',
]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_filter_expressions(real, text):
    path, dataset = real
    wanted = RecordFilter(expression=Expression(text))
    assert count(dataset, None, wanted) == int(samtools("view", "-c", "-e", text, path))


GROUPS = {None: [], b"a": [hostile.tag("RG", "Z", b"a")], b"b": [hostile.tag("RG", "Z", b"b")]}


def test_read_group(tmp_path):
    """As in samtools, a record without an RG tag passes."""
    header = Header(b"@RG\tID:a\tLB:x\n@RG\tID:b\n", (("c", 1000),))
    records = [
        hostile.record(ref=0, pos=i, flag=0, tags=GROUPS[k]) for i, k in enumerate([b"a", b"b", None] * 5)
    ]
    (tmp_path / "x.bam").write_bytes(hostile.bam(header.text, header.references, records))
    dataset = MemoryDataset(header, walk(b"".join(records), 1)[0], 4)
    expected = samtools("view", "-r", "b", tmp_path / "x.bam")
    assert sam(dataset, query(dataset, None, RecordFilter(read_groups=("b",)))) == expected
    assert FilterColumns(dataset.groups[0], lambda: header)["library"] == ["x", "", "", "x"]


@pytest.mark.parametrize(
    "text",
    [
        '[RG] == "gä"',
        '[RG] =~ "^g..$"',
        "length([RG]) == 3",
        'library == "lö"',
        'rname == "é"',
        '[CO] == "日"',
    ],
)
def test_text_of_several_bytes_per_character(text, tmp_path):
    header = Header("@RG\tID:gä\tLB:lö\n".encode(), (("é", 1000),))
    tags = hostile.tag("RG", "Z", "gä".encode()), hostile.tag("CO", "Z", "日".encode())
    record = hostile.good(0, 0, tags=list(tags))
    (tmp_path / "x.bam").write_bytes(hostile.bam(header.text, header.references, [record]))
    dataset = MemoryDataset(header, walk(record, 1)[0], 4)
    found = count(dataset, None, RecordFilter(expression=Expression(text)))
    assert found == int(samtools("view", "-c", "-e", text, tmp_path / "x.bam")) == 1


def test_reads_at_the_edges_of_a_contig(tmp_path):
    """Reads with POS 0 or past the contig's end belong to its first and last region."""
    header = Header(b"", (("c", 1000), ("d", 1000)))
    places = [(0, -1), (0, 0), (0, 994), (0, 1000), (0, 1100), (1, -1), (-1, -1)]
    records = [hostile.record(ref=ref, pos=pos, flag=0, cigar=[(10, 0)]) for ref, pos in places]
    path = tmp_path / "x.bam"
    path.write_bytes(hostile.bam(header.text, header.references, records))
    samtools("index", path)
    dataset = MemoryDataset(header, walk(b"".join(records), 2)[0], 2)
    for text in ("c", "c:1-10", "c:1-999", "c:995", "d", "d:1-1", "."):
        found = sam(dataset, query(dataset, parse_regions([text], header.references), ALL))
        assert found == samtools("view", path, text), text


@st.composite
def files_and_intervals(draw):
    """A hostile file, intervals on its contigs short of their ends, and the size of row groups."""
    made = draw(hostile.bams())
    contigs = [i for i, (_, length) in enumerate(made.references) if length > 1]
    intervals = []
    for _ in range(draw(st.integers(1, 4)) if contigs else 0):
        reference_id = draw(st.sampled_from(contigs))
        last = made.references[reference_id][1] - 1
        borders = [0, 1, 2**17, 2**20, 2**29, last - 1, last]
        near = st.sampled_from([value for value in borders if value <= last]) | st.integers(0, last)
        start, end = sorted((draw(near), draw(near)))
        if start < end:
            intervals.append(Region(reference_id, start, end))
    return made, intervals, draw(st.sampled_from([1, 3, 1000]))


@given(files_and_intervals())
@settings(max_examples=60, deadline=None)
def test_hostile_files(tmp_path_factory, case):
    made, regions, size = case
    block, _ = walk(b"".join(made.records), len(made.references))
    dataset = MemoryDataset(Header(made.text, tuple(made.references)), block, size)
    everything = b"".join(bytes(part.data) for part in query(dataset, None, ALL))
    assert everything == b"".join(made.records)
    if regions:
        bed = tmp_path_factory.getbasetemp() / "regions.bed"
        bed.write_text("".join(f"{made.references[i][0]}\t{start}\t{end}\n" for i, start, end in regions))
        expected = samtools("view", "-L", bed, "-", input=made.data())
        assert sam(dataset, query(dataset, regions, ALL)) == expected
        assert count(dataset, regions, ALL) == expected.count(b"\n")


@pytest.mark.parametrize("path", REAL[:2], ids=lambda path: path.stem)
def test_a_dataset_on_disk(path, tmp_path):
    convert(path, tmp_path / "dataset", chunk_size="256K", workers=1)
    dataset = DatasetReader(tmp_path / "dataset")
    assert sam(dataset, query(dataset, None, ALL, workers=2)) == samtools("view", path)
    wanted = RecordFilter(exclude=16, min_mapq=10)
    assert count(dataset, None, wanted) == int(samtools("view", "-c", "-F", 16, "-q", 10, path))


def small_dataset(size=10):
    records = [hostile.record(ref=0, pos=i, flag=16 * (i >= 50), mapq=i, cigar=[(5, 0)]) for i in range(100)]
    header = Header(b"", (("c", 1000),))
    return MemoryDataset(header, walk(b"".join(records), 1)[0], size)


COLUMNS_READ = {
    "everything": (None, ALL, set()),
    "whole row groups": ([Region(0, 0, 90)], ALL, set()),
    "nothing there": ([Region(0, 500, 600)], ALL, set()),
    "all reverse or none": (None, RecordFilter(require=16), set()),
    "all or none by quality": (None, RecordFilter(min_mapq=50), set()),
    "impossible expression": (None, RecordFilter(expression=Expression("mapq > 100")), set()),
    "by quality": (None, RecordFilter(min_mapq=55), {"mapq"}),
    "by expression": (None, RecordFilter(expression=Expression("mapq % 2 == 0")), {"mapq"}),
}


@pytest.mark.parametrize(("regions", "wanted", "streams"), COLUMNS_READ.values(), ids=COLUMNS_READ.keys())
def test_counting_reads_only_what_it_must(regions, wanted, streams):
    dataset = small_dataset()
    count(dataset, regions, wanted)
    assert set().union(*(group.used for group in dataset.groups)) == streams


def test_columns_of_the_matching_records():
    dataset = small_dataset()
    fields = ["pos", "rname", "rlen", "mapq", "[XX]"]
    tables = list(columns(dataset, [Region(0, 8, 12)], RecordFilter(min_mapq=5), fields, workers=2))
    assert [list(table["pos"]) for table in tables] == [[5, 6, 7, 8, 9], [10, 11]]
    assert tables[1]["mapq"].tolist() == [10, 11]
    assert tables[1]["rlen"].tolist() == [5, 5]
    assert tables[1]["rname"] == ["c", "c"]
    assert tables[1]["[XX]"] == [None, None]
    assert dataset.groups[0].used.isdisjoint({"seq", "name"})
    with pytest.raises(UsageError, match="unknown field 'colour'"):
        list(columns(dataset, None, ALL, ["colour"]))


def test_only_row_groups_that_reach_the_region_are_read():
    dataset = small_dataset()
    assert count(dataset, [Region(0, 52, 53)], ALL) == 5
    assert [bool(group.used) for group in dataset.groups] == [i in (4, 5) for i in range(10)]


def test_many_intervals_as_one_by_one():
    dataset = small_dataset(size=7)
    regions = merge_regions(Region(0, i, i + 1) for i in range(3, 110, 9))
    expected = [i for i in range(100) if any(i < end and i + 5 > start for _, start, end in regions)]
    found = [pos for block in query(dataset, regions, ALL) for pos in MemoryGroup(block, 0).pos]
    assert found == expected


@given(
    st.lists(st.tuples(st.integers(-1, 110), st.integers(0, 70)), max_size=12),
    st.sampled_from([ALL, RecordFilter(exclude=16), RecordFilter(min_mapq=5)]),
    st.sampled_from([1, 3, 10]),
)
@settings(max_examples=60, deadline=None)
def test_each_of_many_regions_as_by_itself(made, record_filter, size):
    """Nested, equal, empty, out of order, past the contig's end."""
    dataset = small_dataset(size)
    regions = [Region(0, start, start + length) for start, length in made]
    assert list(count_each(dataset, regions, record_filter, 2)) == [
        count(dataset, [region], record_filter) for region in regions
    ]


def test_in_order_takes_few_items_ahead_and_stops_on_failure():
    taken = []

    def items():
        for i in range(100):
            taken.append(i)
            yield i

    def invert(i):
        return 1 / (3 - i)

    results = in_order(invert, items(), 2)
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert len(taken) < 10
