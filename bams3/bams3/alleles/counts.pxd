# Rows of counts: what is counted at a site, each as int32.

from libc.stdint cimport uint8_t

cdef enum:
    OTHER = 4            # after A C G T: any other base
    REVERSED = 5         # from here on, bases of reads on the reverse strand
    DELETIONS = 10       # on the forward strand, and on the reverse one
    WIDTH = 12           # of a site
    NO_ROW = 255


cdef inline uint8_t row_of_base(uint8_t letter) noexcept nogil:
    """The row of A, C, G or T in any case; NO_ROW for other letters."""
    letter &= ~32
    return 0 if letter == 65 else 1 if letter == 67 else 2 if letter == 71 else 3 if letter == 84 else NO_ROW
