"""RNEXT, PNEXT, TLEN and the border records to streams and back; and streams that make no sense."""

import contextlib
import random
from array import array
from collections import defaultdict
from collections.abc import Sequence
from types import SimpleNamespace

import hostile
import pytest
from bams3.codec import encoder, templates
from bams3.coverage import CoverageOptions, depth_of
from bams3.errors import FormatError
from hypothesis import given
from hypothesis import strategies as st

from bams3 import codec

REFERENCE = 3
Row = tuple[bytes, int, int, int, int, int, int]


class Block(SimpleNamespace):
    def __len__(self) -> int:
        return len(self.offsets) - 1


def block_of(rows: list[Row]) -> Block:
    records = []
    for name, flag, pos, span, next_ref, next_pos, tlen in rows:
        cigar = [(span, 0)] if span else []
        fields = {"flag": flag, "cigar": cigar, "sequence": b"A" * span}
        mate = {"next_ref": next_ref, "next_pos": next_pos, "tlen": tlen}
        records.append(hostile.record(ref=REFERENCE, pos=pos, name=name, **fields, **mate))
    offsets = array("q", [0])
    for record in records:
        offsets.append(offsets[-1] + len(record))
    return Block(data=b"".join(records), offsets=offsets)


def encode(rows: list[Row]) -> codec.Columns:
    """The columns of a row group of these records."""
    block = block_of(rows)
    streams = encoder.encode(block, REFERENCE, 5)[0]
    columns = codec.Columns(
        defaultdict(bytes, {name: bytes(stream) for name, stream in streams.items()}),
        len(rows),
        len(block.data),
    )
    columns.reference_id = REFERENCE
    return columns


def check(rows: list[Row]) -> codec.Columns:
    columns = encode(rows)
    expected = [tuple(row[4:]) for row in rows]
    assert list(zip(columns.next_ref, columns.next_pos, columns.tlen, strict=True)) == expected
    return columns


def stream(columns: codec.Columns, name: str) -> list[int]:
    return list(columns._streams[name])


PAIRED, PROPER, UNMAPPED, MATE_UNMAPPED, REVERSE, MATE_REVERSE, READ1, READ2 = (1 << bit for bit in range(8))
FORWARD = PAIRED | PROPER | MATE_REVERSE | READ1
BACKWARD = PAIRED | PROPER | REVERSE | READ2
LAST = 2**31 - 1

# Case: (records, rules, what `mate.pos` and `mate.tlen` hold)
CASES = {
    "5' to 5'": (
        [(b"a", FORWARD, 100, 50, 3, 180, 130), (b"a", BACKWARD, 180, 50, 3, 100, -130)],
        ([3, 3], [], []),
    ),
    "outermost, a dovetail": (
        [(b"a", BACKWARD, 100, 50, 3, 110, 60), (b"a", FORWARD, 110, 50, 3, 100, -60)],
        ([1, 1], [], []),
    ),
    "READ2 first on a tie": (
        [(b"a", FORWARD & ~32, 100, 50, 3, 100, -60), (b"a", BACKWARD & ~16, 100, 60, 3, 100, 60)],
        ([2, 2], [], []),
    ),
    "no length": (
        [(b"a", FORWARD, 100, 50, 3, 180, 0), (b"a", BACKWARD, 180, 50, 3, 100, 0)],
        ([4, 4], [], []),
    ),
    "another length": (
        [(b"a", FORWARD, 100, 50, 3, 180, 131), (b"a", BACKWARD, 180, 50, 3, 100, -131)],
        ([7, 7], [], [2, 1]),
    ),
    "none": ([(b"a", 0, 100, 50, -1, -1, 0)], ([5], [], [])),
    "unmapped mate at the read": (
        [(b"a", PAIRED | MATE_UNMAPPED | READ1, 100, 50, 3, 100, 0)],
        ([6], [], []),
    ),
    "mate elsewhere, behind": ([(b"a", FORWARD, 100, 50, 3, 180, 130)], ([0], [160], [0])),
    "mate elsewhere, before": ([(b"a", BACKWARD, 180, 50, 3, 100, -130)], ([0], [159], [0])),
    "mate on another reference": ([(b"a", FORWARD, 180, 50, 9, 100, 0)], ([0], [200], [0])),
    "unpaired with a length": ([(b"a", 0, 100, 50, -1, -1, 50)], ([0], [1], [0])),
    "unpaired with another length": ([(b"a", 0, 100, 50, -1, -1, 49)], ([0], [1], [1])),
    "cut out of a longer reference": (
        [
            (b"a", FORWARD, 100, 50, 3, 90180, 130),
            (b"b", FORWARD, 110, 50, 3, 90200, 140),
            (b"a", BACKWARD, 180, 50, 3, 90100, -130),
            (b"c", BACKWARD, 200, 50, 3, 90120, -130),
        ],
        ([0, 0, 0, 0], [255, 180, 0, 159], [0, 0, 0, 0]),
    ),
    "far apart": (
        [(b"a", FORWARD, 0, 1, -1, LAST, -(2**31)), (b"b", 0, LAST - 9, 1, LAST, -1, LAST)],
        ([0, 0], [255, 1], [255, 255]),
    ),
    "three of a name": (
        [
            (b"a", FORWARD, 100, 50, 3, 180, 130),
            (b"a", FORWARD | 0x800, 120, 20, 3, 180, 110),
            (b"a", BACKWARD, 180, 50, 3, 100, -130),
        ],
        ([3, 0, 3], [120], [60]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_mates(case: str) -> None:
    rows, (rules, place, length) = CASES[case]
    columns = check(rows)
    assert (stream(columns, "mate"), stream(columns, "mate.pos"), stream(columns, "mate.tlen")) == (
        rules,
        place,
        length,
    )


POSITIONS = st.one_of(st.integers(0, 300), st.sampled_from([-1, 2**17, LAST - 100]))
ROWS = st.tuples(
    st.sampled_from([b"a", b"b", b"c"]),
    st.one_of(st.sampled_from([FORWARD, BACKWARD, FORWARD | 0x100, BACKWARD | 0x800]), st.integers(0, 0xFFF)),
    POSITIONS,
    st.integers(0, 60),
    st.sampled_from([REFERENCE, REFERENCE, -1, 0, 9]),
    POSITIONS,
    st.one_of(st.integers(-400, 400), st.sampled_from([-(2**31), LAST])),
)


@given(st.lists(ROWS, min_size=1, max_size=12))
def test_any_mates(rows: list[Row]) -> None:
    check(sorted(rows, key=lambda row: row[2]))


SOUND = CASES["cut out of a longer reference"][0]

MALFORMED = {
    "a rule too few": {"mate": b"\0\0\0"},
    "a rule too many": {"mate": b"\0\0\0\5\5"},
    "a rule that is none": {"mate": b"\0\0\0\x08"},
    "no partner": {"mate": b"\0\3\0\0"},
    "a reference too few": {"mate.ref": b"\0\0\0"},
    "a reference too many": {"mate.ref": b"\0\0\0\0\0"},
    "a long reference too few": {"mate.ref": b"\0\0\0\xff", "mate.ref.long": b"\1\2\3"},
    "a position too few": {"mate.pos": b"\0\0\0"},
    "a position too many": {"mate.pos": b"\0\0\0\0\0", "mate.pos.long": b""},
    "a long position too few": {"mate.pos.long": b""},
    "a long position too many": {"mate.pos.long": bytes(8)},
    "a length too few": {"mate.tlen": b"\0\0\0"},
    "a length too many": {"mate.tlen": b"\0\0\0\0\0"},
    "a long length too few": {"mate.tlen": b"\0\0\0\xff"},
    "a long length too many": {"mate.tlen.long": bytes(4)},
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_mates(what: str) -> None:
    columns = encode(SOUND)
    columns._streams.update(MALFORMED[what])
    with pytest.raises(FormatError, match="mate"):
        columns.tlen  # noqa: B018


def test_mates_of_random_bytes() -> None:
    """FormatError, or mates; never a crash."""
    chance = random.Random(4)
    sound = encode(SOUND)
    names = ["mate", "mate.ref", "mate.pos", "mate.tlen"]
    for _ in range(3000):
        columns = encode(SOUND)
        for name in chance.sample([*names, *(f"{name}.long" for name in names[1:])], 2):
            columns._streams[name] = chance.randbytes(len(sound._streams[name]) + chance.choice((0, 0, 1, 4)))
        with contextlib.suppress(FormatError):
            assert len(columns.tlen) == len(SOUND)


def test_mentioned_references() -> None:
    rows = [(b"a", FORWARD, 1, 5, ref, 9, 0) for ref in (3, 9, -1, 0, 9)]
    assert encoder.encode(block_of(rows), REFERENCE, 5)[2] == [0, 3, 9]


# Borders


def reads(chance: random.Random, secondary: float, missing: float) -> list[Row]:
    """Pairs whose ends overlap more often than not, with secondary alignments near them, and ends left out."""
    rows = []
    for number in range(400):
        pos = chance.randrange(3000)
        mate = pos + chance.randrange(160)
        lengths = chance.randint(50, 100), chance.randint(50, 100)
        for here, there, length, flag in (
            (pos, mate, lengths[0], FORWARD),
            (mate, pos, lengths[1], BACKWARD),
        ):
            name = b"t%d" % number
            if chance.random() >= missing:
                rows.append((name, flag, here, length, REFERENCE, there, 0))
            while chance.random() < secondary:
                shift = chance.randint(-120, 120)
                rows.append(
                    (name, flag | 0x100, max(0, here + shift), length, REFERENCE, max(0, there + shift), 0)
                )
    return sorted(rows, key=lambda row: row[2])


@pytest.mark.parametrize("size", [1, 20, 100, 333])
@pytest.mark.parametrize(("secondary", "missing"), [(0, 0), (0, 0.1), (0.2, 0), (0.2, 0.1)])
def test_borders_are_enough(secondary: float, missing: float, size: int) -> None:
    """Depth does not depend on where row groups are cut."""
    rows = reads(random.Random(f"{secondary}{missing}{size}"), secondary, missing)
    groups = [encode(rows[at : at + size]) for at in range(0, len(rows), size)]
    for exclude in (0, 0x100):
        options = CoverageOptions(exclude_flags=exclude)
        whole = depth_of([encode(rows)], REFERENCE, 0, 4000, options).values()
        assert depth_of(groups, REFERENCE, 0, 4000, options).values() == whole


def test_borders_are_few() -> None:
    rows = reads(random.Random(2), 0, 0)
    inner = encode(rows[200:600])
    near = sum(row[2] < rows[200][2] + 1024 for row in rows[200:600])
    reach = sum(row[2] + 260 > rows[599][2] for row in rows[200:600])
    assert 0 < len(inner.border_index) < near + reach + 30


INDICES, HASHES = b"\2\1\xff", bytes(24)

BORDERS = {
    "sound": ((INDICES, b"\0\1\0\0", HASHES, 1000), [2, 3, 259]),
    "none": ((b"", b"", b"", 0), []),
    "the first": ((b"\0", b"", bytes(8), 1), [0]),
    "past the last": ((INDICES, b"\0\1\0\0", HASHES, 259), None),
    "far past the last": ((b"\xff\xff\xff", b"\xff" * 12, HASHES, 9), None),
    "twice": ((b"\2\0\1", b"", HASHES, 9), None),
    "too few": ((b"\2\1", b"", HASHES, 9), None),
    "too many": ((b"\2\1\1\1", b"", HASHES, 9), None),
    "long too few": ((INDICES, b"\0\1\0", HASHES, 1000), None),
    "long too many": ((INDICES, bytes(8), HASHES, 1000), None),
    "half a hash": ((INDICES, b"\0\1\0\0", HASHES + b"\0", 1000), None),
}


def borders(stream: bytes, escaped: bytes, hashes: bytes, n: int) -> tuple[Sequence[int], Sequence[int]]:
    index = templates.decode_borders(stream, escaped, n)
    return index, templates.decode_hashes(hashes, len(index))


@pytest.mark.parametrize("what", BORDERS)
def test_border_streams(what: str) -> None:
    arguments, expected = BORDERS[what]
    if expected is None:
        with pytest.raises(FormatError, match="border"):
            borders(*arguments)
    else:
        index, hashes = borders(*arguments)
        assert (list(index), len(hashes)) == (expected, len(expected))
