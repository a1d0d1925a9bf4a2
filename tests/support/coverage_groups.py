"""Row groups for coverage tests, of a BAM or of CIGARs: columns as `chunk.reader.RowGroup` has them."""

from array import array
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pysam


def row_groups(path: str, reference_id: int, size: int) -> Iterator[SimpleNamespace]:
    """The row groups of one contig, ``size`` records each, of an indexed BAM."""
    with pysam.AlignmentFile(path) as bam:
        # The fetch of a BAM's contig leaves out reads that only touch what is outside; so does mosdepth.
        records = list(bam.fetch(bam.get_reference_name(reference_id)))
    cuts = range(0, len(records), size)
    groups_of = Counter(name for cut in cuts for name in {r.query_name for r in records[cut : cut + size]})
    border_names = {name for name, groups in groups_of.items() if groups > 1}
    for cut in cuts:
        yield row_group(records[cut : cut + size], reference_id, border_names)


def row_group(records: list, reference_id: int, border_names: set[str]) -> SimpleNamespace:
    """A row group of these records; templates of ``border_names`` go on in others."""
    group = SimpleNamespace(records=len(records), reference_id=reference_id)
    group.pos = array("i", [r.reference_start for r in records])
    group.end = array("i", [_end(r) for r in records])
    group.flag = array("H", [r.flag for r in records])
    group.mapq = array("B", [r.mapping_quality for r in records])
    group.next_ref = array("i", [r.next_reference_id for r in records])
    group.next_pos = array("i", [r.next_reference_start for r in records])
    group.tlen = array("i", [r.template_length for r in records])
    group.read_group = [r.get_tag("RG") if r.has_tag("RG") else None for r in records]
    group.cigar_start, group.cigar_count, group.cigar_pool = array("I"), array("I"), array("I")
    for record in records:
        cigar = record.cigartuples or []
        group.cigar_start.append(len(group.cigar_pool))
        group.cigar_count.append(len(cigar))
        group.cigar_pool.extend(length << 4 | operation for operation, length in cigar)
    group.previous, last = array("i"), {}
    group.border_index, group.border_hash = array("I"), array("Q")
    for index, record in enumerate(records):
        group.previous.append(last.get(record.query_name, -1))
        if record.query_name in border_names and record.query_name not in last:
            group.border_index.append(index)
            group.border_hash.append(fnv1a(record.query_name.encode()))
        last[record.query_name] = index
    return group


def fnv1a(name: bytes) -> int:
    """The 64-bit FNV-1a hash."""
    value = 0xCBF29CE484222325
    for byte in name:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def _end(record: pysam.AlignedSegment) -> int:
    length = (
        0 if record.is_unmapped else sum(n for op, n in record.cigartuples or [] if op in (0, 2, 3, 7, 8))
    )
    return record.reference_start + (length or 1)


M, I, D, N, S = range(5)  # noqa: E741


def group(*cigars: list[tuple[int, int]], pos: int = 10, quality: int = 30) -> Any:
    """Reads at a position, with these CIGARs."""
    n = len(cigars)
    lengths = [sum(length for length, op in cigar if op in (M, I, S)) for cigar in cigars]
    spans = [sum(length for length, op in cigar if op in (M, D, N)) for cigar in cigars]
    counts = [len(cigar) for cigar in cigars]
    return SimpleNamespace(
        records=n, reference_id=0, pos=array("i", [pos] * n), end=array("i", [pos + (span or 1) for span in spans]),
        flag=array("H", [1] * n), mapq=array("B", [60] * n), l_seq=array("i", lengths),
        qual=bytes([quality]) * sum(lengths), cigar_start=array("I", [sum(counts[:i]) for i in range(n)]),
        cigar_count=array("I", counts), cigar_pool=array("I", [n << 4 | op for cigar in cigars for n, op in cigar]),
        previous=array("i", [-1] * n), next_ref=array("i", [0] * n), next_pos=array("i", [pos] * n),
        names=(b"a" * n, array("q", range(n + 1))),
    )  # fmt: skip


def mask_of(reads: Any) -> bytearray:
    return bytearray(b"\1") * reads.records
