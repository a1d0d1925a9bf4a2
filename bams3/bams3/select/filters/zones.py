"""Decides from the zone map of a row group whether any of its records can match.

Bounds are computed for each part of an expression. A part without bounds is unknown, and may match.
"""

from math import inf
from typing import NamedTuple

from bams3.codec import ZoneMap
from bams3.select.filters.parser import Binary, FieldName, Node, Number, Unary


class Bounds(NamedTuple):
    """A defined number between low and high, both included.

    For an integer whose bits are known: `always`, the bits that are certainly set; `possible`, the bits that may be
    set.
    """

    low: float
    high: float
    always: int = 0
    possible: int = -1

    @property
    def never_true(self) -> bool:
        return self.low == self.high == 0

    @property
    def always_true(self) -> bool:
        return self.low > 0 or self.high < 0

    def may_equal(self, other: "Bounds") -> bool:
        contradiction = (self.always & ~other.possible) | (other.always & ~self.possible)
        return self.low <= other.high and other.low <= self.high and not contradiction


UNKNOWN: Bounds | None = None
EITHER = Bounds(0, 1)


def may_match(node: Node, zone: ZoneMap) -> bool:
    """Return False only if no record of the zone can match."""
    bounds = _bounds(node, zone)
    return bounds is None or not bounds.never_true


def _bounds(node: Node, zone: ZoneMap) -> Bounds | None:
    chain = []  # the tree of a long `a || b || c …` is deep on the left, so it is walked without recursion
    while isinstance(node, Binary):
        chain.append(node)
        node = node.left
    bounds = _operand(node, zone)
    for step in reversed(chain):
        bounds = _binary(step.operator, bounds, _bounds(step.right, zone))
    return bounds


def _operand(node: Node, zone: ZoneMap) -> Bounds | None:
    if isinstance(node, Number):
        return _constant(node.value)
    if isinstance(node, FieldName):
        return _field(node.name, zone)
    if isinstance(node, Unary):
        return _unary(node.operator, _bounds(node.operand, zone))
    return UNKNOWN


def _constant(value: float) -> Bounds | None:
    if value != value:
        return UNKNOWN
    if value.is_integer() and 0 <= value < 2**53:
        return Bounds(value, value, int(value), int(value))
    return Bounds(value, value)


def _field(name: str, zone: ZoneMap) -> Bounds | None:
    if name == "mapq":
        return Bounds(zone.min_mapq, zone.max_mapq)
    if name == "flag":
        return Bounds(zone.flags_all, zone.flags_any, zone.flags_all, zone.flags_any)
    if name == "pos":
        return Bounds(zone.min_pos + 1, zone.max_pos + 1)
    if name == "endpos":
        return Bounds(zone.min_pos + 1, inf)
    return UNKNOWN


def _unary(symbol: str, bounds: Bounds | None) -> Bounds | None:
    if bounds is None:
        return EITHER if symbol == "!" else UNKNOWN
    if symbol == "-":
        return Bounds(-bounds.high, -bounds.low)
    if symbol == "+":
        return bounds
    if symbol == "~":
        return UNKNOWN
    if bounds.never_true:
        return Bounds(1, 1)
    # A number between -1 and 1 may be truncated to 0 before it is negated.
    return Bounds(0, 0) if bounds.low >= 1 or bounds.high <= -1 else EITHER


def _binary(symbol: str, left: Bounds | None, right: Bounds | None) -> Bounds | None:
    if symbol in ("&&", "||"):
        return _logical(symbol, left, right)
    if left is None or right is None:
        return UNKNOWN
    if symbol == "&":
        return _bit_and(left, right)
    if symbol == "+":
        return _sum(left, right)
    if symbol == "-":
        return _sum(left, Bounds(-right.high, -right.low))
    return _compare(symbol, left, right)


def _logical(symbol: str, left: Bounds | None, right: Bounds | None) -> Bounds:
    never = [side is not None and side.never_true for side in (left, right)]
    always = [side is not None and side.always_true for side in (left, right)]
    if symbol == "&&":
        return Bounds(int(all(always)), int(not any(never)))
    return Bounds(int(any(always)), int(not all(never)))


def _bit_and(left: Bounds, right: Bounds) -> Bounds | None:
    if min(left.low, right.low) < 0 or max(left.high, right.high) >= 2**53:
        return UNKNOWN
    always = left.always & right.always
    possible = left.possible & right.possible
    high = min(left.high, right.high, *([possible] if possible >= 0 else []))
    return Bounds(always, high, always, possible)


def _sum(left: Bounds, right: Bounds) -> Bounds | None:
    low, high = left.low + right.low, left.high + right.high
    return UNKNOWN if low != low or high != high else Bounds(low, high)


def _compare(symbol: str, left: Bounds, right: Bounds) -> Bounds | None:
    if symbol in (">", ">="):
        left, right = right, left
    if symbol in ("<", ">"):
        return Bounds(int(left.high < right.low), int(left.low < right.high))
    if symbol in ("<=", ">="):
        return Bounds(int(left.high <= right.low), int(left.low <= right.high))
    if symbol not in ("==", "!="):
        return UNKNOWN
    same = left.low == left.high == right.low == right.high
    equal = Bounds(int(same), int(left.may_equal(right)))
    return equal if symbol == "==" else Bounds(1 - equal.high, 1 - equal.low)
