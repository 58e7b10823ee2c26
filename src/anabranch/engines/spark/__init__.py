"""Spark, as a server that speaks Spark Connect, over Delta or Iceberg tables.

Statements commit one by one, and each happens wholly or not at all: data files that nobody names are all that a stop
leaves behind. What runs belongs to the server: a statement whose client was killed goes on there, and its table appears
when it is done. Whoever makes the same table meanwhile is told that it exists, for only one of the two commits.
"""

from anabranch.engines.spark.engine import SparkEngine
from anabranch.engines.spark.session import SparkSession

__all__ = ["SparkEngine", "SparkSession"]
