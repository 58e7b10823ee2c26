"""Databricks: Delta tables in Unity Catalog, by a SQL warehouse or, with Spark Connect, by a cluster.

The statements are those of :mod:`anabranch.engines.spark.session`, which are seen at work on open-source Delta; what
only Databricks takes is known by its text alone.
"""

from anabranch.engines.databricks.engine import DatabricksEngine, DatabricksSession

__all__ = ["DatabricksEngine", "DatabricksSession"]
