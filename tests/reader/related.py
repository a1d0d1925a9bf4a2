"""docs/format.md, "Related texts"."""

from __future__ import annotations

from collections.abc import Iterator

from reader.integers import Streams, short_integers

RELATED = {"CB": ("CR", ""), "UB": ("UR", ""), "BX": ("RX", ""), "UR": ("", "CR"), "MI": ("", "RX")}
"""The corrected tag and the group tag of those that have one."""

Texts = dict[int, bytes]
"""The first text of each record that has one."""


def new_texts(streams: Streams, name: str) -> Iterator[bytes]:
    """Those that are no candidates."""
    letters, at, stored = streams.get(name, b""), 0, []
    for length in short_integers(streams, name + ".length"):
        stored.append(letters[at : at + length])
        at += length
    assert at == len(letters)
    if name + ".number" not in streams:
        yield from stored
        return
    used = 0
    for number in short_integers(streams, name + ".number"):
        assert number <= used
        used += number == 0
        yield stored[number - 1 if number else used - 1]
    assert used == len(stored)


def candidates(
    i: int, before: list[int], own: Texts, base: Texts, ending: bytes, earlier: list[int]
) -> list[bytes]:
    """Of a text of record i; `earlier`: the earlier records of its group, the last one first."""
    texts: list[bytes] = []
    if before[i] >= 0 and before[i] in own:
        texts.append(own[before[i]])
    extended = [base[i] + ending] if i in base else []
    place = len(texts)
    for record in earlier[:16]:
        if record in own and own[record] not in texts:
            texts.append(own[record])
    return [*texts[:place], *extended, *texts[place:]][:8]


def related_texts(
    streams: Streams, name: str, holders: list[int], before: list[int], base: Texts, group: Texts
) -> list[bytes]:
    """The texts of the records `holders`, without NUL. `before`: the record of the same name before, or -1."""
    ending = streams.get(name + ".ending", b"")
    places, letters = iter(streams.get(name + ".place", b"")), iter(streams.get(name + ".letter", b""))
    new, out, own = new_texts(streams, name), [], Texts()
    groups: dict[bytes, list[int]] = {}
    members = iter(sorted(group))
    member = next(members, None)
    for i, like in zip(holders, streams[name + ".like"], strict=True):
        while member is not None and member < i:
            groups.setdefault(group[member], []).insert(0, member)
            member = next(members, None)
        if like == 0:
            text = next(new)
        else:
            earlier = groups.get(group[i], []) if i in group else []
            text = candidates(i, before, own, base, ending, earlier)[max(like - 2, 0)]
        if like == 1:
            place = next(places)
            assert place < len(text)
            text = text[:place] + bytes([next(letters)]) + text[place + 1 :]
        assert b"\0" not in text
        own.setdefault(i, text)
        out.append(text)
    assert not any(list(rest) for rest in (new, places, letters))
    return out
