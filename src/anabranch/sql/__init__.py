"""All that knows sqlglot: pure functions from SQL text to values.

Import the module that you need. :mod:`anabranch.sql.parsed` and :mod:`anabranch.sql.version` don't load sqlglot, so
that a project whose files are all known from before never does.
"""
