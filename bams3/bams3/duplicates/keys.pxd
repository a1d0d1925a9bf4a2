from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t


cdef enum:
    NO_KEY, SINGLE, PAIR


cdef struct Key:
    # The key by which a read is compared. Positions are 0-based, and as if the reads had no clips.
    int64_t five_prime  # position of the base that was sequenced first
    int64_t this_end    # of a pair: the positions that samtools compares, of the read and of its mate
    int64_t other_end
    int32_t ref
    int32_t other_ref
    int32_t pos         # of the record, clips not included
    uint32_t barcode    # a hash, as in samtools
    int32_t read_group  # 0: none
    uint8_t kind        # NO_KEY (for reads that are never duplicates), SINGLE or PAIR
    uint8_t strand      # of the read alone
    uint8_t sides       # of a pair: which of the reads is the left one, and their strands


cdef class Keys:
    cdef Key *of
    cdef Py_ssize_t count
    cdef readonly int64_t unreadable
