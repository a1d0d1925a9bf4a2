from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t


cdef enum:
    NO_KEY, SINGLE, PAIR


cdef struct Key:
    # What a read is compared by. Positions are those of bases, 0-based, of reads without clips.
    int64_t five_prime  # of the read's first base as it was sequenced
    int64_t this_end    # of a pair: those that samtools compares, of the read and of its mate
    int64_t other_end
    int32_t ref
    int32_t other_ref
    int32_t pos         # as the record has it
    uint32_t barcode    # hashed, as samtools does
    int32_t read_group  # 0: none
    uint8_t kind        # NO_KEY of reads that are never duplicates, SINGLE, PAIR
    uint8_t strand      # of the read alone
    uint8_t sides       # of a pair: which of them is the left one, and the strands


cdef class Keys:
    cdef Key *of
    cdef Py_ssize_t count
    cdef readonly int64_t unreadable
