"""Views of Postgres read tables; the port's views read names. What is renamed, swapped, replaced and dropped under them."""

import pytest
from tests.engines.postgres.helping import data, exchange, generations, mine, shown

from anabranch.ports.engine import transaction
from anabranch.testing.engine_helpers import SCHEMA, at, failure, rows

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("is_open", [True, False])
def test_views_read_what_has_the_name(session, is_open):
    generations(session)
    definitions = {f.relation: f.definition for f in session.find([SCHEMA, "mine"])}
    assert shown(session) == ["old"] * 7
    if is_open:
        session.begin()
    session.rename(data("t"), "t__u1")
    assert shown(session) == ["old"] * 7, "nothing has the name"
    session.rename(data("t__g1"), "t")
    assert shown(session) == ["new"] * 7
    if is_open:
        session.commit()
    assert shown(session) == ["new"] * 7
    assert rows(session, mine("joined")) == [("new", "x")]
    assert rows(session, mine("whole")) in ([("(2,new)",)], [(("2", "new"),)])
    assert session.targets([SCHEMA]) == {at("p"): data("t"), at("q"): data("t")}
    assert {f.relation: f.definition for f in session.find([SCHEMA, "mine"])} == definitions
    session.drop([data("t__u1")])
    assert session.find(["data"])


def test_and_back(session):
    generations(session)
    for _ in range(3):
        with transaction(session):
            exchange(session)
        assert shown(session) == ["new"] * 7
        with transaction(session):
            session.rename(data("t"), "t__g1")
            session.rename(data("t__u1"), "t")
        assert shown(session) == ["old"] * 7


def test_what_is_rolled_back_was_never_renamed(session):
    generations(session)
    session.begin()
    session.rename(data("t"), "t__u1")
    session.rollback()
    session.rename(data("t__g1"), "t__g2")
    session.create_table(data("u"), "SELECT 3 AS id, 'u' AS name")
    session.rename(data("t"), "moved")
    assert shown(session) == ["old"] * 7
    session.rename(data("u"), "t")
    assert shown(session) == ["u"] * 7
    session.begin()
    session.rename(data("t"), "gone")
    failure(lambda: session.rename(data("nothing"), "t"))
    session.rollback()
    assert shown(session) == ["u"] * 7


def test_a_name_that_is_given_anew_is_followed(session):
    generations(session)
    for give in (
        lambda: session.create_table(data("t"), "SELECT 4 AS id, 'made' AS name"),
        lambda: session.create_view(data("t"), "SELECT 5 AS id, 'made' AS name"),
        lambda: session.point({data("t"): data("t__made")}),
        lambda: session.load_arrow(data("t"), [], {"id": "integer", "name": "text"}),
    ):
        session.begin()
        session.create_table(data("t__made"), "SELECT 6 AS id, 'made' AS name")
        session.rename(data("t"), "t__u1")
        give()
        found = {tuple(rows(session, at("p"))[0][1:]) if rows(session, at("p")) else ("made",)}
        assert found == {("made",)}
        assert rows(session, mine("direct")) in ([("made",)], [])
        session.rollback()
    assert shown(session) == ["old"] * 7


def test_pointers_to_what_has_other_columns_now(session):
    session.create_table(data("t"), "SELECT 1 AS id, 'old' AS name")
    session.create_table(data("wider"), "SELECT 2 AS id, 'new' AS name, true AS more")
    session.create_table(data("other"), "SELECT 'x' AS id")
    session.point({at("p"): data("t"), at("over"): at("p")})
    session.create_view(mine("v"), "SELECT id FROM suite.over")
    for name, columns in (
        ("wider", (("id", "integer"), ("name", "text"), ("more", "boolean"))),
        ("other", (("id", "text"),)),
    ):
        with transaction(session):
            session.rename(data("t"), f"left_{name}")
            session.rename(data(name), "t")
        assert session.columns(at("p")) == columns
        # a view of a view keeps the columns it was made with, for as long as they are there
        assert session.columns(at("over")) == columns[:2]
        assert session.columns(mine("v")) == columns[:1]
        assert session.targets([SCHEMA]) == {at("p"): data("t"), at("over"): at("p")}
    assert rows(session, mine("v")) == [("x",)]


def test_a_view_that_needs_a_lost_column_is_told_and_nothing_is_done(session):
    session.create_table(data("t"), "SELECT 1 AS id, 'old' AS name")
    session.create_table(data("t__g1"), "SELECT 2 AS id")
    session.point({at("p"): data("t")})
    for query in ("SELECT name FROM data.t", "SELECT name FROM suite.p"):
        session.create_view(mine("v"), query)
        before = session.find([SCHEMA, "data", "mine"])

        def work() -> None:
            with transaction(session):
                exchange(session)

        error = failure(work)
        assert "mine.v reads" in error.message
        assert "name" in error.message
        assert error.hint == "change or drop mine.v first"
        assert session.find([SCHEMA, "data", "mine"]) == before
        assert rows(session, mine("v")) == [("old",)]
    session.drop([mine("v")])
    with transaction(session):
        exchange(session)
    assert session.columns(at("p")) == (("id", "integer"),)


def test_a_view_may_read_both(session):
    session.create_table(data("a"), "SELECT 'a' AS x")
    session.create_table(data("b"), "SELECT 'b' AS x")
    session.create_table(data("c"), "SELECT 'c' AS x")
    session.create_view(mine("v"), "SELECT a.x AS first, b.x AS second, c.x AS third FROM data.a, data.b, data.c")
    session.create_view(mine("w"), "SELECT first || second AS both FROM mine.v")
    session.swap(data("a"), data("b"))
    assert rows(session, mine("v")) == [("b", "a", "c")]
    with transaction(session):  # round and round
        session.rename(data("a"), "spare")
        session.rename(data("b"), "a")
        session.rename(data("c"), "b")
        session.rename(data("spare"), "c")
    assert rows(session, mine("v")) == [("a", "c", "b")]
    assert rows(session, mine("w")) == [("ac",)]
    failure(lambda: session.swap(data("a"), data("nothing")))
    assert rows(session, mine("v")) == [("a", "c", "b")]
    session.swap(data("a"), data("b"))
    assert rows(session, mine("v")) == [("c", "a", "b")]


def test_many_pointers_follow_at_once(session):
    generations(session)
    session.create_table(data("t__g2"), "SELECT true AS other")
    pointers = {at(f"p{n}"): data("t") for n in range(300)}
    session.point(pointers)
    with transaction(session):
        exchange(session)
    assert {r: t for r, t in session.targets([SCHEMA]).items() if r in pointers} == pointers
    assert rows(session, at("p299")) == [(2, "new")]
    session.drop([f.relation for f in session.find(["mine"])])
    with transaction(session):
        session.rename(data("t"), "t__u2")
        session.rename(data("t__g2"), "t")
    assert {r: t for r, t in session.targets([SCHEMA]).items() if r in pointers} == pointers
    assert rows(session, at("p299")) == [(True,)]


def test_a_view_that_was_dropped_or_replaced_meanwhile_follows_nothing(session):
    generations(session)
    with transaction(session):
        session.rename(data("t"), "t__u1")
        session.drop([mine("over"), mine("joined"), at("q")])
        session.execute("DROP VIEW mine.whole")
        session.create_view(mine("direct"), "SELECT 'by hand' AS name")
        session.create_table(data("elsewhere"), "SELECT 'elsewhere' AS name")
        session.point({at("p"): data("elsewhere")})
        session.rename(data("t__g1"), "t")
    assert session.describe(mine("whole")) is None
    assert session.describe(at("q")) is None
    assert rows(session, mine("direct")) == [("by hand",)]
    assert session.targets([SCHEMA]) == {at("p"): data("elsewhere")}
    assert rows(session, mine("by_pointer")) == [("elsewhere",)]


def test_what_reads_a_table_reads_the_view_that_takes_its_name(session):
    session.create_table(at("orders"), "SELECT 1 AS id")
    session.create_view(mine("report"), "SELECT id FROM suite.orders")
    with transaction(session):
        session.rename(at("orders"), "orders__0123")
        session.point({at("orders"): at("orders__0123")})
    assert rows(session, mine("report")) == [(1,)]
    session.create_table(data("next"), "SELECT 2 AS id")
    session.point({at("orders"): data("next")})
    assert rows(session, mine("report")) == [(2,)], "it follows the view"
    session.point({at("orders"): at("orders__0123")})
    with transaction(session):
        session.point({at("orders"): None})
        assert session.describe(at("orders")) is None
        session.rename(at("orders__0123"), "orders")
    assert rows(session, mine("report")) == [(1,)]
    assert {f.relation: f.is_view for f in session.find([SCHEMA])} == {at("orders"): False}


@pytest.mark.parametrize("is_open", [True, False])
def test_a_pointer_that_others_read_is_not_dropped_under_them(session, is_open):
    session.create_table(data("t"), "SELECT 1 AS id")
    session.point({at("p"): data("t"), at("q"): data("t"), at("over"): at("q")})
    session.create_view(mine("report"), "SELECT id FROM suite.p")
    before = session.find([SCHEMA, "data", "mine"])

    def work() -> None:
        if is_open:
            session.begin()
        session.point({at("p"): None, at("q"): None, at("over"): None})
        if is_open:
            session.commit()

    error = failure(work)
    assert "view mine.report depends on view suite.p" in error.message
    assert error.hint == "drop or change those first"
    assert session.find([SCHEMA, "data", "mine"]) == before
    session.drop([mine("report")])
    work()
    assert session.targets([SCHEMA]) == {}


def test_a_table_that_is_dropped_and_made_again_is_read_by_those_that_read_it(session):
    generations(session)
    session.point({at("left"): data("other")})
    with transaction(session):
        session.drop([data("t"), mine("direct"), at("left")])
        left = {f.relation.name for f in session.find([SCHEMA, "data", "mine"])}
        assert left == {"t__g1", "other", "p", "q", "by_pointer", "over", "joined", "whole", "kept", "over_kept"}
        assert session.describe(data("t")) is None
        assert session.columns(mine("direct")) is None
        session.create_table(data("t"), "SELECT 3 AS id, 'made' AS name")
        session.create_view(mine("direct"), "SELECT 'direct' AS name")
        assert rows(session, mine("kept")) == [("made",)]
    assert shown(session) == ["made", "made", "direct", "made", "direct", "made", "made"]
    assert {f.relation.name for f in session.find(["data"])} == {"t", "t__g1", "other"}
    assert session.targets([SCHEMA]) == {at("p"): data("t"), at("q"): data("t")}
    before = session.find([SCHEMA, "data", "mine"])

    def work() -> None:
        with transaction(session):
            session.drop([data("t"), mine("over"), mine("by_pointer")])
            session.drop([mine("direct"), at("p")])

    error = failure(work)
    assert error.kind == "DependentObjectsStillExist"
    assert "data.t" in error.message
    assert "aside" not in error.message
    assert session.find([SCHEMA, "data", "mine"]) == before
    with transaction(session):  # one after the other, what is read first
        session.drop([data("t")])
        session.drop([f.relation for f in session.find(["data"])])
        session.drop([f.relation for f in session.find(["mine"])])
        session.drop([at("p"), at("q")])
    assert session.find([SCHEMA, "data", "mine"]) == []
