"""Records among the row groups of a dataset: the row groups are those of all records, and the others stay."""

from collections.abc import Iterator
from typing import Any

import hostile
import pytest
from bams3.bam.records import RecordBlock, join, walk
from bams3.codec import ZoneMap
from bams3.dataset import layout
from bams3.operations import interleaved as code
from bams3.operations.interleaved import interleaved, merged_blocks
from bams3.operations.row_groups import StoredRowGroup, cut_row_groups
from hypothesis import example, given
from hypothesis import strategies as st

RULE = {"ROW_GROUP_SHIFT": 3, "ROW_GROUP_RECORDS": 5, "ROW_GROUP_BYTES": 1000, "SMALL_ROW_GROUP": 3}
Place = tuple[int, int]  # position and FLAG
PLACES = st.lists(st.tuples(st.integers(-1, 31), st.sampled_from([0, 16])), max_size=30)


@pytest.fixture(autouse=True, scope="module")
def small_row_groups() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in RULE.items():
            patch.setattr(layout, name, value)
        yield


def block_of(who: bytes, places: list[Place], ref: int = 0) -> RecordBlock:
    """Records with names of their own, sorted by position only."""
    made = (
        hostile.record(ref=ref, pos=pos, flag=flag | 4, name=b"%s%d" % (who, number))
        for number, (pos, flag) in enumerate(sorted(places, key=lambda place: place[0]))
    )
    return walk(b"".join(made), 1)[0]


def cut(blocks: Any) -> Iterator[Any]:
    return cut_row_groups(blocks, 32, [32])


def stored(group: Any, places: list[Place]) -> StoredRowGroup:
    block = join(group.blocks)
    found = [pos for pos, _ in places]
    flags = 16 if any(flag & 16 for _, flag in places) else 0
    zone = ZoneMap(len(block), len(block.data), min(found), max(found), 0, 0, 0, flags, 0)
    return StoredRowGroup(group.reference_id, group.start, zone, pytest.fail, lambda: block, block)


def row_groups(dataset: list[Place], ref: int = 0) -> list[StoredRowGroup]:
    """Those of a dataset with records at these places."""
    left = sorted(dataset, key=lambda place: place[0])
    found = []
    for group in cut([block_of(b"d", dataset, ref)]):
        found.append(stored(group, left[: group.records]))
        del left[: group.records]
    return found


def data_of(groups: Iterator[Any]) -> list[bytes]:
    """The records of each row group."""
    return [
        bytes((group.group if isinstance(group, StoredRowGroup) else join(group.blocks)).data)
        for group in groups
    ]


def together(groups: list[StoredRowGroup], others: list[RecordBlock], before: int = 0) -> list[Any]:
    def decoded(given: Any) -> Iterator[RecordBlock]:
        return (each.group for each in given)

    blocks = [iter([each[at : at + 4] for at in range(0, len(each), 4)]) for each in others]
    return list(cut(interleaved(iter(groups), blocks, before, decoded)))


@example([(2, 0)] * 10, [[(2, 16)]], 0, 4000)  # behind the records of two row groups at one place
@given(
    PLACES.filter(bool),
    st.lists(PLACES, min_size=1, max_size=3),
    st.integers(0, 3),
    st.sampled_from([1, 300, 4000]),
)
def test_the_row_groups_are_those_of_all_records(
    dataset: list[Place], others: list[list[Place]], before: int, ahead: int
) -> None:
    blocks = [block_of(b"%d-" % number, places) for number, places in enumerate(others)]
    before = min(before, len(blocks))
    every = [*blocks[:before], block_of(b"d", dataset), *blocks[before:]]
    expected = data_of(cut(merged_blocks(iter([each]) for each in every if len(each))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "AHEAD", ahead)
        patch.setattr(code, "RUN", 1)
        assert data_of(iter(together(row_groups(dataset), blocks, before))) == expected


WINDOWS = [(at, 0) for window in range(4) for at in [8 * window, 8 * window + 1, 8 * window + 2]]
FULL = [(2, 0)] * 10
STAYS: dict[str, tuple[list[Place], list[Place], list[bool]]] = {
    "those of windows without new records": (WINDOWS, [(9, 0)], [True, False, True, True]),
    "a new record before the first of its window": ([(9, 0)] * 3, [(8, 0)], [False]),
    "a new record behind the last of its window": (WINDOWS, [(7, 0)], [False, True, True, True]),
    "a window of its own between them": ([(0, 0)] * 3 + [(24, 0)] * 3, [(8, 0)] * 3, [True, False, True]),
    "too few for a window of its own": ([(0, 0)] * 3 + [(24, 0)] * 3, [(8, 0)], [True, False]),
    "full ones": (FULL, [(3, 0)], [True, True, False]),
    "of a full one, the next records are at the same place": (FULL, [(1, 0)], [False, False, False]),
    "none of a cut that moves": (
        [(0, 0)] * 2 + [(8, 0)] * 2 + [(16, 0)] * 2 + [(24, 0)] * 2, [(0, 0)], [False, False, False],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("dataset", "added", "stays"), STAYS.values(), ids=STAYS)
def test_what_stays(dataset: list[Place], added: list[Place], stays: list[bool]) -> None:
    found = together(row_groups(dataset), [block_of(b"n", added)])
    assert [isinstance(group, StoredRowGroup) for group in found] == stays


def test_reads_with_no_position_come_last() -> None:
    dataset = [(-1, 0)] * 12
    groups = row_groups(dataset, -1)
    found = together(groups, [block_of(b"n", [(-1, 0)], -1)])
    assert [isinstance(group, StoredRowGroup) for group in found] == [True, True, False]
    assert len(join(found[-1].blocks)) == 3
