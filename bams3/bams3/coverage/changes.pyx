"""Converts changes of depth to depth: changes far from the window are merged with the others, and all are summed."""

from libc.stdlib cimport realloc
from libc.string cimport memcmp, memcpy, memset

from bams3.buffer cimport Buffer
from bams3.coverage.depth cimport Depth, Stretch

cdef enum:
    DIGIT = 11          # bits of a position per pass of the radix sort; three passes cover 2 ** 31
    BRIDGE = BLOCK  # up to this many zeros are stored within a stretch, because a new stretch would cost more


cdef int NOTHING[BLOCK]
memset(NOTHING, 0, sizeof(NOTHING))


cdef int keep_blocks(Depth changes, long long offset, int *values, long long size) except -1 nogil:
    """Append the nonzero values to the changes, and set them to 0."""
    cdef long long i = 0, first, last
    while i < size:
        while i < size and empty_block(values + i, size - i):
            i += BLOCK
        first = last = i
        while i < size and i - last <= BRIDGE:
            i += BLOCK
            if not empty_block(values + i - BLOCK, size - i + BLOCK):
                last = i
        last = min(last, size)
        if first < last:
            memcpy(changes.append(offset + first, offset + last), values + first, (last - first) * sizeof(int))
            memset(values + first, 0, (last - first) * sizeof(int))
    return 0


cdef inline bint empty_block(const int *values, long long size) noexcept nogil:
    """Whether all values of a block are 0. The last block may be shorter than BLOCK."""
    if size >= BLOCK:
        return memcmp(values, NOTHING, BLOCK * sizeof(int)) == 0
    return memcmp(values, NOTHING, size * sizeof(int)) == 0


cdef void keep_far(Far *far, long long position, int change) noexcept nogil:
    """Keep a change. If it is before ``far.begin``, it is moved there; if it is at or past ``far.stop``, it is
    dropped."""
    cdef size_t capacity
    cdef Change *changes
    position = max(position, far.begin)
    if position >= far.stop:
        return
    if far.count == far.capacity:
        capacity = 2 * far.capacity or 1024
        changes = <Change *> realloc(far.changes, capacity * sizeof(Change))
        if changes == NULL:
            far.failed = True
            return
        far.changes, far.capacity = changes, capacity
    far.changes[far.count] = Change(<int> position, change)
    far.count += 1


cdef Depth merge(Depth changes, Far *far, long long position):
    """Return the changes before a position, merged with those in ``far``, which are removed from there."""
    cdef size_t count = part_before(far, position), k = 0, n
    cdef Depth merged = Depth(position - changes.start, start=changes.start)
    cdef const Stretch *stretches = <const Stretch *> changes.stretches.data
    cdef const Change *sorted_
    cdef Buffer order
    merged.pool, merged.stretches = changes.pool, changes.stretches
    if count == 0:
        return merged
    order = ascending(far.changes + far.count, count)
    sorted_ = <const Change *> order.data
    merged.stretches = Buffer()
    with nogil:
        for n in range(changes.stretches.size // sizeof(Stretch)):
            while k < count and sorted_[k].position - merged.start < stretches[n].begin:
                put_alone(merged, sorted_[k])
                k += 1
            while k < count and sorted_[k].position - merged.start < stretches[n].end:
                stretches[n].values[sorted_[k].position - merged.start - stretches[n].begin] += sorted_[k].change
                k += 1
            merged.stretches.put(&stretches[n], sizeof(Stretch))
        while k < count:
            put_alone(merged, sorted_[k])
            k += 1
    return merged


cdef int put_alone(Depth merged, Change change) except -1 nogil:
    """Add a change outside all stretches."""
    cdef const Stretch *last = <const Stretch *> (merged.stretches.data + merged.stretches.size) - 1
    cdef long long offset = change.position - merged.start
    if merged.stretches.size and offset < last.end:  # at the same position as the previous one
        last.values[offset - last.begin] += change.change
        return 0
    merged.append(offset, offset + 1)[0] = change.change
    return 0


cdef int settle(Depth changes, int before) noexcept nogil:
    """Replace changes by the depth that results from them and the depth ``before``; return the last depth."""
    cdef const Stretch *stretches = <const Stretch *> changes.stretches.data
    cdef int *values
    cdef size_t n
    cdef long long i
    changes.before = before
    for n in range(changes.stretches.size // sizeof(Stretch)):
        values = stretches[n].values
        for i in range(stretches[n].end - stretches[n].begin):
            before += values[i]
            values[i] = before
    return before


cdef size_t part_before(Far *far, long long position) noexcept nogil:
    """Move the changes before a position to the end, subtract them from ``far.count``, and return their number."""
    cdef size_t i = 0, end = far.count
    cdef Change change
    while i < end:
        if far.changes[i].position < position:
            end -= 1
            change = far.changes[end]
            far.changes[end] = far.changes[i]
            far.changes[i] = change
        else:
            i += 1
    i, far.count = far.count - end, end
    return i


cdef Buffer ascending(const Change *changes, size_t count):
    """Return the changes sorted by position (a radix sort from the lowest digit to the highest)."""
    cdef Buffer ordered = Buffer(count * sizeof(Change)), other = Buffer(count * sizeof(Change))
    cdef size_t starts[1 << DIGIT]
    cdef size_t i, before, number
    cdef int shift, digit
    memcpy(ordered.data, changes, count * sizeof(Change))
    for shift in range(0, 3 * DIGIT, DIGIT):
        with nogil:
            for digit in range(1 << DIGIT):
                starts[digit] = 0
            for i in range(count):
                starts[((<const Change *> ordered.data)[i].position >> shift) & ((1 << DIGIT) - 1)] += 1
            before = 0
            for digit in range(1 << DIGIT):
                number = starts[digit]
                starts[digit] = before
                before += number
            for i in range(count):
                digit = ((<const Change *> ordered.data)[i].position >> shift) & ((1 << DIGIT) - 1)
                (<Change *> other.data)[starts[digit]] = (<const Change *> ordered.data)[i]
                starts[digit] += 1
        ordered, other = other, ordered
    return ordered
