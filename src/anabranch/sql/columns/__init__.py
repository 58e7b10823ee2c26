"""Fingerprints of rows and of single columns.

:mod:`~anabranch.sql.columns.analysis` turns a query into an :class:`~anabranch.sql.columns.values.Analysis`: what its
rows and each of its columns are made of, with *slots* for what they take from upstreams.
:mod:`~anabranch.sql.columns.link` fills the slots with the upstreams' fingerprints. The first needs sqlglot, and is
done once for each text; the second is done each time, and is quick.

A relation is a set of row identities, ``rows``, and functions from them to values, its columns. What is claimed: the
relation's projection on any columns is determined, as a multiset, by the fingerprint of ``rows`` and those of these
columns. So a column's fingerprint says nothing without that of its rows, and a reader depends on the rows of all that
it reads.

- Columns that are computed row by row pass through WHERE, QUALIFY and DISTINCT as they are; what ranges over rows (an
  aggregate, a window) has the rows in it that it ranges over.
- What isn't a function of its inputs (a row number with ties, LIMIT, ``random()``) is unstable: readers get it with the
  fingerprint of the whole model, so that they follow each of its builds.
- Everything is listed that is understood. All else makes the analysis fall back: :class:`~.values.Unhandled`.
"""
