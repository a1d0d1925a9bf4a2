"""mv, the moves of nanopore reads: the stride of the signal, and for each step a 1 if a base begins there, else a 0.

The arrays are stored as *dwells*: the number of steps of each base, as a byte, which ``kinetics`` can code in the
context of the bases. A byte of 0 means that the number is the next u32 in ``tag.mv:Bc.long``. ``tag.mv:Bc.stride`` has
the first element of each array. docs/format.md, "Moves", specifies it.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from bams3.bam.fields cimport load_u32
from bams3.buffer cimport Buffer

from bams3.errors import FormatError


def encode(Buffer elements not None, Buffer counts not None):
    """Convert arrays of moves to dwells.

    Parameters
    ----------
    elements
        The elements of all arrays.
    counts
        The length of each array, u32.

    Returns
    -------
    tuple of Buffer or None
        The dwells, the number of dwells of each array, and the streams ``long`` and ``stride``; None if an array does
        not consist of moves.
    """
    cdef Buffer dwells = Buffer(elements.size // 2 + 1), numbers = Buffer(counts.size, 4)
    cdef Buffer longs = Buffer(width=4), strides = Buffer(counts.size // 4)
    cdef const uint8_t *p = elements.data
    cdef const uint8_t *end
    cdef size_t a
    cdef uint32_t dwell, number
    cdef bint whole = True
    with nogil:
        for a in range(counts.size // 4):
            end = p + load_u32(counts.data + 4 * a)
            whole = p < end
            if not whole:
                break
            strides.put_u8(p[0])
            p += 1
            number = 0
            while p < end and p[0] == 1:
                dwell = 1
                while p + dwell < end and p[dwell] == 0:
                    dwell += 1
                dwells.put_u8(<uint8_t> dwell if dwell < 256 else 0)
                if dwell >= 256:
                    longs.put_u32(dwell)
                number += 1
                p += dwell
            numbers.put_u32(number)
            whole = p == end
            if not whole:
                break
    return (dwells, numbers, longs, strides) if whole else None


def decode(
    str name, const uint8_t[::1] dwells, const uint8_t[::1] numbers, const uint8_t[::1] longs,
    const uint8_t[::1] strides, size_t limit,
):
    """Convert dwells to arrays of moves, the inverse of `encode`.

    Parameters
    ----------
    name
        Name of the tag's stream, for error messages.
    dwells, numbers, longs, strides
        The results of `encode`.
    limit
        The largest number of elements.

    Returns
    -------
    tuple of Buffer
        The elements of all arrays, and the length of each array, u32.

    Raises
    ------
    FormatError
        If the streams are inconsistent.
    """
    cdef Buffer elements = Buffer(min(limit, <size_t> (2 * dwells.shape[0] + strides.shape[0])) + 1)
    cdef Buffer counts = Buffer(numbers.shape[0], 4)
    cdef Py_ssize_t a, at = 0, used = 0
    cdef uint32_t dwell, number, k
    cdef size_t start
    cdef bint whole = numbers.shape[0] == 4 * strides.shape[0]
    with nogil:
        for a in range(strides.shape[0] if whole else 0):
            start = elements.size
            elements.put_u8(strides[a])
            number = load_u32(&numbers[4 * a])
            whole = number <= dwells.shape[0] - at
            for k in range(number if whole else 0):
                dwell = dwells[at]
                at += 1
                if dwell == 0 and longs.shape[0] - used >= 4:
                    dwell = load_u32(&longs[used])
                    used += 4
                whole = 0 < dwell <= limit - min(limit, elements.size)
                if not whole:
                    break
                elements.reserve(dwell)
                elements.data[elements.size] = 1
                memset(elements.data + elements.size + 1, 0, dwell - 1)
                elements.size += dwell
            if not whole:
                break
            counts.put_u32(<uint32_t> (elements.size - start))
    if not whole or at != dwells.shape[0] or used != longs.shape[0]:
        raise FormatError(f"the dwells of stream '{name}' do not match their numbers, or have more steps than fit")
    return elements, counts
