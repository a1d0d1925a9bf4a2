"""A dataset with a long contig that has the reads of one window in every window, without bases and tags."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import numpy as np
from bams3.codec.partial import partial
from bams3.dataset.reader import DatasetReader
from bams3.select.projection import FIELDS
from simulator.records import FIXED, reg2bin

from harness.process import BAMS3

CHR1 = 248_956_422  # bp of human chromosome 1
_KEPT = [field for field in FIELDS if field not in ("SEQ", "QUAL")]


def tiled(source: Path, target: Path, length: int = CHR1) -> None:
    """Make a dataset with one contig, chr1 of `length` bp, from the largest chunk on another dataset's first contig.

    Depth does not depend on bases, qualities and tags, so the same data are read for it as from a whole dataset.
    """
    dataset = DatasetReader(source)
    step = dataset.manifest.chunk_size
    entry = max((entry for entry in dataset.index if entry.reference_id == 0), key=lambda entry: entry.size)
    blocks = []
    for group in dataset.chunk(entry).row_groups:
        group.load()
        block = partial(group, _KEPT, lambda tag: False)
        starts = np.frombuffer(block.offsets, np.int64)
        data = np.frombuffer(block.data, np.uint8)[starts[0] : starts[-1]]
        blocks.append((data, starts[:-1] - starts[0], np.frombuffer(group.end, np.int32).astype(np.int64)))
    command = [BAMS3, "convert", "--workers", "1", "-", str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        text = f"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:{length}\n".encode()
        process.stdin.write(b"BAM\1" + struct.pack("<i", len(text)) + text)
        process.stdin.write(struct.pack("<ii5si", 1, 5, b"chr1", length))
        for start in range(0, length - step, step):
            for block in blocks:
                process.stdin.write(_moved(*block, start // step, start - entry.start))
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def _moved(data: np.ndarray, starts: np.ndarray, ends: np.ndarray, number: int, by: int) -> bytes:
    """Return records that are shifted by `by` bp, and whose names begin with a number."""
    data = data.copy()
    places = starts[:, None] + np.arange(FIXED.itemsize)
    fixed = data[places].view(FIXED)[:, 0]
    fixed["pos"] += by
    fixed["bin"] = reg2bin(fixed["pos"].astype(np.int64), ends + by)
    here = fixed["next_ref"] == 0
    fixed["next_pos"] = np.where(here, np.maximum(fixed["next_pos"] + by, 0), -1)
    fixed["next_ref"] = np.where(here, 0, -1)
    data[places] = fixed[:, None].view(np.uint8)
    data[starts[:, None] + FIXED.itemsize + np.arange(3)] = np.frombuffer(b"%03d" % number, np.uint8)
    return data.tobytes()
