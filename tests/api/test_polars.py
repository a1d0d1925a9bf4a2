"""A scan of Polars: the rows of a DataFrame of everything, and what of a query reaches the reader."""

from pathlib import Path
from typing import Any

import bams3.api.arrow
import bams3.polars
import polars as pl
import pytest
from bams3.api import polars as scans
from bams3.bam.regions import UNPLACED, Region
from bams3.errors import UsageError
from bams3.select.query import RecordFilter
from polars import col

FIELDS = ["qname", "flag", "rname", "pos", "endpos", "mapq", "cigar", "[NM]", "[RG]"]
REFERENCES = [("chr1", 1000), ("chr2", 500), ("é", 10)]


@pytest.fixture(scope="module")
def everything(engine_dataset: Path) -> pl.DataFrame:
    return pl.DataFrame(bams3.open(engine_dataset).to_batches(fields=FIELDS))


CONDITIONS: dict[str, Any] = {
    "a contig": col("rname") == "chr2",
    "no contig": col("rname") == "*",
    "an unknown contig": col("rname") == "chrX",
    "two contigs": (col("rname") == "chr1") | (col("rname") == "chr2"),
    "two at once": (col("rname") == "chr1") & (col("rname") == "chr2"),
    "all but one": col("rname") != "chr1",
    "of a list": col("rname").is_in(["chr1", "chr3"]),
    "an interval": (col("rname") == "chr1") & (col("pos") < 600_000) & (col("endpos") > 500_000),
    "within": (col("rname") == "chr1") & (col("pos") >= 500_000) & (col("endpos") <= 600_000),
    "a place": (col("rname") == "chr1") & (col("pos") == 0),
    "an empty interval": (col("rname") == "chr1") & (col("pos") < 10) & (col("pos") > 2_000_000),
    "around": (col("rname") == "chr1") & (col("pos") <= 100_000) & (col("endpos") >= 100_001),
    "past the end": (col("rname") == "chr1") & (col("pos") > 5_000_000),
    "positions alone": col("pos").is_between(700_000, 900_000),
    "mapq": (col("mapq") >= 30) & (col("mapq") < 50),
    "mapq, equal": col("mapq") == 60,
    "mapq, computed": col("mapq") * 2 > 100,
    "flags": ((col("flag") & 16) == 0) & ((col("flag") & 66) == 66),
    "flags, any": (col("flag") & 1040) != 0,
    "flags, some": (col("flag") & 66) == 64,
    "flags, whole": col("flag") == 99,
    "not": ~((col("rname") == "chr1") & (col("mapq") >= 30)),
    "or": (col("mapq") >= 60) | (col("rname") == "chr1"),
    "a tag": (col("[NM]") > 1) & (col("rname") == "chr1"),
    "text": col("cigar").cast(pl.String).str.contains("I") & (col("mapq") > 0),
}


@pytest.mark.parametrize("what", CONDITIONS)
def test_the_rows_are_those_of_everything(engine_dataset: Path, everything: pl.DataFrame, what: str) -> None:
    scan = bams3.polars.scan(engine_dataset, fields=FIELDS)
    found = scan.filter(CONDITIONS[what]).collect()
    assert found.equals(everything.filter(CONDITIONS[what]))
    few = scan.filter(CONDITIONS[what]).select("qname", "mapq").head(5).collect()
    assert few.equals(found.select("qname", "mapq").head(5))


EVERYTHING = Region(0, -1, 1000)


@pytest.mark.parametrize(
    ("condition", "regions", "narrowed"),
    [
        (col("rname") == "chr1", [EVERYTHING], RecordFilter()),
        (pl.lit("chr2").eq(col("rname")), [Region(1, -1, 500)], RecordFilter()),
        (col("rname") == "*", [UNPLACED], RecordFilter()),
        (col("rname") == "chrX", [], RecordFilter()),
        (col("rname") == "é", None, RecordFilter()),
        ((col("rname") == "chr1") & (col("rname") == "chr2"), [], RecordFilter()),
        ((col("rname") == "chr1") & (col("pos") < 10), [Region(0, -1, 10)], RecordFilter()),
        ((col("rname") == "chr1") & (col("pos") <= 10), [Region(0, -1, 11)], RecordFilter()),
        ((col("rname") == "chr1") & (col("pos") >= 10), [Region(0, 9, 1000)], RecordFilter()),
        ((col("rname") == "chr1") & pl.lit(10).lt(col("endpos")), [Region(0, 9, 1000)], RecordFilter()),
        ((col("rname") == "chr1") & (col("endpos") < 10), [EVERYTHING], RecordFilter()),
        ((col("rname") == "chr1") & (col("pos") == 10), [Region(0, 9, 11)], RecordFilter()),
        ((col("rname") == "chr1") & (col("pos") > 5000), [Region(0, 999, 1000)], RecordFilter()),
        (
            (col("rname") == "chr1") & (col("pos") < 5) & (col("endpos") > 9),
            [Region(0, 4, 5)],
            RecordFilter(),
        ),
        ((col("rname") == "chr1") & (col("pos") < -5), [Region(0, -1, 0)], RecordFilter()),
        (col("pos") > 10, None, RecordFilter()),
        (pl.lit(30).le(col("mapq")), None, RecordFilter(min_mapq=30)),
        (col("mapq") > 30, None, RecordFilter(min_mapq=31)),
        (col("mapq") == 30, None, RecordFilter(min_mapq=30)),
        (col("mapq") < 30, None, RecordFilter()),
        (col("mapq") >= 29.5, None, RecordFilter()),
        ((col("flag") & 1024) == 0, None, RecordFilter(exclude=1024)),
        ((col("flag") & 3) == 3, None, RecordFilter(require=3)),
        ((col("flag") & 3) == 1, None, RecordFilter()),
        ((col("flag") & 3) != 0, None, RecordFilter()),
        ((col("mapq") & 3) == 0, None, RecordFilter()),
        (col("flag") == 0, None, RecordFilter()),
        ((col("mapq") >= 30) | (col("rname") == "chr1"), None, RecordFilter()),
        (~(col("rname") == "chr1"), None, RecordFilter()),
    ],
)
def test_what_is_pushed_down(condition: pl.Expr, regions: Any, narrowed: RecordFilter) -> None:
    conditions = scans.Conditions.of(condition)
    assert conditions.regions(REFERENCES) == regions
    assert conditions.added_to(RecordFilter()) == narrowed


def test_conditions_narrow_what_was_given() -> None:
    condition = (col("mapq") > 10) & ((col("flag") & 4) == 0) & ((col("flag") & 1) == 1)
    given = RecordFilter(require=2, exclude=1024, min_mapq=20, read_groups=("a",))
    assert scans.Conditions.of(condition).added_to(given) == RecordFilter(3, 1028, 20, ("a",))


def test_an_unreadable_expression_is_left_to_polars() -> None:
    class Strange:
        meta = None

    assert scans.Conditions.of(Strange()) == []  # type: ignore[arg-type]
    for tree in (None, [], {"BinaryExpr": 1}, {"BinaryExpr": {"op": "Eq"}}, {"Literal": {"Dyn": {}}}):
        assert list(scans._comparisons(tree)) == []


def test_only_what_a_query_needs_is_read(engine_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = bams3.api.arrow.record_batches
    monkeypatch.setattr("bams3.api.arrow.record_batches", lambda *all_: asked.append(all_) or real(*all_))
    scan = bams3.polars.scan(bams3.open(engine_dataset))
    asked.clear()
    scan.filter(col("rname") == "chr1", col("mapq") > 9).select("pos").collect()
    ((_, regions, chosen, fields, *_),) = asked
    assert [region.reference_id for region in regions] == [0]
    assert chosen.min_mapq == 10
    assert set(fields) == {"pos", "rname", "mapq"}


def test_regions_and_filters_of_a_scan(engine_dataset: Path) -> None:
    dataset = bams3.open(engine_dataset)
    options = {"min_mapq": 30, "filter": "[NM] > 0"}
    scan = bams3.polars.scan(dataset, "chr1:1-400000", "pos", **options)
    expected = dataset.query("chr1:1-400000", "pos", **options)["pos"]
    assert scan.collect()["pos"].to_list() == expected.tolist()
    assert scan.select(pl.len()).collect().item() == len(expected) > 10
    for wrong in ({"fields": "nope"}, {"regions": "chrX"}, {"filter": "mapq >"}):
        with pytest.raises(UsageError):
            bams3.polars.scan(dataset, **wrong)
