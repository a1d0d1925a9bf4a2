"""The filter expression language of samtools (samtools(1), FILTER EXPRESSIONS), parsed to a tree.

Precedence and associativity are those of htslib, which differ from C: `&&` and `||` have the same precedence and are
left-associative; comparisons are right-associative, with a lower precedence than the bit operators.
"""

import re
from typing import NamedTuple, NoReturn, TypeAlias

from bams3.bam import flags
from bams3.errors import UsageError
from bams3.select.filters.ere import Pattern, compile_ere
from bams3.select.schema import SCHEMA

NUMBERS = frozenset(name for name, field in SCHEMA.items() if not field.is_text and not field.is_list)
TEXTS = frozenset(name for name, field in SCHEMA.items() if field.is_text)
SYNONYMS = {"pnext": "mpos", "rnext": "mrname"}
FLAGS = {name.lower(): bit for name, bit in flags.NAMES.items()} | {"duplicate": flags.DUP}
FUNCTIONS = {
    "avg": 1,
    "default": 2,
    "exists": 1,
    "exp": 1,
    "length": 1,
    "log": 1,
    "max": 1,
    "min": 1,
    "pow": 2,
    "sqrt": 1,
}
TEXT_FUNCTIONS = frozenset(("avg", "length", "max", "min"))

LEVELS = (
    ("&&", "||"),
    ("==", "!=", "=~", "!~"),
    (">", ">=", "<", "<="),
    ("|",),
    ("^",),
    ("&",),
    ("+", "-"),
    ("*", "/", "%"),
)
PRECEDENCE = {operator: level for level, operators in enumerate(LEVELS) for operator in operators}
RIGHT_ASSOCIATIVE = frozenset(LEVELS[1] + LEVELS[2])
ARITHMETIC = frozenset(operator for level in LEVELS[3:] for operator in level)
MAX_DEPTH = 100

_SPACE = re.compile(r"\s*")
_NUMBER = re.compile(
    r"[+-]?(?:0x(?P<hex>[0-9a-f]+)|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|(?:inf(?:inity)?|nan)\b)",
    re.IGNORECASE,
)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_TAG = re.compile(r"\[[A-Za-z][A-Za-z0-9]\]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_OPERATOR = re.compile(r"&&|\|\||==|!=|=~|!~|>=|<=|[<>&|^+\-*/%]")
_ESCAPES = {'"': '"', "\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


class Number(NamedTuple):
    """A literal number."""

    value: float


class Text(NamedTuple):
    """A literal text, with one character per byte."""

    value: str


class FieldName(NamedTuple):
    """A column: a name in NUMBERS or TEXTS, or a tag in brackets, whose values may be numbers or texts."""

    name: str


class Unary(NamedTuple):
    """One of `+ - ! ~`, and its operand."""

    operator: str
    operand: "Node"


class Binary(NamedTuple):
    """An operator of PRECEDENCE, except `=~` and `!~`."""

    operator: str
    left: "Node"
    right: "Node"


class Match(NamedTuple):
    """A search for a regular expression: `=~`, or `!~` if `wanted` is false."""

    subject: "Node"
    pattern: Pattern
    wanted: bool


class Call(NamedTuple):
    """A function of FUNCTIONS and its arguments."""

    function: str
    arguments: tuple["Node", ...]


Node: TypeAlias = Number | Text | FieldName | Unary | Binary | Match | Call


def parse(text: str) -> tuple[Node, frozenset[str]]:
    """Return the tree of an expression, and the names of the fields that it reads.

    Raises UsageError if it is invalid.
    """
    parser = _Parser(text)
    node = parser.expression()
    if parser.position < len(text):
        parser.fail("expected an operator")
    return node, frozenset(parser.fields)


class _Parser:
    """A recursive-descent parser without a tokeniser: `!~` is one operator between values, but two before a value."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0
        self.fields: set[str] = set()

    def fail(self, problem: str, position: int | None = None) -> NoReturn:
        column = (self.position if position is None else position) + 1
        raise UsageError(f"filter {self.text!r}, column {column}: {problem}")

    def space(self) -> int:
        """Skip white space; return the position after it."""
        match = _SPACE.match(self.text, self.position)
        assert match
        self.position = match.end()
        return self.position

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.position)
        if match:
            self.position = match.end()
        return match

    def expect(self, character: str) -> None:
        if not self.text.startswith(character, self.space()):
            self.fail(f"expected {character!r}")
        self.position += 1

    def expression(self, level: int = 0) -> Node:
        """Parse values that are joined by operators of `level` and above, and the white space after them."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} deep")
        node = self.unary()
        while True:
            start = self.space()
            match = _OPERATOR.match(self.text, start)
            if not match or PRECEDENCE[match[0]] < level:
                self.depth -= 1
                return node
            operator = match[0]
            self.position = match.end()
            right = self.expression(PRECEDENCE[operator] + (operator not in RIGHT_ASSOCIATIVE))
            node = self.binary(operator, node, right, start)

    def binary(self, operator: str, left: Node, right: Node, position: int) -> Node:
        if operator in ("=~", "!~"):
            if not isinstance(right, Text):
                self.fail(f"{operator} needs a quoted pattern on its right", position)
            if _is_number(left):
                self.fail(f"{operator} needs text on its left", position)
            try:
                return Match(left, compile_ere(right.value), operator == "=~")
            except ValueError as error:
                self.fail(f"bad pattern {right.value!r}: {error}", position)
        if operator in ARITHMETIC and (_is_text(left) or _is_text(right)):
            self.fail(f"{operator} needs numbers", position)
        return Binary(operator, left, right)

    def unary(self) -> Node:
        start = self.space()
        sign = self.text[start : start + 1]
        if not sign or sign not in "+-!~":
            return self.value()
        self.position += 1
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} deep")
        operand = self.unary() if sign in "!~" else self.value()
        self.depth -= 1
        if sign != "!" and _is_text(operand):
            self.fail(f"{sign} needs a number", start)
        return Unary(sign, operand)

    def value(self) -> Node:
        start = self.space()
        if self.text.startswith("(", start):
            self.position += 1
            node = self.expression()
            self.expect(")")
            return node
        if match := self.take(_NUMBER):
            return Number(float.fromhex(match[0]) if match["hex"] else float(match[0]))
        if match := self.take(_STRING):
            return Text(_unescape(match[1]))
        if match := self.take(_TAG):
            return self.field(match[0])
        if match := self.take(_NAME):
            return self.named(match[0], start)
        self.fail("expected a value")

    def field(self, name: str) -> FieldName:
        self.fields.add(name)
        return FieldName(name)

    def named(self, name: str, start: int) -> Node:
        field = SYNONYMS.get(name, name)
        if field in NUMBERS or field in TEXTS:
            return self.field(field)
        if name.startswith("flag."):
            if name[5:] not in FLAGS:
                self.fail(f"unknown flag {name!r}; the flags are {', '.join(FLAGS)}", start)
            return Binary("&", self.field("flag"), Number(float(FLAGS[name[5:]])))
        if name in FUNCTIONS:
            return self.call(name, start)
        self.fail(f"unknown name {name!r}", start)

    def call(self, function: str, start: int) -> Call:
        self.expect("(")
        arguments = [self.expression()]
        while len(arguments) < FUNCTIONS[function]:
            self.expect(",")
            arguments.append(self.expression())
        self.expect(")")
        if function in TEXT_FUNCTIONS and _is_number(arguments[0]):
            self.fail(f"{function}() needs text", start)
        if function not in TEXT_FUNCTIONS | {"default", "exists"} and any(map(_is_text, arguments)):
            self.fail(f"{function}() needs a number", start)
        return Call(function, tuple(arguments))


def _unescape(text: str) -> str:
    """Return the meaning of a quoted text, with one character (0 to 255) per byte, as in columns."""
    text = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text, flags=re.DOTALL)
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _is_text(node: Node) -> bool:
    """Tell whether a node is certain to be text in every record. A tag is not."""
    if isinstance(node, Call):
        return node.function == "default" and all(map(_is_text, node.arguments))
    return isinstance(node, Text) or (isinstance(node, FieldName) and node.name in TEXTS)


def _is_number(node: Node) -> bool:
    """Tell whether a node is certain to be a number in every record. A tag is not."""
    if isinstance(node, Call):
        return node.function != "default" or all(map(_is_number, node.arguments))
    return not isinstance(node, Text | FieldName) or (isinstance(node, FieldName) and node.name in NUMBERS)
