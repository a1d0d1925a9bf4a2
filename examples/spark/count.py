"""The number of reads with mapping quality 30 or more on each contig, with Spark. Needs the extra `spark`.

spark-submit count.py DATASET...
"""

import sys

import bams3.spark
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
bams3.spark.register(spark)
reads = spark.read.format("bams3").option("datasets", "\n".join(sys.argv[1:]))
# Only the columns of the schema are read: a few per cent of a dataset.
counts = reads.schema("sample string, rname string, mapq int").load().where("mapq >= 30")
for row in sorted(counts.groupBy("sample", "rname").count().collect()):
    print(*row, sep="\t")
