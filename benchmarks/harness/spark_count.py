"""Count reads with a mapping quality of at least 30 by reference.

Spark counts in a dataset, pysam in its BAM. The result is printed as JSON.

python benchmarks/harness/spark_count.py DATASET BAM
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter

import bams3.api.spark
import pysam
from bytes_read import Counter as BytesRead
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

SCHEMA = "rname string, mapq int"


def by_spark(spark: SparkSession, dataset: str) -> tuple[dict[str, int], float]:
    """Return the numbers of reads, and the seconds."""
    start = time.perf_counter()
    reads = spark.read.format("bams3").schema(SCHEMA).load(dataset)
    rows = reads.where("mapq >= 30").groupBy("rname").count().collect()
    return dict(map(tuple, rows)), time.perf_counter() - start


def by_pysam(bam: str) -> tuple[dict[str, int], float]:
    """Return the same from the BAM."""
    start = time.perf_counter()
    with pysam.AlignmentFile(bam) as reads:
        counts = Counter(read.reference_id for read in reads if read.mapping_quality >= 30)
        named = {reads.get_reference_name(number): count for number, count in counts.items()}
    return named, time.perf_counter() - start


def bytes_of(dataset: str) -> int:
    """Return the number of bytes that the query's tasks, and their planning, read."""
    counter = BytesRead()
    schema = StructType.fromDDL(SCHEMA)
    reader = bams3.api.spark.Bams3Reader(schema, {"path": dataset})
    for partition in reader.partitions():
        for _ in reader.read(partition):
            pass
    return counter.bytes


def main(dataset: str, bam: str) -> None:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.log.level", "ERROR").getOrCreate()
    bams3.api.spark.register(spark)
    by_spark(spark, dataset)  # workers start
    counts, seconds = by_spark(spark, dataset)
    theirs, pysam_seconds = by_pysam(bam)
    found = {"spark": counts, "spark_seconds": seconds, "pysam": theirs, "pysam_seconds": pysam_seconds}
    print(json.dumps(found | {"bytes": bytes_of(dataset)}, sort_keys=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
