"""Records that are valid and odd, and what changes or orders them: markdup, merging, sorting, losses, text."""

from __future__ import annotations

import io
import random
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import hostile
from bams3.bam.header import Header, whole_lines
from bams3.bam.lossy import Loss
from bams3.bam.merged_header import MergedHeader
from bams3.bam.records import RecordBlock
from bams3.bam.translate import Translator
from bams3.dataset.manifest import Counts
from bams3.dataset.sums import Sums
from bams3.duplicates.batch import Batch
from bams3.duplicates.options import Markdup
from bams3.duplicates.source import Marking
from bams3.output.sam import ReferenceNames, format_sam
from bams3.sources.apart import joined, split
from bams3.sources.bam import BamSource
from bams3.sources.buckets import Buckets
from bams3.sources.consensus import simplified
from bams3.sources.files import input_at
from bams3.sources.merging import merged

from fuzz.seeds import Seeds
from fuzz.targets import Target, changed_bam, check_valid, each_of

MARKDUP = (
    Markdup(originals=True, copies=True, optical_distance=100, read_groups=True, supplementary=True),
    Markdup(mode="s", length=0, remove=True, clear=True, chains=False, supplementary=True),
    Markdup(barcode_tag="BC", include_fails=True, copies=True, optical_distance=9, clear=True),
    Markdup(barcode_pattern="([!-?A-~]+)$", coordinates="(.)([0-9]+):([0-9]+)", optical_distance=1 << 30),
)
LOSSES = (
    Loss("bin8", ("MD", "NM")),
    Loss("illumina4", kept_tags=("RG",)),
    Loss(dropped_read_groups=("a", "b")),
)
GROUPS = b"@RG\tID:a\n@RG\tID:b\n@PG\tID:p\n"


def read_bam(data: bytes) -> None:
    """Every change leaves valid records; what only orders them leaves the same ones. A change may refuse them."""
    source = BamSource(input_at("bam"), "raw", io.BytesIO(data))
    blocks = [block for block in source.blocks() if len(block)]
    header = Header(whole_lines(source.header.text) + GROUPS, source.header.references)
    names = ReferenceNames(name for name, _ in header.references)
    for block in blocks:
        if bytes(format_sam(block, names)).count(b"\n") < len(block):  # a text may have line ends
            raise AssertionError("SAM text has fewer lines than records")
        check_same([block], [joined(*split(block))])
        Counts.of_block(block, None if placed(block) else -1)
        Sums.of_block(block)
    checks = (check_marked, check_reduced, check_simplified, check_translated, check_sorted)
    each_of(partial(check, header, blocks) for check in checks)


def check_marked(header: Header, blocks: Sequence[RecordBlock]) -> None:
    """With marks, there are as many records."""
    for options in MARKDUP:
        marked = list(Marking(header, options).marked(blocks, map))
        for block in marked:
            check_valid(block, len(header.references))
        if not options.remove and sum(map(len, marked)) != sum(map(len, blocks)):
            raise AssertionError("markdup lost or doubled records")
        batch = Batch(Marking(header, options))
        batch.begin(blocks[:1], 0, map)
        for block in batch.marked(blocks[1:2], blocks[2:], 0, map):
            check_valid(block, len(header.references))


def check_reduced(header: Header, blocks: Sequence[RecordBlock]) -> None:
    for loss in LOSSES:
        for block in blocks:
            check_valid(loss.applied(block), len(header.references))


def check_simplified(header: Header, blocks: Sequence[RecordBlock]) -> None:
    """Only qualities change."""
    made = [block for records in simplified(blocks, map) for block in records.blocks]
    for block in made:
        check_valid(block, len(header.references))
    if list(map(len, records_of(made))) != list(map(len, records_of(blocks))):
        raise AssertionError("records of other sizes")


def placed(block: RecordBlock) -> bool:
    """Whether all records have a reference."""
    return all(block.data[at + 4 : at + 8] != b"\xff" * 4 for at in block.offsets[:-1])


def check_translated(header: Header, blocks: Sequence[RecordBlock]) -> None:
    """With other ids, records are valid."""
    merging = MergedHeader(seed=3)
    first = Header(GROUPS, (("another", 5), ("one more", 7)))
    merging.add(first)
    for translation in (merging.add(header), merging.add(header, b"x" * 300)):
        for block in blocks:
            check_valid(Translator(translation).translated(block), len(merging.header.references))


def check_sorted(header: Header, blocks: Sequence[RecordBlock]) -> None:
    """Buckets, and merged blocks, have the records in order."""
    buckets = Buckets([length for _, length in header.references], 7, 4096)
    for block in blocks:
        buckets.add(block)
    ordered, last = [], 0
    for bucket in buckets.take():
        for start, end in bucket.sort(5000):
            key = bucket.key(start)
            if key < last:
                raise AssertionError("buckets are not in order")
            last = key
            ordered.append(bucket.block(start, end))
    check_same(blocks, ordered)
    if len(blocks) > 1:
        starts = array("q", [0, 0])
        while all(starts[i] < len(blocks[i]) for i in (0, 1)):
            check_valid(merged(blocks[:2], starts, 2000), len(header.references))


def check_same(one: Sequence[RecordBlock], other: Sequence[RecordBlock]) -> None:
    if Counter(records_of(one)) != Counter(records_of(other)):
        raise AssertionError("other records")


def records_of(blocks: Sequence[RecordBlock]) -> Iterator[bytes]:
    for block in blocks:
        for number in range(len(block)):
            yield bytes(memoryview(block.data)[block.offsets[number] : block.offsets[number + 1]])


def tags_of(chance: random.Random) -> list[tuple[str, str, Any]]:
    """What markdup needs, mostly, and tags that it and merging look at."""
    mates = [
        ("MC", "Z", b"4M"),
        ("MC", "Z", b"300S4M"),
        ("MC", "Z", b"1S2147483647M"),
        ("MC", "A", b"4"),
        ("MC", "Z", b""),
    ]
    scores = [("ms", "i", 60), ("ms", "C", 90), ("ms", "I", 1 << 31), ("ms", "s", -1)]
    others = [("NM", "C", 1), ("RG", "Z", b"a"), ("BC", "Z", b"A"), ("dt", "Z", b"SQ"), ("do", "Z", b"r:1:2"),
              ("dc", "s", -3), ("PG", "Z", b"p"), ("RG", "H", b"41"), ("CG", "BI", [4 << 4])]  # fmt: skip
    needed = [chance.choice(mates), chance.choice(scores)] if chance.random() < 0.95 else []
    return [*needed, *chance.sample(others, chance.randint(0, 4))]


def changed_records(seeds: Seeds, chance: random.Random) -> bytes:
    """An uncompressed BAM of crowded reads, as they have duplicates; or one that `targets` would read."""
    if chance.random() < 0.5:
        return changed_bam(seeds, chance)
    records = []
    for pos in sorted(chance.choices((5, 6, 9, 300, 70_000, 2**31 - 9), k=chance.randint(1, 30))):
        clips = chance.choice(([], [(2, 4)], [(300, 5)], [(1 << 27, 5), (1, 4)]))
        length = 4 + sum(size for size, operation in clips if operation == 4)
        records.append(
            hostile.record(
                ref=0, pos=pos, flag=chance.choice((0, 16, 99, 147, 83, 163, 1024, 2048 + 99, 73, 1 << 15, 0xFFF)),
                name=chance.choice((b"a", b"b", b"m:1:f:1:1:10:10:AA", b"x9:8", b":::::::", b"r" * 254)),
                cigar=[*clips, (4, 0)], sequence=b"A" * length, quality=chance.randbytes(length),
                next_ref=chance.choice((0, 0, -1)), next_pos=chance.choice((5, 9, -1, 2**31 - 2)),
                tags=[hostile.tag(*each) for each in tags_of(chance)],
            )
        )  # fmt: skip
    if chance.random() < 0.7:
        at = chance.randrange(len(records))
        changed = bytearray(records[at])
        for _ in range(chance.choice((1, 1, 4))):
            changed[chance.randrange(4, len(changed))] = chance.choice(
                (0, 1, 127, 128, 255, chance.randrange(256))
            )
        records[at] = bytes(changed)
    return hostile.bam_header(hostile.TEXT, [("chr1", 2**31 - 1), ("chr2", 9)]) + b"".join(records)


TARGET = Target(0.05, changed_records, read_bam)
