"""Postgres, 14 or newer, as the warehouse: a server, many sessions at a time, all DDL within transactions.

A view of Postgres reads a table and not a name, and keeps the columns that ``*`` stood for: how the port's promises are
kept all the same is told in :mod:`anabranch.engines.postgres.views`. Verified against Postgres 14, 15, 16, 17 and 18.
"""

from anabranch.engines.postgres.catalog import GRAMMAR
from anabranch.engines.postgres.engine import PostgresEngine, open_engine
from anabranch.engines.postgres.session import PostgresSession

__all__ = ["GRAMMAR", "PostgresEngine", "PostgresSession", "open_engine"]
