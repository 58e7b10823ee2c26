"""BigQuery, as a service: a project, whose datasets are schemas. It is reached by application default credentials or a
key file. Verified against an emulator, and against BigQuery's documents where that is known to differ."""

from anabranch.engines.bigquery.engine import BigQueryEngine, open_engine
from anabranch.engines.bigquery.session import BigQuerySession

__all__ = ["BigQueryEngine", "BigQuerySession", "open_engine"]
