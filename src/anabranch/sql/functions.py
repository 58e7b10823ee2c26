"""Functions of DuckDB that reach further than their arguments. The lists hold names that other engines don't use
otherwise."""

from __future__ import annotations

from sqlglot import exp

from anabranch.sql.words import word_set

WRITES = word_set(
    """nextval setseed checkpoint force_checkpoint write_log enable_logging disable_logging truncate_duckdb_logs
    set_secret dbgen dsdgen postgres_execute mysql_execute mssql_execute sqlite_attach postgres_attach
    ducklake_add_data_files ducklake_cleanup_old_files ducklake_delete_orphaned_files ducklake_expire_snapshots
    ducklake_flush_inlined_data ducklake_merge_adjacent_files ducklake_rewrite_data_files ducklake_set_option
    ducklake_set_commit_message start_ui start_ui_server stop_ui_server httpserve_start load_aws_credentials
    iceberg_expire_snapshots enable_profiling disable_profiling pg_clear_cache lo_import lo_export lo_create
    lo_unlink pg_terminate_backend pg_cancel_backend pg_advisory_lock set_config setval dblink_exec"""
)
"""They change something: tables, sequences, settings, files."""

NAMES_IN_TEXT = word_set(
    """query query_table json_execute_serialized_sql dblink postgres_query mysql_query pragma_table_info pragma_show
    pragma_storage_info"""
)
"""They read tables that a text names, where a name can't be followed."""

READS_FILES = word_set(
    """read_csv read_csv_auto sniff_csv read_parquet parquet_scan parquet_metadata parquet_schema
    parquet_file_metadata parquet_kv_metadata read_json read_json_auto read_json_objects read_json_objects_auto
    read_ndjson read_ndjson_auto read_ndjson_objects read_text read_blob read_xlsx read_avro glob st_read
    st_read_meta arrow_scan delta_scan iceberg_scan iceberg_metadata iceberg_snapshots sqlite_scan sqlite_query
    postgres_scan postgres_scan_pushdown mysql_scan lance_scan read_gsheet read_vortex"""
)
"""They read what Anabranch doesn't know of."""


def function_name(node: exp.Expr, text: str) -> str:
    """As written, in lower case; ``""`` for what isn't a call."""
    if not isinstance(node, exp.Func):
        return ""
    if isinstance(node, exp.Anonymous):
        return node.name.lower()
    start, end = node.meta.get("start"), node.meta.get("end")
    if start is not None and end is not None:
        return text[start : end + 1].lower()
    return node.sql_name().lower()
