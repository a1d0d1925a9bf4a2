"""What stands for {chunk}, {region}, {sample} and {output} in a user's command: no name of a contig or a file is code.

All are environment variables of the command. In a line for bash such a variable takes the placeholder's place, where
bash reads it as one word; elsewhere the line is refused. Other commands get values as words of their own, and within
a longer word only values that no program takes for more than text.
"""

import re
import shlex
from collections.abc import Mapping, Sequence

from bams3.errors import UsageError
from bams3.shown import escaped, without_secrets

PLACEHOLDER = re.compile(r"\{(chunk|region|sample|output)\}")
SAFE = re.compile(r"[\w.:,+%/=][\w.:,+%/=-]*")
"""Text that means itself to every shell, and within the quotes of every language."""

# What bash does not read word by word. Where only a parser of bash could tell the end, that is the line's end.
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
# What ends before a word that the command takes for a program's text: after an interpreter's -c or -e; in the script
# of sed; and all words of commands that make one line for a shell of them, or evaluate names.
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
    """The environment variable that has a placeholder's value."""
    return f"BAMS3_{name.upper()}"


def mentions(command: Sequence[str], name: str) -> bool:
    """Does a command say where a placeholder's value goes?"""
    return any(f"{{{name}}}" in word or variable(name) in word for word in command)


def line_for_bash(line: str) -> str:
    """A line with variables for placeholders. Raises UsageError for one where bash would not read one word, or where
    that word is a program's text."""

    def put(token: re.Match[str]) -> str:
        within = PLACEHOLDER.search(token[0])
        if not within:
            return token[0]
        name = within[1]
        if token[1] and not _EVALUATED.search(line[: token.start()]):
            return f'"${variable(name)}"'
        raise UsageError(
            f"{{{name}}} stands in quotes, in a comment, or in the text of another program: "
            f'write {{{name}}} as a word without quotes, or take the variable "${variable(name)}"'
        )

    return _TOKEN.sub(put, line)


def words_with(values: Mapping[str, str], command: Sequence[str]) -> list[str]:
    """A command's words with values for placeholders. Raises UsageError for one that would be an option, or might be
    code where it stands."""

    def checked(found: re.Match[str]) -> str:
        name, value = found[1], values[found[1]]
        if SAFE.fullmatch(value):
            return value
        raise UsageError(
            f"{{{name}}} is {value!r}, which a program may take for code within {found.string!r}: "
            f"make {{{name}}} a word of its own, or take the variable {variable(name)}"
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
    """A command as one line for a shell, without what is secret in it."""
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
