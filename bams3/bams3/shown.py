"""Safe display of foreign text, so that it can't control the terminal or start a new line; secrets are removed.

Foreign text includes names, paths, versions, header lines, and the messages of programs and object stores.
"""

import re

# Control characters (C0, DEL, C1), line and paragraph separators, and marks that change the direction of text.
_CONTROL = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
# Patterns are compiled on first use: commands that show no foreign text start sooner.
_CONTROLS = f"[{_CONTROL}]"
_HIDDEN = f"[{_CONTROL}\ud800-\udfff]"  # the same, and bytes that are not UTF-8
_URL = r"""([A-Za-z][A-Za-z0-9+.-]*://)([^\s'"<>]*)"""
# A query separated from its URL (by a blank in the path, for example), and values whose names suggest a secret.
_QUERY = r"""\?[^\s?'"<>]*=[^\s'"<>]*"""
_NAMED = (
    r"""(?i)((?:\b|[_-])(?:sig|signature|token|secret|secret_?access_?key|password|credential)=)"""
    r"""(?!\$)[^\s&;'"<>]+"""
)


def shown(text: object) -> str:
    """Make text safe to show to a person: one line, without secrets, with invisible characters escaped."""
    return escaped(without_secrets(str(text)))


def escaped(text: str) -> str:
    r"""Escape control and direction characters as Python does (`\n`, `\x1b`, `\u202e`), and surrogate escapes as
    the bytes they represent (`\xff`)."""
    return text if text.isascii() and text.isprintable() else re.sub(_HIDDEN, _escape, text)


def field(text: str) -> str:
    """Make text safe for a field of a table: control characters are escaped; non-UTF-8 bytes stay, as in samtools."""
    return text if text.isascii() and text.isprintable() else re.sub(_CONTROLS, _escape, text)


def is_plain(text: str) -> bool:
    """Tell whether text can be a field of a line that programs read; non-UTF-8 bytes are allowed."""
    return not re.search(_CONTROLS, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return ascii(found[0])[1:-1]


def without_secrets(text: str) -> str:
    """Remove user, password and query from URLs, and the values of variables whose names suggest a secret."""
    if "://" in text:
        text = re.sub(_URL, _plain, text)
        head, mark, rest = text.partition("://")
        text = head + mark + re.sub(_QUERY, lambda query: _end(query[0]), rest)
    return re.sub(_NAMED, r"\1…", text) if "=" in text else text


def _plain(url: re.Match[str]) -> str:
    scheme, rest = url[1], url[2]
    place, query, _ = rest.partition("?")
    server, slash, path = place.partition("/")
    _, at, host = server.rpartition("@")
    port = r"(:\d*)?" if scheme.lower().startswith("http") else ""
    if not at and "@" in path and not re.fullmatch(f"[^:]*{port}", server):  # the password has a slash
        host, slash, path = path.rpartition("@")[2].partition("/")
    return f"{scheme}{host}{slash}{path}{_end(rest) if query else ''}"


def _end(url: str) -> str:
    """Return the punctuation that follows a URL in a sentence."""
    return url[len(url.rstrip("]:;,.!)}")) :]
