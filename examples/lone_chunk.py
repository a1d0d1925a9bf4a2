"""Read one chunk file without the rest of its dataset: such a file can be the whole input of a job.

python lone_chunk.py CHUNK
"""

import sys
from collections import Counter

import bams3

chunk = bams3.read_chunk(sys.argv[1])
start, end = chunk.window  # the interval in which its reads start, 0-based
print(f"{chunk.records} reads that start in {chunk.contig}:{start + 1}-{end}")
for cigar, reads in Counter(chunk.query("cigar")["cigar"]).most_common(5):
    print(cigar, reads, sep="\t")
