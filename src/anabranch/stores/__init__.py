"""Adapters of the Store port: in memory, in an SQLite file (the default), in Postgres (for teams)."""
