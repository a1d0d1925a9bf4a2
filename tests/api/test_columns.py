"""Columns and Arrow tables of a dataset, against pysam."""

from pathlib import Path
from typing import Any

import numpy as np
import pysam
import pytest
from alignments import everything, plain, pysam_column
from bams3.api import dataset as api
from bams3.errors import UsageError
from bams3.select.fields import FilterColumns
from bams3.select.schema import SCHEMA, dtype_of

FIELDS = sorted(SCHEMA)


def check_columns(bam: pysam.AlignmentFile, dataset: api.Dataset) -> None:
    table = dataset.query(fields=FIELDS)
    records = everything(bam)
    assert table.records == len(records)
    for name in FIELDS:
        assert list(map(plain, table[name])) == [pysam_column(name)(record) for record in records], name


def test_columns_are_what_pysam_has(bam: pysam.AlignmentFile, dataset: api.Dataset) -> None:
    check_columns(bam, dataset)


def test_columns_of_odd_records(odd: Path, odd_dataset: api.Dataset) -> None:
    with pysam.AlignmentFile(odd) as bam:
        check_columns(bam, odd_dataset)


def test_every_field_is_a_column() -> None:
    assert set(FilterColumns(None, None)) == set(FIELDS)  # type: ignore[arg-type]


@pytest.mark.parametrize("regions", [None, "a:1-1", []])
def test_types_of_columns_do_not_depend_on_the_records(odd_dataset: api.Dataset, regions: Any) -> None:
    table = odd_dataset.query(regions, [*FIELDS, "[NM]"])
    types = {name: column.dtype for name, column in table.items()}
    assert types == {name: np.dtype(dtype_of(name)) for name in [*FIELDS, "[NM]"]}
    assert table.records == (8 if regions is None else 0)


def test_tags(bam: pysam.AlignmentFile, dataset: api.Dataset) -> None:
    records = everything(bam)
    names = sorted({name for record in records[:200] for name, _ in record.get_tags()})
    assert names
    table = dataset.query(fields=[f"[{name}]" for name in names])
    for name in names:
        expected = [record.get_tag(name) if record.has_tag(name) else None for record in records]
        for value, tag in zip(table[f"[{name}]"], expected, strict=True):
            if isinstance(value, np.ndarray):
                assert value.tolist() == list(tag)
            else:
                assert value == tag


def test_array_tags(odd_dataset: api.Dataset) -> None:
    table = odd_dataset.query("a:1-100", ["[BA]", "[EM]", "[XF]", "[ZZ]"])
    arrays = [(value.dtype.str, value.tolist()) for value in table["[BA]"][:3]]
    assert arrays == [("|i1", [-1, 2]), ("|i1", [3, 4]), ("<u2", [65535])]
    assert [None if value is None else value.size for value in table["[EM]"]] == [None, None, None, 0]
    assert table["[XF]"].tolist() == [None, 0.5, None, None]
    assert table["[ZZ]"].tolist() == [None] * 4


def test_regions_of_a_query(odd_dataset: api.Dataset) -> None:
    def names(regions: Any) -> str:
        return "".join(odd_dataset.query(regions, "qname")["qname"]).replace("r", "")

    table: list[tuple[Any, str]] = [
        (None, "12345678"), ("*", "123456"), (".", "12345678"), ("a:11-11", "1"), (("a", 10, 11), "1"),
        (("a", None, 21), "123"), (("*", None, None), "78"), (["a:11", "a:1-20"], "12345"),
        ([("a", np.int64(2_000_000), None), "{b:1-5}", ("a", 10, 11)], "156"), ([], ""),
        (("a:11-11", "a:21-21"), "123"),
        ((region for region in ("a:11-11",)), "1"), (("{b:1-5}", "a:11-11", "a:31-31"), "146"),
    ]  # fmt: skip
    for regions, expected in table:
        assert names(regions) == expected, regions


def test_a_field_asked_for_twice_is_one_column(odd_dataset: api.Dataset) -> None:
    assert {name: len(column) for name, column in odd_dataset.query(fields=["pos", "pos"]).items()} == {
        "pos": 8
    }


def test_to_arrow(dataset: api.Dataset) -> None:
    import pyarrow

    table = dataset.query(fields=[*FIELDS, "[NM]"])
    arrow = table.to_arrow()
    assert arrow.num_rows == table.records
    assert arrow.schema.field("pos").type == pyarrow.int32()
    assert arrow.schema.field("qname").type == pyarrow.string()
    for name in [*FIELDS, "[NM]"]:
        assert arrow[name].to_pylist() == list(map(plain, table[name])), name


def test_to_arrow_of_odd_records(odd_dataset: api.Dataset) -> None:
    arrow = odd_dataset.query(("a", 10, 21), ["[NM]", "[BA]", "qual"]).to_arrow()
    assert arrow["[NM]"].to_pylist() == [1, None, 300]
    assert arrow["[BA]"].to_pylist()[0] == [-1, 2]
    assert arrow["qual"].to_pylist() == ["IIII!", "*", "*"]
    assert odd_dataset.query([], ["pos", "qname"]).to_arrow().num_rows == 0
    with pytest.raises(UsageError, match="MX"):
        odd_dataset.query(fields=["[MX]"]).to_arrow()
