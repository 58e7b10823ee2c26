"""ClickHouse's settings under which Anabranch's statements run, and why.

They bring ClickHouse near to standard SQL, which SQL that is written for several engines counts on, and have it fail
where it would otherwise change a value without a word. A project's own settings go over them.

``cast_keep_nullable`` isn't among them. With it CAST(NULL AS Int32) would be NULL, as it should be; but so would be
CAST(x AS Int32) of a text that is no number, where x may be NULL. Better an error, and ``Nullable(Int32)`` where it is
meant.
"""

from __future__ import annotations

from collections.abc import Mapping

MEANING: Mapping[str, str] = {
    # an outer join gives NULL where there is no row, not 0 or ''; the same for the totals of ROLLUP and CUBE
    "join_use_nulls": "1",
    "group_by_use_nulls": "1",
    # max() of no rows is NULL, not 0
    "aggregate_functions_null_for_empty": "1",
    # in SELECT a + 1 AS a … WHERE a = 1, the last a is the column
    "prefer_column_name_to_alias": "1",
    # a text is a date with a time in all forms of ISO 8601
    "cast_string_to_date_time_mode": "best_effort",
    # a date outside of its type's range is an error, not another date
    "date_time_overflow_behavior": "throw",
}
"""What decides the meaning of a query. A view is given these, for it is read in the sessions of others."""

SESSION: Mapping[str, str] = {
    **MEANING,
    # UNION alone is UNION DISTINCT; ClickHouse refuses to guess
    "union_default_mode": "DISTINCT",
    "intersect_default_mode": "DISTINCT",
    "except_default_mode": "DISTINCT",
    # NULL in a column that can't hold it is an error, not the type's default
    "insert_null_as_default": "0",
    "input_format_null_as_default": "0",
    # equal blocks of one insertion are rows all the same: replicated tables take the second for a repetition
    "insert_deduplicate": "0",
    # a date with a time, without a time zone, is what is written, wherever ClickHouse runs
    "session_timezone": "UTC",
    # ALTER … DELETE and UPDATE are done when they return
    "mutations_sync": "2",
    # WITH … AS MATERIALIZED is computed once; without this the keyword is passed over
    "enable_materialized_cte": "1",
    # what is dropped was decided before: no second question for large tables
    "max_table_size_to_drop": "0",
    "max_partition_size_to_drop": "0",
    # a model may be long
    "max_query_size": "104857600",
    # types on one line
    "print_pretty_type_names": "0",
    # Arrow as it is made by others: names in any case, all of them there
    "input_format_arrow_case_insensitive_column_matching": "1",
    "input_format_arrow_allow_missing_columns": "0",
}

KEPT = frozenset({"session_timezone"})
"""Those that a project can't set: what is read into Python is read by them."""


def assigned(settings: Mapping[str, str]) -> str:
    """``settings`` as SET and SETTINGS have them."""
    quoted = {k: v.replace("\\", "\\\\").replace("'", "\\'") for k, v in settings.items()}
    return ", ".join(f"{name} = '{value}'" for name, value in quoted.items())
