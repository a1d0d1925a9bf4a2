"""What is measured within a process, with all imported and the dataset open. Prints JSON.

python benchmarks/harness/inprocess.py count DATASET REGION …     median CPU ms, and the counts
python benchmarks/harness/inprocess.py decode DATASET             reads per CPU second
python benchmarks/harness/inprocess.py map DATASET                chunks per second that a function is called with
python benchmarks/harness/inprocess.py query LIST REGION …        seconds, of datasets that a file names, and the counts
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

from bams3.dataset.reader import DatasetReader

import bams3


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


def map_nothing(path: str) -> dict:
    """By one thread."""
    dataset = bams3.open(path)
    start = time.perf_counter()
    chunks = sum(1 for _ in dataset.map(lambda _: None, workers=1))
    return {"speed": chunks / (time.perf_counter() - start)}


def query(listed: str, *regions: str) -> dict:
    """Number of reads in each region in each dataset; opening the datasets is counted."""
    datasets = Path(listed).read_text().splitlines()
    start = time.perf_counter()
    counts = [table.records for table in bams3.query_parallel(datasets, regions, fields="flag")]
    return {"seconds": time.perf_counter() - start, "counts": counts}


CASES = {"count": count, "decode": decode, "map": map_nothing, "query": query}

if __name__ == "__main__":
    print(json.dumps(CASES[sys.argv[1]](*sys.argv[2:])))
