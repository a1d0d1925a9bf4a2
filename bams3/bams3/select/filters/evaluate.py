"""Values of filter expressions over columns of records.

A value is a number, a text, undefined (NaN) or absent (for a tag that a record does not have). An absent value is
treated as undefined almost everywhere, but as an empty text by `length` and similar functions, and as 0 by `sqrt` and
similar functions. A tag that is present is true, whatever its value.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bams3.errors import UsageError
from bams3.select.filters.parser import (
    NUMBERS,
    TEXTS,
    Binary,
    Call,
    FieldName,
    Match,
    Node,
    Number,
    Text,
    Unary,
)

Columns = Mapping[str, Any]
Bools = NDArray[np.bool_] | np.bool_
Floats = NDArray[np.float64] | np.float64


class Value(NamedTuple):
    """Values of n records: arrays of shape (n,), or scalars if the value is the same in all records."""

    number: Floats
    """The number; NaN if undefined, 0 if text or absent."""
    true: Bools = np.False_
    """Whether the value is true even if the number is 0."""
    text: Sequence[str | None] | None = None
    """n texts, with None for records without a text; None if no record has a text."""
    is_text: Bools = np.False_
    absent: Bools = np.False_

    @property
    def exists(self) -> Bools:
        return ~(np.isnan(self.number) | self.absent)

    @property
    def truth(self) -> Bools:
        truth: Bools = self.true | (self.exists & (self.is_text | (self.number != 0)))
        return truth


def evaluate(node: Node, columns: Columns, n: int) -> NDArray[np.bool_]:
    """Return whether each of n records matches, shape (n,). `columns`: as for `Expression.evaluate`."""
    with np.errstate(all="ignore"):
        truth = _Evaluator(columns, n).value(node).truth
    return np.array(np.broadcast_to(truth, (n,)))


class _Evaluator:
    def __init__(self, columns: Columns, n: int) -> None:
        self.columns = columns
        self.n = n

    def value(self, node: Node) -> Value:
        chain = []  # the tree of a long `a || b || c …` is deep on the left, so it is walked without recursion
        while isinstance(node, Binary):
            chain.append(node)
            node = node.left
        value = self.operand(node)
        for step in reversed(chain):
            value = _binary(step.operator, value, self.value(step.right), self.n)
        return value

    def operand(self, node: Node) -> Value:
        if isinstance(node, Number):
            return Value(np.float64(node.value))
        if isinstance(node, Text):
            return Value(np.float64(0), text=[node.value] * self.n, is_text=np.True_)
        if isinstance(node, FieldName):
            return self.field(node.name)
        if isinstance(node, Unary):
            return _unary(node.operator, self.value(node.operand))
        if isinstance(node, Match):
            return _match(self.value(node.subject), node, self.n)
        assert isinstance(node, Call)
        return _call(node.function, [self.value(argument) for argument in node.arguments], self.n)

    def field(self, name: str) -> Value:
        column = self.columns[name]
        if name in NUMBERS:
            number = np.asarray(column, np.float64)
            return Value(number + 1 if name in ("pos", "mpos") else number)
        if name in TEXTS:
            return Value(np.float64(0), text=column, is_text=np.True_)
        return _tag(name, column)


def _tag(name: str, column: Any) -> Value:
    """Return the value of a tag. `column`: numbers, texts, or None for records without the tag."""
    if isinstance(column, np.ndarray):
        return Value(column.astype(np.float64), true=np.True_)
    is_text = np.array([isinstance(value, str) for value in column], np.bool_)
    absent = np.array([value is None for value in column], np.bool_)
    try:
        number = np.array(
            [0 if value is None or isinstance(value, str) else value for value in column], np.float64
        )
    except (TypeError, ValueError):
        raise UsageError(
            f"filter: {name} holds an array in some records; a filter can't test arrays"
        ) from None
    text = [value if isinstance(value, str) else None for value in column] if is_text.any() else None
    return Value(number, ~absent, text, is_text, absent)


def _integers(number: Floats) -> Any:
    """Return numbers as int64, rounded towards zero."""
    return np.asarray(number).astype(np.int64)


def _remainder(a: Floats, b: Floats) -> Floats:
    """Return the integer remainder as in C, with the sign of the dividend; it is undefined if the divisor is 0."""
    divisor = _integers(b)
    remainder = np.fmod(_integers(a), np.where(divisor == 0, 1, divisor))
    return np.where(divisor == 0, np.nan, remainder)


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": np.divide,
    "%": _remainder,
    "&": lambda a, b: _integers(a) & _integers(b),
    "|": lambda a, b: _integers(a) | _integers(b),
    "^": lambda a, b: _integers(a) ^ _integers(b),
    "pow()": np.power,
}
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MATHS = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt}


def _defined(number: Any) -> Value:
    """Return a computed number, which is true if it is neither 0 nor undefined."""
    number = np.asarray(number, np.float64)[()]
    return Value(number, true=~np.isnan(number) & (number != 0))


def _binary(symbol: str, left: Value, right: Value, n: int) -> Value:
    if symbol in ARITHMETIC:
        return _arithmetic(symbol, left, right)
    if symbol in COMPARISONS:
        return _compare(symbol, left, right, n)
    return _defined(left.truth & right.truth if symbol == "&&" else left.truth | right.truth)


def _arithmetic(symbol: str, left: Value, right: Value) -> Value:
    exist = left.exists & right.exists
    if np.any(exist & (left.is_text | right.is_text)):
        raise UsageError(f"filter: {symbol} needs numbers, but a tag holds text in some records")
    return _defined(np.where(exist, ARITHMETIC[symbol](left.number, right.number), np.nan))


def _compare(symbol: str, left: Value, right: Value, n: int) -> Value:
    """Return 1 or 0, or undefined if either side is undefined. A number differs from every text."""
    compare = COMPARISONS[symbol]
    result = compare(left.number, right.number)
    if left.text is not None or right.text is not None:
        result = np.where(left.is_text | right.is_text, symbol == "!=", result)
    if left.text is not None and right.text is not None:
        pairs = zip(left.text, right.text, strict=True)
        texts = np.fromiter(
            (a is not None and b is not None and compare(a, b) for a, b in pairs), np.bool_, n
        )
        result = np.where(left.is_text & right.is_text, texts, result)
    return _defined(np.where(left.exists & right.exists, result, np.nan))


def _match(subject: Value, node: Match, n: int) -> Value:
    """Return whether the pattern is found (or, for `!~`, is not found). For an absent tag, both return 0."""
    if not np.all(subject.is_text | subject.absent):
        raise UsageError("filter: =~ and !~ need text, but their left side is a number in some records")
    if subject.text is None:
        return _defined(0)
    search = node.pattern.search
    found = (
        text is not None and (search(text.encode("latin-1")) is not None) == node.wanted
        for text in subject.text
    )
    return _defined(np.fromiter(found, np.bool_, n))


def _unary(symbol: str, value: Value) -> Value:
    if symbol == "!":
        # Literal numbers are not `true`, so only these are compared after truncation: !0.5 is 1.
        zero = ~value.is_text & (_integers(value.number) == 0)
        return _defined(~value.true & (~value.exists | zero))
    if np.any(value.exists & value.is_text):
        raise UsageError(f"filter: {symbol} needs a number, but a tag holds text in some records")
    number = ~_integers(value.number) if symbol == "~" else -value.number if symbol == "-" else value.number
    return _defined(np.where(value.exists, number, np.nan))


def _call(function: str, arguments: list[Value], n: int) -> Value:
    value = arguments[0]
    if function == "exists":
        return _defined(value.true | value.exists)
    if function == "default":
        return _either(value, arguments[1], n)
    if function == "pow":
        power = _arithmetic("pow()", *arguments)  # true if its base is true; the functions below do the same
        return power._replace(true=value.true & power.exists)
    if function in MATHS:
        if np.any(value.is_text):
            raise UsageError(f"filter: {function}() needs a number, but a tag holds text in some records")
        number = MATHS[function](value.number)
        return Value(number, true=value.true & ~np.isnan(number))
    if not np.all(value.is_text | value.absent):
        raise UsageError(f"filter: {function}() needs text, but a tag holds a number in some records")
    return Value(_summary(function, value.text or [None] * n), true=value.true)


def _either(value: Value, fallback: Value, n: int) -> Value:
    """Return `value`, or `fallback` for the records in which the value does not exist."""
    use = value.true | value.exists
    texts = [v.text or [None] * n for v in (value, fallback)]
    text = [a if chosen else b for chosen, a, b in zip(np.broadcast_to(use, (n,)), *texts, strict=True)]
    number, true, is_text, absent = (
        np.where(use, getattr(value, part), getattr(fallback, part))
        for part in ("number", "true", "is_text", "absent")
    )
    return Value(number, true, text if np.any(is_text) else None, is_text, absent)


def _summary(function: str, texts: Sequence[str | None]) -> NDArray[np.float64]:
    """Return the number, mean, minimum or maximum of the bytes of each text.

    For an empty text, the mean is 0, and minimum and maximum are undefined.
    """
    lengths = np.fromiter((len(text or "") for text in texts), np.int64, len(texts))
    if function == "length":
        return lengths.astype(np.float64)
    data = np.frombuffer("".join(text or "" for text in texts).encode("latin-1", "replace"), np.uint8)
    result = np.full(len(texts), 0.0 if function == "avg" else np.nan)
    filled = lengths > 0
    starts = (np.cumsum(lengths) - lengths)[filled]
    if not len(starts):
        return result
    if function == "avg":
        result[filled] = np.add.reduceat(data, starts, dtype=np.int64) / lengths[filled]
    else:
        result[filled] = (np.minimum if function == "min" else np.maximum).reduceat(data, starts)
    return result
