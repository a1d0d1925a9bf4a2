"""Coverage of a dataset by tasks of Spark: mosdepth's files. Needs pyspark: pip install 'bams3[spark]'.

spark-submit coverage.py DATASET PREFIX TASKS [OPTION of bams3 coverage ...]

Each task measures one batch of windows into a file, which appears whole or not at all: one that fails and is tried
again, or runs twice, changes nothing. PREFIX is on a file system that all see, or a URI.
"""

import subprocess
import sys

from pyspark.sql import SparkSession

dataset, prefix, tasks, *options = sys.argv[1:]
command = ["bams3", "coverage", dataset, *options]


def measure(number: int) -> str:
    part = f"{prefix}.{number}-of-{tasks}.depth"
    subprocess.run([*command, "--batch", f"{number}/{tasks}", "-o", part], check=True)
    return part


spark = SparkSession.builder.getOrCreate()
numbers = spark.sparkContext.parallelize(range(1, int(tasks) + 1), int(tasks))
parts = numbers.map(measure).collect()
subprocess.run([*command, "-o", prefix, "--gather", *parts], check=True)
