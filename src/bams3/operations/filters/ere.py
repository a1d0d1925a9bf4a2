"""POSIX extended regular expressions, as regcomp(3) of the C library reads them, on Python's engine."""

import re

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
    "space": r" \t-\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_ESCAPES = {"<": r"\b(?=\w)", ">": r"\b(?<=\w)", "`": r"\A", "'": r"\Z"} | {c: "\\" + c for c in "wWsSbB"}
_QUANTIFIER = re.compile(r"[*+?]|\{[0-9]{0,5}(?:,[0-9]{0,5})?\}")
_BRACKET = re.compile(r"\[(\^?)(\]?(?:\[:[a-z]+:\]|\[\..\.\]|\[=.=\]|[^\]])*)\]", re.DOTALL)
_MEMBER = re.compile(r"\[:([a-z]+):\]|\[([.=])(.)\2\]|(.)", re.DOTALL)


def compile_ere(pattern: str) -> re.Pattern[str]:
    """The pattern, to be used with `search`; upper and lower case differ, `.` matches a newline too.

    Raises ValueError with the reason where it is not a valid one.
    """
    try:
        return re.compile(_translate(pattern), re.DOTALL | re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from None


def _translate(pattern: str) -> str:
    groups: list[list[str]] = [
        []
    ]  # of open parentheses; each lists its atoms so that a quantifier finds its own
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
        elif character == "\\":
            groups[-1].append(_escape(pattern[position + 1 : position + 2]))
            position += 2
        else:
            groups[-1].append(
                {"$": r"\Z", "|": "|", "^": "^", ".": "."}.get(character) or re.escape(character)
            )
            position += 1
        quantified = quantifier is not None
    if len(groups) > 1:
        raise ValueError("unmatched (")
    return "".join(groups[0])


def _quantify(atoms: list[str], quantifier: str, quantified: bool) -> None:
    """Repeat the last atom; a second quantifier repeats the whole, and is neither lazy nor possessive."""
    if not atoms or atoms[-1] in ("|", "^"):
        raise ValueError(f"nothing for {quantifier} to repeat")
    if quantifier in ("{}", "{,}"):
        raise ValueError(f"bad repeat count {quantifier}")
    atoms[-1] = (f"(?:{atoms[-1]})" if quantified else atoms[-1]) + quantifier


def _escape(character: str) -> str:
    if not character:
        raise ValueError("ends with a backslash")
    if character in "123456789":
        return f"(?:\\{character})"
    return _ESCAPES.get(character) or re.escape(character)


def _bracket(pattern: str, start: int) -> tuple[str, int]:
    """A bracket expression, in which a backslash stands for itself, and the position after it."""
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
    """Members joined, a hyphen at either end escaped; one between others makes a range."""
    ends = (0, len(members) - 1)
    return "".join("\\-" if member == "-" and i in ends else member for i, member in enumerate(members))
