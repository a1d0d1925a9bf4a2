# Compiled with -O1: no run spends its time here.
"""POSIX extended regular expressions, which samtools uses. They differ from those of Python."""

import re

from bams3.errors import UsageError

MOST_NODES = 1 << 16
_PART = re.compile(rb"\\.|\{(?P<least>\d{0,9})(?:,(?P<most>\d{0,9}))?\}|.", re.DOTALL)

cdef extern from "<regex.h>" nogil:
    enum:
        REG_EXTENDED
    int regcomp(regex_t *pattern, const char *text, int flags)
    size_t regerror(int code, const regex_t *pattern, char *text, size_t size)
    void regfree(regex_t *pattern)


def nodes(bytes text not None):
    """Estimate how many nodes the C library needs for an expression; stop counting soon after MOST_NODES.

    The library copies the nodes of a repeated part, and does so again for repetitions around it.
    """
    outer = []
    at = inside = last = 0  # inside: nodes of the group so far; last: nodes of its last part
    while at < len(text) and inside <= MOST_NODES:
        part = _PART.match(text, at)
        what, at, times = part[0], part.end(), 1
        if what == b"+":
            times = 2
        elif part["least"] is not None:
            times = max(int(part["least"] or 0), int(part["most"] or 0))
        if what == b"(":
            outer.append(inside)
            inside = last = 0
        elif what == b")" and outer:
            last = inside + 1
            inside = outer.pop() + last
        elif times > 1:
            inside += last * (times - 1)
            last *= times
        elif what not in (b"*", b"?"):
            inside, last = inside + 1, 1
            at = _after_bracket(text, at) if what == b"[" else at
    return inside + sum(outer)


cdef Py_ssize_t _after_bracket(bytes text, Py_ssize_t at):
    """Return the end of a bracket expression whose `[` is right before `at`."""
    at += text[at : at + 1] == b"^"
    at += text[at : at + 1] == b"]"
    while at < len(text) and text[at : at + 1] != b"]":
        if text[at : at + 2] in (b"[:", b"[.", b"[="):
            end = text.find(text[at + 1 : at + 2] + b"]", at + 2)
            at = len(text) if end < 0 else end + 2
        else:
            at += 1
    return at + 1


cdef class PosixPattern:
    """A compiled expression; no expression (not `given`) if the text is empty. Raises UsageError if it is invalid."""

    def __cinit__(self, bytes text not None):
        cdef int code
        cdef char[256] message
        if not text:
            return
        shown = text.decode("utf-8", "backslashreplace")
        if nodes(text) > MOST_NODES:
            raise UsageError(f"{shown!r} has too many repetitions of repetitions; write it with fewer")
        code = regcomp(&self.compiled, text, REG_EXTENDED)
        if code:
            regerror(code, &self.compiled, message, sizeof(message))
            raise UsageError(f"{shown!r} is not a regular expression: {message.decode()}")
        self.given = True

    def __dealloc__(self):
        if self.given:
            regfree(&self.compiled)
