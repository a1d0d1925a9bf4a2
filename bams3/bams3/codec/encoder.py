"""Encodes a block of records as streams. The fields are encoded in turn, because some need results of others."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from functools import partial
from typing import Any

from bams3.codec import (
    ENCODINGS,
    ZoneMap,
    cigars,
    flags,
    kinetics,
    mates,
    modifications,
    moves,
    names,
    positions,
    qualities,
    related,
    sequences,
    templates,
    text_values,
)
from bams3.codec.derived import Derived
from bams3.codec.reference import Reference
from bams3.codec.related_tags import RELATED_TAGS
from bams3.codec.streams import compress
from bams3.codec.surroundings import Surroundings
from bams3.codec.tag_encoder import TagEncoder
from bams3.codec.zones import extremes

STREAM_COST = 16  # bytes that one more stream takes in a footer, approximately
SPELLED_LEVEL = 4  # lowest level that stores MM as bits of bases, and kinetics in the context of bases


def encode(
    block: Any, reference_id: int, level: int, encodings: Mapping[str, str] = ENCODINGS
) -> tuple[dict[str, Any], ZoneMap, list[int], list[str]]:
    """Encode a RecordBlock whose records are all on one contig, or all unplaced.

    Parameters
    ----------
    block
        The RecordBlock.
    reference_id
        The refID of all its records.
    level
        1 (fast) to 9 (small).
    encodings
        The encoding of each field.

    Returns
    -------
    tuple
        Streams (name → bytes-like, without empty ones), zone map, and the reference ids and read groups that the
        records mention, both sorted.

    Raises
    ------
    SourceError
        For records that cannot be represented.
    """
    cigar = cigars.CigarEncoder(block)
    operations = cigar.cigars
    position_streams, pos = positions.encode(block, cigar.end)
    template_streams, previous = templates.encode(block, cigar.end)
    flag_streams, flag = flags.encode(block, previous)
    mate_streams, references = mates.encode(
        block, reference_id, pos, cigar.end, operations.query_length, flag, previous
    )
    name_streams = names.encode(block, previous)
    if encodings["templates"] != "link" and sum(map(len, name_streams.values())) < len(
        template_streams["border.hash"]
    ):
        del template_streams["border.hash"]  # the names, from which it is computed, take fewer bytes
    length_streams, l_seq = sequences.encode_lengths(block, operations.query_length)
    reference = Reference.of_block(block, pos, l_seq, operations)
    streams = {
        **position_streams, **cigar.streams, **template_streams, **flag_streams, **mate_streams, **name_streams,
        **length_streams, **reference.to_streams(), **sequences.encode(block, pos, l_seq, operations, reference),
    }  # fmt: skip

    def around() -> Surroundings:
        return Surroundings.of_block(block, pos, l_seq, operations, reference)

    streams |= qualities.encode(block, level, around)
    derived = Derived(reference, pos, flag, streams["mapq"], l_seq, operations, previous).of_block(block)

    def unspell(texts: Any, holders: Any) -> tuple[Any, Any]:
        return modifications.encode(texts, memoryview(holders).cast("I"), flag, around())

    def pace(tag: str, elements: Any, counts: Any, holders: Any) -> dict[str, Any]:
        """The streams of arrays of kinetics or moves, by the endings of their names."""
        out = {}
        if tag == "mv" and (dwells := moves.encode(elements, counts)):
            elements, counts, out[".long"], out[".stride"] = dwells
        reads = kinetics.ReadBases.of_block(block, l_seq, flag)
        paced = kinetics.encode(elements, counts, memoryview(holders).cast("I"), reads, tag)
        if paced and sum(map(len, paced)) < len(compress(elements, 1)[1]):
            out[".values"], out[".tables"] = paced
        else:
            out[""] = elements
        return out | {".count": counts}

    by_bases = level >= SPELLED_LEVEL
    tags = TagEncoder(
        block, cigar.placeholders, derived, unspell if by_bases else None, pace if by_bases else None,
        partial(_related, previous),
    )  # fmt: skip
    streams |= tags.streams
    size = block.offsets[-1] - block.offsets[0]
    zone = ZoneMap(len(block), size, *extremes(pos, cigar.end, flag, streams["mapq"]))
    read_groups = text_values(streams, "RG")
    return {name: stream for name, stream in streams.items() if len(stream)}, zone, references, read_groups


def _related(
    previous: array[int], tag: str, texts: Mapping[str, tuple[Any, Any, dict[str, Any]]]
) -> dict[str, Any]:
    """The streams of the texts of `tag`, one of RELATED_TAGS, by the endings of their names. `previous` is that of
    `templates.encode`. `texts` has for each such tag its texts, the records that have them, and the streams that store
    them independently of other tags."""

    def of(name: str) -> tuple[Any, Any] | None:
        return (texts[name][0], memoryview(texts[name][1]).cast("I")) if name in texts else None

    def size(streams: Mapping[str, Any]) -> int:
        return sum(len(compress(each, 1)[1]) + STREAM_COST for each in streams.values() if len(each))

    held, base, group = map(of, (tag, *RELATED_TAGS[tag]))
    assert held is not None
    return min(texts[tag][2], *related.encode(*held, previous, base, group), key=size)
