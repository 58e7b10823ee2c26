"""What every Engine obeys, as tests. An adapter's own test is a few lines::

    class TestMyEngine(EngineSuite):
        slow_query = "SELECT count(*) FROM generate_series(1, 100000000000)"

        @pytest.fixture
        def open_engine(self, tmp_path):
            return lambda: MyEngine(tmp_path / "database")

``open_engine`` is a fixture that gives a callable; each call opens another handle on one database, which has no
relations before the test. A handle is closed before the next one is used, as two processes would that take turns.
``pytest.register_assert_rewrite("anabranch.testing")`` in a conftest.py has pytest explain the assertions.

What an engine claims to be able to do is tried; what it doesn't claim is left alone.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from anabranch.errors import StatementFailed, WarehouseError
from anabranch.ports.engine import Capability, Engine, Relation, Session, Support, quoted, transaction
from anabranch.testing.arrow_suite import ArrowSuite
from anabranch.testing.store_suite import in_threads

OpenEngine = Callable[[], Engine]

SCHEMA = "suite"
SMALL = "SELECT 1 AS id, 'one' AS name UNION ALL SELECT 2, 'two'"
ODD_NAMES = (
    *("select", "order", "Mixed Case", "with space", "a.b", "semi;colon", "it's", "per%cent", "--dashes", "/*", "100"),
    *('quo"te', '"', "back\\slash", "new\nline", "ünïcode", "тест", "\U0001f600", "_", "x" * 63),
)
POINTERS = 3000
PATIENCE = 60.0
"""Seconds that anything may take here at most."""


def at(name: str, schema: str = SCHEMA) -> Relation:
    return Relation(schema, name)


def text(session: Session, relation: Relation) -> str:
    """How a query names ``relation``."""
    full = session.qualify(relation)
    return quoted(p for p in (full.catalog, full.schema, full.name) if p)


def rows(session: Session, relation: Relation) -> list[tuple[object, ...]]:
    """All of it, sorted."""
    return sorted(session.query(f"SELECT * FROM {text(session, relation)}").rows, key=repr)


def failure(call: Callable[[], object]) -> StatementFailed:
    """What ``call`` is refused with."""
    try:
        call()
    except StatementFailed as error:
        return error
    raise AssertionError("it was not refused")


def everything(session: Session) -> list[object]:
    """All that can be seen: schemas, and their relations."""
    schemas = session.schemas()
    return [*schemas, *session.find(schemas)]


class EngineSuite(ArrowSuite):
    slow_query: ClassVar[str]
    """A query in the engine's dialect that runs for minutes."""
    broken_query: ClassVar[str] = f"SELECT CAST(name AS INTEGER) AS number FROM ({SMALL}) AS found"
    """One that fails while it runs, not before."""
    odd_columns: ClassVar[Mapping[str, str]] = {
        "whole": "CAST(1 AS BIGINT)",
        "small": "CAST(1 AS SMALLINT)",
        "money": "CAST(1.5 AS DECIMAL(12, 3))",
        "real": "CAST(1.5 AS DOUBLE PRECISION)",
        "words": "CAST('x' AS VARCHAR)",
        "day": "CAST('2020-02-29' AS DATE)",
        "moment": "CAST('2020-02-29 12:00:00' AS TIMESTAMP)",
        "yes": "true",
    }
    """Columns of all types that the engine has: an expression for each."""

    def claims(self, engine: Engine, capability: Capability) -> bool:
        return engine.capabilities.get(capability) is Support.FULL

    # --- the engine itself

    def test_it_says_what_it_is(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        assert engine.name
        assert engine.dialect
        assert engine.place
        assert set(engine.capabilities) == set(Capability), "each is graded, not left out"
        engine.close()

    def test_a_writing_session_makes_the_database(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
        assert engine.exists()
        size = engine.size()
        assert size is None or size >= 0
        engine.close()

    def test_what_was_made_is_there_for_the_next_handle(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("small"), SMALL)
        engine.close()
        other = open_engine()
        assert other.exists()
        with other.session(read_only=True) as session:
            assert rows(session, at("small")) == [(1, "one"), (2, "two")]
        other.close()

    def test_closed_and_used_again(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        for turn in range(3):
            with engine.session() as session:
                session.create_schemas([SCHEMA])
                session.create_table(at(f"t{turn}"), SMALL)
            engine.close()
            engine.close()
        with engine.session(read_only=True) as session:
            assert len(session.find([SCHEMA])) == 3
        engine.close()

    def test_a_session_left_by_an_exception_leaves_the_engine_usable(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        for _ in range(3):
            try:
                with engine.session() as session:
                    session.begin()
                    session.create_schemas([SCHEMA])
                    raise RuntimeError("left")
            except RuntimeError:
                pass
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            assert session.find([SCHEMA]) == []
        engine.close()

    def test_equal_revisions_mean_that_nothing_changed(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        seen: set[str] = set()
        for turn in range(3):
            with engine.session() as session:
                session.create_schemas([SCHEMA])
                session.create_table(at(f"t{turn}"), SMALL)
            engine.close()
            if engine.revision() is None:
                time.sleep(0.1)
            revision = engine.revision()
            if revision is None:
                continue
            assert revision not in seen
            assert open_engine().revision() == revision, "another handle says the same"
            with engine.session(read_only=True) as session:
                rows(session, at("t0"))
            engine.close()
            assert engine.revision() == revision, "reading changes nothing"
            seen.add(revision)

    # --- statements

    def test_a_query_says_columns_and_rows(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            found = session.query("SELECT 1 AS a, 'x' AS \"B c\", NULL AS n")
            assert found.columns == ("a", "B c", "n")
            assert [tuple(r) for r in found.rows] == [(1, "x", None)]
            nothing = session.query("SELECT 1 AS a WHERE 1 = 0")
            assert nothing.columns == ("a",)
            assert list(nothing.rows) == []
            assert [r[0] for r in session.query(f"SELECT id FROM ({SMALL}) AS s ORDER BY id", 1).rows] == [1]
            assert len(session.query(SMALL, 9).rows) == 2
            assert session.query(SMALL, 0).columns == ("id", "name")
            assert list(session.query(SMALL, 0).rows) == []
        engine.close()

    def test_the_first_rows_of_a_long_answer_come_soon(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            began = time.monotonic()
            assert len(session.query(self.slow_query, 3).rows) == 3
            assert session.query("SELECT 1").rows[0][0] == 1, "the rest isn't in the way"
            assert time.monotonic() - began < 10
        engine.close()

    def test_values_of_all_types_can_be_read(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            selected = ", ".join(f"{value} AS {name}" for name, value in self.odd_columns.items())
            found = session.query(f"SELECT {selected}")
            assert found.columns == tuple(self.odd_columns)
            assert len(found.rows) == 1
            assert None not in found.rows[0]
        engine.close()

    def test_a_statement_that_fails_says_why_and_leaves_the_session_usable(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            error = failure(lambda: session.query("SELECT * FROM nothing_of_that_name"))
            assert "nothing_of_that_name" in error.message
            assert error.kind, "the engine's own name for what went wrong"
            assert error.kind != failure(lambda: session.execute("SELEC 1")).kind
            failure(lambda: session.query(self.broken_query))
            assert session.query("SELECT 1").rows[0][0] == 1
        engine.close()

    def test_statements_commit_one_by_one(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("kept"), SMALL)
            failure(lambda: session.execute("SELEC 1"))
        engine.close()
        with engine.session() as session:
            assert session.count(at("kept")) == 2
        engine.close()

    # --- schemas

    def test_schemas_are_made_where_they_are_missing(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            before = session.schemas()
            session.create_schemas([])
            session.create_schemas([SCHEMA, "select", 'quo"te'])
            session.create_schemas([SCHEMA, "other"])
            assert set(session.schemas()) - set(before) == {SCHEMA, "select", 'quo"te', "other"}
            assert "information_schema" not in session.schemas()
        engine.close()

    def test_schemas_are_dropped_where_they_are_empty(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas(["empty", "with_table", "with_view", "other"])
            session.create_table(at("t", "with_table"), SMALL)
            session.create_view(at("v", "with_view"), SMALL)
            session.drop_schemas([])
            session.drop_schemas(["empty", "with_table", "with_view", "never_was"])
            assert {"empty", "with_table", "with_view", "other"} & set(session.schemas()) == {
                "with_table",
                "with_view",
                "other",
            }
            assert session.count(at("t", "with_table")) == 2
        engine.close()

    # --- tables and views

    def test_a_table_is_made_and_counted(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            assert session.create_table(at("small"), SMALL) == 2
            assert session.count(at("small")) == 2
            assert session.create_table(at("nothing"), f"SELECT * FROM ({SMALL}) AS s WHERE id > 2") == 0
            assert session.count(at("nothing")) == 0
            assert session.create_table(at("again"), f"SELECT * FROM {text(session, at('small'))}") == 2
        engine.close()

    def test_a_table_is_made_wholly_or_not_at_all(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            failure(lambda: session.create_table(at("broken"), self.broken_query))
            assert session.describe(at("broken")) is None
            assert session.find([SCHEMA]) == []
        engine.close()

    def test_a_table_that_is_there_is_not_made_again(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("small"), SMALL)
            session.create_view(at("view"), SMALL)
            for name in ("small", "view"):
                failure(lambda name=name: session.create_table(at(name), "SELECT 3 AS id"))  # type: ignore[misc]
            assert session.count(at("small")) == 2
        engine.close()

    def test_a_view_is_made_or_replaced(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_view(at("view"), SMALL)
            assert rows(session, at("view")) == [(1, "one"), (2, "two")]
            session.create_view(at("view"), "SELECT 3 AS other")
            assert rows(session, at("view")) == [(3,)]
            session.create_table(at("table"), SMALL)
            failure(lambda: session.create_view(at("table"), "SELECT 3 AS other"))
            assert session.count(at("table")) == 2
        engine.close()

    def test_odd_names(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            for schema in ("select", 'quo"te d'):
                session.create_schemas([schema])
                for number, name in enumerate(ODD_NAMES):
                    session.create_table(at(name, schema), f"SELECT {number} AS id")
                    assert rows(session, at(name, schema)) == [(number,)]
                    found = session.describe(at(name, schema))
                    assert found is not None
                    assert found.relation == at(name, schema)
                assert {f.relation.name for f in session.find([schema])} == set(ODD_NAMES)
                session.drop([at(name, schema) for name in ODD_NAMES])
                assert session.find([schema]) == []
        engine.close()

    def test_what_exists_is_dropped_and_nothing_else(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            for name in ("two", "stays"):
                session.create_table(at(name), SMALL)
            session.create_table(at("one", "data"), SMALL)
            session.create_view(at("over_one"), f"SELECT * FROM {text(session, at('one', 'data'))}")
            session.create_view(at("gone"), SMALL)
            session.drop([])
            session.drop([at("one", "data"), at("two"), at("gone"), at("never_was"), at("t", "no_schema")])
            assert {f.relation.name for f in session.find([SCHEMA])} == {"stays", "over_one"}
            over = session.describe(at("over_one"))
            assert over is not None, "a view that leads nowhere is still there"
            assert over.is_view
            session.drop([at("over_one")])
            assert {f.relation.name for f in session.find([SCHEMA])} == {"stays"}
        engine.close()

    def test_describe_and_find_agree(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        selected = ", ".join(f"{value} AS {name}" for name, value in self.odd_columns.items())
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            session.create_table(at("table"), f'SELECT {selected}, 1 AS "select", 2 AS "Quo""te"')
            session.create_table(at("table", "data"), f"SELECT * FROM {text(session, at('table'))}")
            session.create_view(at("view"), f"SELECT * FROM {text(session, at('table', 'data'))} WHERE 1 = 1")
            session.point({at("pointer"): at("table")})
            found = {f.relation: f for f in session.find([SCHEMA])}
            assert set(found) == {at("table"), at("view"), at("pointer")}
            for relation, each in found.items():
                assert session.describe(relation) == each
                assert session.columns(relation) == each.columns
                with transaction(session):
                    assert session.describe(relation) == each
                assert [n for n, _ in each.columns] == [*self.odd_columns, "select", 'Quo"te']
                assert all(kind for _, kind in each.columns)
                assert each.columns == found[at("table")].columns
            assert not found[at("table")].is_view
            assert found[at("table")].definition == ""
            assert found[at("view")].is_view
            assert found[at("view")].definition
            assert found[at("view")].definition != found[at("pointer")].definition
            with transaction(session):
                assert session.describe(at("nothing")) is None
                assert session.describe(at("nothing", "no_schema")) is None
                session.create_table(at("more"), SMALL)
            assert session.describe(at("nothing")) is None
            assert session.describe(at("nothing", "no_schema")) is None
            assert session.columns(at("nothing")) is None
            assert session.columns(at("nothing", "no_schema")) is None
            assert session.count(at("more")) == 2, "looking for nothing ends no transaction"
        engine.close()

    def test_describe_and_find_agree_on_a_view_that_leads_nowhere(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            session.create_table(at("table", "data"), SMALL)
            session.create_view(at("view"), f"SELECT id FROM {text(session, at('table', 'data'))}")
            session.drop([at("table", "data")])
            found = session.find([SCHEMA])
            assert [f.relation for f in found] == [at("view")]
            assert session.describe(at("view")) == found[0]
        engine.close()

    def test_only_the_schemas_asked_for_are_searched(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas(["a", "b", "c"])
            for schema in ("a", "b", "c"):
                session.create_table(at("t", schema), SMALL)
                session.point({at("v", schema): at("t", schema)})
            assert {f.relation.schema for f in session.find(["a", "c", "nothing"])} == {"a", "c"}
            assert {r.schema for r in session.targets(["a", "c", "nothing"])} == {"a", "c"}
            assert session.find([]) == []
            assert session.targets([]) == {}
        engine.close()

    # --- pointers

    def test_pointers_are_set_moved_and_removed(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            session.create_table(at("old", "data"), SMALL)
            session.create_table(at("new", "data"), "SELECT 3 AS id, true AS other")
            session.point({})
            session.point({at("p"): at("old", "data"), at("q"): at("old", "data")})
            assert rows(session, at("p")) == [(1, "one"), (2, "two")]
            session.point({at("p"): at("new", "data"), at("q"): None, at("never_was"): None})
            assert rows(session, at("p")) == [(3, True)]
            assert session.describe(at("q")) is None
            session.point({at("p"): at("new", "data")})
            assert session.targets([SCHEMA]) == {at("p"): at("new", "data")}
            session.point({at("p"): None, at("p", "no_schema"): None})
            assert session.targets([SCHEMA]) == {}
            assert session.count(at("old", "data")) == 2, "what it pointed at stays"
        engine.close()

    def test_a_pointer_shows_what_a_view_shows(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_view(at("view"), SMALL)
            session.point({at("p"): at("view")})
            assert rows(session, at("p")) == [(1, "one"), (2, "two")]
            assert session.targets([SCHEMA]) == {at("p"): at("view"), at("view"): None}
        engine.close()

    def test_thousands_of_pointers_are_cheap(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            for name in ("old", "new"):
                session.create_table(at(name, "data"), SMALL)
            for target in (at("old", "data"), at("new", "data"), None):
                began = time.perf_counter()
                with transaction(session):
                    session.point({at(f"p{n}"): target for n in range(POINTERS)})
                passed = time.perf_counter() - began
                found = session.targets([SCHEMA])
                assert found == ({at(f"p{n}"): target for n in range(POINTERS)} if target else {})
                assert passed < POINTERS * 0.01, "a hundredth of a second each would be far too much"
        engine.close()

    def test_pointers_of_odd_names(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            schemas = ("select", 'quo"te', "data")
            session.create_schemas(schemas)
            pointers = {}
            for number, name in enumerate(ODD_NAMES):
                session.create_table(at(name, "data"), f"SELECT {number} AS id")
                for schema in schemas[:2]:
                    pointers[at(name, schema)] = at(name, "data")
            session.point(pointers)
            assert session.targets(schemas) == pointers
            for number, name in enumerate(ODD_NAMES):
                assert rows(session, at(name, 'quo"te')) == [(number,)]
            session.point(dict.fromkeys(pointers))
            assert session.targets(schemas) == {}
        engine.close()

    def test_a_table_in_a_pointers_place_is_refused(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("data"), "SELECT 3 AS id")
            session.create_table(at("mine"), SMALL)
            failure(lambda: session.point({at("mine"): at("data")}))
            failure(lambda: session.point({at("mine"): None}))
            assert session.count(at("mine")) == 2
        engine.close()

    def test_a_pointer_to_nothing_is_refused(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("data"), SMALL)
            session.point({at("p"): at("data")})
            failure(lambda: session.point({at("p"): at("nothing")}))
            assert rows(session, at("p")) == [(1, "one"), (2, "two")]
        engine.close()

    def test_only_what_point_makes_is_a_pointer(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            session.create_table(at("data", "data"), SMALL)
            data = text(session, at("data", "data"))
            by_hand = {
                "one_column": f"SELECT id FROM {data}",
                "all_columns": f"SELECT id, name FROM {data}",
                "filtered": f"SELECT * FROM {data} WHERE id > 0",
                "limited": f"SELECT * FROM {data} LIMIT 1",
                "distinct_rows": f"SELECT DISTINCT * FROM {data}",
                "ordered": f"SELECT * FROM {data} ORDER BY id",
                "joined": f"SELECT a.* FROM {data} AS a CROSS JOIN {data} AS b",
                "united": f"SELECT * FROM {data} UNION ALL SELECT * FROM {data}",
                "with_more": f"SELECT *, 1 AS more FROM {data}",
                "inside": f"SELECT * FROM (SELECT * FROM {data}) AS inside",
                "literal": "SELECT 1 AS id",
                "told": "SELECT 'AS SELECT * FROM data.data' AS text",
            }
            for name, query in by_hand.items():
                session.create_view(at(name), query)
            session.execute(f"CREATE VIEW {text(session, at('renamed'))} (a, b) AS SELECT * FROM {data}")
            session.point({at("pointer"): at("data", "data")})
            found = session.targets([SCHEMA])
            assert found == {**dict.fromkeys(map(at, [*by_hand, "renamed"])), at("pointer"): at("data", "data")}
        engine.close()

    def test_pointers_are_known_to_the_next_handle(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            session.create_table(at("t", "data"), SMALL)
            session.create_table(at("t"), SMALL)
            session.point({at("p"): at("t", "data"), at("q"): at("t")})
            before = session.find([SCHEMA]), session.targets([SCHEMA])
        engine.close()
        other = open_engine()
        with other.session(read_only=True) as session:
            assert (session.find([SCHEMA]), session.targets([SCHEMA])) == before
        other.close()

    # --- files

    def load(
        self, session: Session, folder: Path, content: str | bytes, columns: Mapping[str, str] | None = None
    ) -> int:
        """``content`` as the table ``seed``."""
        path = folder / "seed.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        session.create_schemas([SCHEMA])
        session.drop([at("seed")])
        return session.load_csv(at("seed"), path, columns or {})

    def test_a_file_is_loaded(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            assert self.load(session, tmp_path, "id,name\n1,one\n2,two\n") == 2
            assert rows(session, at("seed")) == [(1, "one"), (2, "two")]
        engine.close()

    def test_a_file_that_ends_without_a_line_feed(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            assert self.load(session, tmp_path, b"\xef\xbb\xbfid,name\r\n1,one\r\n2,two") == 2
            assert rows(session, at("seed")) == [(1, "one"), (2, "two")]
            found = session.describe(at("seed"))
            assert found is not None
            assert [n for n, _ in found.columns] == ["id", "name"], "a byte order mark is no part of a name"
        engine.close()

    def test_quotes_and_empty_values(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        said = 'id,text\n1,"a ""quoted"" word, a comma;\tand\na line"\n2,\n3,\' # \\ | NULL\n4, kept as it is \n'
        with engine.session() as session:
            assert self.load(session, tmp_path, said) == 4
            assert rows(session, at("seed")) == [
                (1, 'a "quoted" word, a comma;\tand\na line'),
                (2, None),
                (3, "' # \\ | NULL"),
                (4, " kept as it is "),
            ]
        engine.close()

    def test_a_hash_does_not_make_a_comment(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            assert self.load(session, tmp_path, "code,name\n#1,a\n#2,b\n3,#c\n") == 3
            assert rows(session, at("seed")) == [("#1", "a"), ("#2", "b"), ("3", "#c")]
        engine.close()

    def test_the_separator_is_a_comma(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            assert self.load(session, tmp_path, "name\na b\nc;d\ne|f\n") == 3
            assert rows(session, at("seed")) == [("a b",), ("c;d",), ("e|f",)]
        engine.close()

    def test_declared_types(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            self.load(session, tmp_path, "id,code,other\n1,007,1\n2,008,2\n", {"code": "VARCHAR", "id": "BIGINT"})
            assert rows(session, at("seed")) == [(1, "007", 1), (2, "008", 2)]
            for wrong in ({"nothing": "BIGINT"}, {"id": "no such type"}, {"code": "DATE"}):
                failure(lambda wrong=wrong: self.load(session, tmp_path, "id,code\n1,a\n2,b\n", wrong))  # type: ignore[misc]
                assert session.describe(at("seed")) is None
        engine.close()

    def test_a_value_late_in_the_file_decides_the_type_too(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            assert self.load(session, tmp_path, "code\n" + "1\n" * 150_000 + "A\n") == 150_001
            assert session.query(f"SELECT max(code) FROM {text(session, at('seed'))}").rows[0][0] == "A"
        engine.close()

    def test_odd_column_names(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            types = {"select": "VARCHAR", "it's": "VARCHAR", 'quo"te': "VARCHAR"}
            self.load(session, tmp_path, 'select,it\'s,"quo""te",ünï\n1,2,3,4\n', types)
            found = session.describe(at("seed"))
            assert found is not None
            assert [n for n, _ in found.columns] == ["select", "it's", 'quo"te', "ünï"]
            assert rows(session, at("seed")) == [("1", "2", "3", 4)]
        engine.close()

    def test_a_file_without_rows(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            assert self.load(session, tmp_path, "id,name\n", {"id": "BIGINT"}) == 0
            found = session.describe(at("seed"))
            assert found is not None
            assert [n for n, _ in found.columns] == ["id", "name"]
            assert session.count(at("seed")) == 0
        engine.close()

    def test_an_empty_file_is_refused(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            for nothing in (b"", b"\n\n", b"\xef\xbb\xbf", b"  \r\n"):
                failure(lambda nothing=nothing: self.load(session, tmp_path, nothing))  # type: ignore[misc]
                assert session.describe(at("seed")) is None
        engine.close()

    def test_rows_of_another_length_are_refused(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            for wrong in ("id,name\n1,a\n2\n", "id,name\n1,a\n2\n3,b,c\n", "id,name\n1,a\n2,b,c\n", "name\na\nb,c\n"):
                error = failure(lambda wrong=wrong: self.load(session, tmp_path, wrong))  # type: ignore[misc]
                assert "line 3" in error.message.lower()
                assert session.describe(at("seed")) is None
        engine.close()

    def test_a_quote_that_is_not_closed_is_refused(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            failure(lambda: self.load(session, tmp_path, 'id,name\n1,"a\n2,b\n3,c\n'))
            assert session.describe(at("seed")) is None
        engine.close()

    def test_odd_file_names(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            for number, name in enumerate(
                ("a*.csv", "a[1].csv", "a?.csv", "it's.csv", "a b.csv", "ünï.csv", "{a,b}.csv")
            ):
                (tmp_path / name).write_text(f"id\n{number}\n")
                (tmp_path / "a1.csv").write_text("id\n-1\n")
                (tmp_path / "a.csv").write_text("id\n-1\n")
                assert session.load_csv(at(f"t{number}"), tmp_path / name, {}) == 1
                assert rows(session, at(f"t{number}")) == [(number,)]
            failure(lambda: session.load_csv(at("nothing"), tmp_path / "nothing.csv", {}))
            failure(lambda: session.load_csv(at("t0"), tmp_path / "a.csv", {}))
            assert rows(session, at("t0")) == [(0,)]
        engine.close()

    # --- transactions

    def test_what_is_rolled_back_never_was(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        if not self.claims(engine, Capability.TRANSACTIONAL_DDL):
            return
        (tmp_path / "seed.csv").write_text("id\n1\n")
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("old"), SMALL)
            session.create_table(at("other"), "SELECT 7 AS id")
            session.create_view(at("view"), SMALL)
            session.point({at("p"): at("old"), at("q"): at("old")})
            before = everything(session)
            session.begin()
            session.create_schemas(["made"])
            session.create_table(at("t", "made"), SMALL)
            session.load_csv(at("seed", "made"), tmp_path / "seed.csv", {})
            session.create_view(at("view"), "SELECT 9 AS other")
            session.point({at("p"): at("other"), at("q"): None, at("r", "made"): at("t", "made")})
            session.drop([at("old")])
            session.execute(f"INSERT INTO {text(session, at('other'))} VALUES (8)")
            assert rows(session, at("p")) == [(7,), (8,)], "seen from inside"
            assert session.describe(at("q")) is None
            session.rollback()
            assert everything(session) == before
            assert rows(session, at("p")) == [(1, "one"), (2, "two")]
            assert rows(session, at("other")) == [(7,)]
        engine.close()

    def test_a_transaction_shows_all_or_nothing_to_others(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        if not self.claims(engine, Capability.TRANSACTIONAL_DDL):
            return
        if not self.claims(engine, Capability.CONCURRENT_STATEMENTS):
            return
        with engine.session() as writer, engine.session() as reader:
            writer.create_schemas([SCHEMA])
            writer.create_table(at("old"), "SELECT 1 AS id")
            writer.create_table(at("new"), "SELECT 2 AS id")
            writer.point({at(f"p{n}"): at("old") for n in range(5)})
            writer.begin()
            for n in range(5):
                writer.point({at(f"p{n}"): at("new")})
                assert [rows(reader, at(f"p{m}")) for m in range(5)] == [[(1,)]] * 5
            writer.commit()
            assert [rows(reader, at(f"p{m}")) for m in range(5)] == [[(2,)]] * 5
        engine.close()

    def test_an_error_in_a_transaction_takes_all_of_it_back(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        if not self.claims(engine, Capability.TRANSACTIONAL_DDL):
            return
        with engine.session() as session:
            session.create_schemas([SCHEMA])

            def work() -> None:
                with transaction(session):
                    session.create_table(at("first"), SMALL)
                    session.create_table(at("second"), self.broken_query)

            failure(work)
            assert session.find([SCHEMA]) == []
            with transaction(session):
                session.create_table(at("first"), SMALL)
            assert session.count(at("first")) == 2
        engine.close()

    def test_a_session_that_ends_rolls_back(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        if not self.claims(engine, Capability.TRANSACTIONAL_DDL):
            return
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.begin()
            session.create_table(at("t"), SMALL)
        with engine.session() as session:
            assert session.find([SCHEMA]) == []
        engine.close()

    def test_rolling_back_is_harmless_where_there_is_nothing(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.rollback()
            session.begin()
            session.commit()
            session.rollback()
            session.rollback()
            assert session.query("SELECT 1").rows[0][0] == 1
        engine.close()

    # --- threads

    def test_builds_from_many_threads(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        if not self.claims(engine, Capability.CONCURRENT_STATEMENTS):
            return
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("source"), SMALL)

        def work(thread: int) -> None:
            for number in range(10):
                with engine.session() as session:
                    mine = at(f"t{thread}_{number}")
                    session.begin()
                    session.drop([mine])
                    assert session.create_table(mine, f"SELECT * FROM {text(session, at('source'))}") == 2
                    found = session.describe(mine)
                    assert found is not None
                    assert len(found.columns) == 2
                    session.commit()

        in_threads(8, work)
        with engine.session() as session:
            assert len(session.find([SCHEMA])) == 81
            assert session.count(at("t7_9")) == 2
        engine.close()

    def test_reading_and_writing_take_turns(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("t"), SMALL)
        engine.close()

        def work(thread: int) -> None:
            for number in range(5):
                if thread % 2:
                    with engine.session(read_only=True) as session:
                        assert session.count(at("t")) == 2
                        failure(lambda: session.create_schemas(["never"]))
                else:
                    with engine.session() as session:
                        session.create_table(at(f"t{thread}_{number}"), SMALL)
                engine.close()

        in_threads(4 if self.claims(engine, Capability.CONCURRENT_STATEMENTS) else 1, work)
        engine.close()

    def test_a_reading_session_refuses_to_write(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        (tmp_path / "seed.csv").write_text("id\n1\n")
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("t"), SMALL)
            session.point({at("p"): at("t")})
        for fresh in (True, False):
            if fresh:
                engine.close()
            else:
                with engine.session() as session:
                    session.count(at("t"))
            with engine.session(read_only=True) as session:
                before = everything(session)
                writes: list[Callable[[], object]] = [
                    lambda: session.create_schemas(["made"]),
                    lambda: session.create_table(at("made"), SMALL),
                    lambda: session.load_csv(at("made"), tmp_path / "seed.csv", {}),
                    lambda: session.create_view(at("made"), SMALL),
                    lambda: session.point({at("made"): at("t")}),
                    lambda: session.point({at("p"): None}),
                    lambda: session.drop([at("t")]),
                    lambda: session.execute(f"INSERT INTO {text(session, at('t'))} VALUES (3, 'x')"),
                    lambda: session.execute(f"DELETE FROM {text(session, at('t'))}"),
                    lambda: session.query(f"INSERT INTO {text(session, at('t'))} VALUES (3, 'x')"),
                ]
                for write in writes:
                    failure(write)
                    session.begin()
                    failure(write)
                    session.rollback()
                assert rows(session, at("p")) == [(1, "one"), (2, "two")]
                assert everything(session) == before
        engine.close()

    def test_a_statement_that_runs_can_be_stopped(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
        outcome: list[BaseException | None] = []

        def work() -> None:
            try:
                with engine.session() as session:
                    session.create_table(at("slow"), self.slow_query)
                outcome.append(None)
            except BaseException as error:  # noqa: BLE001  # looked at below
                outcome.append(error)

        engine.interrupt()
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        time.sleep(0.3)
        assert thread.is_alive(), "the query isn't slow"
        began = time.monotonic()
        while thread.is_alive() and time.monotonic() - began < PATIENCE:
            engine.interrupt()
            thread.join(0.05)
        assert not thread.is_alive(), "it went on"
        assert isinstance(outcome[0], WarehouseError), outcome
        assert time.monotonic() - began < 10
        with engine.session() as session:
            assert session.find([SCHEMA]) == []
            session.create_table(at("after"), SMALL)
            engine.interrupt()
            assert session.count(at("after")) == 2, "stopping nothing stops nothing"
        engine.close()

    # --- what a relation holds, as one hash

    same_values: ClassVar[tuple[tuple[str, str], ...]] = (("1 + 1", "2"), ("CAST(1.50 AS DECIMAL(9, 2))",) * 2)
    """Pairs of expressions with one value of one type."""
    different_values: ClassVar[tuple[tuple[str, str], ...]] = (
        ("1", "2"),
        ("CAST(1 AS INTEGER)", "CAST(1 AS BIGINT)"),
        ("CAST(0 AS INTEGER)", "CAST(NULL AS INTEGER)"),
        ("false", "CAST(NULL AS BOOLEAN)"),
        ("''", "CAST(NULL AS VARCHAR)"),
        ("''", "' '"),
        ("'1'", "1"),
        ("'a'", "'A'"),
        ("'a'", "'a '"),
        ("CAST(0.0 AS DOUBLE PRECISION)", "-CAST(0.0 AS DOUBLE PRECISION)"),
        ("CAST(0.0 AS DOUBLE PRECISION)", "CAST(NULL AS DOUBLE PRECISION)"),
        ("CAST('NaN' AS DOUBLE PRECISION)", "CAST(NULL AS DOUBLE PRECISION)"),
        ("CAST(0.1 AS DOUBLE PRECISION) + 0.2e0", "CAST(0.3 AS DOUBLE PRECISION)"),
        ("CAST('2020-01-01' AS DATE)", "CAST('2020-01-01' AS TIMESTAMP)"),
        ("CAST('2020-01-01' AS TIMESTAMP)", "CAST('2020-01-01' AS TIMESTAMP WITH TIME ZONE)"),
        ("INTERVAL '1' MONTH", "INTERVAL '30' DAY"),
    )
    """Pairs that a query can tell apart, by value or by type. An adapter adds what its engine has more."""

    def content(self, session: Session, query: str, columns: tuple[str, ...] = ("x",)) -> str:
        """The hash of what ``query`` returns."""
        session.drop([at("hashed")])
        session.create_table(at("hashed"), query)
        return session.content_hash(at("hashed"), columns)

    def test_equal_content_has_equal_hashes(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            for one, other in self.same_values:
                hashes = {self.content(session, f"SELECT {value} AS x") for value in (one, other)}
                assert len(hashes) == 1, (one, other)
                assert re.fullmatch("[0-9a-f]{64}", hashes.pop())
        engine.close()

    def test_different_content_has_different_hashes(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            for one, other in self.different_values:
                hashes = {self.content(session, f"SELECT {value} AS x") for value in (one, other)}
                assert len(hashes) == 2, (one, other)
        engine.close()

    def test_a_hash_counts_rows_and_not_their_order(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            numbers = [str(n * 7919 % 5000) for n in range(5000)]
            orders = (numbers, sorted(numbers), sorted(numbers, key=int, reverse=True))
            values = [", ".join(f"({n}, 'n{n}')" for n in order) for order in orders]
            shuffled = [self.content(session, f"SELECT * FROM (VALUES {v}) AS t(x, y)", ("x", "y")) for v in values]
            assert len(set(shuffled)) == 1
            nothing = "SELECT 0 AS x WHERE false"
            queries = [nothing, *(" UNION ALL ".join(["SELECT 0 AS x"] * n) for n in (1, 2, 3))]
            queries += ["SELECT 1 AS x UNION ALL SELECT 1", "SELECT 2 AS x UNION ALL SELECT 2"]
            assert len({self.content(session, query) for query in queries}) == len(queries), (
                "two equal rows don't cancel"
            )
        engine.close()

    def test_a_hash_is_of_the_columns_asked_for(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            query = 'SELECT 1 AS x, 2 AS y, \'a\' AS "it\'s ""z"""'
            asked = [("x",), ("y",), ("x", "y"), ("y", "x"), (), ("x", 'it\'s "z"')]
            hashes = [self.content(session, query, columns) for columns in asked]
            assert len(set(hashes)) == len(asked)
            other = self.content(session, "SELECT 1 AS x, 3 AS y")
            assert other == hashes[0], "other columns don't count"
            renamed = self.content(session, "SELECT 1 AS v", ("v",))
            assert renamed != hashes[0], "names do"
            moved = self.content(session, "SELECT 1 AS x, 2 AS y UNION ALL SELECT 3, 4", ("x", "y"))
            swapped = self.content(session, "SELECT 1 AS x, 4 AS y UNION ALL SELECT 3, 2", ("x", "y"))
            assert moved != swapped, "what stands in one row belongs together"
            failure(lambda: session.content_hash(at("hashed"), ["nothing"]))
            failure(lambda: session.content_hash(at("nothing"), ["x"]))
        engine.close()

    def test_a_hash_of_a_view_is_that_of_its_rows(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("small"), SMALL)
            session.point({at("v"): at("small")})
            found = {session.content_hash(at(name), ["id", "name"]) for name in ("small", "v")}
        engine.close()
        other = open_engine()
        with other.session(read_only=True) as session:
            found.add(session.content_hash(at("v"), ["id", "name"]))
        other.close()
        assert len(found) == 1
