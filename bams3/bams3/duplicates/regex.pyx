"""Extended regular expressions of POSIX, as samtools has them; Python's differ."""

from bams3.errors import UsageError

cdef extern from "<regex.h>" nogil:
    enum:
        REG_EXTENDED
    int regcomp(regex_t *pattern, const char *text, int flags)
    size_t regerror(int code, const regex_t *pattern, char *text, size_t size)
    void regfree(regex_t *pattern)


cdef class Pattern:
    """A compiled expression, or none if its text is empty. Raises UsageError if it is not valid."""

    def __cinit__(self, bytes text not None):
        cdef int code
        cdef char[256] message
        if not text:
            return
        code = regcomp(&self.compiled, text, REG_EXTENDED)
        if code:
            regerror(code, &self.compiled, message, sizeof(message))
            shown = text.decode("utf-8", "backslashreplace")
            raise UsageError(f"{shown!r} is not a regular expression: {message.decode()}")
        self.given = True

    def __dealloc__(self):
        if self.given:
            regfree(&self.compiled)
