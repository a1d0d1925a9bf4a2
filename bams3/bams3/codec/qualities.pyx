"""QUAL.

``qual`` has the qualities of all records, concatenated (missing ones are 0xFF, as in BAM). If the row group has 16
distinct values or fewer, ``qual.values`` lists them in ascending order, and ``qual`` holds indices of 1, 2 or 4 bits
each (the fewest that suffice), starting at the lowest bits.

Alternatively, ``qual.values`` lists the distinct values, and one other stream holds their indices: ``qual.model``,
coded by ``quality_model`` (at most 64 values), ``qual.tables``, coded by ``base_tables``, or ``qual.contexts``, coded
by ``base_model`` (both at most 128 values).
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from bams3.buffer cimport Buffer
from bams3.bam.fields cimport load_u16, record_flag, record_l_seq, record_qual

from bams3.codec import base_model, base_tables, quality_model, rans
from bams3.errors import FormatError

cdef extern from *:
    """
    #include <stdint.h>
    #if defined(__x86_64__) && defined(__GNUC__)
    #include <tmmintrin.h>

    /* Replace both halves of each byte, the lower one first, by one of 16 values; returns the number of bytes done. */
    __attribute__((target("ssse3"))) static int64_t bams3_look_up(
        const uint8_t *packed, int64_t count, const uint8_t *values, uint8_t *out) {
        const __m128i table = _mm_loadu_si128((const __m128i *)values), half = _mm_set1_epi8(15);
        int64_t i = 0;
        for (; i + 16 <= count; i += 16) {
            __m128i both = _mm_loadu_si128((const __m128i *)(packed + i));
            __m128i low = _mm_shuffle_epi8(table, _mm_and_si128(both, half));
            __m128i high = _mm_shuffle_epi8(table, _mm_and_si128(_mm_srli_epi16(both, 4), half));
            _mm_storeu_si128((__m128i *)(out + 2 * i), _mm_unpacklo_epi8(low, high));
            _mm_storeu_si128((__m128i *)(out + 2 * i + 16), _mm_unpackhi_epi8(low, high));
        }
        return i;
    }

    static int64_t bams3_look_up_some(
        const uint8_t *packed, int64_t count, const uint8_t *values, uint8_t *out) {
        return __builtin_cpu_supports("ssse3") ? bams3_look_up(packed, count, values, out) : 0;
    }
    #else
    static int64_t bams3_look_up_some(
        const uint8_t *packed, int64_t count, const uint8_t *values, uint8_t *out) {
        return 0;
    }
    #endif
    """
    int64_t look_up_some "bams3_look_up_some"(
        const uint8_t *packed, int64_t count, const uint8_t *values, uint8_t *out
    ) nogil

cdef extern from "bams3/codec/quality_kernels.h" nogil:
    enum:
        QUALITY_STEP, QUALITY_NONE
    size_t quality_pack(const uint8_t *qual, size_t size, int bits, const uint8_t *index_of, uint8_t *out)
    bint quality_cpu_can_pack()

cdef array.array INT32 = new_array("i"), UINT16 = new_array("H")
cdef bint wide = quality_cpu_can_pack()

cdef enum:
    PACKED_VALUES = 16
    MODEL_VALUES = 64
    MOST_VALUES = 128    # of the other models
    TABLES_LEVEL = 4     # lowest level that tries `base_tables`, for long reads
    PAIRS = 1 << 16      # possible pairs of bytes
    PAIRED = 1 << 18     # number of qualities from which looking for pairs first is worthwhile
    SAMPLE = 1 << 14     # qualities that are likely to include all values of a row group
    LONG = 1000          # mean length from which reads count as long
    MODEL_LEVEL = 7      # lowest level that tries `quality_model`
    CONTEXTS_LEVEL = 9   # lowest level that tries `base_model`


cdef inline int bits_for(int values) noexcept nogil:
    return 1 if values <= 2 else 2 if values <= 4 else 4


cdef void find_values(const uint8_t *qual, size_t size, uint8_t *pairs, uint8_t *seen) noexcept nogil:
    """Set ``seen[k]`` for each quality k that occurs. If there are many qualities, find the pairs that occur first;
    ``pairs``: 2^16 zeros."""
    cdef size_t i, k
    cdef uint64_t some = 0
    cdef size_t paired = size // 2 if size >= PAIRED else 0
    for i in range(paired):
        pairs[load_u16(qual + 2 * i)] = 1
    if paired:
        for i in range(PAIRS // 8):
            memcpy(&some, pairs + 8 * i, 8)
            if some:
                for k in range(8 * i, 8 * i + 8):
                    if pairs[k]:
                        seen[k & 255] = seen[k >> 8] = 1
    for i in range(2 * paired, size):
        seen[qual[i]] = 1


cdef Buffer numbered(const uint8_t *seen, uint8_t *index_of):
    """The qualities that occur, ascending. Sets ``index_of`` to their indices, and to QUALITY_NONE for all others."""
    cdef Buffer values = Buffer()
    cdef int k
    for k in range(256):
        index_of[k] = QUALITY_NONE
        if seen[k]:
            index_of[k] = <uint8_t> values.size
            values.put_u8(<uint8_t> k)
    return values


cdef Buffer pack_wide(Buffer qual, const uint8_t *index_of, size_t known):
    """Like `pack`, but many at a time; None if a quality has no index, or if the CPU lacks the instructions."""
    cdef int bits = bits_for(<int> known)
    cdef Buffer packed
    cdef size_t whole = qual.size - qual.size % QUALITY_STEP, done = 0, i, within
    if not wide or bits == 1 or known > PACKED_VALUES:
        return None
    packed = Buffer(qual.size * bits // 8 + 1)
    packed.size = (qual.size * bits + 7) // 8
    with nogil:
        done = quality_pack(qual.data, whole, bits, index_of, packed.data)
        if done == whole:
            memset(packed.data + whole * bits // 8, 0, packed.size - whole * bits // 8)
            for i in range(whole, qual.size):
                if index_of[qual.data[i]] == QUALITY_NONE:
                    break
                within = i * bits % 8
                packed.data[i * bits // 8] |= index_of[qual.data[i]] << within
                done += 1
    return packed if done == qual.size else None


cdef Buffer pack(Buffer qual, const uint8_t *index_of, const uint8_t[::1] values, uint8_t *pairs):
    """The indices of the qualities, 1, 2 or 4 bits each. ``pairs``: scratch room of 2^16 bytes."""
    cdef int bits = bits_for(<int> values.shape[0])
    cdef Buffer packed = Buffer(qual.size * bits // 8 + 1)
    cdef size_t whole = qual.size * bits // 8, i
    cdef const uint8_t *q = qual.data
    cdef uint8_t *out = packed.data
    cdef int j, k, left = <int> (qual.size - whole * 8 // bits)
    with nogil:
        packed.size = (qual.size * bits + 7) // 8
        for j in range(values.shape[0]):
            for k in range(values.shape[0]):
                pairs[values[k] << 8 | values[j]] = <uint8_t> (j | k << bits)
        if bits == 4:
            for i in range(whole):
                out[i] = pairs[load_u16(q + 2 * i)]
        elif bits == 2:
            for i in range(whole):
                out[i] = pairs[load_u16(q + 4 * i)] | pairs[load_u16(q + 4 * i + 2)] << 4
        else:
            for i in range(whole):
                out[i] = 0
                for k in range(8):
                    out[i] |= index_of[q[8 * i + k]] << k
        if left:
            out[whole] = 0
            for k in range(left):
                out[whole] |= index_of[q[whole * 8 // bits + k]] << (bits * k)
    return packed


def encode(block, int level, around):
    """Streams of QUAL of a block, at a level from 1 to 9. ``around()`` returns the block's Surroundings."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = offsets.shape[0] - 1, i
    cdef Buffer qual = Buffer(152 * n), pairs = Buffer(PAIRS), values, packed
    cdef array.array l_seq = array.clone(INT32, n, False), flag = array.clone(UINT16, n, False)
    cdef int32_t[::1] lengths = l_seq
    cdef uint16_t[::1] flags = flag
    cdef uint8_t seen[256]
    cdef uint8_t index_of[256]
    cdef const uint8_t *r
    memset(pairs.data, 0, PAIRS)
    memset(seen, 0, 256)
    with nogil:
        for i in range(n):
            r = &data[offsets[i]]
            qual.put(record_qual(r), record_l_seq(r))
            lengths[i] = record_l_seq(r)
            flags[i] = record_flag(r)
        find_values(qual.data, min(qual.size, <size_t> SAMPLE), pairs.data, seen)
    values = numbered(seen, index_of)
    packed = pack_wide(qual, index_of, values.size)
    if packed is None:
        with nogil:
            find_values(qual.data, qual.size, pairs.data, seen)
        values = numbered(seen, index_of)
        if 0 < values.size <= PACKED_VALUES:
            packed = pack_wide(qual, index_of, values.size) or pack(qual, index_of, values, pairs.data)
    streams = {"qual": qual} if packed is None else {"qual": packed, "qual.values": values}
    if level < TABLES_LEVEL or not 1 < values.size <= MOST_VALUES:
        return streams
    if level >= CONTEXTS_LEVEL:
        modelled = base_model.encode(indices(qual, index_of), <int> values.size, l_seq, flag, around())
        name = "qual.contexts"
    elif qual.size >= LONG * n:
        modelled = base_tables.encode(indices(qual, index_of), <int> values.size, l_seq, flag, around())
        name = "qual.tables"
    elif level >= MODEL_LEVEL and values.size <= MODEL_VALUES:
        modelled = quality_model.encode(indices(qual, index_of), <int> values.size, l_seq, flag)
        name = "qual.model"
    else:
        return streams
    if len(modelled) < min(rans.Model(streams["qual"], order).size for order in (0, 1)):
        return {name: modelled, "qual.values": values}
    return streams


cdef Buffer indices(Buffer qual, const uint8_t *index_of):
    cdef Buffer out = Buffer(qual.size)
    cdef size_t k
    out.size = qual.size
    with nogil:
        for k in range(qual.size):
            out.data[k] = index_of[qual.data[k]]
    return out


def use_wide(bint wanted):
    """Choose whether qualities are packed with AVX2 if the CPU has it (the default). The results are the same either
    way. Returns whether AVX2 is used now."""
    global wide
    wide = wanted and quality_cpu_can_pack()
    return wide


def decode(streams, const int32_t[::1] l_seq, const uint16_t[::1] flag, around):
    """The qualities of all records, concatenated: bytes-like. ``l_seq`` and ``flag`` are those of the records;
    ``around()`` returns their Surroundings."""
    cdef int64_t count = 0
    cdef Py_ssize_t i
    if len(streams["qual.model"]):
        return quality_model.decode(streams["qual.model"], streams["qual.values"], l_seq, flag)
    if len(streams["qual.contexts"]):
        return base_model.decode(streams["qual.contexts"], streams["qual.values"], l_seq, flag, around())
    if len(streams["qual.tables"]):
        return base_tables.decode(streams["qual.tables"], streams["qual.values"], l_seq, flag, around())
    for i in range(l_seq.shape[0]):
        count += l_seq[i]
    return unpack(streams["qual"], streams["qual.values"], count)


cdef Buffer unpack(const uint8_t[::1] stream, const uint8_t[::1] values, int64_t count):
    """Unpack ``count`` values from their indices."""
    cdef int known = <int> values.shape[0], bits, each, part, index, k
    cdef Buffer qual
    cdef int64_t i
    cdef uint64_t words[256]  # the values in every possible byte
    cdef uint8_t *table = <uint8_t *> words
    cdef uint8_t mask
    cdef uint8_t each_value[16]
    cdef const uint8_t *source = &stream[0] if stream.shape[0] else NULL
    if known > PACKED_VALUES:
        raise FormatError("stream 'qual.values' has more than 16 values")
    bits = bits_for(known) if known else 8
    if stream.shape[0] != (count * bits + 7) // 8:
        raise FormatError("stream 'qual' does not match the lengths of the row group's reads")
    qual = Buffer(count + 8)
    qual.size = count
    if not known:
        if count:
            memcpy(qual.data, source, count)
        return qual
    mask = <uint8_t> ((1 << bits) - 1)
    each = 8 // bits
    for k in range(256):
        for part in range(each):
            index = (k >> (part * bits)) & mask
            table[k * each + part] = values[index] if index < known else values[0]
    with nogil:
        if each == 2:
            for k in range(16):
                each_value[k] = table[2 * k]
            for i in range(look_up_some(source, count // 2, each_value, qual.data), count // 2):
                (<uint16_t *> qual.data)[i] = (<uint16_t *> table)[source[i]]
        elif each == 4:
            for i in range(count // 4):
                (<uint32_t *> qual.data)[i] = (<uint32_t *> table)[source[i]]
        else:
            for i in range(count // 8):
                (<uint64_t *> qual.data)[i] = words[source[i]]
        if count % each:
            i = count // each
            memcpy(qual.data + i * each, table + source[i] * each, count % each)
    return qual
