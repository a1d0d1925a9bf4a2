"""Records without some of their fields have the others as they were, byte for byte."""

import os
import struct
import tempfile
from pathlib import Path
from typing import Any

import hostile
from bams3.dataset.reader import DatasetReader
from bams3.operations.convert import convert
from bams3.select.projection import FIELDS, Projection
from bams3.select.query import RecordFilter, partial_records
from hypothesis import example, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("BAMS3_EXAMPLES", "30"))
TAGS = st.sampled_from([*hostile.COMMON_TAGS, "CG", "ab"])
OPERATIONS = [(1, i % 2) for i in range(65_537)]
LONG = hostile.record(
    ref=0, pos=5, flag=0, cigar=OPERATIONS, sequence=b"A" * 65_537, tags=[hostile.tag("NM", "C", 3)]
)


@settings(max_examples=EXAMPLES)
@given(
    hostile.bams(),
    st.sets(st.sampled_from(FIELDS)),
    st.none() | st.sets(TAGS),
    st.sets(TAGS, max_size=2),
)
@example(hostile.Bam(hostile.TEXT, hostile.CONTIGS, [LONG, hostile.good()], 65280), {"CIGAR"}, set(), set())
@example(hostile.Bam(hostile.TEXT, hostile.CONTIGS, [LONG, hostile.good()], 65280), {"SEQ"}, None, {"NM"})
def test_what_is_left(bam: hostile.Bam, fields: set[str], tags: set[str] | None, notags: set[str]) -> None:
    projection = Projection(sorted(fields), tags, sorted(notags))
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "in.bam").write_bytes(bam.data())
        convert(Path(name) / "in.bam", Path(name) / "d.bams3", chunk_size="256K")
        dataset = DatasetReader(Path(name) / "d.bams3")
        found = b"".join(
            bytes(memoryview(block.data)[block.offsets[0] : block.offsets[-1]])
            for block in partial_records(dataset, None, RecordFilter(), projection)
        )
    assert found == b"".join(expected(record, projection) for record in bam.records)


def expected(record: bytes, projection: Projection) -> bytes:
    """What of a record is left; its bin is that of what is left."""
    fields = projection.fields
    ref, pos, name_size, mapq, _, operations, flag, bases, next_ref, next_pos, tlen = struct.unpack_from(
        "<iiBBHHHiiii", record, 4
    )
    at = [36, name_size, 4 * operations, (bases + 1) // 2, bases]
    name, cigar, sequence, quality = (record[sum(at[:i]) : sum(at[: i + 1])] for i in range(1, 5))
    found = list(tags_of(record[sum(at) :]))
    packed = struct.unpack(f"<{operations}I", cigar)
    in_tag = (
        operations == 2
        and packed[0] == bases << 4 | 4
        and packed[1] & 15 == 3
        and any(tag[:4] == b"CGBI" for tag in found)
    )
    with_cigar, with_sequence = "CIGAR" in fields, {"SEQ", "QUAL"} & set(fields)
    kept = [
        tag
        for tag in found
        if (with_cigar if in_tag and tag[:4] == b"CGBI" else projection.keeps(tag[:2].decode()))
    ]
    span = sum(op >> 4 for op in packed if op & 15 in (0, 2, 3, 7, 8)) if with_cigar and not flag & 4 else 0
    body = struct.pack(
        "<iiBBHHHiiii", ref, pos,
        name_size if "QNAME" in fields else 2, mapq if "MAPQ" in fields else 255,
        hostile.region_bin(pos, pos + (span or 1)), operations if with_cigar else 0, flag,
        bases if with_sequence else 0, next_ref if "RNEXT" in fields else -1,
        next_pos if "PNEXT" in fields else -1, tlen if "TLEN" in fields else 0,
    )  # fmt: skip
    body += name if "QNAME" in fields else b"*\0"
    if with_cigar:  # a stand-in for the CIGAR in a tag is known by the length of SEQ
        body += struct.pack("<I", 4) + cigar[4:] if in_tag and not with_sequence else cigar
    if with_sequence:
        body += sequence + (quality if "QUAL" in fields else b"\xff" * bases)
    body += b"".join(kept)
    return struct.pack("<I", len(body)) + body


SIZES = {"A": 1, "c": 1, "C": 1, "s": 2, "S": 2, "i": 4, "I": 4, "f": 4}


def tags_of(data: bytes) -> Any:
    """The tags of a record, each as its bytes."""
    at = 0
    while at < len(data):
        kind = chr(data[at + 2])
        if kind == "B":
            end = at + 8 + SIZES[chr(data[at + 3])] * int.from_bytes(data[at + 4 : at + 8], "little")
        elif kind in "ZH":
            end = data.index(b"\0", at + 3) + 1
        else:
            end = at + 3 + SIZES[kind]
        yield data[at:end]
        at = end
