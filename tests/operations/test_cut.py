"""Cutting records into row groups."""

from itertools import pairwise

import hostile
import pytest
from bams3.bam.records import RecordBlock, join, walk
from bams3.dataset import layout
from bams3.operations.row_groups import cut_row_groups
from hypothesis import given
from hypothesis import strategies as st

CHUNK_SIZE = 1 << 20
W = 1 << 17
LENGTHS = [1 << 24, 9 * W]


def records_at(*places: tuple[int, int]) -> RecordBlock:
    return walk(b"".join(hostile.record(ref=ref, pos=pos) for ref, pos in places), 9)[0]


RUNS = {
    "sparse windows of a chunk together": ([(0, 0, 9), (0, W, 9), (0, 7 * W, 9)], [(0, 0, 27)]),
    "never two chunks": ([(0, 7 * W, 9), (0, 8 * W, 9), (1, 8 * W, 9)], [(0, 0, 9), (0, 8, 9), (1, 8, 9)]),
    "enough at a window's end": (
        [(0, 0, 4000), (0, W, 96), (0, 2 * W, 1), (0, 3 * W, 4096), (0, 4 * W, 4095), (0, 6 * W, 2), (0, 7 * W, 5)],
        [(0, 0, 4096), (0, 0, 4097), (0, 0, 4097), (0, 0, 5)],
    ),
    "65,536 at most": ([(0, 0, 65_536 * 2 + 7), (0, W, 5)], [(0, 0, 65_536), (0, 0, 65_536), (0, 0, 12)]),
    "past the end of a contig": ([(1, 8 * W, 9), (1, 30 * W, 5), (1, 99 * W, 5)], [(1, 8, 19)]),
    "no position": ([(0, -1, 5), (0, 9, 5), (-1, -1, 5), (-1, W, 5)], [(0, 0, 10), (-1, 0, 10)]),
}  # fmt: skip


@pytest.mark.parametrize(("runs", "expected"), RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("step", [1000, 1 << 20])
def test_cuts(runs: list, expected: list, step: int) -> None:
    block = records_at(*((ref, pos) for ref, pos, count in runs for _ in range(count)))
    blocks = [block[i : i + step] for i in range(0, len(block), step)]
    groups = list(cut_row_groups(blocks, CHUNK_SIZE, LENGTHS))
    assert [(group.reference_id, group.start // W, group.records) for group in groups] == expected
    joined = join([part for group in groups for part in group.blocks])
    assert bytes(joined.data) == bytes(block.data)


CONTIGS = [100, 40]
"""Lengths; with windows of 32, the last ones start at 96 and at 32."""


def cuts_by_the_rule(places: list[tuple[int, int]], sizes: list[int]) -> list[int]:
    """How many records each row group has, by what docs/format.md says, a record at a time."""
    groups: list[list[int]] = []
    for i, (ref, pos) in enumerate(places):
        window = max(pos, 0) // 8 if ref >= 0 else 0
        group = groups[-1] if groups else []
        if group:
            last_ref, last_pos = places[group[-1]]
            last_window = max(last_pos, 0) // 8 if ref >= 0 else 0
            full = len(group) == 5 or sum(sizes[k] for k in group) >= 400
            most = (CONTIGS[ref] - 1) // 32 if ref >= 0 else 0
            other_chunk = (last_ref, min(last_window // 4, most)) != (ref, min(window // 4, most))
            if full or other_chunk or (window != last_window and len(group) >= 3):
                group = []
        if not group:
            groups.append(group)
        group.append(i)
    return [len(group) for group in groups]


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, -1]), st.integers(-1, 99), st.integers(0, 300)), max_size=40),
    st.lists(st.integers(0, 40), max_size=5),
)
def test_cuts_are_those_of_the_rule_wherever_blocks_begin(rows: list, bounds: list) -> None:
    rows = sorted(rows, key=lambda row: (row[0] < 0, *row))
    places = [row[:2] for row in rows]
    made = [
        hostile.record(ref=ref, pos=pos, tags=[hostile.tag("ZZ", "Z", b"z" * more)])
        for ref, pos, more in rows
    ]
    block = walk(b"".join(made), 2)[0]
    bounds = sorted([0, *bounds, len(made)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "ROW_GROUP_SHIFT", 3)
        patch.setattr(layout, "ROW_GROUP_RECORDS", 5)
        patch.setattr(layout, "ROW_GROUP_BYTES", 400)
        patch.setattr(layout, "SMALL_ROW_GROUP", 3)
        blocks = [block[a:b] for a, b in pairwise(bounds)]
        groups = list(cut_row_groups(blocks, 32, CONTIGS))
    assert [group.records for group in groups] == cuts_by_the_rule(places, list(map(len, made)))
    assert [len(join(group.blocks)) for group in groups] == [group.records for group in groups]
