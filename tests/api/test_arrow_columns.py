"""Columns as Arrow arrays: what pysam has, what the columns in Python have, and what does not fit."""

import copy
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pyarrow.parquet
import pysam
import pytest
from alignments import everything, plain, pysam_column
from bams3.api import dataset as api
from bams3.api.arrays import ArrowFields, column
from bams3.api.arrow import record_batches, schema_of
from bams3.api.columns import array
from bams3.bam.header import Header
from bams3.bam.records import walk
from bams3.bam.regions import UNPLACED, Region
from bams3.errors import Bams3Error, FormatError, UsageError
from bams3.select import vectors
from bams3.select.fields import FilterColumns
from bams3.select.query import RecordFilter
from bams3.select.schema import SCHEMA
from hypothesis import given
from hypothesis import strategies as st
from memory_dataset import MemoryDataset

FIELDS = list(SCHEMA)
HEADER = Header(b"@RG\tID:a\tLB:one\n@RG\tID:b\tLB:one\n", (("chr1", 1_000_000), ("chr2", 5000)))


def in_memory(*records: bytes, size: int = 100, header: Header = HEADER) -> MemoryDataset:
    return MemoryDataset(header, walk(b"".join(records), len(header.references))[0], size)


def read_all(dataset: Any, fields: list[str], regions: Any = None, **conditions: Any) -> Any:
    return record_batches(dataset, regions, RecordFilter(**conditions), fields).read_all()


def tags_of(records: list[pysam.AlignedSegment]) -> list[str]:
    return sorted({name for record in records for name, _ in record.get_tags()})


def check(bam: pysam.AlignmentFile, dataset: api.Dataset) -> None:
    records = everything(bam)
    names = tags_of(records)
    found = dataset.to_batches(fields=[*FIELDS, *(f"[{name}]" for name in names)]).read_all()
    found.validate(full=True)
    assert found.num_rows == len(records)
    for name in FIELDS:
        assert found[name].to_pylist() == [pysam_column(name)(record) for record in records], name
    for name in names:
        values = [plain(record.get_tag(name)) if record.has_tag(name) else None for record in records]
        assert found[f"[{name}]"].to_pylist() == values, name


def test_every_field_and_tag_is_what_pysam_has(bam: pysam.AlignmentFile, dataset: api.Dataset) -> None:
    check(bam, dataset)


def test_odd_records(odd: Path, odd_dataset: api.Dataset) -> None:
    with pysam.AlignmentFile(odd) as bam:
        records = everything(bam)
    found = odd_dataset.to_batches(fields=[*FIELDS, "[NM]", "[XF]", "[EM]"]).read_all()
    for name in FIELDS:
        assert found[name].to_pylist() == [pysam_column(name)(record) for record in records], name
    assert found["[NM]"].to_pylist() == [1, None, 300] + [None] * 5
    assert found["[XF]"].to_pylist() == [None, 0.5] + [None] * 6
    assert found["[EM]"].to_pylist() == [None] * 3 + [[]] + [None] * 4


def outcome(make: Any) -> Any:
    """The values of an array as text, for NaN; or the kind of error."""
    try:
        made = make()
    except Bams3Error as error:
        return type(error)
    made.validate(full=True)
    return repr(made.to_pylist())


@given(made=hostile.bams(), size=st.sampled_from([1, 3, 100]))
def test_hostile_records_have_the_columns_of_python(made: hostile.Bam, size: int) -> None:
    header = Header(made.text, tuple(made.references))
    dataset = in_memory(*made.records, size=size, header=header)
    fields = ArrowFields(lambda: header)
    names = [*FIELDS, *(f"[{name}]" for name in [*hostile.COMMON_TAGS, "A!", "..", ":Z", "CG"])]
    for group in dataset.groups:
        schema = schema_of(names, [group])
        for name, kind in zip(names, schema.types, strict=True):
            values = array(name, FilterColumns(group, lambda: header)[name])
            expected = outcome(lambda values=values, name=name, kind=kind: column(name, values, kind))
            one = schema_of([name], [group])
            assert outcome(lambda group=group, one=one: fields.batch(group, one).column(0)) == expected, name


def with_tags(*tags: bytes, **fields: Any) -> bytes:
    return hostile.good(tags=tags, **fields)


@pytest.mark.parametrize(
    ("kind", "value", "type", "expected"),
    [
        ("A", b"x", "string", "x"),
        ("A", b"\xe9", "string", "é"),
        ("c", -128, "int64", -128),
        ("C", 255, "int64", 255),
        ("s", -(2**15), "int64", -(2**15)),
        ("S", 2**16 - 1, "int64", 2**16 - 1),
        ("i", -(2**31), "int64", -(2**31)),
        ("I", 2**32 - 1, "int64", 2**32 - 1),
        ("f", 1.5, "double", 1.5),
        ("Z", b"", "string", ""),
        ("Z", "Å".encode(), "string", "Å"),
        ("H", b"1AE3", "string", "1AE3"),
        ("Bc", [-1, 2], "list<element: int8>", [-1, 2]),
        ("BC", [255], "list<element: uint8>", [255]),
        ("Bs", [-300], "list<element: int16>", [-300]),
        ("BS", [65535], "list<element: uint16>", [65535]),
        ("Bi", [-(2**31)], "list<element: int32>", [-(2**31)]),
        ("BI", [2**32 - 1], "list<element: uint32>", [2**32 - 1]),
        ("Bf", [0.5, -1.0], "list<element: float>", [0.5, -1.0]),
        ("Bf", [], "list<element: float>", []),
    ],
)
def test_types_of_tags(kind: str, value: Any, type: str, expected: Any) -> None:
    tagged = with_tags(hostile.tag("xx", kind, value), hostile.tag("xx", "C", 7))
    found = read_all(in_memory(hostile.good(), tagged, hostile.good()), ["[xx]"])
    assert str(found.schema.field("[xx]").type).replace("item", "element") == type
    assert found["[xx]"].to_pylist() == [None, expected, None]


@pytest.mark.parametrize(
    ("first", "later", "expected"),
    [
        ([("C", 1)], [("s", -5)], [1, -5]),
        ([("f", 1.5)], [("f", 2.5)], [1.5, 2.5]),
        ([("Z", b"a")], [("A", b"b")], ["a", "b"]),
        ([None], [("Z", b"b")], [None, "b"]),
        ([None], [None], [None, None]),
        ([("BC", [1]), ("Bs", [-2])], [("Bc", [3])], [[1], [-2], [3]]),
        ([("BS", [1])], [("BC", [2])], [[1], [2]]),
        ([("BC", [1])], [("BS", [300])], UsageError),
        ([("C", 1)], [("Z", b"text")], UsageError),
        ([("C", 1)], [("f", 1.5)], UsageError),
        ([("C", 1)], [("BC", [])], UsageError),
        ([("f", 1.5)], [("C", 1)], UsageError),
        ([("f", 1.5)], [("Z", b"text")], UsageError),
        ([("Z", b"text")], [("C", 1)], UsageError),
        ([("Z", b"text")], [("f", 1.5)], UsageError),
        ([None], [("C", 1)], UsageError),
        ([("C", 1), ("f", 1.5)], [], UsageError),
        ([("Z", b"\xff")], [], UsageError),
        ([("Z", b"\xc3"), ("Z", b"\xa9")], [], UsageError),
    ],
)
def test_the_first_row_group_decides_the_type_of_a_tag(first: Any, later: Any, expected: Any) -> None:
    values = [*first, *later]
    records = [with_tags(*([] if value is None else [hostile.tag("xx", *value)])) for value in values]
    dataset = in_memory(*records, size=len(first))
    if expected is UsageError:
        with pytest.raises(UsageError, match=r"\[xx\] does not fit"):
            read_all(dataset, ["[xx]"])
    else:
        assert read_all(dataset, ["[xx]"])["[xx]"].to_pylist() == expected


@pytest.mark.parametrize(
    ("qualities", "text", "values"),
    [
        (b"\x00\x28\x5d", "!I~", [0, 40, 93]),
        (b"\x5e\x5f\xde", "\x7f\x80\xff", [94, 95, 222]),
        (b"\x01\xff\xfe", '"\xff\xfe', [1, 255, 254]),
        (None, "*", None),
        (b"\xff\x01\x02", "*", None),
    ],
)
def test_qualities_as_text_and_as_values(
    qualities: bytes | None, text: str, values: list[int] | None
) -> None:
    read = hostile.good(cigar=[(3, 0)], sequence=b"ACG", quality=qualities)
    empty = hostile.good(cigar=[], sequence=b"", quality=b"")
    found = read_all(in_memory(empty, read), ["qual", "qualities", "seq"])
    assert found["qual"].to_pylist() == ["*", text]
    assert found["qualities"].to_pylist() == [None, values]
    assert found["seq"].to_pylist() == ["*", "ACG"]
    pyarrow.parquet.write_table(found, pyarrow.BufferOutputStream())


def test_names_that_are_not_ascii_are_read_byte_by_byte() -> None:
    dataset = in_memory(hostile.good(name=b"r"), hostile.good(name=b"\xe9\xff"), hostile.good(name=b"z"))
    assert read_all(dataset, ["qname"])["qname"].to_pylist() == ["r", "éÿ", "z"]


def test_read_groups_and_libraries_are_dictionaries() -> None:
    groups = [b"b", None, b"a", b"unknown", b"b"]
    records = [with_tags(*([] if group is None else [hostile.tag("RG", "Z", group)])) for group in groups]
    found = read_all(in_memory(*records), ["[RG]", "library"])
    assert found["[RG]"].to_pylist() == ["b", None, "a", "unknown", "b"]
    assert found["library"].to_pylist() == ["one", "", "one", "", "one"]
    for name in found.column_names:
        words = found[name].chunk(0).dictionary.to_pylist()
        assert len(set(words)) == len(words) == (3 if name == "[RG]" else 2)


def test_names_in_the_header_are_utf8() -> None:
    fields, record = ["rname", "library", "[RG]"], with_tags(hostile.tag("RG", "Z", "ä".encode()))
    dataset = in_memory(record, header=Header("@RG\tID:ä\tLB:ö\n".encode(), (("é", 1_000_000),)))
    assert read_all(dataset, fields).to_pylist() == [{"rname": "é", "library": "ö", "[RG]": "ä"}]
    found = FilterColumns(dataset.groups[0], lambda: dataset.header)
    assert [list(array(field, found[field])) for field in fields] == [["é"], ["ö"], ["ä"]]
    unlike = in_memory(record, header=Header(b"", (("\udcff", 1_000_000),)))
    with pytest.raises(UsageError, match="rname does not fit an Arrow column"):
        read_all(unlike, ["rname"])


READS = [hostile.good(pos=10 * number, mapq=number) for number in range(30)]
UNPLACED_READS = [hostile.record(name=b"u%d" % number, sequence=b"AC") for number in range(3)]


@pytest.mark.parametrize(
    ("regions", "conditions", "expected"),
    [
        (None, {}, [*range(30), 0, 0, 0]),
        ([Region(0, 55, 61)], {}, [1, 2, 3, 4, 5, 6]),
        ([Region(0, 0, 1), Region(0, 290, 291)], {}, [0, 25, 26, 27, 28, 29]),
        ([UNPLACED], {}, [0, 0, 0]),
        ([Region(1, 0, 5000)], {}, []),
        ([], {}, []),
        (None, {"min_mapq": 28}, [28, 29]),
        ([Region(0, 0, 100)], {"min_mapq": 9, "exclude": 4}, [9]),
        (None, {"require": 4}, [0, 0, 0]),
        (None, {"require": 1024}, []),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 100])
def test_regions_and_filters(regions: Any, conditions: Any, expected: list[int], size: int) -> None:
    dataset = in_memory(*READS, *UNPLACED_READS, size=size)
    found = read_all(dataset, [*FIELDS, "[NM]"], regions, **conditions)
    assert found["mapq"].to_pylist() == expected
    assert found.schema == schema_of([*FIELDS, "[NM]"])


def test_no_records() -> None:
    found = read_all(in_memory(), [*FIELDS, "[xx]"])
    assert found.num_rows == 0
    assert found.schema == schema_of([*FIELDS, "[xx]"])


def test_numbers_are_not_copied() -> None:
    dataset = in_memory(*READS)
    (batch,) = record_batches(dataset, None, RecordFilter(), ["pos", "qualities"])
    (group,) = dataset.groups
    assert batch["pos"].buffers()[1].address == np.frombuffer(group.pos, np.int32).ctypes.data
    assert batch["qualities"].buffers()[3].address == np.frombuffer(group.qual, np.uint8).ctypes.data


def test_only_what_is_asked_for_is_decoded() -> None:
    dataset = in_memory(*READS)
    read_all(dataset, ["pos", "mapq"])
    assert dataset.groups[0].used <= {"pos", "pos.long", "mapq"}


def test_a_reference_that_the_header_does_not_have() -> None:
    dataset = in_memory(hostile.good(next_ref=1, next_pos=5))
    fewer = Header(HEADER.text, HEADER.references[:1])
    with pytest.raises(
        FormatError, match="row group: a record refers to reference 1, but the header has only 1"
    ):
        ArrowFields(lambda: fewer).batch(dataset.groups[0], schema_of(["mrname"]))


def test_streams_that_end_early_are_refused() -> None:
    dataset = in_memory(*(with_tags(hostile.tag("xx", "Z", b"%d" % number)) for number in range(5)))
    (group,) = dataset.groups
    broken = copy.copy(group)
    broken._streams = {**group._streams, "tag.xx:Z": b"0\x001\x00"}
    broken._streams = type(group._streams)(broken._streams)
    with pytest.raises(FormatError, match="row group: the streams of tag 'xx' have no value for record 3"):
        ArrowFields(lambda: HEADER).batch(broken, schema_of(["[xx]"], [group]))


@pytest.mark.parametrize(
    "call",
    [
        lambda n, i: vectors.texts(b"abc", array_of("q", [0, 4])),
        lambda n, i: vectors.texts(b"abc", array_of("q", [1, 3])),
        lambda n, i: vectors.texts(b"abc", array_of("q", [0, 3, 2])),
        lambda n, i: vectors.texts(b"abc", array_of("q", [])),
        lambda n, i: vectors.sequences(b"\x11", i([3])),
        lambda n, i: vectors.sequences(b"\x11", i([-1])),
        lambda n, i: vectors.qualities(b"\x11", i([2])),
        lambda n, i: vectors.quality_lists(b"", i([1])),
        lambda n, i: vectors.cigars(n([0]), n([2]), n([16])),
        lambda n, i: vectors.cigars(n([0]), n([]), n([16])),
    ],
)
def test_kernels_check_what_they_are_given(call: Any) -> None:
    with pytest.raises(ValueError, match=r"starts|shorter|negative|pool|number"):
        call(lambda values: array_of("I", values), lambda values: array_of("i", values))


def array_of(code: str, values: list[int]) -> Any:
    import array as arrays

    return arrays.array(code, values)
