"""What Postgres' catalog says of relations. Everything is asked with an empty search_path, so that a definition and a
type are written alike for everybody, and by name in quotes: a name longer than Postgres takes is there for nobody."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from anabranch.engines.postgres.link import Link
from anabranch.engines.postgres.wire import LONGEST
from anabranch.errors import StatementFailed
from anabranch.ports.cloning import Held
from anabranch.ports.engine import Found, Grant, Relation, Row
from anabranch.ports.grammar import Grammar

GRAMMAR = Grammar(
    text="TEXT",
    double="DOUBLE PRECISION",
    # IS NOT DISTINCT FROM is no condition that Postgres can join by: it compares each row with each, and can't FULL
    # JOIN. JSON arrays of one value can be hashed, and are equal where the values are, two NULLs among them.
    same="jsonb_build_array({}) = jsonb_build_array({})",
    approximate_distinct="count(DISTINCT {})",
)
ALIAS = "anabranch"
"""What a pointer calls its target: ``SELECT * FROM data.t AS anabranch``. Postgres keeps the columns that ``*`` stood
for, and the alias with them: by it, a view that was made by hand over all columns is told apart."""
GRANT_OPTION = " WITH GRANT OPTION"

KINDS = {"r": "TABLE", "p": "TABLE", "f": "FOREIGN TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW"}
_SHOWN = ", ".join(f"'{kind}'" for kind in KINDS)
_OWN = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"

READS = """
    SELECT r.ev_class AS reader, d.refobjid AS source
    FROM pg_depend AS d JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    WHERE d.refclassid = 'pg_class'::regclass AND r.rulename = '_RETURN' AND r.ev_class <> d.refobjid
    UNION
    SELECT r.ev_class, t.typrelid
    FROM pg_depend AS d JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    JOIN pg_type AS t ON t.oid = d.refobjid
    WHERE d.refclassid = 'pg_type'::regclass AND r.rulename = '_RETURN' AND t.typrelid NOT IN (0, r.ev_class)
"""
"""Which view reads which relation, or has values of its row type."""

_IS_READ = """EXISTS (
    SELECT FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
    WHERE d.classid = 'pg_rewrite'::regclass AND r.ev_class <> c.oid AND (
        d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
        OR d.refclassid = 'pg_type'::regclass AND d.refobjid = c.reltype
    )
)"""
"""Whether a view reads ``c``."""

_COLUMNS = "SELECT attname, row_number() OVER (ORDER BY attnum) AS place FROM pg_attribute"
_THERE = "attnum > 0 AND NOT attisdropped"
POINTED = f"""
    SELECT t.oid, tn.nspname, t.relname
    FROM (
        SELECT min(d.refobjid) AS oid
        FROM pg_rewrite AS r JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        WHERE r.ev_class = c.oid AND c.relkind = 'v' AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
        HAVING count(DISTINCT d.refobjid) = 1
    ) AS one
    JOIN pg_class AS t ON t.oid = one.oid JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
    CROSS JOIN LATERAL (
        SELECT bool_and(mine.attname IS NOT DISTINCT FROM its.attname) AS alike,
            string_agg(quote_ident(mine.attname), E',\\n    ' ORDER BY place) AS plain,
            string_agg('{ALIAS}.' || quote_ident(mine.attname), E',\\n    ' ORDER BY place) AS full_names
        FROM ({_COLUMNS} WHERE attrelid = c.oid AND {_THERE}) AS mine
        LEFT JOIN ({_COLUMNS} WHERE attrelid = t.oid AND {_THERE}) AS its USING (place)
    ) AS said
    CROSS JOIN LATERAL (
        SELECT E'\\n   FROM ' || quote_ident(tn.nspname) || '.' || quote_ident(t.relname) || ' {ALIAS};' AS source
    ) AS end_of_it
    WHERE said.alike AND pg_get_viewdef(c.oid) IN (' SELECT ' || plain || source, ' SELECT ' || full_names || source)
"""
"""Where ``c`` points, no row where it is no pointer. Columns that its target got since don't count: the view is what
was made."""


@dataclass(frozen=True, slots=True)
class Known:
    """A relation as far as its pointers need it. ``shape``: of each column, name, type and collation."""

    oid: int
    kind: str
    shape: tuple[str, ...]
    options: str = ""
    target: Relation | None = None
    is_read: bool = False
    """Other views read it."""


def literal(text: str) -> str:
    return GRAMMAR.literal(text)


def texts(names: Iterable[str]) -> str:
    """A list for ``IN``. Names that nothing can have are left out; a list is never empty."""
    return ", ".join(sorted({literal(n) for n in names if is_short(n)})) or "NULL"


def is_short(name: str) -> bool:
    return len(name.encode(errors="surrogatepass")) <= LONGEST and "\0" not in name


def listed(relations: Iterable[Relation]) -> str:
    """``relations`` as rows ``(schema, name)``; none where no relation can have such names."""
    rows = [
        f"({literal(r.schema)}::name, {literal(r.name)}::name)"
        for r in sorted(relations)
        if is_short(r.schema) and is_short(r.name)
    ]
    return f"(VALUES {', '.join(rows)})" if rows else "(SELECT NULL::name, NULL::name WHERE false)"


def among(relations: Iterable[Relation]) -> str:
    """The relations of the catalog that are among ``relations``, as ``c`` in ``n``."""
    return (
        f"{listed(relations)} AS w (schema, name) JOIN pg_namespace AS n ON n.nspname = w.schema"
        f" JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ({_SHOWN})"
    )


def _shown(schemas: Iterable[str]) -> str:
    return (
        "pg_namespace AS n JOIN pg_class AS c ON c.relnamespace = n.oid"
        f" AND c.relkind IN ({_SHOWN}) AND n.nspname IN ({texts(schemas)})"
    )


def find(link: Link, schemas: Collection[str]) -> list[Found]:
    return _found(link, _shown(schemas)) if schemas else []


def describe(link: Link, relation: Relation) -> Found | None:
    found = _found(link, among([relation]))
    return found[0] if found else None


def _found(link: Link, source: str) -> list[Found]:
    query = (
        "SELECT n.nspname, c.relname, c.relkind IN ('v', 'm'),"
        " coalesce(CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, ''),"
        " ARRAY(SELECT ARRAY[a.attname::text, format_type(a.atttypid, a.atttypmod)] FROM pg_attribute AS a"
        f" WHERE a.attrelid = c.oid AND {_THERE} ORDER BY a.attnum)"
        f" FROM {source} ORDER BY 1, 2"
    )
    return [
        Found(Relation(str(schema), str(name)), bool(is_view), _pairs(columns), str(definition).strip())
        for schema, name, is_view, definition, columns in _asked(link, query)
    ]


def _asked(link: Link, query: str) -> list[Row]:
    """A definition is looked up later than the list of relations: one that was dropped in between is asked about
    anew."""
    for is_last in (False, False, True):
        try:
            return link.ask(query)
        except StatementFailed as failure:
            if is_last or link.in_transaction or failure.kind not in ("UndefinedTable", "InternalError_"):
                raise
    raise AssertionError("the last round returns or raises")


def _pairs(columns: object) -> tuple[tuple[str, str], ...]:
    assert isinstance(columns, list)
    return tuple((str(name), str(kind)) for name, kind in columns)


def columns(link: Link, relation: Relation) -> tuple[tuple[str, str], ...] | None:
    rows = link.ask(
        "SELECT ARRAY(SELECT ARRAY[a.attname::text, format_type(a.atttypid, a.atttypmod)] FROM pg_attribute AS a"
        f" WHERE a.attrelid = c.oid AND {_THERE} ORDER BY a.attnum) FROM {among([relation])}"
    )
    return _pairs(rows[0][0]) if rows else None


def types(link: Link, kinds: Collection[tuple[int, int]]) -> list[str]:
    """How types are written that are given by number and modifier."""
    if not kinds:
        return []
    rows = ", ".join(f"({i}, {oid}::oid, {modifier})" for i, (oid, modifier) in enumerate(kinds))
    return [str(r[0]) for r in link.ask(f"SELECT format_type(o, m) FROM (VALUES {rows}) AS t (i, o, m) ORDER BY i")]


def targets(link: Link, schemas: Collection[str]) -> dict[Relation, Relation | None]:
    if not schemas:
        return {}
    rows = _asked(
        link,
        "SELECT n.nspname, c.relname, p.nspname, p.relname"
        f" FROM {_shown(schemas)} AND c.relkind IN ('v', 'm') LEFT JOIN LATERAL ({POINTED}) AS p ON true",
    )
    return {
        Relation(str(schema), str(name)): Relation(str(to_schema), str(to_name)) if to_name is not None else None
        for schema, name, to_schema, to_name in rows
    }


def kinds(link: Link, relations: Collection[Relation]) -> dict[Relation, str]:
    """Of those that exist, what each is, as in :data:`KINDS`."""
    rows = link.ask(f"SELECT n.nspname, c.relname, c.relkind FROM {among(relations)}") if relations else []
    return {Relation(str(schema), str(name)): str(kind) for schema, name, kind in rows}


def named(link: Link, oids: Iterable[int]) -> dict[Relation, int]:
    """The names of relations that are given by number."""
    rows = link.ask(
        "SELECT n.nspname, c.relname, c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        f" WHERE c.oid IN ({', '.join(map(str, sorted(oids))) or 'NULL'})"
    )
    return {Relation(str(schema), str(name)): int(str(oid)) for schema, name, oid in rows}


def known(link: Link, views: Collection[Relation], others: Collection[Relation]) -> dict[Relation, Known]:
    """Of ``views`` all, of ``others`` their columns."""
    shape = (
        "ARRAY(SELECT format('%s %s %s %s', quote_ident(a.attname), a.atttypid, a.atttypmod, a.attcollation)"
        f" FROM pg_attribute AS a WHERE a.attrelid = c.oid AND {_THERE} ORDER BY a.attnum)"
    )
    options = (
        "coalesce((SELECT ' WITH (' || string_agg(quote_ident(option_name) || '=' || quote_literal(option_value), ', ')"
        " || ')' FROM pg_options_to_table(c.reloptions)), '')"
    )
    rows = link.ask(
        f"SELECT n.nspname, c.relname, c.oid, c.relkind, {shape}, {options}, p.nspname, p.relname,"
        f" {_IS_READ}"
        f" FROM {among(views)} LEFT JOIN LATERAL ({POINTED}) AS p ON true"
        f" UNION ALL SELECT n.nspname, c.relname, c.oid, c.relkind, {shape}, '', NULL, NULL, false"
        f" FROM {among(set(others) - set(views))}"
    )
    return {
        Relation(str(row[0]), str(row[1])): Known(
            oid=int(str(row[2])),
            kind=str(row[3]),
            shape=tuple(row[4]) if isinstance(row[4], list) else (),
            options=str(row[5]),
            target=Relation(str(row[6]), str(row[7])) if row[7] is not None else None,
            is_read=bool(row[8]),
        )
        for row in rows
    }


def schemas(link: Link) -> list[str]:
    return sorted(str(r[0]) for r in link.ask(f"SELECT n.nspname FROM pg_namespace AS n WHERE {_OWN}"))


def existing(link: Link, names: Collection[str]) -> set[str]:
    """Those schemas that there are."""
    return {str(r[0]) for r in link.ask(f"SELECT nspname FROM pg_namespace WHERE nspname IN ({texts(names)})")}


def empty_schemas(link: Link, names: Collection[str]) -> list[str]:
    """Those of ``names`` that exist, hold nothing at all, and belong to this role."""
    rows = link.ask(
        f"SELECT n.nspname FROM pg_namespace AS n WHERE n.nspname IN ({texts(names)}) AND {_OWN}"
        " AND pg_has_role(n.nspowner, 'USAGE') AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.deptype IN ('n', 'e')"
        " AND d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid) ORDER BY 1"
    )
    return [str(r[0]) for r in rows]


def held(link: Link, tables: Collection[Relation]) -> dict[Relation, Held]:
    if not tables:
        return {}
    rows = link.ask(
        f"SELECT n.nspname, c.relname, pg_total_relation_size(c.oid) FROM {among(tables)} AND c.relkind IN ('r', 'm')"
    )
    sizes = ((Relation(str(schema), str(name)), size) for schema, name, size in rows if size is not None)
    return {relation: Held(int(str(size)), int(str(size))) for relation, size in sizes}


def grants(link: Link, relations: Collection[Relation]) -> dict[Relation, tuple[Grant, ...]]:
    found: dict[Relation, list[Grant]] = {r: [] for r in kinds(link, relations)}
    if not found:
        return {}
    rows = link.ask(
        "SELECT DISTINCT n.nspname, c.relname, a.privilege_type, a.is_grantable,"
        " CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE g.rolname END, a.grantee = 0"
        f" FROM {among(found)} CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a"
        " LEFT JOIN pg_roles AS g ON g.oid = a.grantee"
        " WHERE a.grantee <> c.relowner AND (a.grantee = 0 OR g.rolname IS NOT NULL)"
    )
    for schema, name, right, with_option, grantee, is_public in rows:
        to = "PUBLIC" if is_public else told_role(str(grantee))
        found[Relation(str(schema), str(name))].append(Grant(f"{right}{GRANT_OPTION if with_option else ''}", to))
    return {relation: tuple(sorted(granted)) for relation, granted in found.items()}


def told_role(name: str) -> str:
    """A role as people know it; in quotes only where it could be taken for everybody."""
    return GRAMMAR.identifier(name) if name == "PUBLIC" or name.startswith('"') else name


def role(told: str) -> str:
    """The inverse of :func:`told_role`, as a statement names it."""
    if told == "PUBLIC":
        return told
    is_quoted = len(told) > 1 and told[0] == told[-1] == '"'
    return GRAMMAR.identifier(told[1:-1].replace('""', '"') if is_quoted else told)
