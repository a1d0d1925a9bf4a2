"""What is measured within a process, with all imported and the dataset open. Prints JSON.

python benchmarks/harness/inprocess.py count DATASET REGION …     median CPU ms, and the counts
python benchmarks/harness/inprocess.py decode DATASET             reads per CPU second
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import bams3
from bams3.dataset.reader import DatasetReader


def count(path: str, *regions: str) -> dict:
    """Each region once, after one that is not counted."""
    dataset = bams3.open(path)
    dataset.count(region=regions[-1])
    spent, counts = [], []
    for region in regions:
        start = time.process_time()
        counts.append(dataset.count(region=region))
        spent.append(1000 * (time.process_time() - start))
    return {"ms": statistics.median(spent), "counts": counts}


def decode(path: str) -> dict:
    """Every row group to records."""
    dataset = DatasetReader(path)
    start, records = time.process_time(), 0
    for entry in dataset.index:
        for group in dataset.chunk(entry).row_groups:
            group.load()
            records += len(group.block())
    return {"speed": records / (time.process_time() - start)}


if __name__ == "__main__":
    print(json.dumps({"count": count, "decode": decode}[sys.argv[1]](*sys.argv[2:])))
