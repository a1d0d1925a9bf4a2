"""A function of your own on every chunk, by several processes; here: length and quality of the reads.

python parallel.py DATASET [WORKERS]
"""

import sys
from concurrent.futures import ProcessPoolExecutor

import bams3


def summarise(path: str) -> tuple[int, int, int]:
    """Reads, bases, and bases of quality 30 or more of one chunk, which needs nothing but its file."""
    qualities = [text for text in bams3.read_chunk(path).query(["qual"])["qual"] if text != "*"]
    text = "".join(qualities).encode("latin-1")
    return len(qualities), len(text), sum(text.count(quality) for quality in range(30 + 33, 127))


if __name__ == "__main__":
    paths = [chunk.path for chunk in bams3.open(sys.argv[1]).chunks]
    with ProcessPoolExecutor(int(sys.argv[2]) if len(sys.argv) > 2 else None) as pool:
        reads, bases, good = (sum(numbers) for numbers in zip(*pool.map(summarise, paths), strict=True))
    print(f"reads    {reads}")
    print(f"bases    {bases}")
    print(f"Q30      {good / max(bases, 1):.1%}")
