"""How text that others wrote is shown: nothing in it controls a terminal or begins a line, and nothing secret is left.

Names, paths, versions, header lines and messages of programs and stores are such text.
"""

import re

# Control characters (C0, DEL, C1), line and paragraph separators, and marks that turn the direction of text.
_CONTROL = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
# Patterns are compiled when they are first needed: commands that show nothing foreign start sooner.
_CONTROLS = f"[{_CONTROL}]"
_HIDDEN = f"[{_CONTROL}\ud800-\udfff]"  # and bytes that are not UTF-8
_URL = r"""([A-Za-z][A-Za-z0-9+.-]*://)([^\s'"<>]*)"""
# A query that is cut off from its URL, as by a blank in the path, and the values of what is named like a secret.
_QUERY = r"""\?[^\s?'"<>]*=[^\s'"<>]*"""
_NAMED = (
    r"""(?i)((?:\b|[_-])(?:sig|signature|token|secret|secret_?access_?key|password|credential)=)"""
    r"""(?!\$)[^\s&;'"<>]+"""
)


def shown(text: object) -> str:
    """For people, in one line: without secrets, and with what could be hidden in it escaped."""
    return escaped(without_secrets(str(text)))


def escaped(text: str) -> str:
    r"""Control characters and the like as Python writes them: `\n`, `\x1b`, `\u202e`; the bytes that surrogates
    stand for as `\xff`."""
    return text if text.isascii() and text.isprintable() else re.sub(_HIDDEN, _escape, text)


def field(text: str) -> str:
    """For a field of a table: control characters escaped; bytes that are not UTF-8 stay, as samtools has them."""
    return text if text.isascii() and text.isprintable() else re.sub(_CONTROLS, _escape, text)


def is_plain(text: str) -> bool:
    """Can it be a field of a line that programs read? Bytes that are not UTF-8 can."""
    return not re.search(_CONTROLS, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return ascii(found[0])[1:-1]


def without_secrets(text: str) -> str:
    """Text in which no URL has a user, a password, or a query, and nothing that is named like a secret has a value."""
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
    if not at and "@" in path and not re.fullmatch(f"[^:]*{port}", server):  # a password has the slash
        host, slash, path = path.rpartition("@")[2].partition("/")
    return f"{scheme}{host}{slash}{path}{_end(rest) if query else ''}"


def _end(url: str) -> str:
    """What follows a URL in a sentence."""
    return url[len(url.rstrip("]:;,.!)}")) :]
