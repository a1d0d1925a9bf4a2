# Qualities of overlapping mates, as htslib (since 1.13) changes them. Everything here is inline and nogil.

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t

from bams3.alleles.walk cimport Read, code_of, is_in
from bams3.bam.fields cimport DELETION, MATCHES, QUERY, REFERENCE

cdef enum:
    BEST = 200              # maximum quality of two bases that agree


cdef struct Base:           # an aligned base: the state of a walk over a CIGAR
    const uint32_t *begin
    const uint32_t *cigar
    const uint32_t *stop
    int64_t offset          # in the operation
    int64_t base            # in the read
    int64_t position        # on the reference


cdef inline bint prefers_first(const uint8_t *name, int length) noexcept nogil:
    """Whether the first of two mates keeps the quality if their bases agree. A hash of their name (X31, then Wang's)
    decides."""
    cdef uint32_t value = 0
    cdef int i
    for i in range(length):
        if not name[i]:
            break
        value = (value << 5) - value + <uint32_t> <int8_t> name[i]
    value += ~(value << 15)
    value ^= value >> 10
    value += value << 3
    value ^= value >> 6
    value += ~(value << 11)
    value ^= value >> 16
    return value & 1


cdef inline bint base_from(Base *at, const Read *read, int64_t position) noexcept nogil:
    """Find the first aligned base at a position, or after it if a deletion or skip covers the position. Returns False
    if there is none."""
    cdef int64_t left = position - read.pos, length
    at.begin = at.cigar = read.cigar
    at.stop = read.cigar + read.operations
    at.offset, at.base, at.position = 0, 0, read.pos
    if left < 0:
        return False
    while at.cigar < at.stop:
        length = at.cigar[0] >> 4
        if is_in(at.cigar[0], MATCHES):
            if left < length:
                at.offset = left
                at.base += left
                at.position += left
                return True
            left -= length
        elif is_in(at.cigar[0], REFERENCE):
            left = max(left - length, 0)
        if is_in(at.cigar[0], QUERY):
            at.base += length
        if is_in(at.cigar[0], REFERENCE):
            at.position += length
        at.cigar += 1
    return False


cdef inline bint next_base(Base *at) noexcept nogil:
    """Go to the next aligned base; returns False if there is none."""
    cdef int64_t length
    while at.cigar < at.stop:
        length = at.cigar[0] >> 4
        if is_in(at.cigar[0], MATCHES):
            if at.offset < length - 1:
                at.offset += 1
                at.base += 1
                at.position += 1
                return True
        elif is_in(at.cigar[0], REFERENCE):
            at.position += length
        elif is_in(at.cigar[0], QUERY):
            at.base += length
        at.offset = -1
        at.cigar += 1
    return False


cdef inline bint is_behind_deletion(const Base *at) noexcept nogil:
    return at.cigar > at.begin and (at.cigar - 1)[0] & 15 == DELETION


cdef inline void lower(uint8_t *quality, bint keep) noexcept nogil:
    quality[0] = <uint8_t> (quality[0] * 0.8) if keep else 0


cdef inline bint settle_overlap(Read *a, Read *b, bint keeps_a, int64_t since) noexcept nogil:
    """Change the qualities of two mates where both have bases; `a` came first. Returns False if one has too few bases.

    `keeps_a` is the result of `prefers_first`. `since` is the first position whose line htslib writes after `b` has
    come.
    """
    cdef Base first, second
    cdef int64_t position = b.pos
    cdef uint8_t *of_a
    cdef uint8_t *of_b
    cdef int total
    cdef bint keeps_first
    if not base_from(&first, a, position) or not base_from(&second, b, position):
        return True
    if first.base >= a.l_seq or second.base >= b.l_seq:
        return False
    a.changed, a.since, a.before = <int32_t> first.base, since, a.qual[first.base]
    while True:
        while first.position < position:
            if not next_base(&first):
                return True
        while second.position < position:
            if not next_base(&second):
                return True
        position = max(position, first.position, second.position) + 1
        if first.position != second.position:
            if first.position < second.position and is_behind_deletion(&second):
                while first.position < second.position:
                    if first.base >= a.l_seq:
                        return False
                    lower(a.qual + first.base, keeps_a)
                    if not next_base(&first):
                        return True
            elif is_behind_deletion(&first):
                while True:
                    if second.base >= b.l_seq:
                        return False
                    lower(b.qual + second.base, not keeps_a)
                    if not next_base(&second):
                        return True
                    if second.position >= first.position:
                        break
            else:
                continue
        if first.base >= a.l_seq or second.base >= b.l_seq:
            return False
        of_a, of_b = a.qual + first.base, b.qual + second.base
        if code_of(a.seq, first.base) == code_of(b.seq, second.base):
            total = min(of_a[0] + of_b[0], <int> BEST)
            of_a[0] = <uint8_t> (total if keeps_a else 0)
            of_b[0] = <uint8_t> (0 if keeps_a else total)
        elif of_a[0] != of_b[0]:
            keeps_first = of_a[0] > of_b[0]
            lower(of_a, keeps_first)
            lower(of_b, not keeps_first)
        else:
            lower(of_a, keeps_a)
            lower(of_b, not keeps_a)
