"""FLAGs to streams and back; and streams that make no sense."""

from array import array
from types import SimpleNamespace

import hostile
import pytest
from bams3.codec import flags
from bams3.errors import FormatError
from hypothesis import given
from hypothesis import strategies as st

Links = list[int]  # index of the previous record of the name, or -1


def encode(values: list[int], links: Links) -> dict[str, bytes]:
    records = [hostile.record(flag=flag) for flag in values]
    block = SimpleNamespace(data=b"".join(records), offsets=array("q", [0]))
    for record in records:
        block.offsets.append(block.offsets[-1] + len(record))
    return {name: bytes(stream) for name, stream in flags.encode(block, array("i", links))[0].items()}


def decode(streams: dict[str, bytes], links: Links) -> list[int]:
    return list(
        flags.decode(streams["flag"], streams["flag.next"], streams["flag.values"], array("i", links))
    )


# Case: (FLAGs, links, streams `flag` and `flag.next`)
CASES = {
    "none": ([], [], b"", b""),
    "first ones": ([4, 0, 4], [-1, -1, -1], b"\0\1\0", b""),
    "pairs": ([99, 163, 147, 83, 99, 147], [-1, -1, 0, 1, -1, 4], b"\0\1\0", b"\0\0\0"),
    "not as the mate": ([99, 147, 99, 355, 99, 355], [-1, 0, -1, 2, -1, 4], b"\0\0\0", b"\0\3\3"),
    "one end unmapped": ([73, 133, 137, 69], [-1, 0, -1, 2], b"\0\2", b"\0\0"),
    "three of a name": ([99, 147, 2195, 99, 147, 2195], [-1, 0, 1, -1, 3, 4], b"\0\0", b"\0\3\0\3"),
    "unpaired": ([0, 0, 16], [-1, 0, 1], b"\0", b"\0\2"),
    "255 FLAGs": (list(range(255)), [-1, *range(254)], b"\0", bytes(range(2, 256))),
    "256 FLAGs": (list(range(256)), [-1] * 256, b"".join(bytes([i, 0]) for i in range(256)), b""),
    "the highest": ([65535], [-1], b"\0", b""),
}


@pytest.mark.parametrize("case", CASES)
def test_flags(case: str) -> None:
    values, links, first, following = CASES[case]
    streams = encode(values, links)
    assert (streams["flag"], streams["flag.next"]) == (first, following)
    assert decode(streams, links) == values


@given(st.lists(st.tuples(st.sampled_from([99, 147, 83, 163, 4, 2147]), st.integers(-1, 30))))
def test_any_flags(records: list[tuple[int, int]]) -> None:
    values = [flag for flag, _ in records]
    links = [link if link < index else -1 for index, (_, link) in enumerate(records)]
    assert decode(encode(values, links), links) == values


SOUND = {"flag": b"\0\1", "flag.next": b"\2", "flag.values": b"\x63\0\x93\0"}

MALFORMED = {
    "a first one too few": {"flag": b"\0"},
    "a first one too many": {"flag": b"\0\1\0"},
    "a next one too few": {"flag.next": b""},
    "a next one too many": {"flag.next": b"\2\2"},
    "an index past the values": {"flag": b"\0\2"},
    "a next index past the values": {"flag.next": b"\3"},
    "a mate's FLAG that is not among the values": {"flag.next": b"\0", "flag.values": b"\x63\0\x53\0"},
    "half a value": {"flag.values": b"\x63\0\x93"},
    "256 values": {"flag.values": bytes(512)},
    "no values": {"flag.values": b""},
    "no values, and next ones": {"flag.values": b"", "flag": bytes(6)},
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_flags(what: str) -> None:
    links = [-1, -1, 0]
    assert decode(SOUND, links) == [99, 147, 147]
    with pytest.raises(FormatError, match="flag"):
        decode(SOUND | MALFORMED[what], links)
