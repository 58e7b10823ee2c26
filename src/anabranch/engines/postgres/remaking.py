"""Views that are made anew, with all that stands on them.

Postgres replaces a view in place only where its columns stay as they are, or get more. Else it has to be dropped, and
with it, one by one and never by CASCADE, the views and materialized views that read it. They are then made again from
what the catalog said of them, with owner, options, rights, comments, triggers, rules, defaults, indexes and statistics;
a materialized view with rows computes them again. Security labels are not carried over. What isn't a view and depends
on one keeps it from being dropped: the server says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter

from anabranch.engines.postgres.catalog import ALIAS, GRAMMAR, GRANT_OPTION, KINDS, POINTED, READS, among
from anabranch.engines.postgres.link import Link
from anabranch.errors import StatementFailed
from anabranch.ports.engine import Relation, Row

Right = tuple[str, str, bool, str]
"""To whom, which, whether they may pass it on, on which column (or ``""``: on the whole)."""


@dataclass(frozen=True, slots=True)
class View:
    """A view as it stands, and all that is needed to make it again."""

    oid: int
    relation: Relation
    kind: str
    definition: str
    target: Relation | None
    """Of a pointer."""
    options: str
    owner: str
    has_rows: bool
    columns: frozenset[str]
    reads: Mapping[Relation, int]
    """By which names, and the numbers of what has them."""
    more: tuple[tuple[str, str], ...]
    """Statements that follow, each with the column that it is about, or ``""``."""
    rights: frozenset[Right]

    def create(self, query: str | None = None) -> str:
        """The statement that makes it, over what it read, or over ``query``."""
        told = query or (pointing(self.target) if self.target is not None else self.definition)
        end = "" if self.kind == "v" or self.has_rows else " WITH NO DATA"
        return f"CREATE {KINDS[self.kind]} {quoted(self.relation)}{self.options} AS {told.rstrip('; ')}{end}"


def quoted(relation: Relation) -> str:
    return GRAMMAR.name(relation.schema, relation.name)


def pointing(target: Relation) -> str:
    """The query of a pointer."""
    return f"SELECT * FROM {GRAMMAR.name(target.catalog, target.schema, target.name)} AS {ALIAS}"


_NAMED = "quote_ident(n.nspname) || '.' || quote_ident(c.relname)"
_KIND = "CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END"
_MORE = f"""
    SELECT 1 AS step, format('COMMENT ON %s %s IS %L', {_KIND}, {_NAMED}, text) AS told, '' AS of
    FROM obj_description(c.oid, 'pg_class') AS text WHERE text IS NOT NULL
    UNION ALL SELECT 1, format('COMMENT ON COLUMN %s.%I IS %L', {_NAMED}, attname, text), attname::text
    FROM pg_attribute CROSS JOIN LATERAL col_description(attrelid, attnum) AS text
    WHERE attrelid = c.oid AND attnum > 0 AND text IS NOT NULL
    UNION ALL SELECT 2, format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', {_NAMED}, attname,
        pg_get_expr(adbin, adrelid)), attname::text
    FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum WHERE adrelid = c.oid
    UNION ALL SELECT 3, pg_get_indexdef(indexrelid), '' FROM pg_index WHERE indrelid = c.oid
    UNION ALL SELECT 4, format('ALTER MATERIALIZED VIEW %s CLUSTER ON %I', {_NAMED}, i.relname), ''
    FROM pg_index JOIN pg_class AS i ON i.oid = indexrelid WHERE indrelid = c.oid AND indisclustered
    UNION ALL SELECT 5, pg_get_statisticsobjdef(oid), '' FROM pg_statistic_ext WHERE stxrelid = c.oid
    UNION ALL SELECT 6, pg_get_triggerdef(oid), '' FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal
    UNION ALL SELECT 7, pg_get_ruledef(oid), '' FROM pg_rewrite WHERE ev_class = c.oid AND rulename <> '_RETURN'
"""
_RIGHTS = """
    SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
        a.privilege_type, a.is_grantable, of
    FROM (
        SELECT coalesce(c.relacl, acldefault('r', c.relowner)) AS acl, '' AS of
        UNION ALL SELECT attacl, attname::text FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL
    ) AS acls CROSS JOIN LATERAL aclexplode(acl) AS a
"""
_VIEWS = f"""
    SELECT c.oid, n.nspname, c.relname, c.relkind, pg_get_viewdef(c.oid), p.nspname, p.relname,
        CASE WHEN c.relkind = 'm' AND a.amname <> 'heap' THEN ' USING ' || quote_ident(a.amname) ELSE '' END
            || coalesce((SELECT ' WITH (' || string_agg(option_name || '=' || quote_literal(option_value), ', ') || ')'
                FROM pg_options_to_table(c.reloptions)), '')
            || coalesce(' TABLESPACE ' || quote_ident(s.spcname), ''),
        quote_ident(pg_get_userbyid(c.relowner)), c.relispopulated,
        ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
        ARRAY(SELECT ARRAY[rn.nspname::text, rc.relname::text, rc.oid::text]
            FROM ({READS}) AS r JOIN pg_class AS rc ON rc.oid = r.source
            JOIN pg_namespace AS rn ON rn.oid = rc.relnamespace WHERE r.reader = c.oid),
        ARRAY(SELECT ARRAY[told, of] FROM ({_MORE}) AS m ORDER BY step, told),
        ARRAY(SELECT ARRAY[grantee, privilege_type, is_grantable::text, of] FROM ({_RIGHTS}) AS r)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_am AS a ON a.oid = c.relam LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace
    LEFT JOIN LATERAL ({POINTED}) AS p ON true
    WHERE c.relkind IN ('v', 'm') AND c.oid IN
"""


def views(link: Link, which: str) -> list[View]:
    """Those whose numbers ``which``, a query, gives."""
    return [_view(row) for row in link.ask(f"{_VIEWS} ({which})")]


def reading(link: Link, oids: Iterable[int]) -> list[View]:
    """The views that read one of these relations themselves."""
    return views(link, f"SELECT reader FROM ({READS}) AS r WHERE source IN ({_numbers(oids)})")


def upon(link: Link, oids: Collection[int]) -> list[View]:
    """These views, and all that read them, through others too; each after what it reads."""
    found = {
        v.oid: v
        for v in views(
            link,
            f"WITH RECURSIVE above (oid) AS (SELECT unnest(ARRAY[{_numbers(oids)}]::oid[])"
            f" UNION SELECT r.reader FROM above JOIN ({READS}) AS r ON r.source = above.oid) SELECT oid FROM above",
        )
    }
    order = TopologicalSorter(
        {oid: set(view.reads.values()) & set(found) for oid, view in found.items()}
    ).static_order()
    return [found[oid] for oid in order]


def reading_order(link: Link, relations: Collection[Relation]) -> dict[Relation, int]:
    """The place of each view among these, those first that read none of the others."""
    if not relations:
        return {}
    rows = link.ask(
        f"WITH these AS (SELECT c.oid, n.nspname, c.relname FROM {among(relations)})"
        " SELECT t.nspname, t.relname, o.nspname, o.relname FROM these AS t LEFT JOIN"
        f" ({READS}) AS r JOIN these AS o ON o.oid = r.source ON r.reader = t.oid"
    )
    read: dict[Relation, set[Relation]] = {}
    for schema, name, to_schema, to_name in rows:
        found = read.setdefault(Relation(str(schema), str(name)), set())
        if to_name is not None:
            found.add(Relation(str(to_schema), str(to_name)))
    return {relation: place for place, relation in enumerate(TopologicalSorter(read).static_order())}


def _numbers(oids: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(oids))) or "NULL"


def _view(row: Row) -> View:
    oid, schema, name, kind, definition, to_schema, to_name, options, owner, has_rows, *lists = row
    columns, reads, more, rights = (each if isinstance(each, list) else [] for each in lists)
    return View(
        oid=int(str(oid)),
        relation=Relation(str(schema), str(name)),
        kind=str(kind),
        definition=str(definition),
        target=Relation(str(to_schema), str(to_name)) if to_name is not None else None,
        options=str(options),
        owner=str(owner),
        has_rows=bool(has_rows),
        columns=frozenset(columns),
        reads={Relation(s, n): int(o) for s, n, o in reads},
        more=tuple((told, of) for told, of in more),
        rights=frozenset((who, right, option == "true", of) for who, right, option, of in rights),
    )


def replace(link: Link, view: View, query: str) -> None:
    """Has ``view`` show ``query`` (in which names have their schemas), within the link's transaction."""
    if view.kind == "v":
        try:
            with link.attempt():
                run_plainly(link, [f"CREATE OR REPLACE VIEW {quoted(view.relation)}{view.options} AS {query}"])
        except StatementFailed as failure:
            if failure.kind != "InvalidTableDefinition":
                raise told(view, failure) from failure
        else:
            return
    remake(link, {view.oid: query})


def remake(link: Link, queries: Mapping[int, str], *, plainly: bool = True) -> None:
    """Drops the views that have these numbers, and makes them again, each over its query, and what reads them as it
    was; within the link's transaction. ``plainly``: names in the queries have their schemas."""
    standing = upon(link, queries)
    link.script([f"DROP {KINDS[v.kind]} {quoted(v.relation)}" for v in reversed(standing)])
    for view in standing:
        query = queries.get(view.oid)
        try:
            if query is not None and not plainly:
                link.script([view.create(query)])
            else:
                run_plainly(link, [view.create(query)])
        except StatementFailed as failure:
            raise told(view, failure) from failure
    _restore(link, standing)


def told(view: View, failure: StatementFailed) -> StatementFailed:
    """A view that can't be made over what it reads now."""
    return StatementFailed(
        f"{view.relation} reads what is about to change, and can't be made again over it: {failure.message}",
        kind=failure.kind,
        hint=f"change or drop {view.relation} first",
    )


def run_plainly(link: Link, statements: list[str]) -> None:
    """Runs statements in which all names have their schemas, whatever the session's search_path is."""
    if statements:
        kept = "SELECT set_config('anabranch.search_path', current_setting('search_path'), true)"
        back = "SELECT set_config('search_path', current_setting('anabranch.search_path'), true)"
        link.script([kept, "SET LOCAL search_path TO ''", *statements, back])


def _restore(link: Link, before: Collection[View]) -> None:
    """Gives views that were made again what they had."""
    link.script([f"ALTER {KINDS[v.kind]} {quoted(v.relation)} OWNER TO {v.owner}" for v in before])
    now = {v.relation: v for v in views(link, f"SELECT c.oid FROM {among(v.relation for v in before)}")}
    statements: list[str] = []
    for view in before:
        made = now[view.relation]
        there = made.columns | {""}
        statements += [statement for statement, of in view.more if of in there]
        wanted = {right for right in view.rights if right[3] in there}
        statements += [f"REVOKE {_right(view, r)} FROM {r[0]}" for r in sorted(made.rights - wanted)]
        statements += [
            f"GRANT {_right(view, r)} TO {r[0]}{GRANT_OPTION if r[2] else ''}" for r in sorted(wanted - made.rights)
        ]
    run_plainly(link, statements)


def _right(view: View, right: Right) -> str:
    column = f" ({GRAMMAR.identifier(right[3])})" if right[3] else ""
    return f"{right[1]}{column} ON {quoted(view.relation)}"
