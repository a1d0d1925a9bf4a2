"""The Python interface, on real data against pysam and `bams3 coverage`; what it imports, leaves behind and refuses."""

import gzip
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pysam
import pytest
from alignments import busiest, everything, texts
from bams3.api import dataset as api
from bams3.errors import Bams3Error, DatasetError, FormatError, UsageError

import bams3

Query = dict[str, Any]


def some_queries(bam: pysam.AlignmentFile) -> list[Query]:
    """Ways to call fetch that pysam has too: with nothing, a contig, an interval, a region."""
    contig = busiest(bam)
    length = bam.get_reference_length(contig)
    starts = random.Random(1).sample([record.reference_start for record in bam.fetch(contig)], 8)
    queries: list[Query] = [{}, {"until_eof": True}, {"contig": contig}, {"contig": "*"}]
    queries += [{"contig": contig, "start": starts[0]}, {"contig": contig, "stop": starts[1]}]
    queries += [{"contig": contig, "start": starts[0], "stop": starts[0]}]
    queries += [
        {"contig": contig, "start": start, "stop": min(start + 1000, length)} for start in starts[2:5]
    ]
    queries += [{"contig": contig, "start": start, "stop": start + 1} for start in starts[5:7]]
    queries += [{"region": f"{contig}:{starts[7] + 1}-{min(starts[7] + 500, length)}"}, {"region": contig}]
    return queries


def test_fetch_and_count_are_pysams(bam: pysam.AlignmentFile, dataset: api.Dataset) -> None:
    found = 0
    for query in some_queries(bam):
        expected = texts(everything(bam) if "until_eof" in query else bam.fetch(**query))
        assert texts(dataset.fetch(**query)) == expected, query
        assert dataset.count(**query) == len(expected), query
        found += len(expected)
    assert found


def test_fetch_and_count_of_odd_records(odd: Path, odd_dataset: api.Dataset) -> None:
    queries: list[tuple[Any, ...]] = [
        ("a",), ("a", 20), ("a", None, 11), ("a", 14, 16), ("a", 2_000_000, 3_000_000), ("a", 30, 31), ("a", 5, 5),
        ("b:1-5",), ("b:1-5", 3, 4), ("*",), (),
    ]  # fmt: skip
    with pysam.AlignmentFile(odd) as bam:
        for query in queries:
            expected = texts(bam.fetch(*query))
            assert texts(odd_dataset.fetch(*query)) == expected, query
            assert odd_dataset.count(*query) == len(expected), query
        assert texts(odd_dataset.fetch(until_eof=True)) == texts(everything(bam))
    assert odd_dataset.count(until_eof=True) == 8


@pytest.mark.parametrize("workers", [1, 3])
def test_filters_choose_what_pysam_finds(
    bam: pysam.AlignmentFile, dataset: api.Dataset, workers: int
) -> None:
    expected = [
        record.to_string()
        for record in everything(bam)
        if record.mapping_quality >= 20 and not record.flag & 0x400 and record.query_length > 100
    ]
    options: Query = {
        "filter": "length(seq) > 100", "exclude_flags": 0x400, "min_mapq": 20, "workers": workers,
    }  # fmt: skip
    assert texts(dataset.fetch(until_eof=True, **options)) == expected
    assert dataset.count(until_eof=True, **options) == len(expected)
    assert dataset.query(fields="qname", **options).records == len(expected)
    assert sum(table.records for table in dataset.query_parallel(["."], **options)) == len(expected)
    reverse = dataset.count(require_flags=16)
    assert reverse == sum(record.is_reverse for record in bam.fetch())


def test_paths_are_all_that_python_takes_for_paths(
    odd: Path, odd_dataset: api.Dataset, tmp_path: Path
) -> None:
    """Such as the entries of `os.scandir`, whose text is no path; and `with` stands around files."""
    for name in ("odd.bam", "odd.bam.bai"):
        if (odd.parent / name).exists():
            shutil.copy(odd.parent / name, tmp_path)
    shutil.copytree(odd_dataset.uri, tmp_path / "odd.bams3")
    found = {entry.name: entry for entry in os.scandir(tmp_path)}
    with bams3.open(found["odd.bams3"]) as dataset:
        count = dataset.count(until_eof=True)
    assert dataset.count(until_eof=True) == count == odd_dataset.count(until_eof=True)
    folder = next((tmp_path / "odd.bams3").rglob("*.chunk")).parent
    assert bams3.read_chunk(next(os.scandir(folder))).records > 0
    made = [
        bams3.convert(found["odd.bam"], tmp_path / "1"),
        bams3.merge_inputs([found["odd.bams3"]], tmp_path / "2"),
        bams3.rewrite(found["odd.bams3"], tmp_path / "3"),
    ]
    assert {manifest.records for manifest in made} == {count}
    bams3.append(found["odd.bams3"], [found["odd.bam"]])
    assert bams3.open(found["odd.bams3"]).count(until_eof=True) == 2 * count


def test_header_and_chunks(bam: pysam.AlignmentFile, dataset: api.Dataset, real_dataset: Path) -> None:
    assert str(dataset.header) == str(bam.header)
    assert dataset.references == bam.references
    assert dataset.lengths == bam.lengths
    total = len(everything(bam))
    assert sum(chunk.records for chunk in dataset.chunks) == dataset.stats["records"] == total
    assert all(os.path.getsize(chunk.path) == chunk.bytes for chunk in dataset.chunks)
    assert [read.mapped for read in bam.get_index_statistics()] == [
        contig["mapped"] for contig in dataset.stats["references"]
    ]
    assert dataset.uri == str(real_dataset)
    assert str(total) in repr(dataset)


def test_chunks_name_their_contigs(odd_dataset: api.Dataset) -> None:
    assert [(chunk.contig, chunk.start, chunk.end, chunk.records) for chunk in odd_dataset.chunks] == [
        ("a", 0, 1 << 20, 4), ("a", 1 << 20, 2 << 20, 1), ("b:1-5", 0, 1 << 20, 1), (None, 0, 0, 2),
    ]  # fmt: skip


def windows(bam: pysam.AlignmentFile) -> list[tuple[str, int, int]]:
    """Intervals with reads: some random ones of the busiest contig, and all of it if it is short."""
    contig, chance = busiest(bam), random.Random(2)
    length = bam.get_reference_length(contig)
    starts = chance.choices([record.reference_start for record in bam.fetch(contig)], k=20)
    chosen = [(max(start - 50, 0), min(start + chance.randrange(1, 3000), length)) for start in starts]
    return [(contig, *window) for window in [*chosen, *([(0, length)] if length < 1_000_000 else [])]]


def per_base(bed: Path) -> Callable[[int, int], np.ndarray]:
    """Depth of [start, stop), as a per-base file of one contig tells it."""
    with gzip.open(bed, "rt") as lines:
        rows = np.array([line.split("\t")[1:] for line in lines], np.int64)

    def depth(start: int, stop: int) -> np.ndarray:
        first, last = np.searchsorted(rows[:, 1], start, "right"), np.searchsorted(rows[:, 0], stop)
        starts, ends, depths = rows[first:last].T
        return np.repeat(depths, np.minimum(ends, stop) - np.maximum(starts, start))

    return depth


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({}, []),
        ({"fast_mode": True}, ["-x"]),
        ({"min_mapq": 30, "exclude_flags": 4}, ["-Q", "30", "-F", "4"]),
    ],
)
def test_coverage_is_that_of_the_command(
    bam: pysam.AlignmentFile, dataset: api.Dataset, tmp_path: Path, options: Query, arguments: list[str]
) -> None:
    from bams3.cli import main

    assert main(["coverage", dataset.uri, "-c", busiest(bam), "-o", str(tmp_path / "x"), *arguments]) == 0
    expected, covered = per_base(tmp_path / "x.per-base.bed.gz"), 0
    for contig, start, stop in windows(bam):
        depth = dataset.coverage(contig, start, stop, **options)
        assert (depth.dtype, depth.shape) == (np.int32, (stop - start,))
        np.testing.assert_array_equal(depth, expected(start, stop))
        covered += depth.any()
    assert covered


def test_coverage_of_whole_reads_is_pysams(bam: pysam.AlignmentFile, dataset: api.Dataset) -> None:
    for contig, start, stop in windows(bam):
        expected = np.zeros(stop - start, np.int32)
        for record in bam.fetch(contig, start, stop):
            if not record.flag & 1796:
                expected[max(record.reference_start - start, 0) : record.reference_end - start] += 1
        np.testing.assert_array_equal(dataset.coverage(contig, start, stop, fast_mode=True), expected)


def test_coverage_at_the_edges(odd_dataset: api.Dataset) -> None:
    assert odd_dataset.coverage("a", 9, 17).tolist() == [0, 1, 1, 1, 1, 1, 0, 0]
    assert odd_dataset.coverage("b:1-5", 90, 1000).shape == (10,)  # clipped at the contig's end
    assert odd_dataset.coverage("a", 5, 5).shape == (0,)
    depth = odd_dataset.coverage("a", 9, 17)
    depth += 1  # the array is the caller's
    assert odd_dataset.coverage("a", 9, 10).tolist() == [0]


@pytest.mark.parametrize("workers", [1, 2, 5, "auto"])
def test_query_parallel_is_query_of_each_region(
    bam: pysam.AlignmentFile, dataset: api.Dataset, workers: Any
) -> None:
    contig = busiest(bam)
    starts = [record.reference_start for record in bam.fetch(contig)]
    starts = random.Random(3).choices(starts, k=10)
    regions: list[Any] = [(contig, start, start + 700) for start in starts]
    regions.insert(1, contig)
    tables = list(dataset.query_parallel(regions, workers, ["qname", "pos"]))
    for region, table in zip(regions, tables, strict=True):
        alone = dataset.query(region, ["qname", "pos"])
        assert all((table[name] == alone[name]).all() for name in alone)


def test_a_lone_chunk(bam: pysam.AlignmentFile, dataset: api.Dataset, tmp_path: Path) -> None:
    records, checked = texts(everything(bam)), 0
    for info in dataset.chunks[:3]:
        chunk = bams3.read_chunk(shutil.copy(info.path, tmp_path / "elsewhere"))
        expected = records[checked : checked + info.records]
        assert (chunk.contig, *chunk.window, chunk.records) == info[1:5]
        assert texts(chunk.fetch()) == expected
        table = chunk.query(["qname", "pos", "cigar", "seq", "qual"])
        assert table["qname"].tolist() == [text.split("\t")[0] for text in expected]
        assert table["seq"].tolist() == [text.split("\t")[9] for text in expected]
        assert table["qual"].tolist() == [text.split("\t")[10] for text in expected]
        checked += info.records
    assert checked


def test_a_lone_chunk_names_the_references_that_it_mentions(odd: Path, tmp_path: Path) -> None:
    dataset = bams3.open(odd.with_suffix(".bams3"))
    of_b, unplaced = (bams3.read_chunk(shutil.copy(c.path, tmp_path)) for c in dataset.chunks[2:])
    assert of_b.query("mrname")["mrname"].tolist() == ["a"]
    assert [record.reference_name for record in of_b.fetch()] == ["b:1-5"]
    assert (unplaced.contig, unplaced.records) == (None, 2)
    assert [record.query_name for record in unplaced.fetch()] == ["r7", "r8"]
    assert "b:1-5" in repr(of_b)


ERRORS: dict[str, tuple[Callable[[api.Dataset], Any], type[Bams3Error], str]] = {
    "unknown contig": (lambda d: d.fetch("zz"), UsageError, "zz"),
    "unknown contig, region": (lambda d: d.fetch(region="zz:1-5"), UsageError, "zz"),
    "a region string as a contig": (
        lambda d: d.coverage("chr1:1-5"),
        UsageError,
        "a region string as `region`",
    ),
    "nothing as a path": (lambda d: bams3.open(None), UsageError, "None: not a path or URI"),
    "bytes as a path": (lambda d: bams3.open(d.uri.encode()), UsageError, "not a path or URI"),
    "unknown contig, count": (lambda d: d.count("zz"), UsageError, "zz"),
    "unknown contig, coverage": (lambda d: d.coverage("zz"), UsageError, "zz"),
    "unknown contig, query": (lambda d: d.query([("zz", 0, 5)]), UsageError, "zz"),
    "unknown contig, parallel": (lambda d: d.query_parallel(["a", "zz"]), UsageError, "zz"),
    "start > stop": (lambda d: d.fetch("a", 20, 10), UsageError, "from 20 to 10"),
    "start < 0": (lambda d: d.count("a", -1, 10), UsageError, "from -1 to 10"),
    "start past the end": (lambda d: d.coverage("b:1-5", 101), UsageError, "start 101 is past the end"),
    "start without contig": (lambda d: d.fetch(start=5), UsageError, "need a contig"),
    "contig and region": (lambda d: d.count("a", region="a:1-5"), UsageError, "cannot be combined"),
    "coverage of no contig": (lambda d: d.coverage("*"), UsageError, r"\*"),
    "unknown field": (lambda d: d.query(fields=["pos", "depth"]), UsageError, "'depth'.*qname"),
    "unknown field, nothing read": (lambda d: d.query([], ["depth"]), UsageError, "depth"),
    "not a tag": (lambda d: d.query(fields=["NM"]), UsageError, "NM"),
    "filter": (lambda d: d.count(filter="mapq >"), UsageError, "filter|expression"),
    "unknown field in filter": (lambda d: d.fetch(filter="depth > 3"), UsageError, "depth"),
    "workers": (lambda d: d.count(workers=0), UsageError, "workers"),
    "not a dataset": (lambda d: bams3.open(os.path.dirname(d.uri)), DatasetError, "not a bams3 dataset"),
    "a file": (lambda d: bams3.open(d.uri + "/_metadata.json"), FormatError, "not a bams3 chunk"),
    "nothing there": (lambda d: bams3.open(d.uri + "x"), DatasetError, "no such file or directory"),
    "not a chunk": (lambda d: bams3.read_chunk(d.uri + "/_metadata.json"), FormatError, "_metadata.json"),
    "no such chunk": (lambda d: bams3.read_chunk(d.uri + "/none.chunk"), FormatError, "none.chunk"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_raised_at_the_call_in_one_line(odd_dataset: api.Dataset, case: str) -> None:
    call, kind, message = ERRORS[case]
    with pytest.raises(kind, match=message) as raised:
        call(odd_dataset)
    assert isinstance(raised.value, bams3.Bams3Error)
    assert "\n" not in str(raised.value)


def test_positions_are_integers(odd_dataset: api.Dataset) -> None:
    for start, stop in (("0", "5"), (0.0, 5)):
        with pytest.raises(TypeError, match="integer"):
            odd_dataset.count("a", start, stop)  # type: ignore[arg-type]


def test_counts_in_parallel(odd_dataset: api.Dataset) -> None:
    regions = ["a", ("a", 5, 900), "{b:1-5}", ("*", None, None)]
    count = odd_dataset.count
    alone = [count(region="a"), count("a", 5, 900), count("b:1-5"), count("*")]
    for workers in (1, 3):
        assert list(bams3.count_parallel([odd_dataset, odd_dataset.uri], regions, workers)) == 2 * alone
    assert any(alone)


def test_no_columns_are_still_records(odd_dataset: api.Dataset) -> None:
    """The number of records is known, and survives pickling."""
    (without,) = odd_dataset.query_parallel(["a"], fields=[])
    assert without.records == odd_dataset.count("a") == odd_dataset.query("a", []).records > 0
    table = odd_dataset.query("a", ["pos"])
    for each in (without, table):
        assert pickle.loads(pickle.dumps(each)).records == each.records == len(table["pos"])
