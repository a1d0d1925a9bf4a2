"""Measurements within a process, after imports and with an open dataset. Prints JSON.

python benchmarks/harness/inprocess.py count DATASET REGION …     median CPU ms, and the counts
python benchmarks/harness/inprocess.py decode DATASET             reads per CPU second
python benchmarks/harness/inprocess.py bridge DATASET             MB of BAM per CPU second, in order
python benchmarks/harness/inprocess.py index DATASET              CPU s of a BAI for a genome of 3,100 such chunks
python benchmarks/harness/inprocess.py sums DATASET               CPU s of the sums of all records, which a receipt has
python benchmarks/harness/inprocess.py map DATASET                chunks per second that a function is called with
python benchmarks/harness/inprocess.py query LIST REGION …        seconds, of datasets that a file names, and the counts
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from bams3.bridge.decoder import Decoder
from bams3.bridge.virtual_bam import VirtualBam
from bams3.buffer import keep_freed_memory
from bams3.dataset.reader import DatasetReader
from bams3.dataset.sums import Sums
from bams3.dataset.tiles import tiles_from_bytes, tiles_to_bytes

import bams3

PORTION = 1 << 19  # bytes
CHUNKS, CONTIGS = 3100, 25  # as in a human genome


def count(path: str, *regions: str) -> dict:
    """Count reads in each region once, after one count that is not measured."""
    dataset = bams3.open(path)
    dataset.count(region=regions[-1])
    spent, counts = [], []
    for region in regions:
        start = time.process_time()
        counts.append(dataset.count(region=region))
        spent.append(1000 * (time.process_time() - start))
    return {"ms": statistics.median(spent), "counts": counts}


def decode(path: str) -> dict:
    """Decode every row group to records."""
    dataset = DatasetReader(path)
    start, records = time.process_time(), 0
    for entry in dataset.index:
        for group in dataset.chunk(entry).row_groups:
            group.load()
            records += len(group.block())
    return {"speed": records / (time.process_time() - start)}


def bridge(path: str) -> dict:
    """Read all bytes of the virtual BAM in order, with one worker, in portions of the size that the kernel requests."""
    keep_freed_memory()
    bam, start = VirtualBam(DatasetReader(path), Decoder(workers=1)), time.process_time()
    for at in range(0, bam.size, PORTION):
        bam.portions(at, PORTION)
    return {"speed": bam.size / 1e6 / (time.process_time() - start)}


def index(path: str) -> dict:
    """Make the BAI of a genome that has the dataset's second chunk in each window of 25 contigs."""
    dataset = DatasetReader(path)
    step, second = dataset.manifest.chunk_size, dataset.index[1]
    length = CHUNKS // CONTIGS * step
    entries = []
    for contig in range(CONTIGS):
        for by in range(-second.start, length - second.start, step):
            zones = [
                zone._replace(min_pos=zone.min_pos + by, max_pos=zone.max_pos + by, max_end=zone.max_end + by)
                for zone in second.zones
            ]
            path = f"{contig}/{by}"
            tiles = [moved(listed, by >> 14) for listed in dataset.tiles.of_chunk(second)]
            entries.append(
                second._replace(
                    path=path, reference_id=contig, start=second.start + by, row_groups=zones, tiles=tiles
                )
            )
    stored = tiles_to_bytes(entries)
    genome = SimpleNamespace(
        uri=path, header=dataset.header, index=entries,
        references=[(f"chr{contig}", length) for contig in range(CONTIGS)],
        manifest=SimpleNamespace(counts=SimpleNamespace(by_reference=dict.fromkeys(range(CONTIGS), (1, 1)))),
    )  # fmt: skip
    start = time.process_time()
    genome.tiles = tiles_from_bytes(stored, entries, path)
    bam = VirtualBam(genome, Decoder())
    bam.index("bai")
    return {"seconds": time.process_time() - start, "row_groups": len(bam.row_groups.sizes)}


def moved(listed: Sequence[int], by: int) -> list[int]:
    """Return a list of tiles, shifted to the right by a number of tiles."""
    return [number + by * (place % 3 == 0) for place, number in enumerate(listed)]


def sums(path: str) -> dict:
    """Compute the sums of decoded blocks, as in a conversion."""
    spent = 0.0
    dataset = DatasetReader(path)
    for entry in dataset.index:
        for group in dataset.chunk(entry).row_groups:
            group.load()
            block = group.block()
            start = time.process_time()
            Sums.of_block(block)
            spent += time.process_time() - start
    return {"seconds": spent}


def map_nothing(path: str) -> dict:
    """Call an empty function for each chunk, with one thread."""
    dataset = bams3.open(path)
    start = time.perf_counter()
    chunks = sum(1 for _ in dataset.map(lambda _: None, workers=1))
    return {"speed": chunks / (time.perf_counter() - start)}


def query(listed: str, *regions: str) -> dict:
    """Count the reads in each region in each dataset; opening the datasets is included."""
    datasets = Path(listed).read_text().splitlines()
    start = time.perf_counter()
    counts = [table.records for table in bams3.query_parallel(datasets, regions, fields="flag")]
    return {"seconds": time.perf_counter() - start, "counts": counts}


CASES = {
    "count": count, "decode": decode, "bridge": bridge, "index": index, "sums": sums, "map": map_nothing,
    "query": query,
}  # fmt: skip

if __name__ == "__main__":
    print(json.dumps(CASES[sys.argv[1]](*sys.argv[2:])))
