"""Generations: random names in the paths of all objects that one append in an object store wrote.

An append must not replace objects that readers of the previous dataset still read. So it draws a random name, its
generation, and inserts it into the paths of the chunks, the header and the index that it writes, before the first dot
of the last component. docs/format.md specifies this.
"""

import os
import re

from bams3.dataset import layout

_DIGITS = 16
_IN_GENERATION = re.compile(rf"((?:.*/)?[^./]+)\.([0-9a-f]{{{_DIGITS}}})(\.[^/]+)", re.DOTALL)
_GROWTH = re.compile(rf"{layout.PARTS}/append-([0-9a-f]{{{_DIGITS}}})\.json")


def new_generation() -> str:
    """Return a random name that no other append has."""
    return os.urandom(_DIGITS // 2).hex()


def path_in(path: str, generation: str) -> str:
    """Return the path of an object of a generation: `data/chr1/000000000-001048576.0123456789abcdef.chunk`.

    If the generation is "", the path is not changed.
    """
    if not generation:
        return path
    folder, slash, name = path.rpartition("/")
    stem, dot, ending = name.partition(".")
    return f"{folder}{slash}{stem}.{generation}{dot}{ending}"


def split_path(path: str) -> tuple[str, str]:
    """Return the path that an object would have without its generation, and the generation ("" if it has none)."""
    found = _IN_GENERATION.fullmatch(path)
    return (found[1] + found[3], found[2]) if found else (path, "")


def growth_path(generation: str) -> str:
    """Return the path of the plan of an unfinished append."""
    return f"{layout.PARTS}/append-{generation}.json"


def growing(path: str) -> str:
    """Return the generation of an unfinished append from the path of its plan; "" for any other path."""
    found = _GROWTH.fullmatch(path)
    return found[1] if found else ""


def is_document(path: str) -> bool:
    """Tell whether a path is that of a header or an index with a generation."""
    plain, generation = split_path(path)
    return bool(generation) and plain in (layout.HEADER, layout.INDEX)
