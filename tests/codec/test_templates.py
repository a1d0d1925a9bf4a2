"""Names of records to ranks and back, as the format defines them; and ranks that refer to no record."""

import random
from array import array

import hostile
import pytest
from bams3.bam.records import walk
from bams3.codec import templates
from bams3.errors import FormatError
from reader import columns

# The names of records, a letter each → their ranks
CASES = {
    "": [],
    "a": [1],
    "aa": [0, 2],
    "abab": [0, 0, 2, 2],
    "abba": [0, 0, 4, 2],
    "aaa": [0, 3, 2],
    "abaca": [0, 1, 3, 1, 2],
    "abcbac": [0, 0, 0, 4, 2, 2],
    "xaybazb": [1, 0, 1, 0, 2, 1, 2],
}


def encode(names: list[bytes]) -> tuple[dict[str, bytes], list[int]]:
    """The streams of records of these names, and the index of the previous record of each."""
    data = b"".join(hostile.record(ref=0, pos=100, name=name) for name in names)
    streams, previous = templates.encode(walk(data, 1)[0], array("i", [101] * len(names)))
    return {name: bytes(stream) for name, stream in streams.items()}, list(previous)


@pytest.mark.parametrize("names", CASES)
def test_ranks(names: str) -> None:
    streams, previous = encode([name.encode() for name in names])
    assert list(streams["rank"]) == CASES[names]
    assert list(templates.decode(streams["rank"], b"", len(names))) == previous
    assert previous == [names.rfind(name, 0, i) for i, name in enumerate(names)]


@pytest.mark.parametrize("apart", [1, 3, 40, 300, 3000])
def test_round_trip_as_specified(apart: int) -> None:
    """Names that come again some records later, once or more often, or never."""
    chance = random.Random(apart)
    names = [b"%d" % max(0, i - chance.randrange(apart)) for i in range(4000)]
    streams, previous = encode(names)
    assert list(templates.decode(streams["rank"], streams["rank.long"], len(names))) == previous
    assert columns.links(streams) == previous
    last = {name: i for i, name in enumerate(names)}
    assert sum(value < 2 for value in streams["rank"]) == len(last) == previous.count(-1)


MALFORMED = {
    "too short": (b"\0", 2),
    "of none that wait": (b"\2", 1),
    "of one too many": (b"\0\4", 2),
    "of one that has left": (b"\0\2\2", 3),
    "for ever": (b"\0", 1),
    "a long one that is missing": (b"\0\xff", 2),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed(what: str) -> None:
    with pytest.raises(FormatError, match="'rank'"):
        templates.decode(MALFORMED[what][0], b"", MALFORMED[what][1])


def test_random_bytes() -> None:
    chance = random.Random(3)
    for _ in range(2000):
        stream = bytes(chance.choice((0, 0, 1, 2, 3, 4, 9, 255)) for _ in range(chance.randrange(12)))
        escaped = chance.randbytes(4 * stream.count(255))
        try:
            previous = templates.decode(stream, escaped, len(stream))
        except FormatError:
            continue
        assert all(-1 <= back < i for i, back in enumerate(previous))
