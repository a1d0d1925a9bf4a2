"""Run your own function on every chunk in several processes; here: length and quality of the reads.

python parallel.py DATASET [WORKERS]
"""

import sys
from concurrent.futures import ProcessPoolExecutor

import bams3


def summarise(chunk: bams3.Chunk) -> tuple[int, int, int]:
    """Reads, bases, and bases of quality 30 or more of one chunk."""
    qualities = [text for text in chunk.query("qual")["qual"] if text != "*"]
    text = "".join(qualities).encode("latin-1")
    return len(qualities), len(text), sum(text.count(quality) for quality in range(30 + 33, 127))


if __name__ == "__main__":
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with ProcessPoolExecutor(workers) as executor:
        results = bams3.open(sys.argv[1]).map(summarise, workers=workers, executor=executor)
        reads, bases, good = (sum(numbers) for numbers in zip(*results, strict=True))
    print(f"reads    {reads}")
    print(f"bases    {bases}")
    print(f"Q30      {good / max(bases, 1):.1%}")
