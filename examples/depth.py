"""Depth of a region: mean, maximum, and the share of its bases with a depth of at least 10.

python depth.py DATASET CONTIG START END        # 0-based, END excluded
"""

import sys

import bams3

uri, contig, start, end = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
depth = bams3.open(uri).coverage(contig, start, end)  # numpy int32, one number per base
print(f"bases    {len(depth)}")
print(f"mean     {depth.mean():.2f}")
print(f"maximum  {depth.max()}")
print(f"10x      {(depth >= 10).mean():.1%}")
