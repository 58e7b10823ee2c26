"""DuckDB as an engine: the suite, and names as DuckDB takes them."""

from collections.abc import Mapping
from typing import ClassVar

import duckdb
import pytest
from tests.engines.duckdb.warehouses import made

from anabranch.engines.duckdb import DuckDBEngine
from anabranch.errors import StatementFailed
from anabranch.ports.engine import Relation
from anabranch.testing.engine_helpers import SMALL, OpenEngine, at, rows
from anabranch.testing.engine_suite import EngineSuite

SLOW = "SELECT a.range AS a, hash(a.range + b.range) AS b FROM range(1000000) AS a, range(1000000) AS b"


class TestDuckDB(EngineSuite):
    title = "DuckDB"
    arrow_types: ClassVar[Mapping[str, str]] = {
        **EngineSuite.arrow_types,
        "UBIGINT": "CAST(18446744073709551615 AS UBIGINT)",
        "DECIMAL(38, 10)": "CAST('1234567890123456789012345678.0123456789' AS DECIMAL(38, 10))",
        "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ '2020-02-29 12:34:56.789+02'",
        "TIMESTAMP_NS": "TIMESTAMP_NS '2020-02-29 12:34:56.789012345'",
        "TIME": "TIME '23:59:59.999999'",
        "UUID": "UUID '4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'",
        "BLOB": r"'\x00\xFF'::BLOB",
        "INTEGER[]": "[1, NULL, 3]",
        "VARCHAR[][]": "[['a'], []]",
        "STRUCT(a INTEGER, b VARCHAR[])": "{'a': 1, 'b': ['x']}",
        "MAP(VARCHAR, INTEGER)": "MAP {'k': 1}",
        "ENUM('x', 'y')": "'y'::ENUM('x', 'y')",
        "INTERVAL": "INTERVAL '1 month 2 days 3 seconds'",
    }
    slow_query = SLOW
    same_values: ClassVar[tuple[tuple[str, str], ...]] = (
        *EngineSuite.same_values,
        ("[1, NULL, 2]", "list_concat([1], [NULL, 2])"),
        ("'NaN'::DOUBLE", "'NaN'::DOUBLE"),
        ("{'a': 1}", "struct_pack(a := 1)"),
        ("'a'::ENUM ('a', 'b')", "'a'::ENUM ('a', 'b')"),
    )
    different_values: ClassVar[tuple[tuple[str, str], ...]] = (
        *EngineSuite.different_values,
        ("[]::INTEGER[]", "NULL::INTEGER[]"),
        ("[NULL]::INTEGER[]", "NULL::INTEGER[]"),
        ("[NULL]::INTEGER[]", "[]::INTEGER[]"),
        ("[[1], [2]]", "[[1, 2]]"),
        ("[['a'], ['b']]", "[['a', 'b']]"),
        ("['a, b']", "['a', 'b']"),
        ("['NULL']", "[NULL]::VARCHAR[]"),
        ("['']", "[]::VARCHAR[]"),
        ("{'a': 1}", "{'b': 1}"),
        ("{'a': NULL::INTEGER}", "NULL::STRUCT(a INTEGER)"),
        ("{'a': 'x, ''b'': y'}", "{'a': 'x'}"),
        ("{'a': 0.0::DOUBLE}", "{'a': -0.0::DOUBLE}"),
        ("[INTERVAL 1 MONTH]", "[INTERVAL 30 DAYS]"),
        ("INTERVAL 1 DAY", "INTERVAL 24 HOURS"),
        ("MAP {'a': 1}", "MAP {'a': 2}"),
        ("MAP {1: 2, 3: 4}", "MAP {1: 4, 3: 2}"),
        ("union_value(a := 1)::UNION(a INTEGER, b INTEGER)", "union_value(b := 1)::UNION(a INTEGER, b INTEGER)"),
        ("[[1, 2], [3]]", "[[1], [2, 3]]"),
        ("0.0::FLOAT", "-0.0::FLOAT"),
        ("'a'", "'a' || chr(0)"),
        ("''::BLOB", "NULL::BLOB"),
        ("'1'::BIT", "'01'::BIT"),
        ("1.5::DECIMAL(4, 1)", "1.5::DECIMAL(5, 1)"),
        ("1::HUGEINT", "1::UHUGEINT"),
        ("'2020-01-01'::TIMESTAMP", "'2020-01-01'::TIMESTAMP_NS"),
        ("'{}'::JSON", "'{}'::VARCHAR"),
    )
    odd_columns: ClassVar[Mapping[str, str]] = {
        **EngineSuite.odd_columns,
        "huge": "170141183460469231731687303715884105727::HUGEINT",
        "unsigned": "1::UTINYINT",
        "list": "[1, 2]",
        "array": "[1, 2]::INTEGER[2]",
        "struct": "{'a': 1, 'B c': [{'d': DATE '2020-01-01'}]}",
        "map": "MAP {'k': 1.5}",
        "enum": "'x'::ENUM ('x', 'y z', 'it''s')",
        "moment_tz": "TIMESTAMPTZ '2020-02-29 12:00:00+00'",
        "moments_tz": "[TIMESTAMPTZ '2020-02-29 12:00:00+00']",
        "moment_ns": "'2020-02-29 12:00:00.123456789'::TIMESTAMP_NS",
        "time_tz": "TIMETZ '12:00:00+02'",
        "span": "INTERVAL 3 MONTH",
        "blob": "'\\xAA'::BLOB",
        "uuid": "'5fd0dfd2-4c2b-4ea1-a5e4-dbb1b1c9a1d5'::UUID",
        "bits": "'0101'::BIT",
        "union": "union_value(number := 1)",
    }

    @pytest.fixture
    def open_engine(self, tmp_path) -> OpenEngine:
        return lambda: DuckDBEngine(tmp_path / "warehouse.duckdb", patience=5)


class TestDuckDBNamedAsItsSchema(TestDuckDB):
    """In suite.duckdb a schema "suite" is ambiguous."""

    @pytest.fixture
    def open_engine(self, tmp_path) -> OpenEngine:
        return lambda: DuckDBEngine(tmp_path / "suite.duckdb", patience=5)


def test_a_schema_of_another_spelling_is_the_same(path):
    engine = DuckDBEngine(made(path))
    with engine.session() as session:
        session.execute('CREATE SCHEMA "Sales"')
        session.execute('CREATE TABLE "Sales"."Orders" AS SELECT 1 AS id')
        session.execute('CREATE VIEW "Sales"."Own" AS SELECT 1 AS id')
        session.create_schemas(["sales"])
        session.point({Relation("sales", "p"): at("small")})
        found = session.find(["sales"])
        assert {f.relation for f in found} == {Relation("sales", n) for n in ("Orders", "Own", "p")}
        assert session.targets(["sales"]) == {Relation("sales", "p"): at("small"), Relation("sales", "Own"): None}
        for name, is_view in (("orders", False), ("own", True)):
            there = session.describe(Relation("sales", name))
            assert there is not None
            assert there.is_view is is_view
            assert bool(there.definition) is is_view
        session.drop_schemas(["sales", "Sales"])
        assert "Sales" in session.schemas()
    engine.close()


@pytest.mark.parametrize(
    "content",
    [
        "CREATE SEQUENCE mine.s",
        "CREATE TYPE mine.t AS ENUM ('a')",
        "CREATE MACRO mine.m(x) AS x + 1",
        "CREATE MACRO mine.m(x) AS TABLE SELECT x",
    ],
)
def test_a_schema_with_something_else_in_it_is_not_empty(path, content):
    engine = DuckDBEngine(made(path))
    with engine.session() as session:
        session.create_schemas(["mine", "empty"])
        session.execute(content)
        session.begin()
        session.drop_schemas(["mine", "empty"])
        session.commit()
        assert "mine" in session.schemas()
        assert "empty" not in session.schemas()
    engine.close()


def test_a_pointer_into_another_database(path, tmp_path):
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 5 AS id")
    connection.close()
    engine = DuckDBEngine(made(path))
    with engine.session() as session:
        session.execute(f"ATTACH '{other}' AS other (READ_ONLY)")
        there = Relation("main", "t", "other")
        session.point({at("p"): there})
        assert session.targets(["suite"]) == {at("p"): there}
        assert rows(session, at("p")) == [(5,)]
        found = session.describe(there)
        assert found is not None
        assert found.columns == (("id", "INTEGER"),)
        session.execute("DETACH other")
    engine.close()


def test_everything_in_main(path):
    engine = DuckDBEngine(path)
    with engine.session() as session:
        session.create_table(Relation("main", "t"), SMALL)
        session.point({Relation("main", "p"): Relation("main", "t")})
        assert session.targets(["main"]) == {Relation("main", "p"): Relation("main", "t")}
        session.drop_schemas(["main"])
        assert "main" in session.schemas()
    engine.close()


def test_a_failure_tells_duckdbs_own_kind(path):
    engine = DuckDBEngine(made(path))
    with engine.session() as session:
        for statement, kind in (
            ("SELECT * FROM nothing", "CatalogException"),
            ("SELECT nothing FROM suite.small", "BinderException"),
            ("SELECT", "ParserException"),
            ("SELECT CAST(name AS INTEGER) FROM suite.small", "ConversionException"),
        ):
            with pytest.raises(StatementFailed) as caught:
                session.query(statement)
            assert caught.value.kind == kind
    engine.close()
