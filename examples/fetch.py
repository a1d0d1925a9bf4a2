"""Reads of an interval, one after another, as with pysam.

python fetch.py DATASET CONTIG START END        # 0-based, END excluded
"""

import sys

import bams3

uri, contig, start, end = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
for read in bams3.open(uri).fetch(contig, start, end):  # pysam.AlignedSegment
    mismatches = read.get_tag("NM") if read.has_tag("NM") else "?"
    print(read.query_name, read.reference_start, read.cigarstring, mismatches, sep="\t")
