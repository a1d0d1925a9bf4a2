"""Coverage of a dataset, measured by tasks of Spark: mosdepth's files. Needs the extra `spark` (docs/engines/spark.md).

spark-submit coverage.py DATASET PREFIX TASKS [OPTION of bams3 coverage ...]

Each task measures one batch of windows, and writes a file that appears whole or not at all. So it does no harm if a
task fails and runs again, or runs twice. PREFIX is a URI, or a path on a file system that all machines share.
"""

import re
import subprocess
import sys
from pathlib import Path

from pyspark.sql import SparkSession

if len(sys.argv) < 4:
    sys.exit(__doc__)
dataset, prefix, tasks, *options = sys.argv[1:]
command = ["bams3", "coverage", dataset, *options]


def measure(number: int) -> str:
    part = f"{prefix}.{number}-of-{tasks}.depth"
    words = [*command, "--batch", f"{number}/{tasks}", "-o", part]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr or f"bams3 coverage: exit code {done.returncode}")
    return part


if "://" not in prefix:
    Path(prefix).parent.mkdir(parents=True, exist_ok=True)
spark = SparkSession.builder.getOrCreate()
spark.sparkContext.setLogLevel("OFF")  # Spark would print hundreds of lines for each failure
try:
    parts = spark.sparkContext.parallelize(range(1, int(tasks) + 1), int(tasks)).map(measure).collect()
except Exception as error:
    reason = re.search("RuntimeError: (bams3 .*)", str(error))
    sys.exit(reason[1] if reason else str(error))
subprocess.run([*command, "-o", prefix, "--gather", *parts], check=True)
