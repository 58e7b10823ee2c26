"""Snowflake as an engine: the suite, over the real driver and an emulator.

What the emulator can't show is in test_statements.py: texts of statements. Nothing here has met Snowflake.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from uuid import uuid4

import pyarrow as pa
import pytest
from tests.support import fakesnow

from anabranch.engines.snowflake import SnowflakeEngine
from anabranch.errors import WarehouseUnavailable
from anabranch.ports.capabilities import Capability
from anabranch.ports.engine import Engine
from anabranch.testing.engine_helpers import SCHEMA, SMALL, Matter, OpenEngine, Seen, at, failure, rows
from anabranch.testing.engine_suite import EngineSuite

pytestmark = pytest.mark.snowflake

SLOW = (
    "SELECT 1 AS a, 2 AS b FROM TABLE(GENERATOR(ROWCOUNT => 1000000)) AS a"
    " CROSS JOIN TABLE(GENERATOR(ROWCOUNT => 1000000)) AS b"
)


@pytest.fixture(scope="session")
def emulator():
    try:
        with fakesnow.server() as settings:
            yield settings
    except fakesnow.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def settings(emulator):
    """Of a database of the test's own."""
    return {
        **emulator,
        "database": f"d{uuid4().hex}",
        "schema": "public",
        "network_timeout": 60,  # the driver repeats for ever what the emulator breaks down at
    }


class TestSnowflake(EngineSuite):
    title = "Snowflake"
    seen: ClassVar[Mapping[Capability | Matter, Seen]] = {
        **dict.fromkeys(Capability, Seen.EMULATED),
        Capability.CLONE_SCHEMA: Seen.GOLDEN,
        Capability.CLONE_DATABASE: Seen.GOLDEN,
        Capability.TIME_TRAVEL: Seen.GOLDEN,
        Capability.SWAP_TABLES: Seen.GOLDEN,
        Capability.SWAP_SCHEMAS: Seen.GOLDEN,
        Capability.MATERIALIZED_VIEWS: Seen.GOLDEN,
        Capability.GRANTS: Seen.GOLDEN,
        Matter.STOPPING: Seen.GOLDEN,
        Matter.VERSIONS: Seen.GOLDEN,
        Matter.SIZES: Seen.GOLDEN,
        Matter.TAGS: Seen.GOLDEN,
    }
    slow_query = SLOW
    pointers = 100
    pointer_seconds = 0.5
    tells_case = False  # over DuckDB
    odd_columns: ClassVar[Mapping[str, str]] = {
        **EngineSuite.odd_columns,
        "moment_tz": "CAST('2020-02-29 12:00:00 +00:00' AS TIMESTAMP_TZ)",
        "time": "CAST('23:59:59' AS TIME)",
        "bytes": "TO_BINARY('00FF', 'HEX')",
        "json": "PARSE_JSON('{\"a\": [1, null]}')",
    }
    # Whole numbers are all of one type, and no column holds an interval.
    different_values: ClassVar[tuple[tuple[str, str], ...]] = (
        *(p for p in EngineSuite.different_values if "BIGINT" not in p[1] and "INTERVAL" not in p[0]),
        ("CAST(1.5 AS NUMBER(4, 1))", "CAST(1.5 AS NUMBER(5, 1))"),
        ("TO_BINARY('00', 'HEX')", "CAST(NULL AS BINARY)"),
        ("PARSE_JSON('1')", "1"),
        ("PARSE_JSON('{\"a\": 1}')", "PARSE_JSON('{\"b\": 1}')"),
        ("PARSE_JSON('\"1\"')", "PARSE_JSON('1')"),
    )
    arrow_types: ClassVar[Mapping[str, str]] = {
        **EngineSuite.arrow_types,
        "VARCHAR": "CAST('it''s ünïcode' AS VARCHAR)",
        "NUMBER(38, 10)": "CAST('1234567890123456789012345678.0123456789' AS NUMBER(38, 10))",
        "TIMESTAMP_TZ": "CAST('2020-02-29 12:34:56.789 +02:00' AS TIMESTAMP_TZ)",
        "TIME": "CAST('23:59:59.999999' AS TIME)",
        "BINARY": "TO_BINARY('00FF', 'HEX')",
        "VARIANT": 'PARSE_JSON(\'{"a": [1, null, "x"]}\')',
    }

    @pytest.fixture
    def open_engine(self, settings) -> OpenEngine:
        return lambda: SnowflakeEngine(settings=settings)

    def odd_schema(self, engine: Engine) -> str:
        return "with space"  # the emulator makes one named 'quo"te', and then can't use it

    def test_a_clone_takes_nobodys_place_unless_it_is_told_to(self, open_engine: OpenEngine) -> None:
        """The emulator passes over OR REPLACE before CLONE: that is among the statements that are only compared."""
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("source"), SMALL)
            session.create_table(at("there"), "SELECT 7 AS id")
            failure(lambda: session.clone(at("source"), at("there")))
            assert rows(session, at("there")) == [(7,)]
        engine.close()


# --- besides the suite


@pytest.fixture
def engine(settings):
    engine = SnowflakeEngine(settings=settings)
    with engine.session() as session:
        session.create_schemas([SCHEMA, "Mixed Case"])
    yield engine
    engine.close()


LONG = ("a" * 63, "b" * 128, "c" * 255)


def test_names_of_any_case_and_length_come_back_as_they_were(engine):
    names = ("orders", "Mixed Case", "select", "UPPER and lower", *LONG)
    selected = ", ".join(f"{n} AS {engine.grammar.identifier(name)}" for n, name in enumerate(names))
    with engine.session() as session:
        for name in names:
            relation = at(name, "Mixed Case")
            session.create_table(relation, f"SELECT {selected}")
            found = session.describe(relation)
            assert found is not None
            assert found.relation == relation
            assert [n for n, _ in found.columns] == list(names)
            assert session.columns(relation) == found.columns
            assert session.query(f"SELECT * FROM {session.named(relation)}").columns == names
            assert pa.table(session.read_arrow(f"SELECT * FROM {session.named(relation)}")).column_names == list(names)
        session.point({at(f"p{n}"): at(name, "Mixed Case") for n, name in enumerate(names)})
        assert session.targets([SCHEMA]) == {at(f"p{n}"): at(name, "Mixed Case") for n, name in enumerate(names)}
        assert {f.relation.name for f in session.find(["Mixed Case"])} == set(names)
        unquoted = session.query('SELECT Orders, "SELECT" FROM (SELECT 1 AS ORDERS, 2 AS "SELECT")')
        assert unquoted.columns == ("orders", "select")
        session.drop([at(name, "Mixed Case") for name in names])
        assert session.find(["Mixed Case"]) == []


def test_rows_that_go_through_files_are_those_that_go_within_a_statement(engine):
    odd = [
        "",
        "NULL",
        "\\N",
        "null",
        " padded ",
        "a,b",
        "line\nbreak",
        'it\'s \\ "odd"',
        "ünï",
        None,
        "\t",
        "%s",
        "true",
    ]
    numbers = [1.5, -0.0, 1e300, None, float("inf"), float("nan"), 0.1, 2.0, -1e-300, 3.0, 4.0, 5.0, 6.0]
    few = pa.table({"text": odd, "number": numbers})
    many = pa.concat_tables([few] * 1000)
    kinds = {"text": "VARCHAR", "number": "DOUBLE"}
    with engine.session() as session:
        assert session.load_arrow(at("few"), [few], kinds) == 13
        assert session.load_arrow(at("many"), [many], kinds) == 13000
        found = [rows(session, at("few"))]
        session.create_table(at("once"), f"SELECT DISTINCT * FROM {session.named(at('many'))}")
        found.append(rows(session, at("once")))
        assert str(found[0]) == str(found[1]) == str(sorted(zip(odd, numbers, strict=True), key=repr))
        assert session.columns(at("few")) == session.columns(at("many"))
        hashed = [session.content_hash(at(name), ["text", "number"]) for name in ("few", "once", "many")]
        assert hashed[0] == hashed[1] != hashed[2]


def test_many_rows_of_which_one_cannot_be_cast_make_no_table(engine):
    wrong = pa.table({"id": [*map(str, range(10_000)), "one"]})
    with engine.session() as session:
        assert "one" in failure(lambda: session.load_arrow(at("t"), [wrong], {"id": "INTEGER"})).message
        assert session.find([SCHEMA]) == []
        assert session.load_arrow(at("t"), [wrong], {"id": "VARCHAR"}) == 10_001


def test_a_name_of_one_part_is_found_where_it_was(engine):
    many = pa.table({"id": range(10_000)})
    with engine.session() as session:
        session.execute("CREATE TABLE here AS SELECT 7 AS id")
        session.create_schemas(["another"])
        session.load_arrow(at("t", "another"), [many], {"id": "INTEGER"})
        assert session.query("SELECT id FROM here").rows == [(7,)]
        assert session.count(at("here", "public")) == 1


def test_a_server_that_is_not_there(settings):
    engine = SnowflakeEngine(settings={**settings, "port": 9, "login_timeout": 1})
    with pytest.raises(WarehouseUnavailable) as caught, engine.session():
        pass
    assert caught.value.hint
    assert str(settings["password"]) not in caught.value.message
