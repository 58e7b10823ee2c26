"""The audits that are built in, with SQLMesh's names and arguments, as SQL made of quoted identifiers and of the
expressions that the user wrote, in parentheses.

NULL passes wherever a value is compared, and a table without rows passes all but those that count rows and
``freshness``. ``condition`` restricts each of them to the rows that fulfil it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from sqlglot import exp

from anabranch.sql.audits.calls import Argument, Item
from anabranch.sql.canonical import CASE_SENSITIVE
from anabranch.sql.macros.moments import moment_sql
from anabranch.sql.qualifiers import quoted
from anabranch.sql.syntax import dialect as dialect_of

NON_BLOCKING = "_non_blocking"
"""Ends the name of a built-in audit whose failure only warns."""
_UUID = "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"
_EMAIL = "^[A-Za-z0-9._%+'-]+@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?[.])+[A-Za-z]{2,}$"
_URL = "^(https?|ftp)://[^\\s/?#.]+([.][^\\s/?#.]+)*(:[0-9]+)?([/?#][^\\s]*)?$"
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_VALUE, _OTHER = "anabranch_value", "anabranch_other"
"""Names that need no quotes anywhere."""
_TYPES: Mapping[str, Mapping[str, str]] = {
    "bigquery": {"VARCHAR": "STRING", "DOUBLE": "FLOAT64"},
    "clickhouse": {
        "VARCHAR": "Nullable(String)",
        "DOUBLE": "Nullable(Float64)",
        "TIMESTAMP": "Nullable(DateTime64(6))",
    },
    "databricks": {"VARCHAR": "STRING"},
    "postgres": {"DOUBLE": "DOUBLE PRECISION"},
    "spark": {"VARCHAR": "STRING"},
}
"""What dialects call types otherwise."""
_CASTS_SPANS = frozenset({"duckdb", "postgres"})
"""Dialects in which any text that tells a length of time can be cast to one."""
_SPAN = re.compile(r"'\s*(?P<number>\d+)\s+(?P<unit>[A-Za-z]+?)s?\s*'")


class Takes(Enum):
    """What an argument may be."""

    COLUMN = auto()
    """A column, or an expression over one row."""
    COLUMNS = auto()
    """Several."""
    VALUE = auto()
    VALUES = auto()
    FLAG = auto()
    TABLE = auto()
    """The name of an asset."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a built-in audit is made of: the model by its quoted name, and the arguments."""

    this: str
    last: str
    """The last part of the model's name, quoted."""
    dialect: str
    arguments: Mapping[str, Argument]

    def rows(self) -> str:
        """The rows to audit, for a FROM."""
        if "condition" not in self.arguments:
            return self.this
        return f"(SELECT * FROM {self.this} WHERE {self.value('condition')}\n) AS {self.last}"

    def columns(self, name: str) -> list[str]:
        return [self.sql(item) for item in self.arguments[name].items]

    def column(self, name: str = "column") -> str:
        return self.sql(self.arguments[name].items[0])

    def value(self, name: str, default: str = "") -> str:
        """An expression, in parentheses."""
        return f"({self._written(name)})" if name in self.arguments else default

    def values(self, name: str) -> str:
        return f"({', '.join(i.text for i in self.arguments[name].items)}\n)"

    def each(self, name: str) -> list[str]:
        return [f"({i.text}\n)" for i in self.arguments[name].items]

    def table(self, name: str) -> str:
        return self._written(name)

    def flag(self, name: str, *, default: bool) -> bool:
        return self._written(name).lower() == "true" if name in self.arguments else default

    def one(self, **columns: str) -> str:
        """The rows to audit with one expression or more of them, under names that no column has."""
        listed = ", ".join(f"{sql} AS anabranch_{n}" for n, sql in columns.items())
        return f"(SELECT {listed} FROM {self.rows()}\n) AS anabranch_values"

    def failing(self, condition: str) -> str:
        """The rows for which it is true."""
        return f"SELECT * FROM {self.rows()} WHERE {condition}"

    def outside(self, value: str, *, inclusive: bool = True) -> str:
        """Whether ``value`` lies outside ``min_v`` and ``max_v``."""
        inclusive = self.flag("inclusive", default=inclusive)
        below, above = ("<", ">") if inclusive else ("<=", ">=")
        parts = []
        if "min_v" in self.arguments:
            parts.append(f"{value} {below} {self.value('min_v')}")
        if "max_v" in self.arguments:
            parts.append(f"{value} {above} {self.value('max_v')}")
        return f"({' OR '.join(parts)})"

    def matches(self, value: str, pattern: str) -> str:
        """Whether a text matches a regular expression, both given as SQL."""
        if self.dialect == "snowflake":  # which asks for the whole text to match
            pattern = f"'(.*(' || {pattern} || ').*)'"
            return f"REGEXP_LIKE({self.text(value)}, {pattern}, 's')"
        node = exp.RegexpLike(this=exp.Var(this=self.text(value)), expression=exp.Var(this=pattern))
        return node.sql(dialect_of(self.dialect))

    def sql(self, item: Item) -> str:
        """One column, quoted, or any other expression."""
        if item.column is None:
            return f"({item.text}\n)"
        means_itself = self.dialect in CASE_SENSITIVE and item.text.isidentifier()
        return self.name(item.text if means_itself else item.column)

    def name(self, name: str) -> str:
        """A name, quoted."""
        return quoted([name], self.dialect)

    def label(self, item: Item) -> str:
        """What a column that shows an item's values is called."""
        return self.name(item.column if item.column is not None else " ".join(item.text.split()))

    def cast(self, sql: str, kind: str) -> str:
        return f"CAST({sql} AS {_TYPES.get(self.dialect, {}).get(kind, kind)})"

    def span(self, name: str) -> str:
        """A length of time: a text like ``'1 day'``, or an expression."""
        told = _SPAN.fullmatch(self._written(name))
        if told and self.dialect not in _CASTS_SPANS:
            unit = exp.Var(this=told["unit"].upper())
            return exp.Interval(this=exp.Literal.string(told["number"]), unit=unit).sql(dialect_of(self.dialect))
        return f"CAST({self.value(name)} AS INTERVAL)" if self.dialect in _CASTS_SPANS else self.value(name)

    def text(self, sql: str) -> str:
        return self.cast(sql, "VARCHAR")

    def literal(self, text: str) -> str:
        return exp.Literal.string(text).sql(dialect_of(self.dialect))

    def _written(self, name: str) -> str:
        argument = self.arguments[name]
        return argument.sql() if argument.listed and len(argument.items) > 1 else argument.items[0].text


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """``takes``: all arguments but ``condition``; ``needs``: those without which it means nothing; ``any_of``: of
    these, at least one."""

    make: Callable[[Given], str]
    takes: Mapping[str, Takes]
    needs: Sequence[str]
    any_of: Sequence[str] = ()

    def argument(self, name: str) -> Takes | None:
        """What an argument may be; None where there is none of that name."""
        return Takes.VALUE if name == "condition" else self.takes.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """All arguments."""
        return (*self.takes, "condition", "blocking")


# -- rows --------------------------------------------------------------------------------------------------------------


def _not_null(g: Given) -> str:
    return g.failing(" OR ".join(f"{c} IS NULL" for c in g.columns("columns")))


def _accepted_values(g: Given) -> str:
    return g.failing(f"{g.column()} NOT IN {g.values('is_in')}")


def _not_accepted_values(g: Given) -> str:
    return g.failing(f"{g.column()} IN {g.values('is_in')}")


def _forall(g: Given) -> str:
    return g.failing(" OR ".join(f"NOT {c}" for c in g.each("criteria")))


def _accepted_range(g: Given) -> str:
    return g.failing(g.outside(g.column()))


def _not_empty_string(g: Given) -> str:
    return g.failing(f"{g.column()} = ''")


def _length_between(g: Given) -> str:
    return g.failing(g.outside(f"LENGTH({g.text(g.column())})"))


def _length_equal(g: Given) -> str:
    return g.failing(f"LENGTH({g.text(g.column())}) <> {g.value('v')}")


def _valid(pattern: str) -> Callable[[Given], str]:
    return lambda g: g.failing(f"NOT {g.matches(g.column(), g.literal(pattern))}")


def _valid_method(g: Given) -> str:
    return g.failing(f"{g.column()} NOT IN ({', '.join(map(g.literal, _METHODS))})")


def _any_regex(g: Given) -> str:
    return f"({' OR '.join(g.matches(g.column(), p) for p in g.each('patterns'))})"


def _any_like(g: Given) -> str:
    return f"({' OR '.join(f'{g.text(g.column())} LIKE {p}' for p in g.each('patterns'))})"


def _relationships(g: Given) -> str:
    there = f"SELECT anabranch_there.{g.column('field')} FROM {g.table('to')} AS anabranch_there"
    there += f" WHERE anabranch_there.{g.column('field')} IS NOT NULL"
    return g.failing(f"{g.column()} NOT IN ({there})")


# -- rows beside others ------------------------------------------------------------------------------------------------


def _unique_values(g: Given) -> str:
    """Each column by itself. NULL counts as a value."""
    parts = [
        f"SELECT {g.literal(i.text)} AS {g.name('column')}, {g.text(_VALUE)} AS {g.name('value')},"
        f" COUNT(*) AS {g.name('rows')}"
        f" FROM {g.one(value=g.sql(i))} GROUP BY {_VALUE} HAVING COUNT(*) > 1"
        for i in g.arguments["columns"].items
    ]
    return " UNION ALL ".join(parts)


def _unique_combination(g: Given) -> str:
    names = [f"anabranch_{n}" for n in range(len(g.columns("columns")))]
    rows = g.one(**{str(n): c for n, c in enumerate(g.columns("columns"))})
    shown = [f"{n} AS {g.label(i)}" for n, i in zip(names, g.arguments["columns"].items, strict=True)]
    counted = "anabranch_rows"
    keys = ", ".join(names)
    grouped = f"SELECT {keys}, COUNT(*) AS {counted} FROM {rows} GROUP BY {keys} HAVING COUNT(*) > 1"
    return f"SELECT {', '.join(shown)}, {counted} AS {g.name('rows')} FROM ({grouped}) AS anabranch_groups"


def _sequential(g: Given) -> str:
    before = f"LAG({_VALUE}) OVER (ORDER BY {_VALUE}) AS {_OTHER}"
    pairs = f"SELECT {_VALUE}, {before} FROM {g.one(value=g.column())} WHERE {_VALUE} IS NOT NULL"
    step = g.value("interval", "1")
    return (
        f"SELECT {_OTHER} AS {g.name('previous')}, {_VALUE} AS {g.name('value')} FROM ({pairs}) AS anabranch_pairs"
        f" WHERE {_OTHER} + {step} <> {_VALUE}"
    )


def _exclusive_ranges(g: Given) -> str:
    rows = g.one(value=g.column("lower_bound_column"), other=g.column("upper_bound_column"))
    highest = "anabranch_highest"
    frame = f"ORDER BY {_VALUE}, {_OTHER} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
    ranges = f"SELECT {_VALUE}, {_OTHER}, MAX({_OTHER}) OVER ({frame}) AS {highest} FROM {rows}"
    return (
        f"SELECT {_VALUE} AS {g.name('lower')}, {_OTHER} AS {g.name('upper')}, {highest} AS {g.name('earlier_upper')}"
        f" FROM ({ranges}) AS anabranch_ranges WHERE {_VALUE} > {_OTHER} OR {highest} > {_VALUE}"
    )


def _z_score(g: Given) -> str:
    mean, spread = "anabranch_mean", "anabranch_spread"
    known = f"AVG({_VALUE}) OVER () AS {mean}, STDDEV({_VALUE}) OVER () AS {spread}"
    score = f"({_VALUE} - {mean}) / NULLIF({spread}, 0)"
    return (
        f"SELECT {_VALUE} AS {g.name('value')}, {score} AS {g.name('z_score')}"
        f" FROM (SELECT {_VALUE}, {known} FROM {g.one(value=g.column())}) AS anabranch_scores"
        f" WHERE ABS({score}) > {g.value('threshold')}"
    )


# -- the table as a whole ----------------------------------------------------------------------------------------------


def _number_of_rows(g: Given) -> str:
    counted = f"SELECT COUNT(*) AS {_VALUE} FROM {g.rows()}"
    too_few = f"{_VALUE} <= {g.value('threshold')}"
    return f"SELECT {_VALUE} AS {g.name('rows')} FROM ({counted}) AS anabranch_counted WHERE {too_few}"


def _row_count_between(g: Given) -> str:
    counted = f"SELECT COUNT(*) AS {_VALUE} FROM {g.rows()}"
    return f"SELECT {_VALUE} AS {g.name('rows')} FROM ({counted}) AS anabranch_counted WHERE {g.outside(_VALUE)}"


def _summed_up(g: Given, counted: str, label: str, condition: str, *, filled: bool = True) -> str:
    """One row with ``counted`` (over the column's values) where ``condition`` on it is true; ``filled``: a table
    without rows passes."""
    number = "anabranch_number"
    made = f"SELECT {counted} AS {_VALUE}, COUNT(*) AS {number} FROM {g.one(value=g.column())}"
    some = f"{number} > 0 AND " if filled else ""
    return f"SELECT {_VALUE} AS {g.name(label)} FROM ({made}) AS anabranch_counted WHERE {some}({condition})"


def _not_null_proportion(g: Given) -> str:
    share = f"{g.cast(f'COUNT({_VALUE})', 'DOUBLE')} / NULLIF(COUNT(*), 0)"
    return _summed_up(g, share, "proportion", f"{_VALUE} < {g.value('threshold')}")


def _not_constant(g: Given) -> str:
    return _summed_up(g, f"COUNT(DISTINCT {_VALUE})", "distinct_values", f"{_VALUE} <= 1")


def _at_least_one(g: Given) -> str:
    return _summed_up(g, f"COUNT({_VALUE})", "values", f"{_VALUE} = 0")


def _aggregate(function: str, label: str) -> Callable[[Given], str]:
    return lambda g: _summed_up(g, f"{function}({_VALUE})", label, g.outside(_VALUE))


def _freshness(g: Given) -> str:
    oldest = f"{moment_sql('execution_dt')} - {g.span('max_age')}"
    latest = g.cast(_VALUE, "TIMESTAMP")
    return _summed_up(g, f"MAX({_VALUE})", "latest", f"{_VALUE} IS NULL OR {latest} < {oldest}", filled=False)


def _kl_divergence(g: Given) -> str:
    """Of the column's distribution from the target's; infinite where the target lacks a value."""

    def share(column: str, name: str) -> str:
        counted = f"{g.cast('COUNT(*)', 'DOUBLE')} / SUM(COUNT(*)) OVER () AS {_OTHER}"
        return f"(SELECT {_VALUE}, {counted} FROM {g.one(value=column)} GROUP BY {_VALUE}) AS {name}"

    p, q = f"anabranch_p.{_OTHER}", f"anabranch_q.{_OTHER}"
    infinity = "'infinity'"
    each = f"CASE WHEN {q} IS NULL THEN {g.cast(infinity, 'DOUBLE')} ELSE {p} * LN({p} / {q}) END"
    there = f"anabranch_p.{_VALUE} IS NOT DISTINCT FROM anabranch_q.{_VALUE}"
    both = f"{share(g.column(), 'anabranch_p')} LEFT JOIN {share(g.column('target_column'), 'anabranch_q')} ON {there}"
    return (
        f"SELECT {_VALUE} AS {g.name('kl_divergence')}"
        f" FROM (SELECT SUM({each}) AS {_VALUE} FROM {both}) AS anabranch_sum"
        f" WHERE {_VALUE} > {g.value('threshold')}"
    )


def _chi_square(g: Given) -> str:
    """Of two columns' independence, over the rows that have both."""
    observed = "anabranch_observed"
    of_row, of_column, total = (f"anabranch_{n}" for n in ("of_row", "of_column", "total"))
    known = f"{_VALUE} IS NOT NULL AND {_OTHER} IS NOT NULL"
    cells = (
        f"SELECT {_VALUE}, {_OTHER}, {g.cast('COUNT(*)', 'DOUBLE')} AS {observed}"
        f" FROM {g.one(value=g.column(), other=g.column('column2'))} WHERE {known} GROUP BY {_VALUE}, {_OTHER}"
    )
    margins = (
        f"SELECT {observed}, SUM({observed}) OVER (PARTITION BY {_VALUE}) AS {of_row},"
        f" SUM({observed}) OVER (PARTITION BY {_OTHER}) AS {of_column}, SUM({observed}) OVER () AS {total}"
        f" FROM ({cells}) AS anabranch_cells"
    )
    statistic = f"MAX({total}) * (SUM({observed} * {observed} / ({of_row} * {of_column})) - 1)"
    return (
        f"SELECT {_VALUE} AS {g.name('chi_square')}"
        f" FROM (SELECT {statistic} AS {_VALUE} FROM ({margins}) AS anabranch_margins)"
        f" AS anabranch_sum WHERE {_VALUE} > {g.value('critical_value')}"
    )


_COLUMN, _RANGE = {"column": Takes.COLUMN}, {"min_v": Takes.VALUE, "max_v": Takes.VALUE, "inclusive": Takes.FLAG}
_BOUNDS = ("min_v", "max_v")


def _ranged(make: Callable[[Given], str]) -> BuiltIn:
    return BuiltIn(make, {**_COLUMN, **_RANGE}, ("column",), _BOUNDS)


def _about(make: Callable[[Given], str], **more: Takes) -> BuiltIn:
    return BuiltIn(make, {**_COLUMN, **more}, ("column", *(n for n in more if n != "interval")))


_COLUMNS = {"columns": Takes.COLUMNS}
BUILT_IN: Mapping[str, BuiltIn] = {
    "accepted_range": _ranged(_accepted_range),
    "accepted_values": _about(_accepted_values, is_in=Takes.VALUES),
    "at_least_one": _about(_at_least_one),
    "chi_square": _about(_chi_square, column2=Takes.COLUMN, critical_value=Takes.VALUE),
    "column_values_between": _ranged(_accepted_range),
    "forall": BuiltIn(_forall, {"criteria": Takes.VALUES}, ("criteria",)),
    "freshness": _about(_freshness, max_age=Takes.VALUE),
    "kl_divergence": _about(_kl_divergence, target_column=Takes.COLUMN, threshold=Takes.VALUE),
    "match_like_pattern_list": _about(lambda g: g.failing(f"NOT {_any_like(g)}"), patterns=Takes.VALUES),
    "match_regex_pattern_list": _about(lambda g: g.failing(f"NOT {_any_regex(g)}"), patterns=Takes.VALUES),
    "max_in_range": _ranged(_aggregate("MAX", "max")),
    "mean_in_range": _ranged(_aggregate("AVG", "mean")),
    "min_in_range": _ranged(_aggregate("MIN", "min")),
    "mutually_exclusive_ranges": BuiltIn(
        _exclusive_ranges,
        {"lower_bound_column": Takes.COLUMN, "upper_bound_column": Takes.COLUMN},
        ("lower_bound_column", "upper_bound_column"),
    ),
    "not_accepted_values": _about(_not_accepted_values, is_in=Takes.VALUES),
    "not_constant": _about(_not_constant),
    "not_empty_string": _about(_not_empty_string),
    "not_match_like_pattern_list": _about(lambda g: g.failing(_any_like(g)), patterns=Takes.VALUES),
    "not_match_regex_pattern_list": _about(lambda g: g.failing(_any_regex(g)), patterns=Takes.VALUES),
    "not_null": BuiltIn(_not_null, _COLUMNS, ("columns",)),
    "not_null_proportion": _about(_not_null_proportion, threshold=Takes.VALUE),
    "number_of_rows": BuiltIn(_number_of_rows, {"threshold": Takes.VALUE}, ("threshold",)),
    "relationships": _about(_relationships, to=Takes.TABLE, field=Takes.COLUMN),
    "row_count_between": BuiltIn(_row_count_between, _RANGE, (), _BOUNDS),
    "sequential_values": _about(_sequential, interval=Takes.VALUE),
    "stddev_in_range": _ranged(_aggregate("STDDEV", "stddev")),
    "string_length_between": _ranged(_length_between),
    "string_length_equal": _about(_length_equal, v=Takes.VALUE),
    "sum_in_range": _ranged(_aggregate("SUM", "sum")),
    "unique_combination_of_columns": BuiltIn(_unique_combination, _COLUMNS, ("columns",)),
    "unique_values": BuiltIn(_unique_values, _COLUMNS, ("columns",)),
    "valid_email": _about(_valid(_EMAIL)),
    "valid_http_method": _about(_valid_method),
    "valid_url": _about(_valid(_URL)),
    "valid_uuid": _about(_valid(_UUID)),
    "z_score": _about(_z_score, threshold=Takes.VALUE),
}
"""By name."""
OWN_COLUMNS = {"relationships": ("field",)}
"""Arguments that name columns of another table than the model's."""


def find(name: str) -> tuple[BuiltIn, bool] | None:
    """The built-in audit of that name, and whether it blocks."""
    if name in BUILT_IN:
        return BUILT_IN[name], True
    stem = name.removesuffix(NON_BLOCKING)
    return (BUILT_IN[stem], False) if stem != name and stem in BUILT_IN else None
