"""DuckDB, embedded: one file, one writing process at a time, many threads in it.

The database is opened when first needed and given back by :meth:`DuckDBEngine.close`, so that other processes wait only
while something is under way here. Verified against DuckDB 1.5 and 2.0.
"""

from anabranch.engines.duckdb.engine import DuckDBEngine
from anabranch.engines.duckdb.session import DuckDBSession

__all__ = ["DuckDBEngine", "DuckDBSession"]
