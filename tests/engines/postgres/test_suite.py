"""Postgres as an engine: the suite."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import pytest

from anabranch.engines.postgres import PostgresEngine
from anabranch.ports.engine import Engine
from anabranch.testing.engine_helpers import OpenEngine
from anabranch.testing.engine_suite import EngineSuite

pytestmark = pytest.mark.postgres


class TestPostgres(EngineSuite):
    title = "Postgres"
    slow_query = "SELECT a, md5((a + b)::text) AS b FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"
    longest_column = 63
    binds_views = True
    readers_wait = True
    clone_rows = "SELECT generate_series(1, 100000) AS id"
    odd_columns: ClassVar[Mapping[str, str]] = {
        **EngineSuite.odd_columns,
        "number": "1e100::numeric",
        "single": "'-Infinity'::real",
        "fixed": "'x'::char(3)",
        "moment_tz": "'2020-02-29 12:00:00+02'::timestamptz",
        "time_of_day": "'12:00:00'::time",
        "time_tz": "'12:00:00+02'::timetz",
        "span": "'1 year 2 days 03:04:05.6'::interval",
        "bytes": "'\\xAA'::bytea",
        "uuid": "'5fd0dfd2-4c2b-4ea1-a5e4-dbb1b1c9a1d5'::uuid",
        "bits": "B'0101'",
        "array": "ARRAY[[1, NULL], [3, 4]]",
        "json": """'{"a": [1, null]}'::json""",
        "jsonb": """'{"a": [1, null]}'::jsonb""",
        "range": "'[1,9)'::int4range",
        "address": "'10.0.0.0/8'::cidr",
        "point": "point(1, -0.0)",
        "words_to_find": "'a fat cat'::tsvector",
        "name": "'x'::name",
        "letter": """'x'::"char\"""",
        "price": "'12.5'::numeric::money",
    }
    same_values: ClassVar[tuple[tuple[str, str], ...]] = (
        *EngineSuite.same_values,
        ("'NaN'::float8", "'-NaN'::float8"),
        ("'2020-01-01 00:00+00'::timestamptz", "'2020-01-01 02:00+02'::timestamptz"),
        ("""'{"a": 1, "b": 2}'::jsonb""", """'{"b":2,"a":1}'::jsonb"""),
        ("ARRAY[1, NULL, 2]", "ARRAY[1] || ARRAY[NULL, 2]"),
    )
    different_values: ClassVar[tuple[tuple[str, str], ...]] = (
        *EngineSuite.different_values,
        ("1.5::numeric", "1.50::numeric"),
        ("1.5::numeric(4, 1)", "1.5::numeric(5, 1)"),
        ("'0'::real", "'-0'::real"),
        ("'0.1'::real", "'0.1'::float8"),
        ("'Infinity'::float8", "'-Infinity'::float8"),
        ("'infinity'::date", "'-infinity'::date"),
        ("'2020-01-01 00:00:00.000001'::timestamptz", "'2020-01-01'::timestamptz"),
        ("'2020-01-01 00:00+00'::timestamptz", "'2020-01-01 00:00+01'::timestamptz"),
        ("'12:00+00'::timetz", "'13:00+01'::timetz"),
        ("'1 day'::interval", "'24 hours'::interval"),
        ("'1 year'::interval", "'360 days'::interval"),
        ("''::bytea", "NULL::bytea"),
        ("'\\x00'::bytea", "'\\x0000'::bytea"),
        ("'\\x61'::bytea", "'a'::text"),
        ("'a'::char(3)", "'a'::varchar(3)"),
        ("'a'::varchar(3)", "'a'::varchar(4)"),
        ("""'{"a": 1}'::json""", """'{"a":1}'::json"""),
        ("""'{"a": 1}'::jsonb""", """'{"a": 1.0}'::jsonb"""),
        ("'null'::jsonb", "NULL::jsonb"),
        ("'{}'::json", "'{}'::text"),
        ("'{}'::int[]", "NULL::int[]"),
        ("'{}'::int[]", "'{NULL}'::int[]"),
        ("'{1,2}'::int[]", "'[0:1]={1,2}'::int[]"),
        ("'{{1},{2}}'::int[]", "'{{1,2}}'::int[]"),
        ("ARRAY['a,b']", "ARRAY['a', 'b']"),
        ("ARRAY['NULL']", "ARRAY[NULL]::text[]"),
        ("ARRAY['']", "ARRAY[]::text[]"),
        ("ARRAY[0.0::float8]", "ARRAY[-0.0::float8]"),
        ("ARRAY['1 month'::interval]", "ARRAY['30 days'::interval]"),
        ("'[1,2)'::int4range", "'empty'::int4range"),
        ("point(0, 0)", "point(0, -0.0::float8)"),
        ("B'1'::varbit", "B'01'::varbit"),
        ("'a,b'::text", "'a\\,b'::text"),
        ("'(a)'::text", "'a'::text"),
        ("'\"'::text", "'\\\"'::text"),
        ("'4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'::uuid", "'4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'::text"),
    )
    arrow_types: ClassVar[Mapping[str, str]] = {
        **{k: v for k, v in EngineSuite.arrow_types.items() if k != "DOUBLE"},
        "DOUBLE PRECISION": "-0.0::float8",
        "REAL": "0.1::real",
        "NUMERIC": "1234567890123456789012345678901234567890.5::numeric",
        "NUMERIC(38, 10)": "1234567890123456789012345678.0123456789::numeric(38, 10)",
        "NUMERIC(60, 20)": "1234567890123456789012345678901234567890.5::numeric(60, 20)",
        "NUMERIC(3, 0)": "CAST(-999 AS NUMERIC(3, 0))",
        "CHAR(5)": "'ab'::char(5)",
        "VARCHAR(5)": "''::varchar(5)",
        "TEXT": "E'a,\"b\"\\n\\\\N'::text",
        "TIMESTAMP WITH TIME ZONE": "'1900-01-01 12:34:56.789+00:09:21'::timestamptz",
        "TIMESTAMP(3)": "'1970-01-01 00:00:00.001'::timestamp(3)",
        "TIME": "'23:59:59.999999'::time",
        "TIMETZ": "'23:59:59+02'::timetz",
        "UUID": "'4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'::uuid",
        "BYTEA": "'\\x00ff0a'::bytea",
        "INTEGER[]": "ARRAY[1, NULL, 3]",
        "TEXT[]": "ARRAY['a,b', '', NULL, '\"']",
        "NUMERIC(9, 2)[]": "ARRAY[[1.5], [2]]::numeric(9, 2)[]",
        "JSON": """'{"a":  1}'::json""",
        "JSONB": """'{"a": [1, "é"]}'::jsonb""",
        "INTERVAL": "'1 month -2 days 3 seconds'::interval",
        "INET": "'::1'::inet",
        "INT4RANGE": "'[1,9)'::int4range",
        "OID": "4294967295::oid",
    }

    @pytest.fixture
    def open_engine(self, postgres_url) -> OpenEngine:
        return lambda: PostgresEngine(postgres_url, patience=10)

    def grantees(self, engine: Engine) -> Sequence[str]:
        """A server's roles, which outlive its databases."""
        with engine.session() as session:
            for role in ("analyst", '"Odd ""role"""'):
                there = session.query(f"SELECT 1 FROM pg_roles WHERE quote_ident(rolname) = $${role}$$").rows
                if not there:
                    session.execute(f"CREATE ROLE {role}")
        return ["analyst", 'Odd "role"', "PUBLIC"]
