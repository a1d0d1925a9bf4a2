from collections.abc import Sequence

from bams3.bridge.index import IndexedRecords

def reference(depth: int, csi: bool, runs: Sequence[IndexedRecords], mapped: int, unmapped: int) -> bytes: ...
