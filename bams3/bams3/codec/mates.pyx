"""RNEXT, PNEXT and TLEN.

``mate`` holds a rule for each record (one byte); ``mate.ref``, ``mate.pos`` and ``mate.tlen`` (short integers,
zigzag) hold what the rule does not determine. A record's partner is the record of the other end of its
template in the same row group (both primary, paired, one READ1 and one READ2).

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

``mate.ref`` is the difference between RNEXT and RNAME, as reference ids. If they differ, ``mate.pos`` is PNEXT.
Otherwise, it is the difference between PNEXT and the expected position of the mate: the POS of the partner, or of the
record itself if it has no partner, plus a shift. The shift is 0 at first. Each record with rule 0 and RNEXT = RNAME
that has a partner sets it to its PNEXT minus its partner's POS, so that the mates' positions also take few bytes if the
reads were cut out of a longer reference. ``mate.tlen`` is the difference between TLEN and `expected_length`.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from bams3.buffer cimport Buffer
from bams3.codec.primitives cimport (
    ShortCursor, difference, get_short, has_more, open_short, put_short, total, unzigzag, zigzag,
)
from bams3.bam.fields cimport MREVERSE, MUNMAP, PAIRED, READ1, READ2, REVERSE, UNMAP, look_ahead
from bams3.bam.fields cimport record_next_pos, record_next_ref, record_tlen

from bams3.errors import FormatError

cdef array.array INT32 = new_array("i")

cdef enum:
    EXPLICIT = 0
    OUTER_READ1 = 1
    OUTER_READ2 = 2
    FIVE_PRIME = 3
    PARTNER_ZERO = 4
    NONE = 5
    SELF = 6
    PARTNER_EXPLICIT = 7


cdef inline bint fits(uint16_t flag, uint16_t other) noexcept nogil:
    """Whether these can be the FLAGs of partners: both primary and paired, one READ1, the other READ2."""
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
            # Nearly always the previous record of the name. No branch: whether there is one is hard to predict.
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


cdef inline int32_t expected_length(
    Py_ssize_t i, int32_t partner, bint together, int32_t mate_pos, const int32_t[::1] pos, const int32_t[::1] end,
    const int32_t[::1] query_length, uint16_t flag,
) noexcept nogil:
    """The TLEN that is expected if no rule determines it. ``together``: whether both ends are on the same reference.

    It is the distance between the 5' ends as in rule 3 if both ends are mapped to the same reference, and otherwise 0.
    If the mate is not ``partner`` (-1: there is none), it starts at ``mate_pos`` and is assumed to be as long as this
    read. For an unpaired read, it is the length of the read.
    """
    cdef int64_t other_pos = mate_pos, other_end = <int64_t> mate_pos + query_length[i]
    if not flag & PAIRED:
        return <int32_t> (<int64_t> end[i] - pos[i])
    if not together or flag & (UNMAP | MUNMAP):
        return 0
    if partner >= 0:
        other_pos, other_end = pos[partner], end[partner]
    return <int32_t> five_prime(pos[i], end[i], other_pos, other_end, flag, REVERSE if flag & MREVERSE else 0)


def encode(
    block, int32_t reference_id, const int32_t[::1] pos, const int32_t[::1] end, const int32_t[::1] query_length,
    const uint16_t[::1] flag, const int32_t[::1] previous,
):
    """Encode the mate fields of a block whose records all have RNAME ``reference_id``.

    ``pos``, ``end``, ``query_length``, ``flag`` and ``previous`` are columns of the block, shape (n,). Returns the
    streams, and the sorted ids of the references in RNAME and RNEXT.
    """
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = pos.shape[0], i
    cdef const int32_t[::1] partner = find_partners(previous, flag)
    cdef Buffer rules = Buffer(n), ref = Buffer(), place = Buffer(), length = Buffer()
    cdef Buffer ref_long = Buffer(width=4), place_long = Buffer(width=4), length_long = Buffer(width=4)
    cdef Buffer elsewhere = Buffer()
    cdef int32_t next_ref, next_pos, tlen, j, shift = 0
    cdef int rule
    cdef bint together
    with nogil:
        for i in range(n):
            look_ahead(&data[0], &offsets[0], i, n)
            next_ref = record_next_ref(&data[offsets[i]])
            next_pos = record_next_pos(&data[offsets[i]])
            tlen = record_tlen(&data[offsets[i]])
            together = next_ref == reference_id
            j = partner[i]
            rule = EXPLICIT
            if j >= 0 and together and next_pos == pos[j]:
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
            elif tlen == 0 and together and next_pos == pos[i]:
                rule = SELF
            rules.put_u8(rule)
            if rule == EXPLICIT:
                put_short(ref, ref_long, zigzag(difference(next_ref, reference_id)))
                if together:
                    put_short(place, place_long, zigzag(difference(
                        difference(next_pos, shift), pos[j] if j >= 0 else pos[i]
                    )))
                    if j >= 0:
                        shift = difference(next_pos, pos[j])
                else:
                    put_short(place, place_long, zigzag(next_pos))
                    elsewhere.put_u32(<uint32_t> next_ref)
            if rule == EXPLICIT or rule == PARTNER_EXPLICIT:
                put_short(length, length_long, zigzag(difference(tlen, expected_length(
                    i, j, together, difference(next_pos, shift), pos, end, query_length, flag[i]
                ))))
    mentioned = sorted({reference_id, *new_array("i", bytes(elsewhere))} - {-1})
    streams = {
        "mate": rules, "mate.ref": ref, "mate.ref.long": ref_long, "mate.pos": place, "mate.pos.long": place_long,
        "mate.tlen": length, "mate.tlen.long": length_long,
    }
    return streams, mentioned


cdef class Mates:
    """Decoded mate fields: ``next_ref`` and ``next_pos``, array('i'), shape (n,). `template_lengths` decodes TLEN."""

    cdef readonly array.array next_ref, next_pos
    cdef object rules, partners
    cdef int32_t reference_id

    def __init__(
        self, streams, int32_t reference_id, const int32_t[::1] pos, const uint16_t[::1] flag,
        const int32_t[::1] previous,
    ):
        cdef const uint8_t[::1] rules = streams["mate"]
        cdef Py_ssize_t n = pos.shape[0], i
        if rules.shape[0] != n:
            raise FormatError("stream 'mate' does not match the row group's record count")
        self.reference_id = reference_id
        self.rules = streams["mate"]
        self.partners = find_partners(previous, flag)
        self.next_ref = array.clone(INT32, n, False)
        self.next_pos = array.clone(INT32, n, False)
        cdef int32_t[::1] next_ref = self.next_ref, next_pos = self.next_pos
        cdef const int32_t[::1] partner = self.partners
        cdef ShortCursor ref, place
        cdef bint whole = True
        cdef int32_t j, shift = 0
        cdef uint32_t stored = 0
        cdef int rule
        open_short(&ref, streams["mate.ref"], streams["mate.ref.long"])
        open_short(&place, streams["mate.pos"], streams["mate.pos.long"])
        with nogil:
            for i in range(n):
                rule = rules[i]
                j = partner[i]
                if rule == EXPLICIT:
                    if not get_short(&ref, &stored):
                        whole = False
                        break
                    next_ref[i] = total(reference_id, unzigzag(stored))
                    if not get_short(&place, &stored):
                        whole = False
                        break
                    next_pos[i] = unzigzag(stored)
                    if next_ref[i] == reference_id:
                        next_pos[i] = total(total(next_pos[i], shift), pos[j] if j >= 0 else pos[i])
                        if j >= 0:
                            shift = difference(next_pos[i], pos[j])
                elif rule == NONE:
                    next_ref[i] = next_pos[i] = -1
                elif rule == SELF:
                    next_ref[i] = reference_id
                    next_pos[i] = pos[i]
                elif rule <= PARTNER_EXPLICIT and j >= 0:
                    next_ref[i] = reference_id
                    next_pos[i] = pos[j]
                else:
                    whole = False
                    break
        if not whole:
            raise FormatError(f"the 'mate' streams have no valid rule or position for record {i + 1} of the row group")
        if has_more(&ref) or has_more(&place):
            raise FormatError("the 'mate' streams have more positions than the row group has records")

    def template_lengths(
        self, const uint8_t[::1] stream, const uint8_t[::1] escaped, const int32_t[::1] pos, const int32_t[::1] end,
        const int32_t[::1] query_length, const uint16_t[::1] flag,
    ):
        """TLEN of every record: array('i'). ``stream`` and ``escaped`` are 'mate.tlen' and 'mate.tlen.long'."""
        cdef const uint8_t[::1] rules = self.rules
        cdef const int32_t[::1] partner = self.partners, next_ref = self.next_ref, next_pos = self.next_pos
        cdef Py_ssize_t n = pos.shape[0], i
        cdef array.array lengths = array.clone(INT32, n, False)
        cdef int32_t[::1] out = lengths
        cdef ShortCursor cursor
        cdef int32_t j, shift = 0
        cdef uint32_t stored = 0
        cdef bint whole = True, together
        open_short(&cursor, stream, escaped)
        with nogil:
            for i in range(n):
                j = partner[i]
                if rules[i] == EXPLICIT or rules[i] == PARTNER_EXPLICIT:
                    together = next_ref[i] == self.reference_id
                    if rules[i] == EXPLICIT and together and j >= 0:
                        shift = difference(next_pos[i], pos[j])
                    if not get_short(&cursor, &stored):
                        whole = False
                        break
                    out[i] = total(unzigzag(stored), expected_length(
                        i, j, together, difference(next_pos[i], shift), pos, end, query_length, flag[i]
                    ))
                elif rules[i] == NONE or rules[i] == SELF:
                    out[i] = 0
                else:
                    out[i] = <int32_t> template_length(
                        rules[i], pos[i], end[i], pos[j], end[j], flag[i], flag[j]
                    )
        if not whole or has_more(&cursor):
            raise FormatError("stream 'mate.tlen' does not match the row group's record count")
        return lengths
