cdef extern from "<regex.h>" nogil:
    ctypedef struct regex_t:
        pass
    ctypedef int regoff_t
    ctypedef struct regmatch_t:
        regoff_t rm_so
        regoff_t rm_eo
    int regexec(const regex_t *pattern, const char *text, size_t count, regmatch_t *matches, int flags)


cdef class PosixPattern:
    cdef regex_t compiled
    cdef bint given
