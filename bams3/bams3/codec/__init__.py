"""Conversion of records to named streams and back: one module per BAM field, and the stream codecs.

`encoder.encode` turns a block of records into streams; `Columns` turns streams back into columns, each on first use.
The docstring of each field's module describes its streams.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from bams3.codec import cigars, flags, mates, positions, templates
from bams3.codec.cigars import Cigars
from bams3.codec.related_tags import RELATED_TAGS, with_related
from bams3.errors import FormatError

if TYPE_CHECKING:
    from bams3.codec.tags import Tags

Value = TypeVar("Value")

# The encoding of every field, written into each chunk's footer. A reader refuses unknown encodings.
ENCODINGS = {
    "positions": "delta",
    "flags": "mirror",
    "cigars": "split",
    "templates": "ranked",
    "mates": "rules",
    "names": "patterns",
    "sequences": "differences",
    "qualities": "modelled",
    "tags": "related",
}

_CIGAR_TEXTS = ("tag.SA:Z", "tag.XA:Z", "tag.OA:Z")
_KINETICS = tuple(f"tag.{tag}:B" for tag in ("ip", "pw", "fi", "fp", "ri", "rp", "mv"))
_RELATED = tuple(f"tag.{tag}:Z" for tag in RELATED_TAGS)

EARLIER_ENCODINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "cigars": {"dictionary": ("cigar.length", "cigar.gap")},
    "templates": {"link": ("link", "rank"), "named": ("link", "rank")},
    "qualities": {"packed": ("qual",)},
    "tags": {
        "derived": ("tag.MM:Z", *_CIGAR_TEXTS, *_KINETICS, *_RELATED),
        "spelled": (*_CIGAR_TEXTS, *_KINETICS, *_RELATED),
        "parsed": (*_KINETICS, *_RELATED),
        "paced": _RELATED,
    },
}
"""Encodings of earlier versions, by field, each with prefixes of streams that `encode` no longer writes that way."""

# Streams that counting and depth need, in the order in which `encode` yields them: they come last in a chunk.
HOT_STREAMS = (
    "pos", "pos.long", "cigar", "cigar.long", "cigar.count", "cigar.count.long", "cigar.op", "cigar.length",
    "cigar.length.long", "cigar.gap", "cigar.gap.long", "rank", "rank.long", "link", "link.long", "border",
    "border.long", "border.hash", "flag", "flag.next", "flag.values", "mapq", "mate", "mate.ref", "mate.ref.long",
    "mate.pos", "mate.pos.long",
)  # fmt: skip

_SEQUENCE, _QUALITIES = ("seq.", "reference"), ("qual", "seq.length")
_COLD_STREAMS = {
    "names": ("name",), "tlen": ("mate.tlen",), "l_seq": ("seq.length",), "seq": _SEQUENCE, "qual": _QUALITIES,
}  # fmt: skip
DERIVED_TAGS = ("MC", "MD", "MQ", "NM", "ms")


def cold_streams(column: str) -> tuple[str, ...]:
    """Prefixes of the names of the cold streams that a column of `Columns` needs. A tag is a column such as `[NM]`."""
    if column[0] != "[":
        return _COLD_STREAMS.get(column, ())
    tag = column[1:3]
    derived = (*_SEQUENCE, *_QUALITIES) if tag in DERIVED_TAGS else ()
    return ("tag.layout", *(f"tag.{each}:" for each in with_related(tag)), *derived)


class ZoneMap(NamedTuple):
    """What is known about a row group before any of its streams is read, so that readers can skip it. The dataset's
    index holds all of it; a chunk's footer omits `hot` and `cold`, which follow from its streams.

    `bytes` is the size of the records in BAM encoding. Positions are 0-based; ends are exclusive. `flags_any` has the
    FLAG bits that are set in any record, `flags_all` those that are set in all. `hot` and `cold` are the stored bytes
    of the hot and of the other streams; they are 0 until the streams are compressed.
    """

    records: int
    bytes: int
    min_pos: int
    max_pos: int
    max_end: int
    min_mapq: int
    max_mapq: int
    flags_any: int
    flags_all: int
    hot: int = 0
    cold: int = 0


def text_values(streams: Mapping[str, Any], tag: str) -> list[str]:
    """The distinct values of a tag of type Z, sorted, without "". `streams`: name → bytes-like."""
    from bams3.codec import tags

    found = tags.texts(streams, f"tag.{tag}:Z")
    return sorted(value.decode("utf-8", "surrogateescape") for value in found if value)


@contextmanager
def located(name: str) -> Iterator[None]:
    """Put the row group's name in front of FormatErrors raised in the `with` block, unless they name its chunk."""
    try:
        yield
    except FormatError as error:
        chunk = name.partition(", row group ")[0].rstrip("0123456789").removesuffix("#")
        if str(error.args[0]).startswith(chunk):
            raise
        raise FormatError(f"{name}: {error}") from error


class Column(Generic[Value]):
    """A column, decoded on first use; its errors name the row group.

    Unlike functools.cached_property (Python 3.11) it takes no lock, so row groups are decoded in parallel.
    """

    def __init__(self, decode: Callable[[Any], Value]) -> None:
        self._decode = decode
        self._name = decode.__name__
        self.__doc__ = decode.__doc__

    def __get__(self, instance: Any, owner: Any = None) -> Value:
        if instance is None:
            return self  # type: ignore[return-value]
        try:  # the same as `with located(…)`, but faster
            column = self._decode(instance)
        except FormatError:
            with located(instance.name):
                raise
        instance.__dict__[self._name] = column
        return column


class Columns:
    """The records of one row group by column, each decoded on first use.

    Columns are `array.array` or bytes-like, of shape (records,) unless stated otherwise. Positions are 0-based,
    ends exclusive. Every attribute raises FormatError if the streams are inconsistent.
    """

    name = "row group"  # used in error messages
    reference_id: int  # of all records; −1 if they are unplaced

    @property
    def stored_reference_id(self) -> int:
        """The reference id of all records as the streams have it."""
        return self.reference_id

    @property
    def reference_ids(self) -> array[int]:
        """The reference id of each record, array('i')."""
        return array("i", [self.reference_id]) * self.records

    @property
    def stored_reference_ids(self) -> array[int]:
        """The reference id of each record as the streams have it, array('i')."""
        return array("i", [self.stored_reference_id]) * self.records

    def __init__(self, streams: Mapping[str, Any], records: int, size: int) -> None:
        """`streams` maps names to bytes-like objects, b"" if the row group lacks a stream. `size` is the total size
        of the records in bytes, in BAM encoding."""
        self._streams = streams
        self._related: dict[str, Any] = {}
        self.records = records
        self.size = size

    def stream(self, name: str) -> Any:
        """A stream, decompressed; b"" if there is none."""
        return self._streams[name]

    @Column
    def pos(self) -> array[int]:
        """POS, array('i')."""
        return positions.decode(self._streams["pos"], self._streams["pos.long"], self.records)

    @Column
    def flag(self) -> array[int]:
        """FLAG, array('H')."""
        streams = self._streams
        return flags.decode(streams["flag"], streams["flag.next"], streams["flag.values"], self.previous)

    @Column
    def mapq(self) -> array[int]:
        """MAPQ, array('B')."""
        return flags.decode_mapq(self._streams["mapq"], self.records)

    @Column
    def cigars(self) -> Cigars:
        """The CIGARs of the records, decoded."""
        return Cigars(self._streams, self.records)

    @property
    def cigar_start(self) -> array[int]:
        """Index of each record's first operation in `cigar_pool`, array('I')."""
        return self.cigars.start

    @property
    def cigar_count(self) -> array[int]:
        """Number of operations of each record, array('I')."""
        return self.cigars.count

    @property
    def cigar_pool(self) -> array[int]:
        """Operations in BAM encoding (length << 4 | op), array('I')."""
        return self.cigars.pool

    @Column
    def end(self) -> array[int]:
        """End on the reference (exclusive) as in htslib's bam_endpos, array('i')."""
        return self.cigars.ends(self.pos, self.flag)

    @Column
    def previous(self) -> array[int]:
        """Index of the previous record in the row group with the same name, or -1, array('i')."""
        streams = self._streams
        if len(streams["link"]):
            return templates.decode_links(streams["link"], streams["link.long"], self.records)
        return templates.decode(streams["rank"], streams["rank.long"], self.records)

    @Column
    def _borders(self) -> tuple[array[int], array[int]]:
        streams = self._streams
        index = templates.decode_borders(streams["border"], streams["border.long"], self.records)
        if index and not len(streams["border.hash"]):
            return index, templates.hash_names(*self.names, index)
        return index, templates.decode_hashes(streams["border.hash"], len(index))

    @property
    def border_index(self) -> array[int]:
        """Indices of records whose template may have records in other row groups, array('I'), ascending."""
        return self._borders[0]

    @property
    def border_hash(self) -> array[int]:
        """64-bit hash of the name of each record in `border_index`, array('Q')."""
        return self._borders[1]

    @Column
    def _mates(self) -> mates.Mates:
        return mates.Mates(self._streams, self.stored_reference_id, self.pos, self.flag, self.previous)

    @property
    def next_ref(self) -> array[int]:
        """Reference id of RNEXT, array('i')."""
        return self._mates.next_ref

    @property
    def stored_next_ref(self) -> array[int]:
        """Reference id of RNEXT as the streams have it, array('i')."""
        return self._mates.next_ref

    @property
    def next_pos(self) -> array[int]:
        """PNEXT, array('i')."""
        return self._mates.next_pos

    @Column
    def tlen(self) -> array[int]:
        """TLEN, array('i')."""
        streams = self._streams
        return self._mates.template_lengths(
            streams["mate.tlen"], streams["mate.tlen.long"],
            self.pos, self.end, self.cigars.query_length, self.flag,
        )  # fmt: skip

    @Column
    def names(self) -> tuple[Any, array[int]]:
        """QNAMEs without NUL, concatenated, and array('q') of records + 1 offsets."""
        from bams3.codec import names

        return names.decode(self._streams, self.previous)

    @Column
    def l_seq(self) -> array[int]:
        """Length of SEQ, array('i')."""
        from bams3.codec import sequences

        streams = self._streams
        return sequences.decode_lengths(
            streams["seq.length"], streams["seq.length.long"], self.cigars.query_length, self.size
        )

    @Column
    def _reference(self) -> Any:
        from bams3.codec.reference import Reference

        return Reference.of_streams(self._streams, self.pos, self.l_seq, self.cigars)

    @Column
    def _sequences(self) -> tuple[Any, array[int], Any]:
        from bams3.codec import sequences

        return sequences.decode(self._streams, self.pos, self.l_seq, self.cigars, self._reference)

    @property
    def seq(self) -> Any:
        """SEQs in BAM encoding, concatenated, (l_seq + 1) // 2 bytes each."""
        return self._sequences[0]

    @Column
    def qual(self) -> Any:
        """QUALs in BAM encoding, concatenated, l_seq bytes each."""
        from bams3.codec import qualities

        return qualities.decode(self._streams, self.l_seq, self.flag, self._surroundings)

    def _surroundings(self) -> Any:
        from bams3.codec.surroundings import Surroundings

        seq, starts, _ = self._sequences
        return Surroundings.of_columns(seq, starts, self.pos, self.l_seq, self.cigars, self._reference)

    def tag(self, name: str) -> list[Any]:
        """Value of the tag `name` of each record: int, float, str, bytes (an array in BAM encoding), or None."""
        with located(self.name):
            return self.tags(name).values(name)

    def tags(self, name: str | None = None, streams: Mapping[str, Any] | None = None) -> Tags:
        """The `Tags` of the records, opened for the tag `name` or for all tags. `streams` replaces the row group's."""
        from bams3.codec.tags import Tags

        given = self._streams if streams is None else streams
        return Tags(given, self.records, self.derive, self.spell, self.pace, self.relate, name)

    def derive(self) -> Any:
        """The `Derived` of the records, for tags that are derived from other columns."""
        from bams3.codec.derived import Derived

        derived = Derived(
            self._reference, self.pos, self.flag, self.mapq, self.l_seq, self.cigars, self.previous
        )
        return derived.of_columns(self._sequences[2], self.qual)

    def spell(self, heads: Any, listed: Any, holders: array[int]) -> Any:
        """The texts of the tag MM of the records `holders`, each with its NUL, from the streams of heads and bits."""
        from bams3.codec import modifications

        around, limit = self._surroundings(), 4 * self.size
        return modifications.decode(heads, listed, holders, self.flag, around, limit)

    def pace(self, name: str, width: int, holders: array[int]) -> tuple[Any, Any]:
        """Kinetics or moves of the records `holders`: all elements, `width` bytes each, and each array's length."""
        from bams3.codec import kinetics, moves

        streams = self._streams
        elements, counts = streams[name], streams[name + ".count"]
        if len(streams[name + ".tables"]):
            seq, starts, _ = self._sequences
            reads = kinetics.ReadBases(seq, starts, self.l_seq, self.flag)
            elements = kinetics.decode(
                name, streams[name + ".values"], streams[name + ".tables"], counts, width, holders, reads, self.size
            )  # fmt: skip
        if len(streams[name + ".stride"]):
            return moves.decode(
                name, elements, counts, streams[name + ".long"], streams[name + ".stride"], self.size
            )
        return elements, counts

    def relate(self, name: str, holders: array[int]) -> Any:
        """The texts of the tag stream `name` of the records `holders`, each with its NUL. They are decoded only once,
        because the texts of other tags follow from them."""
        from bams3.codec import related

        if name not in self._related:
            base, group = map(self._texts_of, RELATED_TAGS.get(name[4:6], ("", "")))
            self._related[name] = related.decode(
                self._streams, name, holders, self.previous, base, group, self.size
            )
        return self._related[name]

    def _texts_of(self, tag: str) -> Any:
        return self.tags("").texts_of(self._streams, self.relate, tag) if tag else None

    def block(self) -> Any:
        """The records as a RecordBlock, bit-identical to those that were encoded."""
        return self.assembled[0]

    @Column
    def assembled(self) -> tuple[Any, int]:
        """`block()`, and its CRC-32."""
        from bams3.codec import records

        streams = self._streams
        bins = positions.decode_bins(streams["bin"], self.pos, self.end)
        placeholders = cigars.decode_placeholders(streams["cigar.placeholder"], self.records)
        return records.assemble(
            self.size, self.stored_reference_id, self.pos, self.mapq, bins, self.flag, self.l_seq,
            self.stored_next_ref, self.next_pos, self.tlen, self.names, self.cigars, placeholders, self.seq,
            self.qual, self.tags(),
        )  # fmt: skip
