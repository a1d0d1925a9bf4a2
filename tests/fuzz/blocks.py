"""Guidance by what ran: on the sanitized build, inputs that reach new blocks of the kernels are changed further."""

from __future__ import annotations

import ctypes
import random
from typing import Any

from fuzz.mutate import mutated

MOST = 2000  # inputs that a worker keeps of a target
LARGEST = 1 << 20  # bytes of such an input


def counter() -> Any:
    """The number of blocks that ran, in this process and in those that it forks, as `contents.value`; None if this is
    not the sanitized build."""
    try:
        blocks = ctypes.POINTER(ctypes.c_uint64).in_dll(ctypes.CDLL(None), "bams3_blocks")
    except ValueError:
        return None
    return blocks if blocks else None


def size(made: Any) -> int:
    """How many bytes an input has."""
    if isinstance(made, bytes):
        return len(made)
    parts = made.values() if isinstance(made, dict) else made if isinstance(made, tuple) else ()
    return sum(map(size, parts))


def remade(made: Any, chance: random.Random) -> Any:
    """The input with some of its bytes changed, wherever they are in it."""
    if isinstance(made, bytes):
        return mutated(made, chance)
    keys = list(made) if isinstance(made, dict) else list(range(len(made)))
    held = {key: size(made[key]) for key in keys}
    (key,) = chance.choices(keys, [held[key] and 1 + held[key] ** 0.5 for key in keys])
    changed = remade(made[key], chance)
    if isinstance(made, dict):
        return made | {key: changed}
    return (*made[:key], changed, *made[key + 1 :])
