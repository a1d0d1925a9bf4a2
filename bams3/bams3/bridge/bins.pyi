from collections.abc import Sequence

from bams3.bridge.index import Run

def reference(depth: int, csi: bool, runs: Sequence[Run], mapped: int, unmapped: int) -> bytes: ...
