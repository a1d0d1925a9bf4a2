cdef class Marks:
    cdef readonly bytes bits
    cdef readonly bytes more
