"""QNAMEs to streams and back: names of every shape, and streams that make no sense."""

import random
import uuid
from array import array
from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace

import hostile
import pytest
from bams3.codec import names
from bams3.errors import FormatError
from hypothesis import given
from hypothesis import strategies as st

MANY = 400
MUTATIONS = 3000


def block_of(qnames: list[bytes]) -> SimpleNamespace:
    records = [hostile.record(name=name) for name in qnames]
    offsets = array("q", [0])
    for record in records:
        offsets.append(offsets[-1] + len(record))
    return SimpleNamespace(data=b"".join(records), offsets=offsets)


def links(qnames: list[bytes]) -> array:
    """Index of the previous record of the same name, or -1."""
    last: dict[bytes, int] = {}
    previous = array("i")
    for index, name in enumerate(qnames):
        previous.append(last.get(name, -1))
        last[name] = index
    return previous


def encode(qnames: list[bytes]) -> dict[str, bytes]:
    """The streams that a row group would have: those that are not empty."""
    streams = names.encode(block_of(qnames), links(qnames))
    return {name: bytes(stream) for name, stream in streams.items() if len(stream)}


def decode(streams: dict[str, bytes], previous: array) -> list[bytes]:
    text, offsets = names.decode(defaultdict(bytes, streams), previous)
    text = bytes(text)
    assert len(text) == offsets[len(previous)]
    return [text[offsets[i] : offsets[i + 1]] for i in range(len(previous))]


def check(qnames: list[bytes]) -> dict[str, bytes]:
    streams = encode(qnames)
    assert decode(streams, links(qnames)) == qnames
    return streams


def made(name: Callable[[random.Random, int], bytes], number: int = MANY) -> list[bytes]:
    chance = random.Random(1)
    return [name(chance, index) for index in range(number)]


def bases(chance: random.Random, number: int) -> bytes:
    return bytes(chance.choice(b"ACGT") for _ in range(number))


def illumina(chance: random.Random, _: int) -> bytes:
    tile = chance.choice([1101, 2203, 1404]) + chance.randrange(70)
    place = (chance.randint(1, 4), tile, chance.randrange(1000, 33000), chance.randrange(1000, 37000))
    return b"A00297:158:HT275DSXX:%d:%d:%d:%d" % place


# Kind: (names, number of their patterns; 0: they stand as they are, None: whatever pays, number of columns)
KINDS = {
    "Illumina": (made(illumina), 4, 3),
    "Illumina with bases": (made(lambda c, i: illumina(c, i) + b":" + bases(c, 8)), 4, 4),
    "two sets of bases": (made(lambda c, i: b"x_%s+%s" % (bases(c, 6), bases(c, 30))), 1, 4),
    "words of bases": (made(lambda c, i: b"CAT:GATTACAs:xGATTACA:%d" % c.randrange(10**6)), 1, 1),
    "SRA": (made(lambda c, i: b"SRR062634.%d" % c.randrange(30_000_000)), 1, 1),
    "SRA of many runs": (made(lambda c, i: b"SRR%d.%d" % (700 + i % 7, c.randrange(10**7))), 7, 1),
    "PacBio": (made(lambda c, i: b"m84039_230418_220405_s4/%d/ccs" % c.getrandbits(28)), 1, 1),
    "in order": (made(lambda c, i: b"read_%d" % (10**6 + i)), 1, 1),
    "zeros in front": (made(lambda c, i: b"r%04d" % c.randrange(10_000)), 2, 1),
    "zeros": (made(lambda c, i: b"a%d:0:00:000" % c.randrange(999)), 1, 1),
    "digits only": (made(lambda c, i: b"%d" % c.getrandbits(29)), None, 1),
    "15 digits": (made(lambda c, i: b"%d" % c.randrange(10**14, 10**15)), 1, 2),
    "over 2^32": (made(lambda c, i: b"x%d" % (2**32 - 3 + i)), None, 1),
    "ten numbers": (made(lambda c, i: b".".join(b"%d" % c.randrange(1000) for _ in range(10))), None, 10),
    "100 patterns": (made(lambda c, i: b"a" * (i % 60) + b":%d" % c.getrandbits(20), 5000), 60, 1),
    "over 255 patterns": (made(lambda c, i: b"%d-%d" % (i % 300, c.getrandbits(20)), 6000), None, 2),
    "over 64 shapes": (made(lambda c, i: b"a" * (i % 90) + b":%d" % c.getrandbits(20), 5000), 64, 1),
    "some that fit nothing": (
        made(lambda c, i: illumina(c, i) if i % 9 else b"\1" + c.randbytes(9).replace(b"\0", b"\1")),
        4,
        3,
    ),
    "UUID": (made(lambda c, i: str(uuid.UUID(int=c.getrandbits(128))).encode()), 0, 0),
    "words": (made(lambda c, i: bytes(c.randrange(97, 123) for _ in range(12))), 0, 0),
    "any bytes": (made(lambda c, i: bytes(c.randrange(1, 256) for _ in range(c.randrange(255)))), 0, 0),
    "17 numbers": (made(lambda c, i: b":".join(b"%d" % c.getrandbits(9) for _ in range(17))), 0, 0),
    "few": (made(illumina, 5), 0, 0),
    "one": ([b"read1"], 0, 0),
    "none": ([], 0, 0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_names(kind: str) -> None:
    qnames, patterns, columns = KINDS[kind]
    qnames = list(dict.fromkeys(qnames))
    streams = check(qnames)
    if patterns:
        last = streams.get("name.pattern", b"\1")
        assert (max(last), sum(name[5:].isdigit() for name in streams)) == (patterns, columns)
    elif patterns == 0:
        assert set(streams) <= {"name"}


def test_patterns_are_far_smaller_than_names() -> None:
    qnames = made(illumina, 20_000)
    streams = check(qnames)
    assert sum(map(len, streams.values())) < 8 * len(qnames)


def test_records_of_a_template_share_a_name() -> None:
    first = made(illumina)
    check([*first, *reversed(first), *first[::3]])


NUMBERS = ("", "0", "00", "007", "999999999", "1000000000", "4294967295", "4294967296")
LONG = (b"1", b"0", b"A", b"ACGT", b"\xff", b"1:", b"a1", b"A1-")
ODD = [
    *map(str.encode, NUMBERS),
    *((text * 254)[:254] for text in LONG),
    *(b"a1" * 16, b"a1" * 17, b"1" * 144, b"1" * 145, b"ACGN", b"ACG", b"\1", b"\x1f\x20", b"1\t1"),
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names(name: bytes) -> None:
    """Alone, and among others that have patterns."""
    check([name])
    assert "name.patterns" in check([*made(illumina), name, b"x" + name[:253]])


TEMPLATES = st.lists(
    st.one_of(
        st.sampled_from([b":", b"_", b"x", b"CAT", b"/", b"0", b"\x09", b"\x80"]),
        st.sampled_from(["d", "D", "z", "B"]),
    ),
    max_size=12,
)


@given(st.lists(TEMPLATES, min_size=1, max_size=3), st.integers(0, 300), st.randoms(use_true_random=False))
def test_any_templates(templates: list[list], number: int, chance: random.Random) -> None:
    def part(token: bytes | str) -> bytes:
        if isinstance(token, bytes):
            return token
        if token == "B":
            return bases(chance, chance.randrange(14))
        value = chance.randrange(10 ** chance.randrange(1, 13)) if token == "D" else chance.randrange(12)
        return b"%05d" % value if token == "z" else b"%d" % value

    qnames = [b"".join(map(part, chance.choice(templates))) for _ in range(number)]
    check([name[:254] for name in qnames])


@given(st.lists(st.binary(max_size=254).map(lambda name: name.replace(b"\0", b"0")), max_size=80))
def test_any_names(qnames: list[bytes]) -> None:
    check(qnames)


SOUND = {"name.patterns": b"\1\1a:\1\0", "name.0": b"\5\6"}  # a:5 and a:6

# Two names: (change of the sound streams, what they are then, None: malformed)
MALFORMED = {
    "sound": ({}, [b"a:5", b"a:6"]),
    "one value": ({"name.0": b"\5"}, None),
    "three values": ({"name.0": b"\5\6\7"}, None),
    "no values": ({"name.0": b""}, None),
    "no patterns": ({"name.patterns": b""}, None),
    "no coding": ({"name.patterns": b"\1"}, None),
    "no pattern behind the coding": ({"name.patterns": b"\1\1"}, None),
    "pattern without NUL": ({"name.patterns": b"\1\1a:\1"}, None),
    "width 0": ({"name.patterns": b"\1\0a:\1\0"}, None),
    "width 5": ({"name.patterns": b"\1\5a:\1\0", "name.0": bytes(10)}, None),
    "width 2": ({"name.patterns": b"\1\2a:\1\0", "name.0": b"\5\0\0\1"}, [b"a:5", b"a:256"]),
    "unknown coding": ({"name.patterns": b"\1\x41a:\1\0"}, None),
    "half a value": ({"name.patterns": b"\1\2a:\1\0", "name.0": b"\5\0\0"}, None),
    "17 columns": ({"name.patterns": b"\x11" + b"\1" * 17 + b"a:\1\0"}, None),
    "a column too few": ({"name.patterns": b"\1\1\1:\1\0"}, None),
    "slots of no kind": ({"name.patterns": b"\1\1a:\x0a\0"}, None),
    "bases of no number": ({"name.patterns": b"\1\1a:\x10\0"}, None),
    "more bases": ({"name.patterns": b"\1\1a:\x1d\0"}, None),
    "bases": ({"name.patterns": b"\1\1a:\x14\0"}, [b"a:AACC", b"a:AACT"]),
    "digits that are too many": ({"name.patterns": b"\1\1a:\2\0", "name.0": b"\5\xff"}, [b"a:05", b"a:55"]),
    "differences": ({"name.patterns": b"\1\x11a:\1\0", "name.0": b"\x0a\1"}, [b"a:5", b"a:4"]),
    "indices": (
        {"name.patterns": b"\1\x21\1\7\0\0\0\x09\0\0\0a:\1\0", "name.0": b"\1\0"},
        [b"a:9", b"a:7"],
    ),
    "index past the list": ({"name.patterns": b"\1\x21\0\7\0\0\0a:\1\0", "name.0": b"\0\1"}, None),
    "list cut": ({"name.patterns": b"\1\x21\1\7\0\0\0"}, None),
    "no list": ({"name.patterns": b"\1\x21"}, None),
    "number of a pattern": ({"name.pattern": b"\1\1"}, [b"a:5", b"a:6"]),
    "number past the patterns": ({"name.pattern": b"\1\2"}, None),
    "one number": ({"name.pattern": b"\1"}, None),
    "three numbers": ({"name.pattern": b"\1\1\1"}, None),
    "a plain name": ({"name.pattern": b"\0\1", "name": b"x\0", "name.0": b"\5"}, [b"x", b"a:5"]),
    "a plain name that is not there": ({"name.pattern": b"\0\1", "name.0": b"\5"}, None),
    "a plain name without NUL": ({"name.pattern": b"\0\1", "name.0": b"\5", "name": b"x"}, None),
    "a plain name too many": ({"name": b"x\0"}, None),
    "plain names": ({"name.patterns": b"", "name.0": b"", "name": b"x\0y\0"}, [b"x", b"y"]),
    "a long name": ({"name.patterns": b"\0" + b"a" * 254 + b"\0", "name.0": b""}, [b"a" * 254] * 2),
    "a name too long": ({"name.patterns": b"\0" + b"a" * 255 + b"\0", "name.0": b""}, None),
    "a name too long once it is made": ({"name.patterns": b"\1\1" + b"a" * 245 + b"\x1c\0"}, None),
    "256 patterns": ({"name.patterns": b"\0" + b"a\0" * 256, "name.0": b"", "name.pattern": b"\1\1"}, None),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_streams(what: str) -> None:
    changes, expected = MALFORMED[what]
    previous = array("i", [-1, -1])
    if expected is None:
        with pytest.raises(FormatError, match="name"):
            decode(SOUND | changes, previous)
    else:
        assert decode(SOUND | changes, previous) == expected


@pytest.mark.parametrize(
    "kind", ["Illumina with bases", "over 255 patterns", "some that fit nothing", "in order"]
)
def test_streams_of_random_bytes(kind: str) -> None:
    """FormatError, or names; never a crash."""
    chance = random.Random(kind)
    qnames = KINDS[kind][0][:60]
    qnames += qnames[:9]
    sound, previous, refused = encode(qnames), links(qnames), 0
    if "name.patterns" not in sound:
        sound, previous = encode(KINDS[kind][0]), links(KINDS[kind][0])
    for _ in range(MUTATIONS // len(previous) + 300):
        streams = dict(sound)
        for name in chance.sample(sorted(streams), chance.choice((1, 1, 2))):
            data = bytearray(streams[name])
            for _ in range(chance.choice((1, 1, 5))):
                data[chance.randrange(len(data))] = chance.randrange(256)
            streams[name] = bytes(data[: chance.choice((len(data), chance.randrange(len(data) + 1)))])
        try:
            assert all(len(name) <= 254 for name in decode(streams, previous))
        except FormatError:
            refused += 1
    assert refused > 100
