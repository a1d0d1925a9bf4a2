# Compiled with -O1: no run spends its time here.
"""Layouts (the lists of tags that records have; see ``tags``), reduced to some of the tags."""

from libc.stdint cimport uint8_t, uint32_t

from bams3.bam.fields cimport load_u16, load_u32
from bams3.codec.tags cimport KEY, is_cigar

from bams3.codec.tags import stream_name
from bams3.errors import FormatError


def chosen_layouts(const uint8_t[::1] layouts, bint cigar, keep):
    """The stream ``tag.layouts`` with only the tags for whose names ``keep`` returns true, and with the entries that
    stand for a CIGAR only if ``cigar``. Raises FormatError if the stream ends in the middle of a layout."""
    cdef Py_ssize_t at = 0, size = layouts.shape[0], count, k
    cdef uint32_t key
    chosen = bytearray()
    while at < size:
        if size - at < 2 or size - at - 2 < KEY * load_u16(&layouts[at]):
            raise FormatError("stream 'tag.layouts' ends in the middle of a layout")
        count = load_u16(&layouts[at])
        at += 2
        kept = []
        for k in range(count):
            key = load_u32(&layouts[at])
            if cigar if is_cigar(key) else keep(stream_name(key)[4:6]):
                kept.append(bytes(layouts[at:at + KEY]))
            at += KEY
        chosen += len(kept).to_bytes(2, "little") + b"".join(kept)
    return bytes(chosen)
