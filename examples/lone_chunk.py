"""What is in one chunk file, with nothing of its dataset at hand: a job's whole input may be one such file.

python lone_chunk.py CHUNK
"""

import sys
from collections import Counter

import bams3

chunk = bams3.read_chunk(sys.argv[1])
start, end = chunk.window  # of the reads' first bases, 0-based
print(f"{chunk.records} reads that start in {chunk.contig}:{start + 1}-{end}")
for cigar, reads in Counter(chunk.query("cigar")["cigar"]).most_common(5):
    print(cigar, reads, sep="\t")
