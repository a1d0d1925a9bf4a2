"""Snakefiles as Snakemake parses them: each is parsed once in a process, which takes a quarter of a plan."""

import os
from typing import Any

import snakemake.api  # noqa: F401 - `workflow` by itself imports itself
from snakemake import workflow

_parse = workflow.parse
_known: dict[tuple[object, ...], tuple[str, int, dict[int, int]]] = {}


def _parse_once(
    path: Any, *given: Any, linemap: dict[int, int], rulecount: int, **options: Any
) -> tuple[str, int]:
    place = path.get_path_or_uri(secret_free=True)
    stat = os.stat(place) if os.path.isfile(place) else None
    key = (place, stat and (stat.st_mtime_ns, stat.st_size, stat.st_ino), rulecount)
    if stat is None or key not in _known:
        code, rules = _parse(path, *given, linemap=linemap, rulecount=rulecount, **options)
        _known[key] = code, rules, dict(linemap)
        return code, rules
    code, rules, lines = _known[key]
    linemap |= lines
    return code, rules


def remember() -> None:
    """From now on, in this process."""
    workflow.parse = _parse_once
