"""The format stays what docs/format.md says: other readers depend on it."""

import hashlib
from pathlib import Path

from bams3.dataset.reader import DatasetReader
from bams3.operations.convert import convert
from peers import DATA

# A change of these is a change of the format: give the encoding another name, and say so in docs/format.md.
STREAMS = "7d575c03dd842e9254da6850a84c2f7fb95e494d1dfb099143ffe069b5f51a5e"


def test_streams_are_those_of_this_version(tmp_path: Path) -> None:
    """What the streams hold before compression, of a real BAM: encoder and decoder can't drift together."""
    convert(DATA / "illumina_wgs_NA12878.bam", tmp_path / "d.bams3")
    digest = hashlib.sha256()
    dataset = DatasetReader(tmp_path / "d.bams3")
    for entry in dataset.index:
        for group in dataset.chunk(entry).row_groups:
            for name in sorted(group.chunk.footer.row_groups[group.number].streams):
                digest.update(name.encode() + b"\0" + group._streams[name])
    assert digest.hexdigest() == STREAMS


def test_a_chunk_begins_and_ends_as_specified(tmp_path: Path) -> None:
    convert(DATA / "illumina_wgs_NA12878.bam", tmp_path / "d.bams3")
    chunk = next((tmp_path / "d.bams3/data").rglob("*.chunk"))
    data = chunk.read_bytes()
    assert data[:8] == data[-8:] == bytes.fromhex("42414d533300020a")
