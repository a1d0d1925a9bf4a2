"""Choice of the fields and tags of records."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from bams3.codec import DERIVED_TAGS
from bams3.select.schema import streams_of

FIELDS = ("QNAME", "FLAG", "RNAME", "POS", "MAPQ", "CIGAR", "RNEXT", "PNEXT", "TLEN", "SEQ", "QUAL")
"""The fields of a SAM record, without its tags."""
_OF_MATES = {"RNEXT": "mrname", "PNEXT": "mpos"}


class Projection(NamedTuple):
    """The chosen fields, by their names in SAM, and tags: those in `tags` (None: all) that are not in `notags`."""

    fields: Collection[str] = FIELDS
    tags: Collection[str] | None = None
    notags: Collection[str] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all fields and tags are kept."""
        return self.tags is None and not self.notags and set(self.fields) >= set(FIELDS)

    def keeps(self, tag: str) -> bool:
        """Tell whether a tag is kept."""
        return (self.tags is None or tag in self.tags) and tag not in self.notags

    def needs(self, stream: str) -> bool:
        """Tell whether a cold stream must be read for these fields and tags."""
        if stream.startswith("tag.") and not stream.startswith("tag.layout"):
            return self.keeps(stream[4:6])
        columns = [_OF_MATES.get(field, field.lower()) for field in self.fields]
        if "qual" in columns or any(map(self.keeps, DERIVED_TAGS)):
            columns += ["seq", "qual"]  # derived tags are computed from them
        return stream.startswith(("tag.layout", "cigar.placeholder", *streams_of(columns)))
