"""SQLMesh's macros that write SQL of their own: ``@STAR``, ``@UNION``, ``@SAFE_DIV``, ``@PIVOT`` …

Each has its parameters in SQLMesh's order, and takes them by name as well: ``@STAR(raw.orders, exclude := [id])``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from anabranch.sql.macros.conditions import Undecidable, truth
from anabranch.sql.macros.expand import Expander
from anabranch.sql.macros.scope import Call, ColumnsUnknown
from anabranch.sql.macros.shapes import is_whole, listed
from anabranch.sql.macros.text import Mapped
from anabranch.sql.macros.values import Sql, identifier, to_text

_NULL_KEY = "'_sqlmesh_surrogate_key_null_'"
"""As in SQLMesh, so that keys made there are the same here."""
_PARTS = {"day": "1 DAY", "week": "7 DAY", "month": "1 MONTH", "quarter": "3 MONTH", "year": "1 YEAR"}
_MILES = {"mi": "1.0", "km": "1.60934"}


@dataclass(frozen=True, slots=True)
class _Arguments:
    """Expanded arguments, by the names of the parameters."""

    e: Expander
    call: Call
    texts: Mapping[str, Mapped]

    def text(self, name: str, default: str = "") -> str:
        """SQL."""
        return self.texts[name].text.strip() if name in self.texts else default

    def plain(self, name: str, default: str = "") -> str:
        """A name or a text, without quotes."""
        return to_text(Sql(self.text(name))) if name in self.texts else default

    def flag(self, name: str, default: bool) -> bool:
        if name not in self.texts:
            return default
        try:
            return truth(self.e.value(self.texts[name], self.call.scope, self.call.depth + 1))
        except Undecidable as error:
            self.e.fail(str(error), self.call.place, f"{name} is true or false")

    def list(self, name: str) -> list[str]:
        return [m.text.strip() for m in listed(self.texts[name])] if name in self.texts else []


def _bind(e: Expander, call: Call, params: Sequence[str], required: int) -> _Arguments:
    """Arguments for ``params``, of which the first ``required`` must be there."""
    given = dict(zip(params, call.args, strict=False))
    for name, text in call.named.items():
        if name not in params or name in given:
            hint = f"its parameters are {', '.join(params)}"
            e.fail(f"@{call.name} has no parameter {name}, or has it twice", call.place, hint)
        given[name] = text
    missing = [p for p in params[:required] if p not in given]
    if missing or len(call.args) > len(params):
        e.fail(
            f"@{call.name} can't be called with these arguments",
            call.place,
            f"write @{call.name}({', '.join(params)}); the first {required} must be there",
        )
    return _Arguments(e, call, {n: e.expand(t, call.scope, call.depth + 1).strip() for n, t in given.items()})


def _columns(e: Expander, call: Call, relation: str) -> Sequence[str]:
    """The columns of an asset. Raises ``ColumnsUnknown``."""
    found = e.columns(relation)
    if found is None:
        name = relation.replace('"', "").lower()
        name = name if "." in name else f"{e.around.default_schema}.{name}"
        message = f"@{call.name} needs the columns of {name}, which aren't known"
        hint = "declare them under sources: in anabranch.yaml, or name them in that model's SELECT"
        error = e.source.error(ColumnsUnknown, message, *call.place, hint)
        error.relation = name
        raise error
    return found


def _star(e: Expander, call: Call) -> str:
    params = ("relation", "alias", "exclude", "prefix", "suffix", "quote_identifiers", "except_")
    given = _bind(e, call, params, 1)
    relation = given.text("relation")
    alias = given.plain("alias") or to_text(Sql(relation.rpartition(".")[2]))
    excluded = {to_text(Sql(x)).lower() for x in (*given.list("exclude"), *given.list("except_"))}
    prefix, suffix, quoted = given.plain("prefix"), given.plain("suffix"), given.flag("quote_identifiers", True)
    columns = _columns(e, call, relation)
    unknown = excluded - {c.lower() for c in columns}
    if unknown:
        e.fail(f"{relation} has no column {min(unknown)}", call.place, f"its columns are {', '.join(columns)}")
    kept = [c for c in columns if c.lower() not in excluded]
    if not kept:
        e.fail(f"@{call.name} leaves out all columns of {relation}", call.place)
    made = []
    for column in kept:
        name = f"{_name(alias, quoted)}.{_name(column, quoted)}"
        made.append(f"{name} AS {_name(prefix + column + suffix, quoted)}" if prefix or suffix else name)
    return ", ".join(made)


def _union(e: Expander, call: Call) -> str:
    """``@UNION('all', a, b)``; a condition before: whether it is one, or the first table alone."""
    texts = [e.expand(a, call.scope, call.depth + 1).strip().text for a in call.args]
    both, words = True, {"'all'": "UNION ALL", "'distinct'": "UNION"}
    if texts and texts[0].lower() not in words and len(texts) > 1 and texts[1].lower() in words:
        both = e.holds(call.args[0], call.scope, call.depth + 1)
        texts = texts[1:]
    word = words.get(texts[0].lower(), "") if texts else ""
    tables = texts[1:] if word else texts
    if not tables or call.named:
        e.fail("@UNION needs tables", call.place, "write @UNION('all', a, b)")
    columns = [_columns(e, call, t) for t in tables]
    others = [{c.lower() for c in each} for each in columns[1:]]
    common = [c for c in columns[0] if all(c.lower() in each for each in others)]
    if not common:
        e.fail(f"{', '.join(tables)} have no column in common", call.place)
    shown = ", ".join(_name(c, True) for c in common)
    selects = [f"SELECT {shown} FROM {t}" for t in (tables if both else tables[:1])]
    return f" {word or 'UNION'} ".join(selects)


def _surrogate_key(e: Expander, call: Call) -> str:
    function = "MD5"
    if "hash_function" in call.named:
        function = to_text(Sql(e.expand(call.named["hash_function"], call.scope, call.depth + 1).text)).upper()
    if not call.args or set(call.named) - {"hash_function"} or not function.isidentifier():
        e.fail("@GENERATE_SURROGATE_KEY takes columns", call.place, "write @GENERATE_SURROGATE_KEY(a, b)")
    fields = [e.expand(a, call.scope, call.depth + 1).strip().text for a in call.args]
    parts = ", '|', ".join(f"COALESCE(CAST({f} AS TEXT), {_NULL_KEY})" for f in fields)
    return f"{function}(CONCAT({parts}))"


def _safe(sign: str) -> Callable[[Expander, Call], str]:
    """NULL counts as zero, unless all are NULL."""

    def made(e: Expander, call: Call) -> str:
        fields = [_operand(e, a, call) for a in call.args]
        if len(fields) < 2 or call.named:
            e.fail(f"@{call.name} takes two numbers or more", call.place, f"write @{call.name}(a, b)")
        nulls = " AND ".join(f"{f} IS NULL" for f in fields)
        return f"CASE WHEN {nulls} THEN NULL ELSE {f' {sign} '.join(f'COALESCE({f}, 0)' for f in fields)} END"

    return made


def _safe_div(e: Expander, call: Call) -> str:
    if len(call.args) != 2 or call.named:
        e.fail("@SAFE_DIV takes two numbers", call.place, "write @SAFE_DIV(a, b)")
    numerator, denominator = (_operand(e, a, call) for a in call.args)
    return f"{numerator} / NULLIF({denominator}, 0)"


def _pivot(e: Expander, call: Call) -> str:
    params = ("column", "values", "alias", "agg", "cmp", "prefix", "suffix", "then_value", "else_value", "quote")
    given = _bind(e, call, (*params, "distinct"), 2)
    comparison = given.plain("cmp", "=")
    if comparison not in ("=", "<>", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE"):
        e.fail(f"@PIVOT can't compare by {comparison}", call.place, "write cmp := '='")
    aggregate = given.plain("agg", "SUM")
    if not aggregate.isidentifier():
        e.fail(f"{aggregate} is no aggregate", call.place, "write agg := 'SUM'")
    column, distinct = given.text("column"), "DISTINCT " if given.flag("distinct", False) else ""
    column = column if is_whole(column) else f"({column})"
    then, otherwise = (to_text(Sql(given.text(n, d))) for n, d in (("then_value", "1"), ("else_value", "0")))
    made = []
    for value in given.list("values"):
        case = f"CASE WHEN {column} {comparison} {value} THEN {then} ELSE {otherwise} END"
        name = given.plain("prefix") + to_text(Sql(value)) + given.plain("suffix")
        alias = f" AS {_name(name, given.flag('quote', True))}" if given.flag("alias", True) else ""
        made.append(f"{aggregate}({distinct}{case}){alias}")
    if not made:
        e.fail("@PIVOT needs values", call.place, "write @PIVOT(column, ['a', 'b'])")
    return ", ".join(made)


def _deduplicate(e: Expander, call: Call) -> str:
    given = _bind(e, call, ("relation", "partition_by", "order_by"), 3)
    partition = given.list("partition_by")
    order = [to_text(Sql(o)) for o in given.list("order_by")]
    if not partition or not order:
        hint = "write @DEDUPLICATE(relation, [id], ['updated_at DESC'])"
        e.fail("@DEDUPLICATE needs columns to partition and to order by", call.place, hint)
    over = f"PARTITION BY {', '.join(partition)} ORDER BY {', '.join(order)}"
    return f"SELECT * FROM {given.text('relation')} QUALIFY ROW_NUMBER() OVER ({over}) = 1"


def _date_spine(e: Expander, call: Call) -> str:
    given = _bind(e, call, ("datepart", "start_date", "end_date"), 3)
    part = given.plain("datepart").lower()
    if part not in _PARTS:
        e.fail(f"@DATE_SPINE has no steps of a {part}", call.place, f"one of {', '.join(_PARTS)}")
    start, end = (f"CAST({given.text(n)} AS DATE)" for n in ("start_date", "end_date"))
    series = f"GENERATE_SERIES({start}, {end}, INTERVAL {_PARTS[part]})"
    name = f"date_{part}"
    return f"SELECT CAST({name} AS DATE) AS {name} FROM (SELECT UNNEST({series}) AS {name}) AS _exploded"


def _haversine(e: Expander, call: Call) -> str:
    given = _bind(e, call, ("lat1", "lon1", "lat2", "lon2", "unit"), 4)
    unit = given.plain("unit", "mi").lower()
    if unit not in _MILES:
        e.fail(f"@HAVERSINE_DISTANCE has no unit {unit}", call.place, "'mi' or 'km'")
    lat1, lon1, lat2, lon2 = (_operand(e, given.texts[n], call) for n in ("lat1", "lon1", "lat2", "lon2"))
    across = f"POWER(SIN(RADIANS(({lat2} - {lat1}) / 2)), 2)"
    along = f"COS(RADIANS({lat1})) * COS(RADIANS({lat2})) * POWER(SIN(RADIANS(({lon2} - {lon1}) / 2)), 2)"
    return f"7922 * ASIN(SQRT({across} + {along})) * {_MILES[unit]}"


def _operand(e: Expander, text: Mapped, call: Call) -> str:
    made = e.expand(text, call.scope, call.depth + 1).strip().text
    return made if is_whole(made) else f"({made})"


def _name(name: str, quoted: bool) -> str:
    return '"' + name.replace('"', '""') + '"' if quoted else identifier(name)


def _mapped(make: Callable[[Expander, Call], str]) -> Callable[[Expander, Call], Mapped]:
    return lambda e, call: Mapped.at(make(e, call), call.place)


LIBRARY: Mapping[str, Callable[[Expander, Call], Mapped]] = {
    "star": _mapped(_star),
    "union": _mapped(_union),
    "generate_surrogate_key": _mapped(_surrogate_key),
    "safe_add": _mapped(_safe("+")),
    "safe_sub": _mapped(_safe("-")),
    "safe_div": _mapped(_safe_div),
    "pivot": _mapped(_pivot),
    "deduplicate": _mapped(_deduplicate),
    "date_spine": _mapped(_date_spine),
    "haversine_distance": _mapped(_haversine),
}
