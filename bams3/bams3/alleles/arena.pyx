# Compiled with -O1: no run spends its time here.
"""Memory for copies of bytes that do not move and are freed all at once."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cdef enum:
    BLOCK = 1 << 16
    ALIGNED = 8


cdef class Arena:
    """A list of blocks of memory; each begins with the address of the previous one."""

    def __dealloc__(self):
        cdef void *block
        while self.newest != NULL:
            block = self.newest
            self.newest = (<void **> block)[0]
            free(block)

    cdef void *copy(self, const void *source, size_t length) except NULL nogil:
        """Copy bytes to an address that is aligned for numbers."""
        cdef void *found = self.take(length)
        if length:
            memcpy(found, source, length)
        return found

    cdef void *take(self, size_t length) except NULL nogil:
        """Reserve some bytes at an address that is aligned for numbers."""
        cdef size_t taken = max(length + ALIGNED - 1, <size_t> ALIGNED) // ALIGNED * ALIGNED
        cdef size_t room = max(taken, <size_t> BLOCK)
        cdef void *block
        cdef void *found
        if self.left < taken:
            block = malloc(ALIGNED + room)
            if block == NULL:
                with gil:
                    raise MemoryError(f"not enough memory for a block of {room} bytes")
            (<void **> block)[0] = self.newest
            self.newest, self.free, self.left = block, <char *> block + ALIGNED, room
        found = self.free
        self.free += taken
        self.left -= taken
        self.size += taken
        return found
