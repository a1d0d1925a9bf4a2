"""The Python interface, on real data against pysam and `bams3 coverage`; what it imports, leaves behind and refuses."""

import gzip
import inspect
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pysam
import pytest
from bams3.api import dataset as api
from bams3.errors import Bams3Error, DatasetError, FormatError, UsageError
from bams3.select.fields import FilterColumns
from bams3.select.schema import SCHEMA, dtype_of

import bams3

Query = dict[str, Any]


@pytest.fixture
def bam(real_bam: Path) -> Iterator[pysam.AlignmentFile]:
    with pysam.AlignmentFile(real_bam) as file:
        yield file


@pytest.fixture
def dataset(real_dataset: Path) -> api.Dataset:
    return bams3.open(real_dataset)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BAM of what real ones lack, beside its dataset `odd.bams3`: array tags, missing fields, unplaced reads."""
    header = pysam.AlignmentHeader.from_dict(
        {"HD": {"VN": "1.6"}, "SQ": [{"SN": "a", "LN": 3_000_000}, {"SN": "b:1-5", "LN": 100}]}
    )
    records = [
        "r1\t65\ta\t11\t60\t5M\tb:1-5\t3\t0\tACGTN\tIIII!\tNM:i:1\tBA:B:c,-1,2\tMX:i:5",
        "r2\t0\ta\t21\t30\t2S3M1H\t*\t0\t0\tACGTA\t*\tBA:B:c,3,4\tXF:f:0.5\tMX:Z:text",
        "r3\t0\ta\t21\t0\t4M\t*\t0\t0\t*\t*\tBA:B:S,65535\tNM:i:300",
        "r4\t4\ta\t31\t0\t*\t*\t0\t0\tAC\tI~\tEM:B:f",
        "r5\t16\ta\t2000001\t9\t3M\t=\t11\t-9\tGGG\tABC",
        "r6\t129\tb:1-5\t3\t7\t2M\ta\t11\t0\tAC\tII",
        "r7\t4\t*\t0\t0\t*\t*\t0\t0\tACG\tIII",
        "r8\t4\t*\t0\t0\t*\t*\t0\t0\tTTT\tIII",
    ]
    path = tmp_path_factory.mktemp("odd") / "odd.bam"
    with pysam.AlignmentFile(path, "wb", header=header) as file:
        for text in records:
            file.write(pysam.AlignedSegment.fromstring(text, header))
    pysam.index(str(path))
    bams3.convert(path, path.with_suffix(".bams3"))
    return path


@pytest.fixture
def odd_dataset(odd: Path) -> api.Dataset:
    return bams3.open(odd.with_suffix(".bams3"))


def everything(bam: pysam.AlignmentFile) -> list[pysam.AlignedSegment]:
    bam.reset()  # pysam goes on from where it is
    return list(bam)


def texts(records: Iterable[pysam.AlignedSegment]) -> list[str]:
    return [record.to_string() for record in records]


def busiest(bam: pysam.AlignmentFile) -> str:
    return max(bam.get_index_statistics(), key=lambda contig: contig.mapped).contig


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


def pysam_column(name: str) -> Callable[[pysam.AlignedSegment], Any]:
    """What pysam has for a field of `query`."""
    of: dict[str, Callable[[pysam.AlignedSegment], Any]] = {
        "qname": lambda r: r.query_name, "flag": lambda r: r.flag, "rname": lambda r: r.reference_name or "*",
        "pos": lambda r: r.reference_start, "mapq": lambda r: r.mapping_quality, "refid": lambda r: r.reference_id,
        "endpos": lambda r: max(r.reference_end or 0, r.reference_start + 1), "cigar": lambda r: r.cigarstring or "*",
        "mrname": lambda r: r.next_reference_name or "*", "mpos": lambda r: r.next_reference_start,
        "mrefid": lambda r: r.next_reference_id, "tlen": lambda r: r.template_length,
        "seq": lambda r: r.query_sequence or "*", "qual": lambda r: r.qual or "*",
        "ncigar": lambda r: len(r.cigartuples or ()), "rlen": lambda r: bases(r, 0, 2, 3, 7, 8),
        "qlen": lambda r: r.infer_query_length() or 0,
        "sclen": lambda r: bases(r, 4),
        "hclen": lambda r: bases(r, 5),
        "library": lambda r: libraries(r).get(r.get_tag("RG") if r.has_tag("RG") else "", ""),
    }  # fmt: skip
    return of[name]


def bases(record: pysam.AlignedSegment, *operations: int) -> int:
    return sum(length for operation, length in record.cigartuples or () if operation in operations)


def libraries(record: pysam.AlignedSegment) -> dict[str, str]:
    return {group["ID"]: group.get("LB", "") for group in record.header.to_dict().get("RG", [])}


FIELDS = sorted(SCHEMA)


def check_columns(bam: pysam.AlignmentFile, dataset: api.Dataset) -> None:
    table = dataset.query(fields=FIELDS)
    records = everything(bam)
    assert table.records == len(records)
    for name in FIELDS:
        assert table[name].tolist() == [pysam_column(name)(record) for record in records], name


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
        assert arrow[name].to_pylist() == table[name].tolist(), name


def test_to_arrow_of_odd_records(odd_dataset: api.Dataset) -> None:
    arrow = odd_dataset.query(("a", 10, 21), ["[NM]", "[BA]", "qual"]).to_arrow()
    assert arrow["[NM]"].to_pylist() == [1, None, 300]
    assert arrow["[BA]"].to_pylist()[0] == [-1, 2]
    assert arrow["qual"].to_pylist() == ["IIII!", "*", "*"]
    assert odd_dataset.query([], ["pos", "qname"]).to_arrow().num_rows == 0
    with pytest.raises(UsageError, match="MX"):
        odd_dataset.query(fields=["[MX]"]).to_arrow()


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
    "nothing there": (lambda d: bams3.open(d.uri + "x"), DatasetError, "not a bams3 dataset"),
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


@pytest.fixture
def damaged(real_dataset: Path, tmp_path: Path) -> api.Dataset:
    """A dataset whose chunks have a flipped byte in the middle."""
    copy = shutil.copytree(real_dataset, tmp_path / "damaged.bams3")
    for chunk in bams3.open(copy).chunks:
        data = bytearray(Path(chunk.path).read_bytes())
        data[len(data) // 2] ^= 1
        Path(chunk.path).write_bytes(data)
    return bams3.open(copy)


@pytest.mark.parametrize("workers", [1, 3])
def test_damage_met_while_fetching_is_raised(damaged: api.Dataset, workers: int) -> None:
    with pytest.raises(FormatError, match="damaged"):
        list(damaged.fetch(until_eof=True, workers=workers))


def test_damage_past_the_last_record_wanted_is_no_error(odd: Path, tmp_path: Path) -> None:
    copy = bams3.open(shutil.copytree(odd.with_suffix(".bams3"), tmp_path / "copy.bams3"))
    os.truncate(copy.chunks[1].path, 10)
    threads = set(threading.enumerate())
    records = copy.fetch()
    assert next(records).query_name == "r1"
    for feeding in set(threading.enumerate()) - threads:
        feeding.join()  # it has met the damage
    records.close()  # type: ignore[attr-defined]


def open_files() -> set[str]:
    return {
        f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}" for fd in os.listdir("/proc/self/fd") if readable(fd)
    }


def readable(fd: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{fd}")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are counted by Linux's /proc")
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("how", ["break", "close", "error", "drop", "not started", "all"])
def test_leaving_fetch_early_leaves_nothing_behind(dataset: api.Dataset, workers: int, how: str) -> None:
    threads, files = set(threading.enumerate()), open_files()
    records = dataset.fetch(until_eof=True, workers=workers)
    if how == "break":
        for _ in records:
            break
    elif how == "error":
        with pytest.raises(ZeroDivisionError):
            [1 / 0 for _ in records]
    elif how == "all":
        assert sum(1 for _ in records) == dataset.stats["records"]
    elif how != "not started":
        next(records)
        if how == "close":
            records.close()  # type: ignore[attr-defined]
    del records
    assert set(threading.enumerate()) == threads
    assert open_files() - files == set()


@pytest.mark.parametrize("workers", [1, 3])
def test_leaving_early_does_not_end_a_program_that_dies_of_sigpipe(
    dataset: api.Dataset, workers: int
) -> None:
    """As those do that print into `head` without a traceback."""
    if not hasattr(signal, "SIGPIPE"):
        pytest.skip("no SIGPIPE on this platform")
    code = (
        "import bams3, signal, sys\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
        "next(bams3.open(sys.argv[1]).fetch(until_eof=True, workers=int(sys.argv[2])))"
    )
    done = subprocess.run([sys.executable, "-c", code, dataset.uri, str(workers)], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_records_outlive_the_iterator(dataset: api.Dataset, bam: pysam.AlignmentFile) -> None:
    first = next(dataset.fetch())
    expected = next(bam.fetch())
    assert (first.to_string(), first.reference_name) == (expected.to_string(), expected.reference_name)


def test_two_iterators_side_by_side(dataset: api.Dataset) -> None:
    pairs = zip(dataset.fetch(), dataset.fetch(), strict=True)
    assert all(one.to_string() == other.to_string() for one, other in pairs)


def test_one_dataset_in_several_threads(bam: pysam.AlignmentFile, dataset: api.Dataset) -> None:
    contig = busiest(bam)
    starts = [record.reference_start for record in bam.fetch(contig)]
    starts = random.Random(4).choices(starts, k=16)

    def work(start: int) -> tuple[list[str], int, list[int], list[int]]:
        window = contig, start, start + 500
        return (
            texts(dataset.fetch(*window)),
            dataset.count(*window),
            dataset.coverage(*window).tolist(),
            dataset.query([window], ["mapq"])["mapq"].tolist(),
        )

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(work, starts))
    assert together == [work(start) for start in starts]


# What is imported is asked in a process of its own.


def imported(code: str, *arguments: object) -> set[str]:
    """Which slow modules a program has loaded in the end."""
    program = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return {"numpy", "pysam", "zstandard", "pyarrow"} & set(done.stderr.split())


def test_importing_loads_nothing_slow() -> None:
    assert imported("import bams3") == set()
    assert imported("import bams3; bams3.open, bams3.read_chunk") <= {"zstandard"}


@pytest.mark.parametrize(
    "command",
    [
        ["stats"],
        ["stats", "--flagstat"],
        ["coverage", "-n", "-o"],
        ["query", "-c"],
        ["query", "-c", "-q", "9", "-F", "DUP"],
    ],
    ids=" ".join,
)
def test_light_commands_load_neither_numpy_nor_pysam(odd: Path, tmp_path: Path, command: list[str]) -> None:
    prefix = [tmp_path / "x"] if command[-1] == "-o" else []
    code = "from bams3.cli import main\nassert main(sys.argv[1:]) == 0"
    loaded = imported(code, *command, *prefix, odd.with_suffix(".bams3"))
    assert not loaded & {"numpy", "pysam"}, loaded


def public_functions() -> Iterator[tuple[str, Any]]:
    for name in bams3.__all__:
        thing = getattr(bams3, name)
        if inspect.isfunction(thing):
            yield name, thing
    for kind in (api.Dataset, api.Chunk, api.Table, api.ChunkInfo):
        yield kind.__name__, kind
        for name, member in vars(kind).items():
            function = getattr(member, "fget", getattr(member, "func", member))
            if not name.startswith("_") and inspect.isfunction(function):
                yield f"{kind.__name__}.{name}", function


@pytest.mark.parametrize(
    ("name", "thing"), [*public_functions()], ids=lambda value: value if isinstance(value, str) else ""
)
def test_public_names_are_typed_and_documented(name: str, thing: Any) -> None:
    assert thing.__doc__
    if inspect.isfunction(thing):
        signature = inspect.signature(thing)
        assert signature.return_annotation is not signature.empty
        for parameter in list(signature.parameters.values()):
            assert parameter.name == "self" or parameter.annotation is not parameter.empty, parameter


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
