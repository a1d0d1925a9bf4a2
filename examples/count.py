"""The number of reads with each mapping quality, of the reads that pass a filter.

python count.py DATASET 'FILTER' [REGION]        # count.py NA12878.bams3 '!flag.dup && [NM] < 3' chr20:1M-2M
"""

import sys

import numpy as np

import bams3

dataset, expression = bams3.open(sys.argv[1]), sys.argv[2]
region = sys.argv[3] if len(sys.argv) > 3 else "."  # everything
qualities = dataset.query(region, fields="mapq", filter=expression)["mapq"]
for quality, reads in enumerate(np.bincount(qualities)):
    if reads:
        print(quality, reads, sep="\t")
# For this number alone, less data is read.
print("all", dataset.count(region=region, filter=expression), sep="\t")
