"""DuckDB's functions, by what they do to the rules. A function in none of these lists makes the analysis fall back.

Names are as written: sqlglot gives some functions one name that DuckDB tells apart (``first`` and ``any_value``), so
the written one is part of what is hashed.
"""

from __future__ import annotations

from sqlglot import exp

from anabranch.sql.words import word_set

SCALAR = word_set(
    """abs acos acosh add age array_cat array_concat array_contains array_cosine_distance array_cosine_similarity
    array_cross_product array_distance array_distinct array_dot_product array_extract array_grade_up array_has
    array_has_all array_has_any array_indexof array_inner_product array_intersect array_length
    array_negative_dot_product array_negative_inner_product array_position array_resize array_reverse_sort
    array_select array_slice array_sort array_to_json array_unique array_value array_where array_zip ascii asin
    asinh atan atan2 atanh bar base64 bin bit_count bit_length bit_position bitstring cardinality cbrt ceil
    ceiling century char_length character_length chr coalesce concat concat_ws contains cos cosh cot
    damerau_levenshtein date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname
    dayofmonth dayofweek dayofyear decade decimal_division decode degrees divide editdist3 element_at encode
    ends_with epoch epoch_ms epoch_ns epoch_us equi_width_bins era even exp factorial flatten floor format
    format_bytes formatreadabledecimalsize formatreadablesize from_base64 from_binary from_hex from_json
    from_json_strict gamma gcd generate_series get_bit grade_up greatest greatest_common_divisor hamming hash
    hex hour ifnull ilike_escape instr isfinite isinf isnan isodow isoyear jaccard jaro_similarity
    jaro_winkler_similarity json_array json_array_length json_contains json_deep_merge json_exists json_extract
    json_extract_path json_extract_path_text json_extract_string json_insert json_keys json_merge_patch
    json_merge_patch_diff json_normalize json_object json_pretty json_quote json_remove json_replace json_set
    json_strip_nulls json_structure json_transform json_transform_strict json_type json_valid json_value julian
    last_day lcase lcm least least_common_multiple left left_grapheme len length length_grapheme levenshtein
    lgamma like_escape list_cat list_concat list_contains list_cosine_distance list_cosine_similarity
    list_distance list_distinct list_dot_product list_element list_extract list_grade_up list_has list_has_all
    list_has_any list_indexof list_inner_product list_intersect list_negative_dot_product
    list_negative_inner_product list_pack list_position list_resize list_reverse_sort list_select list_slice
    list_sort list_unique list_value list_where list_zip ln log log10 log2 lower lpad ltrim make_date make_time
    make_timestamp make_timestamp_ms make_timestamp_ns make_timestamptz map map_concat map_contains map_entries
    map_extract map_extract_value map_from_entries map_keys map_values md5 md5_number microsecond millennium
    millisecond minute mismatches mod month monthname multiply nanosecond nextafter nfc_normalize
    normalized_interval not_ilike_escape not_like_escape nullif octet_length ord overlay parse_dirname
    parse_dirpath parse_filename parse_formatted_bytes parse_path path_join pi position pow power prefix printf
    quarter radians range regexp_escape regexp_extract regexp_extract_all regexp_full_match regexp_matches
    regexp_replace regexp_split_to_array repeat replace reverse right right_grapheme round round_even
    roundbankers row_to_json rpad rtrim second set_bit sha1 sha256 sign signbit sin sinh split sqrt starts_with
    str_split str_split_regex strftime string_split string_split_regex string_to_array strip_accents strlen
    strpos strptime struct_concat struct_contains struct_extract struct_extract_at struct_has struct_indexof
    struct_insert struct_keys struct_position struct_update struct_values substr substring substring_grapheme
    subtract suffix tan tanh time_bucket timezone timezone_hour timezone_minute to_base to_base64 to_binary
    to_centuries to_days to_decades to_hex to_hours to_json to_microseconds to_millennia to_milliseconds
    to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years translate trim trunc try_strptime
    typeof ucase unbin unhex unicode union_extract union_tag union_value unpivot_list upper url_decode
    url_encode uuid_extract_timestamp uuid_extract_version week weekday weekofyear xor year yearweek"""
)
"""They make one value of one row's values, and always the same."""

AGGREGATES = word_set(
    """avg bit_and bit_or bit_xor bitstring_agg bool_and bool_or corr count count_if countif covar_pop covar_samp
    decimal_average entropy favg fsum histogram histogram_exact kahan_sum kurtosis kurtosis_pop mad max mean
    median min percentile_cont percentile_disc product quantile quantile_cont quantile_disc regr_avgx
    regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy sem skewness stddev
    stddev_pop stddev_samp sum sumkahan var_pop var_samp variance"""
)
"""They make one value of many rows, whatever the order of these. Sums of floats vary in their last bits; that counts as
the same."""

ORDERED_AGGREGATES = word_set(
    """any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null
    arg_max_nulls_last arg_min arg_min_null arg_min_nulls_last argmax argmin array_agg first group_concat last
    list listagg max_by min_by mode string_agg"""
)
"""They depend on the order of rows, or on which of several equal ones comes first; some are estimates."""

ANY_AGGREGATES = AGGREGATES | ORDERED_AGGREGATES

RANKS = word_set("rank dense_rank rank_dense percent_rank cume_dist")
"""Window functions that don't see the order of equal rows."""

ORDERED_WINDOWS = word_set("row_number ntile lag lead first_value last_value nth_value fill")
"""Window functions that do."""

VOLATILE = word_set(
    """current_catalog current_connection_id current_database current_date current_localtime current_localtimestamp
    current_query current_query_id current_role current_schema current_schemas current_setting current_time
    current_timestamp current_transaction_id current_user currval error gen_random_uuid get_current_time
    get_current_timestamp getvariable in_search_path localtime localtimestamp now random session_user sleep_ms
    today transaction_timestamp txid_current user uuid uuidv4 uuidv7 version"""
)
"""They depend on when, or by whom, they are called."""

_BY_CLASS: dict[type[exp.Expr], str] = {
    exp.CurrentDate: "current_date",
    exp.CurrentTime: "current_time",
    exp.CurrentTimestamp: "current_timestamp",
    exp.CurrentUser: "current_user",
    exp.CurrentCatalog: "current_catalog",
    exp.CurrentSchema: "current_schema",
    exp.CurrentRole: "current_role",
    exp.Localtime: "localtime",
    exp.Localtimestamp: "localtimestamp",
    exp.SessionUser: "session_user",
    exp.RowNumber: "row_number",
    exp.Trim: "trim",
    exp.GroupConcat: "string_agg",
    exp.AnyValue: "any_value",
    exp.ApproxQuantile: "approx_quantile",
    exp.ArgMax: "arg_max",
    exp.ArgMin: "arg_min",
    exp.Ceil: "ceil",
    exp.Floor: "floor",
    exp.Chr: "chr",
    exp.Map: "map",
    exp.Max: "max",
    exp.Min: "min",
    exp.StrPosition: "position",
    exp.Substring: "substring",
    exp.Quantile: "quantile",
    exp.PercentileCont: "quantile_cont",
    exp.PercentileDisc: "quantile_disc",
}
"""Functions that are written without parentheses, or whose name sqlglot doesn't keep."""


def name_of(node: exp.Func, text: str) -> str | None:
    """A function's name as written, in lower case; None where there is none: an operator, a CASE."""
    start, end = node.meta.get("start"), node.meta.get("end")
    if start is not None and end is not None:
        return text[start : end + 1].strip('"').lower()
    return _BY_CLASS.get(type(node))


def volatile_calls(root: exp.Expr, text: str) -> dict[int, int]:
    """The calls in a query that give something else each time, numbered, by the identity of their nodes."""
    calls = (node for node in root.find_all(exp.Func) if _is_volatile(node, text))
    return {id(node): number for number, node in enumerate(calls)}


def volatile(root: exp.Expr, text: str) -> tuple[str, ...]:
    """The names of these functions."""
    return tuple(sorted({str(name_of(node, text)) for node in root.find_all(exp.Func) if _is_volatile(node, text)}))


def _is_volatile(node: exp.Func, text: str) -> bool:
    name = name_of(node, text)
    return name in VOLATILE or (name == "age" and len(list(node.iter_expressions())) == 1)  # age to today
