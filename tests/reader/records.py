"""docs/format.md, "Order of decoding": from row groups to BAM records and SAM text."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from reader import columns
from reader.bases import Sequences, qualities
from reader.columns import REFERENCE, span
from reader.container import RowGroup, index_of, read_dataset
from reader.integers import name_hash, short_integers, unpack
from reader.tags import Derived, cigar_text, packed, sam_tags, tags


class Records:
    """The records of a row group, by column."""

    def __init__(self, group: RowGroup) -> None:
        streams = group.streams
        self.ref = [group.reference_id] * len(streams["mapq"])
        self.pos = columns.positions(streams)
        self.cigar = columns.cigars(streams)
        self.placeholders = set(unpack("I", streams.get("cigar.placeholder", b"")))
        self.link = columns.links(streams)
        self.flag = columns.flags(streams, self.link)
        self.mapq = streams["mapq"]
        spans = [0 if f & 0x4 else span(c, REFERENCE) for c, f in zip(self.cigar, self.flag, strict=True)]
        self.end = [p + (length or 1) for p, length in zip(self.pos, spans, strict=True)]
        self.bin = columns.bins(streams, self.pos, self.end)
        mates = columns.Mates(
            streams, group.reference_id, self.pos, self.end, self.cigar, self.link, self.flag
        )
        self.mate = mates.fields
        self.name = columns.names(streams, self.link)
        self.sequences = Sequences(streams, self.pos, self.cigar)
        self.qual = qualities(streams, self.sequences, self.flag)
        derived = Derived(self.sequences, self.mapq, self.qual, mates.partner)
        self.tags = tags(streams, self.cigar, derived, self.flag)
        self.borders = self._borders(streams)
        if group.contigs:
            self._part(group.contigs, group.reference_id)

    def _borders(self, streams: dict[str, bytes]) -> list[tuple[int, int]]:
        """Index and name hash of the border records."""
        at, out = 0, []
        distances = short_integers(streams, "border")
        hashes = unpack("Q", streams.get("border.hash", b""))
        for number, distance in enumerate(distances):
            at += distance
            out.append((at, hashes[number] if hashes else name_hash(self.name[at])))
        assert len(hashes) in (0, len(distances))
        return out

    def _part(self, contigs: Sequence[tuple[int, int, int]], joined: int) -> None:
        """Undo that the records of several references are encoded as if they were of one."""
        starts, at = [1], 0
        for _, _, length in contigs:
            starts.append(starts[-1] + length + 2)
        for (contig, records, _), start in zip(contigs, starts[:-1], strict=True):
            for i in range(at, at + records):
                expected = columns.reg2bin(self.pos[i], self.end[i])
                self.pos[i], self.end[i] = self.pos[i] - start, self.end[i] - start
                right = columns.reg2bin(self.pos[i], self.end[i])
                self.bin[i] = (self.bin[i] - expected + right) % (1 << 16)
                self.ref[i] = contig
                next_ref, next_pos, tlen = self.mate[i]
                if next_ref == joined:
                    k = max(k for k, begin in enumerate(starts[:-1]) if begin - 1 <= next_pos)
                    self.mate[i] = (contigs[k][0], next_pos - starts[k], tlen)
            at += records

    def bam(self, i: int) -> bytes:
        """The BAM record, its block_size included."""
        l_seq, cigar = self.sequences.l_seq[i], self.cigar[i]
        if i in self.placeholders:
            cigar = [(4, l_seq), (3, span(cigar, REFERENCE))]
        body = struct.pack(
            "<iiBBHHHiiii",
            self.ref[i],
            self.pos[i],
            len(self.name[i]) + 1,
            self.mapq[i],
            self.bin[i],
            len(cigar),
            self.flag[i],
            l_seq,
            *self.mate[i],
        )
        body += self.name[i] + b"\0" + struct.pack(f"<{len(cigar)}I", *packed(cigar))
        body += self.sequences.packed(i) + self.qual[i] + self.tags[i]
        return struct.pack("<I", len(body)) + body

    def sam(self, i: int, references: list[str]) -> bytes:
        """The line of SAM."""
        next_ref, next_pos, tlen = self.mate[i]
        qual = self.qual[i]
        fields: list[str | int] = [
            self.flag[i],
            references[self.ref[i]] if self.ref[i] >= 0 else "*",
            self.pos[i] + 1,
            self.mapq[i],
            cigar_text(self.cigar[i]) or "*",
            "*" if next_ref < 0 else "=" if next_ref == self.ref[i] else references[next_ref],
            next_pos + 1,
            tlen,
            "".join("=ACMGRSVTWYHKDBN"[base] for base in self.sequences.bases[i]) or "*",
            "*" if not qual or qual[0] == 255 else bytes(q + 33 for q in qual).decode(),
        ]
        line = [self.name[i], *(str(field).encode() for field in fields)]
        return b"\t".join(line + sam_tags(self.tags[i], i in self.placeholders)) + b"\n"


def read_records(folder: Path) -> Iterator[tuple[RowGroup, Records]]:
    """The row groups of a dataset, decoded; their BAM bytes have the checksums that the footers say."""
    for group in read_dataset(folder)[2]:
        records = Records(group)
        bam = b"".join(map(records.bam, range(group.entry["records"])))
        assert (len(bam), zlib.crc32(bam)) == (group.entry["bytes"], group.entry["crc32"])
        yield group, records


def read_sam(folder: Path) -> bytes:
    """A dataset as SAM text."""
    manifest, header, _ = read_dataset(folder)
    references = [name for name, _ in manifest["references"]]
    lines = [
        records.sam(i, references) for _, records in read_records(folder) for i in range(len(records.pos))
    ]
    return header + b"".join(lines)


def read_tiles(folder: Path, least: int = 1 << 18) -> Iterator[list[int]]:
    """The tiles of each row group that the index lists, compared with its records."""
    entries, listed = index_of((folder / "_index/chunks.json.zst").read_bytes())
    counts, tiles, starts, backs = map(iter, listed)
    zones = (zone for entry in entries for zone in entry[7])
    for (_, records), zone in zip(read_records(folder), zones, strict=True):
        found: list[int] = []
        tile, start = max(zone[2], 0) >> 14, 0
        for _ in range(next(counts)):
            tile, start = tile + next(tiles), start + next(starts)
            found += [tile, start, start - next(backs)]
        assert found == tiles_of(records, least)
        yield found
    assert not [*counts, *tiles, *starts, *backs]


def tiles_of(records: Records, least: int) -> list[int]:
    """The tiles of a row group of one reference."""
    if records.ref[0] < 0:
        return []
    offsets = [*accumulate((len(records.bam(i)) for i in range(len(records.pos))), initial=0)]
    places = [*zip(records.pos, records.end, offsets, strict=False)]
    found: list[int] = []
    before = 0
    for tile in range((max(records.pos[0], 0) >> 14) + 1, (max(records.pos[-1], 0) >> 14) + 2):
        start = next((at for pos, _, at in places if pos >= tile << 14), offsets[-1])
        reach = next((at for _, end, at in places if end > tile << 14), None)
        if reach is not None and start - before >= least:
            found += [tile, start, reach]
            before = start
    return found
