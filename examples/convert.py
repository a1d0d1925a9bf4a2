"""Convert a BAM, and print the numbers of records and chunks of the dataset.

python convert.py IN.bam DATASET
"""

import sys

import bams3

source, uri = sys.argv[1:3]
try:
    bams3.convert(source, uri, chunk_size="1M", workers="auto")
# Not sorted, damaged, DATASET exists …: the error is one line that says what to do.
except bams3.Bams3Error as error:
    sys.exit(str(error))
dataset = bams3.open(uri)
counts = dataset.stats["flagstat"]["QC-passed reads"]
print(f"{dataset.stats['records']} records in {len(dataset.chunks)} chunks, {counts['mapped']} mapped")
