"""Substitution of {chunk}, {region}, {sample} and {output} in a user's command. No contig or file name can run as code.

The values are also in environment variables of the command. In a line for bash, a placeholder becomes such a variable
where bash reads it as one word; elsewhere, the line is refused. In other commands, a placeholder that is a whole word
is replaced by the value; within a longer word, only values that every program reads as plain text are allowed.
"""

import re
import shlex
from collections.abc import Mapping, Sequence

from bams3.errors import UsageError
from bams3.shown import escaped, without_secrets

PLACEHOLDER = re.compile(r"\{(chunk|region|sample|output)\}")
SAFE = re.compile(r"[\w.:,+%/=][\w.:,+%/=-]*")
"""Text that every shell, and every language within quotes, takes literally."""

# Constructs that bash does not read word by word. If only a full parser could find the end of a construct, the match
# extends to the end of the line.
QUOTED = "(?s)" + "|".join(
    (
        r"\\(?:\{\w+\}|.)",
        r"\$'(?:\\.|[^'\\])*'?",
        r"'[^']*'?",
        r'"(?:\\.|\$\{\w+\}|\$(?![({])|[^"\\$`])*(?:"|.*)',
        r"`(?:\\.|[^`\\])*`?",
        r"\$?\(\([^()]*\)\)",
        r"""\$\((?=(?:'[^']*'|"[^"$`\\]*"|<(?!<)|[^()'"`\\#<])*\))""",
        r"""\$\{[^{}'"`\\]*\}""",
        r"\$[({].*|\(\(.*",
        r"\$[\w@*#?$!-]",
        r"(?<![^\s;&|()<>])#[^\n]*",
        r"<<<|<<.*",
        r"\[\[(?=[^;\n]*\s-(?:eq|ne|lt|le|gt|ge|v)\s)[^;\n]*",
        r"\w\[[^\]\s]*",
    )
)
_WORD = r"""(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\;&|()<>])"""
# Text after which a command evaluates the next word as code: -c or -e of an interpreter; the script of sed; and
# commands that join their words into a line for a shell, or that evaluate names.
EVALUATED = (
    r"""(?s)(?:^|[\s;&|(/'"])(?:"""
    r"(?:(?:ba|da|z|k|mk|fi|c|tc)?sh|[gmn]?awk|perl|python[\d.]*|ruby|node|Rscript|lua)"
    rf"(?:\s+(?!-m\s)[-+\w:=,]+)*?\s+-\w*[ceE](?:\s+{_WORD}*(?:\$\([^()]*)?)?"
    rf"|sed(?:\s+[-\w]+)*?\s+{_WORD}+(?:\$\([^()]*)?"
    r"|(?:eval|let|trap|alias|ssh|parallel|su|watch|declare|typeset|local|read|unset)\s[^;&|\n]*"
    r"|(?:test|\[)\s+-v\s+"
    r")$"
)
_TOKEN = re.compile(f"{QUOTED}|{PLACEHOLDER.pattern}")
_EVALUATED = re.compile(EVALUATED)


def variable(name: str) -> str:
    """Return the name of the environment variable that holds a placeholder's value."""
    return f"BAMS3_{name.upper()}"


def mentions(command: Sequence[str], name: str) -> bool:
    """Tell whether a command uses a placeholder or its variable."""
    return any(f"{{{name}}}" in word or variable(name) in word for word in command)


def line_for_bash(line: str) -> str:
    """Replace the placeholders of a line for bash by variables.

    Raises UsageError for a placeholder that bash would not read as one word, or that would be evaluated as code.
    """

    def put(token: re.Match[str]) -> str:
        within = PLACEHOLDER.search(token[0])
        if not within:
            return token[0]
        name = within[1]
        if token[1] and not _EVALUATED.search(line[: token.start()]):
            return f'"${variable(name)}"'
        raise UsageError(
            f"{{{name}}} stands in quotes, in a comment, or in the code of another program: "
            f'write {{{name}}} as a word without quotes, or use the variable "${variable(name)}"'
        )

    return _TOKEN.sub(put, line)


def words_with(values: Mapping[str, str], command: Sequence[str]) -> list[str]:
    """Replace the placeholders in a command's words by their values.

    Raises UsageError for a value that might be read as code where it stands.
    """

    def checked(found: re.Match[str]) -> str:
        name, value = found[1], values[found[1]]
        if SAFE.fullmatch(value):
            return value
        raise UsageError(
            f"{{{name}}} is {value!r}, which a program may take for code within {found.string!r}: "
            f"make {{{name}}} a separate word, or use the variable {variable(name)}"
        )

    made: list[str] = []
    for number, word in enumerate(command):
        alone = PLACEHOLDER.fullmatch(word)
        if alone and not _EVALUATED.search(f"{shlex.join(command[:number])} "):
            made.append(values[alone[1]])
        else:
            made.append(PLACEHOLDER.sub(checked, word))
    return made


def for_a_shell(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return a command as one line for a shell, without secrets."""
    variables = [f"{name}={_quoted(value)}" for name, value in environment.items()]
    return without_secrets(" ".join([*variables, *map(_quoted, words)]))


def _quoted(word: str) -> str:
    if escaped(word) == word:
        return shlex.quote(word)
    text = "".join(
        f"\\{letter}" if letter in "\\'" else letter
        if escaped(letter) == letter
        else "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))
        for letter in word
    )  # fmt: skip
    return f"$'{text}'"
