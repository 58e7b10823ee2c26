"""From a query to what its rows and columns are made of."""

from __future__ import annotations

from collections.abc import Mapping

from anabranch.domain.ids import digest
from anabranch.domain.names import AssetName
from anabranch.sql.columns import faithful, functions
from anabranch.sql.columns.graph import IN_ORDER, Ref, Term, text_of
from anabranch.sql.columns.relations import Relations
from anabranch.sql.columns.scope import Relation
from anabranch.sql.columns.values import COLUMNS, ORDER, Analysis, Listing, Output, Unhandled
from anabranch.sql.reads import find_reads
from anabranch.sql.syntax import Statement

ANALYSED = frozenset(["duckdb"])
"""Dialects whose functions and rules for names are known here."""


def analyse(statement: Statement, default_schema: str, listings: Mapping[AssetName, Listing | None]) -> Analysis:
    """What a query is made of. ``listings``: the columns of what it reads, as far as they are known.

    It depends on the text, and on the names in ``listings``; not on what the upstreams are. Where something has no
    rule, the analysis says what, and nothing else: then the whole query counts, and the whole of what it reads.

    Raises:
        ModelError: it names a table in a way that can't be followed.
    """
    text = statement.source.text
    volatile = functions.volatile(statement.root, text)
    found = find_reads(statement)
    try:
        if statement.source.dialect not in ANALYSED:
            raise Unhandled(f"queries of {statement.source.dialect}")
        if found.notes:
            raise Unhandled("what lies outside the project")
        faithful.check(statement)
        assets = {id(r.node): AssetName(r.asset(default_schema)) for r in found.reads}
        reading = Relations(statement.root, text, statement.source.dialect, assets, listings)
        return _put_together(reading, reading.read(), volatile)
    except Unhandled as reason:
        return Analysis(fallback=str(reason), volatile=volatile)
    except RecursionError:
        return Analysis(fallback="a query that is nested too deeply", volatile=volatile)


def _put_together(reading: Relations, relation: Relation, volatile: tuple[str, ...]) -> Analysis:
    graph = reading.graph
    if relation.is_unstable:
        # What depends on the order of rows follows the order in which upstreams write theirs.
        orders = tuple(graph.slot(a, ORDER) for a in sorted(set(reading.assets.values())))
        rows = graph.node(IN_ORDER, relation.rows, *orders) if relation.has_unstable_rows else relation.rows
        columns = {
            n: graph.node(IN_ORDER, c, *orders) if n in relation.unstable else c for n, c in relation.columns.items()
        }
    else:
        rows, columns = relation.rows, dict(relation.columns)
    roots: list[Ref] = [rows, *columns.values(), *([] if reading.layout is None else [reading.layout])]
    slots, nodes, places = graph.pruned(roots)
    said: Term = (
        COLUMNS,
        rows,
        *((relation.spelling[n], c) for n, c in columns.items()),
        reading.layout,
        relation.has_unstable_rows,
        tuple(sorted(relation.unstable)),
        relation.is_closed,
        tuple(sorted(set(reading.assets.values()))),
    )
    return Analysis(
        logic=digest(text_of(said).encode()),
        slots=slots,
        nodes=nodes,
        rows=places[rows.place],
        outputs=tuple(
            Output(n, relation.spelling[n], places[c.place], n in relation.unstable) for n, c in columns.items()
        ),
        layout=None if reading.layout is None else places[reading.layout.place],
        has_unstable_rows=relation.has_unstable_rows,
        is_closed=relation.is_closed,
        reads=tuple(sorted(set(reading.assets.values()))),
        volatile=volatile,
        row_nodes=tuple(sorted(new for old, new in places.items() if new >= 0 and old in graph.of_rows)),
    )
