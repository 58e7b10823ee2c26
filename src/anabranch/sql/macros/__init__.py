"""From a model file with macros to plain SQL: a stage before parsing, from text to text.

Import the module that you need. :mod:`anabranch.sql.macros.moments` and :mod:`anabranch.sql.macros.values` load neither
sqlglot nor jinja2.
"""
