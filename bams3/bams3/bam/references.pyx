# Compiled with -O1: no run spends its time here.
"""The list of references in the header of a BAM file."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memchr, memcpy


cdef inline int32_t load(const uint8_t *at) noexcept nogil:
    cdef int32_t value
    memcpy(&value, at, 4)
    return value


def listed(const uint8_t[::1] data not None, int64_t at, int64_t count):
    """Parse up to ``count`` references from byte ``at`` on. Returns a list of (name, length), and the offset after
    them. The list ends before a reference that is invalid or incomplete."""
    cdef int64_t size = data.shape[0], length
    cdef list found = []
    cdef bytes name
    while len(found) < count and 0 <= at <= size - 4:
        length = load(&data[at])
        if length < 2 or at + 8 + length > size or load(&data[at + 4 + length]) < 0:
            break
        if memchr(&data[at + 4], 0, length) != &data[at + 3 + length]:
            break
        name = (<const char *> &data[at + 4])[:length - 1]
        found.append((name.decode("utf-8", "surrogateescape"), load(&data[at + 4 + length])))
        at += 8 + length
    return found, at


def skipped(const uint8_t[::1] data not None, int64_t at, int64_t count):
    """The offset after ``count`` references that begin at byte ``at``. If they are incomplete, it is past the end of
    the data; if a length is negative, it is the length of the data."""
    cdef int64_t size = data.shape[0], i, length
    for i in range(count):
        length = load(&data[at]) if at + 4 <= size else 0
        at += 8 + length
        if length < 0:
            return size
        if size < at:
            break
    return at


def packed(references):
    """Encode the (name, length) of references as in BAM: the inverse of ``listed``."""
    cdef list names = [text.encode("utf-8", "surrogateescape") for text, _ in references]
    cdef int64_t size = 8 * len(names) + len(names) + sum(map(len, names))
    cdef bytes out = PyBytes_FromStringAndSize(NULL, size)
    cdef char *at = out
    cdef bytes name
    cdef int32_t length
    for name, (_, bases) in zip(names, references):
        length = len(name) + 1
        memcpy(at, &length, 4)
        memcpy(at + 4, <const char *> name, length)  # with the NUL that ends it
        at += 4 + length
        length = bases
        memcpy(at, &length, 4)
        at += 4
    return out
