# What is counted at a site: WIDTH numbers, called rows, each an int32.

from libc.stdint cimport int64_t, uint8_t

cdef enum:
    OTHER = 4            # after A C G T: any other base
    REVERSED = 5         # first row for bases of reads on the reverse strand
    DELETIONS = 10       # two rows: on the forward and on the reverse strand
    WIDTH = 12           # number of rows
    NO_ROW = 255


cdef inline uint8_t row_of_base(uint8_t letter) noexcept nogil:
    """The row of A, C, G or T, upper or lower case; NO_ROW for other letters."""
    letter &= ~32
    return 0 if letter == 65 else 1 if letter == 67 else 2 if letter == 71 else 3 if letter == 84 else NO_ROW


cdef inline Py_ssize_t rows_before(const int64_t *positions, Py_ssize_t count, Py_ssize_t low,
                                   int64_t position) noexcept nogil:
    """How many of the sorted positions are less than `position`. The search begins at `low`, which should be close."""
    while low < count and positions[low] < position:
        low += 1
    while low > 0 and positions[low - 1] >= position:
        low -= 1
    return low
