"""POSIX extended regular expressions, as in regcomp(3) of the C library, translated for RE2.

RE2 does not backtrack, so the time for a search is at most proportional to the length of the text times the length of
the pattern.
"""

import re
from typing import Protocol

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t-\r ",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_SPACE = r"\t-\r "
_ESCAPES = {
    "w": r"\w", "W": r"\W", "s": f"[{_SPACE}]", "S": f"[^{_SPACE}]", "b": r"\b", "B": r"\B", "`": r"\A", "'": r"\z",
}  # fmt: skip
# Starts and ends of words can be matched without lookaround only where the pattern, or a branch of it, begins or ends.
_WORD_START, _WORD_END = r"(?:(?:\A|\W)\b)", r"\b(?:\W|\z)"
_QUANTIFIER = re.compile(r"[*+?]|\{[0-9]{0,5}(?:,[0-9]{0,5})?\}")
_BRACKET = re.compile(r"\[(\^?)(\]?(?:\[:[a-z]+:\]|\[\..\.\]|\[=.=\]|[^\]])*)\]", re.DOTALL)
_MEMBER = re.compile(r"\[:([a-z]+):\]|\[([.=])(.)\2\]|(.)", re.DOTALL)


class Pattern(Protocol):
    """A compiled pattern of bytes."""

    def search(self, text: bytes) -> object | None:
        """Return a match anywhere in the text; None if there is none."""
        ...


def compile_ere(pattern: str) -> Pattern:
    """Compile a pattern whose characters are bytes (Latin-1). It is case-sensitive, and `.` also matches a newline.

    Raises ValueError with the reason if the pattern is invalid, or needs more memory than RE2 allows.
    """
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.dot_nl = options.never_capture = True
    options.log_errors = False
    try:
        return re2.compile(_translate(pattern).encode("latin-1"), options)  # type: ignore[no-any-return]
    except re2.error as error:
        reason = error.args[0] if error.args else error
        raise ValueError(reason.decode("latin-1") if isinstance(reason, bytes) else str(reason)) from None


def _translate(pattern: str) -> str:
    # For each open parenthesis, the list of its atoms, so that a quantifier finds the atom that it applies to.
    groups: list[list[str]] = [[]]
    position = 0
    quantified = False
    while position < len(pattern):
        character = pattern[position]
        quantifier = _QUANTIFIER.match(pattern, position)
        if quantifier:
            _quantify(groups[-1], quantifier[0], quantified)
            position = quantifier.end()
        elif character == "[":
            atom, position = _bracket(pattern, position)
            groups[-1].append(atom)
        elif character == "(":
            groups.append([])
            position += 1
        elif character == ")" and len(groups) > 1:
            group = "".join(groups.pop())
            groups[-1].append(f"({group})")
            position += 1
        elif character == "{":
            raise ValueError("{ without a repeat count")
        elif character == "\\" and pattern[position + 1 : position + 2] in ("<", ">"):
            groups[-1].append(_word_end(pattern, position, groups))
            position += 2
        elif character == "\\":
            groups[-1].append(_escape(pattern[position + 1 : position + 2]))
            position += 2
        else:
            groups[-1].append(
                {"$": r"\z", "|": "|", "^": r"\A", ".": "."}.get(character) or re.escape(character)
            )
            position += 1
        quantified = quantifier is not None
    if len(groups) > 1:
        raise ValueError("unmatched (")
    return "".join(groups[0])


def _quantify(atoms: list[str], quantifier: str, quantified: bool) -> None:
    """Apply a quantifier to the last atom.

    A second quantifier repeats the quantified atom; it is not lazy or possessive.
    """
    if not atoms or atoms[-1] in ("|", r"\A"):
        raise ValueError(f"nothing for {quantifier} to repeat")
    if quantifier in ("{}", "{,}"):
        raise ValueError(f"bad repeat count {quantifier}")
    if quantifier.startswith("{,"):
        quantifier = "{0" + quantifier[1:]
    atoms[-1] = (f"(?:{atoms[-1]})" if quantified else atoms[-1]) + quantifier


def _word_end(pattern: str, position: int, groups: list[list[str]]) -> str:
    """Return the translation of the `\\<` or `\\>` at a position, given the atoms of the open parentheses."""
    before, after = groups[-1][-1:], pattern[position + 2 : position + 3]
    outside = len(groups) == 1
    if pattern[position + 1] == "<":
        if before == [r"\A"]:
            return r"\b"
        if outside and before in ([], ["|"]):
            return _WORD_START
    elif after == "$":
        return r"\b"
    elif outside and after in ("", "|"):
        return _WORD_END
    raise ValueError(
        r"\< and \> are supported only at the start and the end of the pattern; elsewhere, write \b"
    )


def _escape(character: str) -> str:
    if not character:
        raise ValueError("ends with a backslash")
    if character in "123456789":
        raise ValueError(rf"\{character} is a back-reference, which extended regular expressions do not have")
    return _ESCAPES.get(character) or re.escape(character)


def _bracket(pattern: str, start: int) -> tuple[str, int]:
    """Translate a bracket expression, in which a backslash is literal; also return the position after it."""
    match = _BRACKET.match(pattern, start)
    if not match:
        raise ValueError("unmatched [")
    members = []
    for member in _MEMBER.finditer(match[2]):
        name, _, quoted, plain = member.groups()
        if name and name not in _CLASSES:
            raise ValueError(f"unknown character class [:{name}:]")
        members.append(_CLASSES[name] if name else plain if plain == "-" else re.escape(quoted or plain))
    return f"[{match[1]}{_literal_hyphens(members)}]", match.end()


def _literal_hyphens(members: list[str]) -> str:
    """Join members. A hyphen at either end is escaped; one between others makes a range."""
    ends = (0, len(members) - 1)
    return "".join("\\-" if member == "-" and i in ends else member for i, member in enumerate(members))
