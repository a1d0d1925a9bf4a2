# An adaptive binary range coder (docs/format.md, "Range coder"). Everything here is inline and nogil.
#
# The same function codes a bit in both directions, so each model is written only once: with an encoder, `code_bit`
# writes `bit`; with a decoder, it ignores `bit`; both return the bit. Adaptive probabilities are those of a 0, in
# 1/65536.

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from bams3.buffer cimport Buffer


cdef struct RangeEncoder:
    uint32_t low
    uint32_t width
    uint8_t *at


cdef struct RangeDecoder:
    uint32_t code
    uint32_t width
    const uint8_t *at
    const uint8_t *end
    uint32_t missing  # bytes read past the end, which are 0


ctypedef fused RangeCoder:
    RangeEncoder
    RangeDecoder


cdef enum:
    FEW = 1 << 24  # the interval is kept at least this wide
    HALF = 1 << 15


cdef inline void open_encoder(RangeEncoder *coder, uint8_t *start) noexcept nogil:
    coder.low = 0
    coder.width = 0xFFFFFFFF
    coder.at = start


cdef inline void carry(RangeEncoder *coder) noexcept nogil:
    cdef uint8_t *p = coder.at - 1
    while p[0] == 255:
        p[0] = 0
        p -= 1
    p[0] += 1


cdef inline void close_encoder(RangeEncoder *coder) noexcept nogil:
    """Write the final byte. (The interval is wide enough to contain a number whose other bytes are all 0.)"""
    cdef uint32_t value = (coder.low + (FEW - 1)) & ~<uint32_t> (FEW - 1)
    if value < coder.low:
        carry(coder)
    coder.at[0] = <uint8_t> (value >> 24)
    coder.at += 1


cdef inline uint32_t next_byte(RangeDecoder *coder) noexcept nogil:
    cdef uint32_t byte = 0
    if coder.at == coder.end:
        coder.missing += 1
    else:
        byte = coder.at[0]
        coder.at += 1
    return byte


cdef inline void open_decoder(RangeDecoder *coder, const uint8_t *start, const uint8_t *end) noexcept nogil:
    cdef int k
    coder.width = 0xFFFFFFFF
    coder.code = 0
    coder.at = start
    coder.end = end
    coder.missing = 0
    for k in range(4):
        coder.code = coder.code << 8 | next_byte(coder)


cdef inline bint is_used_up(RangeDecoder *coder) noexcept nogil:
    """Whether the decoder has read exactly what an encoder wrote."""
    return coder.at == coder.end and coder.missing == 3


cdef inline int code_split(RangeCoder *coder, uint32_t zero, int bit) noexcept nogil:
    """Code a bit. The first ``zero`` units of the interval mean 0. (The bit is unpredictable, so no branch depends on
    it.)"""
    cdef uint32_t ones
    if RangeCoder is RangeDecoder:
        bit = coder.code >= zero
        ones = -<uint32_t> bit
        coder.code -= zero & ones
    else:
        ones = -<uint32_t> bit
        coder.low += zero & ones
        if coder.low < (zero & ones):
            carry(coder)
    coder.width = zero + ((coder.width - 2 * zero) & ones)
    while coder.width < FEW:
        coder.width <<= 8
        if RangeCoder is RangeDecoder:
            coder.code = coder.code << 8 | next_byte(coder)
        else:
            coder.at[0] = <uint8_t> (coder.low >> 24)
            coder.at += 1
            coder.low <<= 8
    return bit


cdef inline int code_bit(RangeCoder *coder, uint16_t *probability, int rate, int bit) noexcept nogil:
    """Code a bit with an adaptive probability, which then moves towards the bit by 1/2^rate of the distance."""
    bit = code_split(coder, (coder.width >> 16) * probability[0], bit)
    if bit:
        probability[0] -= probability[0] >> rate
    else:
        probability[0] += <uint16_t> ((65536 - <uint32_t> probability[0]) >> rate)
    return bit


cdef inline uint32_t code_number(RangeCoder *coder, int bits, uint32_t value) noexcept nogil:
    """Code a number of ``bits`` bits, highest first, with all values equally likely."""
    cdef uint32_t coded = 0
    while bits:
        bits -= 1
        coded = coded << 1 | <uint32_t> code_split(coder, coder.width >> 1, value >> bits & 1)
    return coded


cdef inline uint32_t code_tree(RangeCoder *coder, uint16_t *tree, int bits, int rate, uint32_t value) noexcept nogil:
    """Code a number of ``bits`` bits, highest first, each in the context of the bits before it. ``tree`` has 2^bits
    probabilities."""
    cdef uint32_t node = 1
    cdef int k
    for k in range(bits - 1, -1, -1):
        node = node << 1 | <uint32_t> code_bit(coder, &tree[node], rate, value >> k & 1)
    return node ^ <uint32_t> 1 << bits


cdef inline void reset(uint16_t *probabilities, size_t count) noexcept nogil:
    cdef size_t k
    for k in range(count):
        probabilities[k] = HALF
