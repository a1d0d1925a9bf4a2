# Bits of a read's mark, and what it needs besides.
cdef enum:
    DUPLICATE = 1
    LIBRARY = 2  # not an optical duplicate
    OPTICAL = 4
    NAMED = 8    # with the name of its original
    COPIES = 16  # with their number


cdef class Marks:
    cdef readonly bytes bits
    cdef readonly bytes more
