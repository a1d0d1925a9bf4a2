"""Reads of mapping quality 30 or more on each contig, by Spark. Needs pyspark: pip install 'bams3[spark]'.

spark-submit count.py DATASET...
"""

import sys

import bams3.spark
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
bams3.spark.register(spark)
reads = spark.read.format("bams3").option("datasets", "\n".join(sys.argv[1:]))
# The schema is what is read: two columns, of which a few per cent of a dataset are made.
counts = reads.schema("sample string, rname string, mapq int").load().where("mapq >= 30")
for row in sorted(counts.groupBy("sample", "rname").count().collect()):
    print(*row, sep="\t")
