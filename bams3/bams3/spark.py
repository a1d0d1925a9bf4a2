"""The data source for Apache Spark: `import bams3.spark; bams3.spark.register(spark)`."""

from bams3.api.spark import register

__all__ = ["register"]
