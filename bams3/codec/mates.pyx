"""RNEXT, PNEXT and TLEN.

``mate`` holds a rule for each record (one byte); ``mate.ref``, ``mate.pos`` and ``mate.tlen`` (u32,
planes of bytes) hold what the rule does not give. A record's partner is the record of the other end
of its template in the same row group (both primary, paired, one READ1 and one READ2).

====  ===================================  =====================================
rule  RNEXT, PNEXT                         TLEN
====  ===================================  =====================================
0     ``mate.ref``, ``mate.pos``           ``mate.tlen``
1     the partner's RNAME, POS             outermost ends; READ1 positive on a tie
2     the partner's RNAME, POS             outermost ends; READ2 positive on a tie
3     the partner's RNAME, POS             5' to 5', plus one in its direction
4     the partner's RNAME, POS             0
5     none (-1, -1)                        0
6     the record's own RNAME, POS          0
7     the partner's RNAME, POS             ``mate.tlen``
====  ===================================  =====================================

``mate.pos`` is the zigzag difference to POS where RNEXT equals RNAME, else PNEXT as it is.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from bams3.buffer cimport Buffer
from bams3.codec.primitives cimport difference, planes, total, unzigzag, zigzag
from bams3.sources.fields cimport record_next_pos, record_next_ref, record_tlen

from bams3.errors import FormatError

cdef array.array INT32 = new_array("i")

cdef enum:
    PAIRED = 1
    REVERSE = 0x10
    READ1 = 0x40
    READ2 = 0x80
    EXPLICIT = 0
    OUTER_READ1 = 1
    OUTER_READ2 = 2
    FIVE_PRIME = 3
    PARTNER_ZERO = 4
    NONE = 5
    SELF = 6
    PARTNER_EXPLICIT = 7


cdef inline bint fits(uint16_t flag, uint16_t other) noexcept nogil:
    """Can these be the FLAGs of partners: both primary and paired, one READ1, the other READ2?"""
    return (flag & 0x901 == PAIRED) & (other & 0x901 == PAIRED) & ((flag ^ other) & 0xC0 == 0xC0)


cdef array.array find_partners(const int32_t[::1] previous, const uint16_t[::1] flag):
    """Index of every record's partner, or -1."""
    cdef Py_ssize_t n = previous.shape[0], i
    cdef array.array partners = array.clone(INT32, n, False)
    cdef int32_t[::1] partner = partners
    cdef int32_t j, at, chosen
    cdef int steps
    with nogil:
        for i in range(n):
            # The previous record of the name, nearly always. Whether there is one is hard to predict: no branch.
            j = previous[i]
            at = j & ~(j >> 31)
            partner[i] = -1
            chosen = -<int32_t> ((j >= 0) & fits(flag[i], flag[at]) & (partner[at] < 0))
            partner[i] = (j & chosen) | ~chosen
            partner[at] = (<int32_t> i & chosen) | (partner[at] & ~chosen)
            if chosen | (j >> 31):
                continue
            steps = 1
            j = previous[j]
            while j >= 0 and steps < 64:
                if fits(flag[i], flag[j]) and partner[j] < 0:
                    partner[i] = j
                    partner[j] = <int32_t> i
                    break
                j = previous[j]
                steps += 1
    return partners


cdef inline int64_t outer(int64_t pos, int64_t end, int64_t other_pos, int64_t other_end, bint first) noexcept nogil:
    cdef int64_t low = min(pos, other_pos), high = max(end, other_end)
    if pos < other_pos or (pos == other_pos and first):
        return high - low
    return low - high


cdef inline int64_t five_prime(
    int64_t pos, int64_t end, int64_t other_pos, int64_t other_end, uint16_t flag, uint16_t other_flag
) noexcept nogil:
    cdef int64_t distance = (other_end - 1 if other_flag & REVERSE else other_pos) - (
        end - 1 if flag & REVERSE else pos
    )
    if distance > 0:
        return distance + 1
    return distance - 1 if distance < 0 else 0


cdef inline int64_t template_length(
    int rule, int64_t pos, int64_t end, int64_t other_pos, int64_t other_end, uint16_t flag, uint16_t other_flag
) noexcept nogil:
    if rule == OUTER_READ1:
        return outer(pos, end, other_pos, other_end, flag & READ1)
    if rule == OUTER_READ2:
        return outer(pos, end, other_pos, other_end, flag & READ2)
    if rule == FIVE_PRIME:
        return five_prime(pos, end, other_pos, other_end, flag, other_flag)
    return 0


def encode(
    block, int32_t reference_id, const int32_t[::1] pos, const int32_t[::1] end, const uint16_t[::1] flag,
    const int32_t[::1] previous,
):
    """Streams of the mate fields of a block, all of whose records have RNAME ``reference_id``; and the sorted ids
    of the references that RNAME and RNEXT mention."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = pos.shape[0], i
    cdef const int32_t[::1] partner = find_partners(previous, flag)
    cdef Buffer rules = Buffer(n), ref = Buffer(), place = Buffer(), length = Buffer()
    cdef int32_t next_ref, next_pos, tlen, j
    cdef int rule
    with nogil:
        for i in range(n):
            next_ref = record_next_ref(&data[offsets[i]])
            next_pos = record_next_pos(&data[offsets[i]])
            tlen = record_tlen(&data[offsets[i]])
            j = partner[i]
            rule = EXPLICIT
            if j >= 0 and next_ref == reference_id and next_pos == pos[j]:
                rule = FIVE_PRIME
                while rule != PARTNER_EXPLICIT and tlen != template_length(
                    rule, pos[i], end[i], pos[j], end[j], flag[i], flag[j]
                ):
                    rule = (
                        OUTER_READ1 if rule == FIVE_PRIME else OUTER_READ2 if rule == OUTER_READ1
                        else PARTNER_ZERO if rule == OUTER_READ2 else PARTNER_EXPLICIT
                    )
            elif tlen == 0 and next_ref == -1 and next_pos == -1:
                rule = NONE
            elif tlen == 0 and next_ref == reference_id and next_pos == pos[i]:
                rule = SELF
            rules.put_u8(rule)
            if rule == EXPLICIT:
                ref.put_u32(<uint32_t> next_ref)
                place.put_u32(
                    zigzag(difference(next_pos, pos[i])) if next_ref == reference_id else <uint32_t> next_pos
                )
            if rule == EXPLICIT or rule == PARTNER_EXPLICIT:
                length.put_u32(<uint32_t> tlen)
    mentioned = sorted({reference_id, *new_array("i", bytes(ref))} - {-1})
    streams = {"mate": rules, "mate.ref": planes(ref, 4), "mate.pos": planes(place, 4), "mate.tlen": planes(length, 4)}
    return streams, mentioned


cdef inline uint32_t from_planes(const uint8_t[::1] stream, Py_ssize_t n, Py_ssize_t i) noexcept nogil:
    return (
        stream[i] | <uint32_t> stream[n + i] << 8 | <uint32_t> stream[2 * n + i] << 16
        | <uint32_t> stream[3 * n + i] << 24
    )


cdef class Mates:
    """``next_ref``, ``next_pos``: array('i'), shape (n,); ``tlen`` on demand."""

    cdef readonly array.array next_ref, next_pos
    cdef object rules, partners

    def __init__(
        self, streams, int32_t reference_id, const int32_t[::1] pos, const uint16_t[::1] flag,
        const int32_t[::1] previous,
    ):
        cdef const uint8_t[::1] rules = streams["mate"]
        cdef const uint8_t[::1] ref = streams["mate.ref"], place = streams["mate.pos"]
        cdef Py_ssize_t n = pos.shape[0], i, explicit = 0, count = ref.shape[0] // 4
        if rules.shape[0] != n or ref.shape[0] != 4 * count or place.shape[0] != 4 * count:
            raise FormatError("the 'mate' streams do not fit the row group's record count")
        self.rules = streams["mate"]
        self.partners = find_partners(previous, flag)
        self.next_ref = array.clone(INT32, n, False)
        self.next_pos = array.clone(INT32, n, False)
        cdef int32_t[::1] next_ref = self.next_ref, next_pos = self.next_pos
        cdef const int32_t[::1] partner = self.partners
        cdef bint whole = True
        cdef int rule
        cdef uint32_t stored
        with nogil:
            for i in range(n):
                rule = rules[i]
                if rule == EXPLICIT:
                    if explicit == count:
                        whole = False
                        break
                    next_ref[i] = <int32_t> from_planes(ref, count, explicit)
                    stored = from_planes(place, count, explicit)
                    explicit += 1
                    next_pos[i] = total(pos[i], unzigzag(stored)) if next_ref[i] == reference_id else <int32_t> stored
                elif rule == NONE:
                    next_ref[i] = next_pos[i] = -1
                elif rule == SELF:
                    next_ref[i] = reference_id
                    next_pos[i] = pos[i]
                elif rule <= PARTNER_EXPLICIT and partner[i] >= 0:
                    next_ref[i] = reference_id
                    next_pos[i] = pos[partner[i]]
                else:
                    whole = False
                    break
        if not whole:
            raise FormatError(f"stream 'mate' has no valid rule for record {i + 1} of the row group")

    def template_lengths(
        self, const uint8_t[::1] stored, const int32_t[::1] pos, const int32_t[::1] end, const uint16_t[::1] flag
    ):
        """TLEN of every record: array('i'). ``stored``: the stream 'mate.tlen'."""
        cdef const uint8_t[::1] rules = self.rules
        cdef const int32_t[::1] partner = self.partners
        cdef Py_ssize_t n = pos.shape[0], i, used = 0, count = stored.shape[0] // 4
        cdef array.array lengths = array.clone(INT32, n, False)
        cdef int32_t[::1] out = lengths
        cdef int32_t j
        cdef bint whole = stored.shape[0] == 4 * count
        with nogil:
            for i in range(n if whole else 0):
                if rules[i] == EXPLICIT or rules[i] == PARTNER_EXPLICIT:
                    if used == count:
                        whole = False
                        break
                    out[i] = <int32_t> from_planes(stored, count, used)
                    used += 1
                    continue
                j = partner[i]
                if rules[i] == NONE or rules[i] == SELF:
                    out[i] = 0
                else:
                    out[i] = <int32_t> template_length(
                        rules[i], pos[i], end[i], pos[j], end[j], flag[i], flag[j]
                    )
        if not whole:
            raise FormatError("stream 'mate.tlen' does not fit the row group's record count")
        return lengths
