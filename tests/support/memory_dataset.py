"""A dataset in memory, and samtools' answers."""

from bams3.bam.records import split_windows
from bams3.codec import encoder

from bams3 import codec


class Streams(dict):
    """Streams of a row group; remembers which were asked for."""

    def __init__(self, streams):
        super().__init__(streams)
        self.used = set()

    def __getitem__(self, name):
        self.used.add(name)
        return self.get(name, b"")


class MemoryGroup(codec.Columns):
    """A row group that was never written to a chunk."""

    def __init__(self, block, reference_id):
        streams, zone, *_ = encoder.encode(block, reference_id, 5)
        super().__init__(Streams(streams), zone.records, zone.bytes)
        self.reference_id, self.zone = reference_id, zone

    def load(self):
        pass

    @property
    def used(self):
        return self._streams.used


class MemoryDataset:
    """The records of a BAM file in row groups of `size`."""

    def __init__(self, header, block, size):
        self.header = header
        self.references = header.references
        self.groups = [
            MemoryGroup(block[i : min(i + size, last)], reference_id)
            for first, last, reference_id, _ in split_windows(block, 30)
            for i in range(first, last, size)
        ]

    def row_groups(self, reference_id, start, end, borders=()):
        for group in self.groups:
            if group.reference_id == reference_id and group.zone.min_pos < end and group.zone.max_end > start:
                yield group

    def fetched(self, jobs, plan):
        return iter(jobs)

    def all_row_groups(self):
        return iter(self.groups)

    def unplaced_row_groups(self):
        return (group for group in self.groups if group.reference_id < 0)
