cimport cython
from cpython cimport array
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport strlen

from bams3.buffer cimport Buffer
from bams3.codec.derived cimport Derived
from bams3.bam.fields cimport load_u16, load_u32, tag_width

cdef enum:
    KEY = 4  # bytes of a layout entry
    NUMBERS = 8  # bytes, at most, of a tag whose value is a number
    CG = 0x4743  # "CG", little-endian
    CIGAR_KEY = 0x2A424743  # "CGB*"
    MODIFICATIONS_KEY = 0x5A4D4D  # "MMZ"
    MOVES_KEY = 0x6342766D  # "mvBc"
    IP = 0x7069  # "ip" and so on
    PW = 0x7770
    FI = 0x6966
    FP = 0x7066
    RI = 0x6972
    RP = 0x7072


cdef inline uint32_t next_tag(
    const uint8_t *p, const uint8_t **value, int64_t *length, const uint8_t **after
) noexcept nogil:
    """Returns the key (id, type, subtype) of the tag at p in a validated record; also finds its value, its value's
    length, and the start of the next tag."""
    cdef uint32_t key = p[0] | <uint32_t> p[1] << 8 | <uint32_t> p[2] << 16
    cdef int width = tag_width(p[2])
    if width:
        value[0] = p + 3
        length[0] = width
    elif p[2] == b"B":
        key |= <uint32_t> p[3] << 24
        value[0] = p + 8
        length[0] = <int64_t> load_u32(p + 4) * tag_width(p[3])
    else:
        value[0] = p + 3
        length[0] = <int64_t> strlen(<const char *> p + 3) + 1
    after[0] = value[0] + length[0]
    return key


cdef inline bint holds_cigars(uint32_t key) noexcept nogil:
    """Whether a tag's texts list alignments with their CIGARs: SA, XA or OA, of type Z."""
    return key >> 8 == 0x5A41 and (key & 255 == b"S" or key & 255 == b"X" or key & 255 == b"O")


cdef inline bint is_paced(uint32_t key) noexcept nogil:
    """Whether a tag says how fast each base was read: ip, pw, fi, fp, ri or rp of u8 or u16, or mv of i8."""
    cdef uint32_t name = key & 0xFFFF, subtype = key >> 24
    return key == MOVES_KEY or key_kind(key) == b"B" and (subtype == b"C" or subtype == b"S") and (
        name == IP or name == PW or name == FI or name == FP or name == RI or name == RP
    )


cdef inline bint is_cigar(uint32_t key) noexcept nogil:
    """Whether an entry of a layout stands for a CIGAR."""
    return key == CIGAR_KEY


cdef inline uint8_t key_kind(uint32_t key) noexcept nogil:
    """The type of a tag, from its key."""
    return <uint8_t> (key >> 16 & 0x7F)


cdef inline int key_width(uint32_t key) noexcept nogil:
    """Bytes of a value or of an array element; 0 for text."""
    return tag_width(<uint8_t> (key >> 24) if key_kind(key) == b"B" else key_kind(key))


cdef inline int64_t integer_at(uint8_t kind, const uint8_t *value) noexcept nogil:
    """The value of a tag whose type is one of c C s S i I."""
    if kind == b"c":
        return <int8_t> value[0]
    if kind == b"C":
        return value[0]
    if kind == b"s":
        return <int16_t> load_u16(value)
    if kind == b"S":
        return load_u16(value)
    return <int32_t> load_u32(value) if kind == b"i" else <int64_t> load_u32(value)


cdef struct Source:
    # The source of one tag's values.
    uint32_t key
    int width               # bytes of a value or of an array element; 0: text
    const uint8_t *at       # the next value
    const uint8_t *end
    const uint8_t *counts
    int64_t values          # number of fixed-width values, of arrays, of indices
    int64_t used
    const uint8_t *words    # texts of the dictionary, their starts, and the end; NULL if there is no dictionary
    uint32_t *word_start
    uint32_t known


@cython.final
cdef class Tags:
    cdef object held                  # keeps the streams alive
    cdef Source *sources
    cdef Py_ssize_t source_count
    cdef readonly list names          # stream name of every source
    cdef uint32_t *layouts            # source of every tag of every layout
    cdef uint32_t *layout_start       # first entry of every layout, and the end of the last
    cdef readonly array.array layout  # layout of every record
    cdef Derived derived

    cdef list read_layouts(self, const uint8_t[::1] definitions)
    cdef int open_sources(self, streams, name, derive, spell, pace, relate) except -1
    cdef object holders(self, Py_ssize_t number)
    cdef object spelled(self, Py_ssize_t number, streams, spell)
    cdef int open_words(self, Source *source, held, stream) except -1
    cdef uint8_t *put(
        self, Buffer out, uint8_t *p, Py_ssize_t record, const uint32_t *cigar, uint32_t operations
    ) except NULL nogil
    cdef uint8_t *put_value(self, Buffer out, uint8_t *p, size_t after, Source *source, Py_ssize_t record) except? NULL nogil
    cdef bint put_only(self, Buffer out, Source *source, Py_ssize_t record) except -1 nogil
