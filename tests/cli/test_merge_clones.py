"""Promoting what was written to a clone: into the source, which others write to."""

from __future__ import annotations

import pytest
from tests.cli.conftest import Anabranch
from tests.support.plain import IS_PLAIN
from tests.support.shop import Said, Shop

KEYED = "raw.orders: {columns: {id: integer, country: text, amount: double}, key: id}"
PLAIN_SOURCE = "raw.orders: {columns: {id: integer, country: text, amount: double}}"
WRITES = (
    "UPDATE raw__feature.orders SET amount = 77 WHERE id = 1",
    "DELETE FROM raw__feature.orders WHERE id = 2",
    "INSERT INTO raw__feature.orders VALUES (1000, 'de', 5000.0)",
)
OTHERS = ("INSERT INTO raw.orders VALUES (2000, 'fr', 1.0)", "UPDATE raw.orders SET amount = 55 WHERE id = 3")
SOURCE = "SELECT id, country, amount FROM raw.orders ORDER BY id"
REVENUE = "FROM marts.revenue ORDER BY ALL"
needs_exchange = pytest.mark.skipif(
    IS_PLAIN, reason="a whole table takes another's place in transactions or by clones: the plain engine has neither"
)


def rows(before: list[tuple], *changes: tuple) -> list[tuple]:
    """``before``, with rows by id; of one value: without it."""
    found = {r[0]: r for r in before}
    for each in changes:
        found[each[0]] = each
    return sorted(r for r in found.values() if len(r) > 1)


OURS = ((2,), (1000, "de", 5000.0))


@pytest.fixture(params=[True, False], ids=["keyed", "whole"])
def is_keyed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def declared(shop: Shop, anabranch: Anabranch, *, key: bool) -> None:
    if key:
        shop.replace("anabranch.yaml", PLAIN_SOURCE, KEYED)
        assert anabranch("apply", "prod", "--yes").code == 0
    for arguments in (("env", "create", "feature"), ("clone", "raw.orders", "-e", "feature")):
        said = anabranch(*arguments)
        assert said.code == 0, said.err


@pytest.fixture
def keyed(applied: Shop, anabranch: Anabranch) -> Shop:
    """feature has a clone of raw.orders, whose rows a key tells apart."""
    declared(applied, anabranch, key=True)
    return applied


@pytest.fixture
def whole(applied: Shop, anabranch: Anabranch) -> Shop:
    """The same without a key."""
    declared(applied, anabranch, key=False)
    return applied


def ok(said: Said) -> Said:
    assert said.code == 0, said.err
    return said


def decision(said: Said, asset: str = "raw.orders") -> dict[str, str]:
    plan = said.json.get("plan") if isinstance(said.json.get("plan"), dict) else said.json
    found: dict[str, dict[str, str]] = {d["asset"]: d for d in plan["decisions"]}
    return found[asset]


def written(before: list[tuple]) -> list[tuple]:
    """What the source has with WRITES alone."""
    (one,) = [r for r in before if r[0] == 1]
    return rows(before, (1, one[1], 77.0), *OURS)


def test_what_was_written_gets_into_the_source_and_nothing_is_computed(keyed: Shop, anabranch: Anabranch):
    before, revenue = keyed.run_sql(SOURCE), keyed.run_sql(REVENUE)
    keyed.run_sql(*WRITES)
    ok(anabranch("apply", "feature"))
    rehearsed = keyed.run_sql("FROM marts__feature.revenue ORDER BY ALL")
    assert rehearsed != revenue
    keyed.run_sql(OTHERS[0])
    with keyed.unchanged():
        said = ok(anabranch("promote", "feature", "--dry-run", "--json"))
    told = decision(said)
    assert (told["verb"], told["reason"]) == ("merge", "merged")
    assert told["because"] == "by id: 1 changed, 1 added, 1 removed"
    said = ok(anabranch("promote", "feature", "--yes", "--json"))
    assert said.json["built"] == ["stg.orders"], "a view, which read the clone"
    assert keyed.run_sql(SOURCE) == rows(written(before), (2000, "fr", 1.0))
    assert keyed.run_sql(REVENUE) == rehearsed
    assert anabranch("plan", "prod", "--json").json["empty"]
    assert anabranch("plan", "feature", "--json").json["empty"]
    assert "nothing to do" in ok(anabranch("promote", "feature", "--yes")).out

    # other rows stay when it is taken back, also those that came meanwhile
    keyed.run_sql("INSERT INTO raw.orders VALUES (3000, 'fr', 2.0)")
    said = ok(anabranch("undo", "prod", "--yes", "--json"))
    assert decision(said)["verb"] == "return"
    assert keyed.run_sql(SOURCE) == rows(before, (2000, "fr", 1.0), (3000, "fr", 2.0))
    assert keyed.run_sql(REVENUE) == revenue

    # and made again
    ok(anabranch("promote", "feature", "--yes"))
    assert keyed.run_sql(SOURCE) == rows(written(before), (2000, "fr", 1.0), (3000, "fr", 2.0))
    assert keyed.run_sql(REVENUE) == rehearsed
    assert anabranch("status", "prod", "--json").json["drift"] == []
    ok(anabranch("env", "drop", "feature"))
    ok(anabranch("gc"))
    assert keyed.run_sql("SELECT * FROM stg.orders ORDER BY id") == keyed.run_sql(SOURCE)
    assert keyed.run_sql(REVENUE) == rehearsed


@pytest.mark.parametrize(
    ("write", "told"),
    [
        ("UPDATE raw.orders SET amount = 5 WHERE id = 1", "id 1"),
        ("DELETE FROM raw.orders WHERE id IN (1000, 1)", "id 1\n"),
        ("INSERT INTO raw.orders VALUES (2, 'fr', 3.0)", "id 2"),
    ],
    ids=["changed", "removed", "added"],
)
def test_merged_rows_that_others_wrote_to_since_are_not_taken_back(
    keyed: Shop, anabranch: Anabranch, write: str, told: str
):
    before = keyed.run_sql(SOURCE)
    keyed.run_sql(*WRITES)
    ok(anabranch("apply", "feature"))
    ok(anabranch("promote", "feature", "--yes"))
    merged = keyed.run_sql(SOURCE)
    keyed.run_sql(write, OTHERS[0])
    with keyed.unchanged():
        refused = anabranch("undo", "prod", "--yes")
    assert refused.code == 1
    assert f"that would be lost: {told}" in refused.err
    # as it was merged, or as it was before: both are as good
    for state in (merged, before):
        keyed.run_sql("DELETE FROM raw.orders WHERE id IN (1, 2, 1000)")
        for row in state:
            if row[0] in (1, 2, 1000):
                keyed.run_sql(f"INSERT INTO raw.orders VALUES ({row[0]}, '{row[1]}', {row[2]})")
        ok(anabranch("undo", "prod", "--yes", "--dry-run"))
    ok(anabranch("undo", "prod", "--yes"))
    assert keyed.run_sql(SOURCE) == rows(before, (2000, "fr", 1.0))


def test_the_same_rows_written_on_both_sides_are_a_conflict(keyed: Shop, anabranch: Anabranch):
    keyed.run_sql(*WRITES, "UPDATE raw__feature.orders SET amount = 44 WHERE id IN (3, 4)", OTHERS[1])
    ok(anabranch("apply", "feature"))
    before = keyed.run_sql(SOURCE)
    with keyed.unchanged():
        refused = anabranch("promote", "feature", "--yes")
    assert refused.code == 3
    assert "1 row of raw.orders was written to in feature and, otherwise, in raw.orders itself" in refused.err
    assert "by key: 3" in refused.err
    assert keyed.run_sql(SOURCE) == before
    refused = anabranch("promote", "feature", "--yes", "--json")
    (conflict,) = refused.json["error"]["conflicts"]
    assert (conflict["asset"], conflict["rows"]) == ("raw.orders", ["3"])
    # what is the same on both sides is none
    keyed.run_sql("UPDATE raw__feature.orders SET amount = 55 WHERE id = 3")
    ok(anabranch("apply", "feature"))
    ok(anabranch("promote", "feature", "--yes"))
    assert [r for r in keyed.run_sql(SOURCE) if r[0] in (3, 4)] == [
        (3, before[3][1], 55.0) if before[3][0] == 3 else (3, next(r[1] for r in before if r[0] == 3), 55.0),
        (4, next(r[1] for r in before if r[0] == 4), 44.0),
    ]


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ("DELETE FROM raw__feature.orders WHERE id = 5", "UPDATE raw.orders SET amount = 9 WHERE id = 5"),
        ("UPDATE raw__feature.orders SET amount = 9 WHERE id = 5", "DELETE FROM raw.orders WHERE id = 5"),
        ("INSERT INTO raw__feature.orders VALUES (900, 'de', 1)", "INSERT INTO raw.orders VALUES (900, 'de', 2)"),
        ("UPDATE raw__feature.orders SET amount = NULL WHERE id = 5", "UPDATE raw.orders SET amount = 1 WHERE id = 5"),
    ],
)  # fmt: skip
def test_each_kind_of_conflict(keyed: Shop, anabranch: Anabranch, mine: str, theirs: str):
    keyed.run_sql(mine, theirs)
    ok(anabranch("apply", "feature"))
    with keyed.unchanged():
        assert anabranch("promote", "feature", "--yes").code == 3


@pytest.mark.parametrize(
    "both",
    [
        "DELETE FROM {} WHERE id = 5",
        "UPDATE {} SET amount = NULL WHERE id = 5",
        "INSERT INTO {} VALUES (900, NULL, 2)",
    ],
)  # fmt: skip
def test_the_same_on_both_sides_is_no_conflict(keyed: Shop, anabranch: Anabranch, both: str):
    keyed.run_sql(both.format("raw__feature.orders"), both.format("raw.orders"))
    after = keyed.run_sql(SOURCE)
    ok(anabranch("apply", "feature"))
    ok(anabranch("promote", "feature", "--yes"))
    assert keyed.run_sql(SOURCE) == after


@needs_exchange
def test_without_a_key_the_clone_takes_the_place_of_a_source_that_nobody_wrote_to(whole: Shop, anabranch: Anabranch):
    before = whole.run_sql(SOURCE)
    whole.run_sql(*WRITES)
    ok(anabranch("apply", "feature"))
    said = ok(anabranch("promote", "feature", "--yes", "--json"))
    assert decision(said)["because"].startswith("the clone takes its place, for nobody has written to it since")
    assert whole.run_sql(SOURCE) == written(before)
    whole.run_sql("UPDATE raw__feature.orders SET amount = 1")  # the clone has its own history still
    assert whole.run_sql(SOURCE) == written(before)
    ok(anabranch("undo", "prod", "--yes"))
    assert whole.run_sql(SOURCE) == before


@needs_exchange
def test_what_came_meanwhile_keeps_a_whole_table_from_going_back(whole: Shop, anabranch: Anabranch):
    whole.run_sql(*WRITES)
    ok(anabranch("apply", "feature"))
    ok(anabranch("promote", "feature", "--yes"))
    whole.run_sql(OTHERS[0])
    with whole.unchanged():
        for _ in range(2):
            refused = anabranch("undo", "prod", "--yes")
            assert refused.code == 1
            assert "raw.orders was written to since a clone took its place" in refused.err
            assert "raw.orders__anabranch_u1" in refused.err
    whole.run_sql("DELETE FROM raw.orders WHERE id = 2000")
    ok(anabranch("undo", "prod", "--yes"))


def test_without_a_key_nothing_is_merged_into_a_source_that_others_wrote_to(whole: Shop, anabranch: Anabranch):
    whole.run_sql(*WRITES, OTHERS[0])
    ok(anabranch("apply", "feature"))
    with whole.unchanged():
        refused = anabranch("promote", "feature", "--yes")
    assert refused.code == 1
    assert "raw.orders was written to since it was cloned, and no key tells its rows apart" in refused.err
    assert "key:" in refused.err
    # a key that is declared by now is too late for this clone
    whole.replace("anabranch.yaml", PLAIN_SOURCE, KEYED)
    ok(anabranch("apply", "feature"))
    refused = anabranch("promote", "feature", "--yes")
    assert refused.code == 1
    assert "its key was declared only after that" in refused.err


def test_a_key_declared_after_the_clone_does_while_nobody_else_writes(whole: Shop, anabranch: Anabranch):
    before = whole.run_sql(SOURCE)
    whole.run_sql(*WRITES)
    whole.replace("anabranch.yaml", PLAIN_SOURCE, KEYED)
    ok(anabranch("apply", "feature"))
    ok(anabranch("promote", "feature", "--yes"))
    assert whole.run_sql(SOURCE) == written(before)


def test_a_key_that_does_not_tell_rows_apart_is_refused(keyed: Shop, anabranch: Anabranch):
    keyed.run_sql("INSERT INTO raw__feature.orders VALUES (1, 'de', 3)")
    ok(anabranch("apply", "feature"))
    with keyed.unchanged():
        refused = anabranch("promote", "feature", "--yes")
    assert refused.code == 1
    assert "has 2 rows of the key 1: id doesn't tell its rows apart" in refused.err


def test_what_was_written_after_the_rehearsal_is_not_promoted(keyed: Shop, anabranch: Anabranch):
    keyed.run_sql(*WRITES)
    with keyed.unchanged():
        refused = anabranch("promote", "feature", "--yes")
    assert refused.code == 1
    assert "was written to since feature was applied" in refused.err
    assert "anabranch apply feature" in refused.err


@needs_exchange
def test_other_columns_come_along_while_nobody_else_writes(keyed: Shop, anabranch: Anabranch):
    keyed.run_sql("ALTER TABLE raw__feature.orders ADD COLUMN note VARCHAR DEFAULT 'new'")
    ok(anabranch("apply", "feature"))
    said = ok(anabranch("promote", "feature", "--yes", "--json"))
    assert decision(said)["because"].startswith("the clone takes its place")
    assert keyed.run_sql("SELECT DISTINCT note FROM raw.orders") == [("new",)]
    ok(anabranch("undo", "prod", "--yes"))
    assert len(keyed.run_sql("DESCRIBE raw.orders")) == 3


def test_the_source_stays_the_table_that_it_is(applied: Shop, anabranch: Anabranch, is_keyed: bool):
    """With its constraints and indexes."""
    if IS_PLAIN and not is_keyed:
        pytest.skip("the plain engine merges by key only")
    applied.run_sql(
        "CREATE TABLE raw.again (id INTEGER PRIMARY KEY, country VARCHAR DEFAULT 'de', amount DOUBLE)",
        "INSERT INTO raw.again FROM raw.orders",
        "DROP TABLE raw.orders CASCADE",
        "ALTER TABLE raw.again RENAME TO orders",
        "CREATE INDEX by_country ON raw.orders (country)",
    )
    before = applied.run_sql(SOURCE)
    declared(applied, anabranch, key=is_keyed)
    applied.run_sql(*WRITES)
    ok(anabranch("apply", "feature"))
    ok(anabranch("promote", "feature", "--yes"))
    assert applied.run_sql(SOURCE) == written(before)
    assert applied.run_sql("SELECT index_name FROM duckdb_indexes() WHERE table_name = 'orders'") == [("by_country",)]
    applied.run_sql("INSERT INTO raw.orders (id) VALUES (5000)")
    assert applied.run_sql("SELECT country FROM raw.orders WHERE id = 5000") == [("de",)]
    ok(anabranch("undo", "prod", "--yes")) if is_keyed else None
    assert applied.run_sql("SELECT count(*) FROM duckdb_constraints() WHERE table_name = 'orders'") == [(2,)]


OTHER = "UPDATE raw__other.orders SET amount = 66 WHERE id = 6"


def two(shop: Shop, anabranch: Anabranch, *writes: str) -> None:
    """other has a clone of its own; both are written to, and feature's is merged."""
    ok(anabranch("env", "create", "other"))
    ok(anabranch("clone", "raw.orders", "-e", "other"))
    shop.run_sql(*WRITES, *writes)
    for name in ("feature", "other"):
        ok(anabranch("apply", name))
    ok(anabranch("promote", "feature", "--yes"))


def with_other(shop: Shop, before: list[tuple]) -> list[tuple]:
    (six,) = [r for r in before if r[0] == 6]
    return rows(written(before), (6, six[1], 66.0))


def test_two_environments_merge_one_after_another(keyed: Shop, anabranch: Anabranch):
    """The second one's readers were built over what the first hadn't written: it takes that in first."""
    before = keyed.run_sql(SOURCE)
    two(keyed, anabranch, OTHER)
    first_only, revenue = keyed.run_sql(SOURCE), keyed.run_sql(REVENUE)
    keyed.run_sql(OTHERS[0])
    with keyed.unchanged():
        refused = anabranch("promote", "other", "--yes")
    assert refused.code == 3
    assert "raw.orders" in refused.err
    assert "apply --merged" in refused.err

    with keyed.unchanged():
        planned = ok(anabranch("plan", "other", "--merged", "--json"))
    said = ok(anabranch("apply", "other", "--merged", "--json"))
    assert decision(planned)["because"] == decision(said)["because"]
    assert "what was written is kept, by id: 1 changed" in decision(said)["because"]
    both = with_other(keyed, before)
    assert keyed.run_sql("SELECT id, country, amount FROM raw__other.orders ORDER BY id") == rows(
        both, (2000, "fr", 1.0)
    )
    (told,) = anabranch("status", "other", "--json").json["clones"]
    assert told["written"]
    rehearsed = keyed.run_sql("FROM marts__other.revenue ORDER BY ALL")
    assert keyed.run_sql(REVENUE) == revenue != rehearsed
    assert anabranch("plan", "other", "--json").json["empty"]

    ok(anabranch("promote", "other", "--yes"))
    assert keyed.run_sql(SOURCE) == rows(both, (2000, "fr", 1.0))
    assert keyed.run_sql(REVENUE) == rehearsed
    ok(anabranch("undo", "prod", "--yes"))
    assert keyed.run_sql(SOURCE) == rows(first_only, (2000, "fr", 1.0))
    assert keyed.run_sql(REVENUE) == revenue


def test_a_clone_nobody_wrote_to_does_not_bring_back_what_was(keyed: Shop, anabranch: Anabranch):
    two(keyed, anabranch)
    source, revenue = keyed.run_sql(SOURCE), keyed.run_sql(REVENUE)
    ok(anabranch("promote", "other", "--yes"))
    assert keyed.run_sql(REVENUE) == revenue, "nothing was changed in it"
    said = ok(anabranch("apply", "other", "--merged", "--json"))
    assert "kept" not in decision(said)["because"]
    assert keyed.run_sql("SELECT id, country, amount FROM raw__other.orders ORDER BY id") == source
    assert keyed.run_sql("FROM marts__other.revenue ORDER BY ALL") == revenue
    assert "nothing to do" in ok(anabranch("promote", "other", "--yes")).out
    assert keyed.run_sql(REVENUE) == revenue


def test_a_new_clone_has_what_was_merged_and_so_have_its_readers(keyed: Shop, anabranch: Anabranch):
    before = keyed.run_sql(SOURCE)
    two(keyed, anabranch)
    revenue = keyed.run_sql(REVENUE)
    ok(anabranch("clone", "raw.orders", "-e", "other"))
    assert keyed.run_sql("FROM marts__other.revenue ORDER BY ALL") == revenue
    keyed.run_sql(OTHER)
    ok(anabranch("apply", "other"))
    rehearsed = keyed.run_sql("FROM marts__other.revenue ORDER BY ALL")
    ok(anabranch("promote", "other", "--yes"))
    assert keyed.run_sql(SOURCE) == with_other(keyed, before)
    assert keyed.run_sql(REVENUE) == rehearsed != revenue


def test_what_was_merged_itself_is_no_longer_an_own_write(keyed: Shop, anabranch: Anabranch):
    two(keyed, anabranch)
    said = ok(anabranch("apply", "feature", "--merged", "--json"))
    assert "kept" not in decision(said)["because"]
    (told,) = anabranch("status", "feature", "--json").json["clones"]
    assert not told["written"]
    assert "nothing to do" in ok(anabranch("promote", "feature", "--yes")).out


def test_rows_that_another_has_merged_otherwise_are_a_conflict(keyed: Shop, anabranch: Anabranch):
    two(keyed, anabranch, "UPDATE raw__other.orders SET amount = 78 WHERE id = 1")
    with keyed.unchanged():
        refused = anabranch("apply", "other", "--merged", "--json")
    assert refused.code == 3
    (told,) = refused.json["error"]["conflicts"]
    assert (told["asset"], told["cause"], told["rows"]) == ("raw.orders", "both sides wrote to the same rows", ["1"])
    keyed.run_sql("UPDATE raw__other.orders SET amount = 77 WHERE id = 1")
    ok(anabranch("apply", "other", "--merged"))
    ok(anabranch("promote", "other", "--yes"))


@needs_exchange
def test_without_a_key_what_was_written_is_not_kept(whole: Shop, anabranch: Anabranch):
    two(whole, anabranch, OTHER)
    with whole.unchanged():
        refused = anabranch("apply", "other", "--merged")
    assert refused.code == 1
    assert "what was written to the clone of raw.orders in other can't be kept" in refused.err
    ok(anabranch("clone", "raw.orders", "-e", "other"))
    ok(anabranch("apply", "other", "--merged"))
    assert whole.run_sql("SELECT id, country, amount FROM raw__other.orders ORDER BY id") == whole.run_sql(SOURCE)


def test_what_is_written_while_the_writes_are_carried_over_is_not_lost(keyed: Shop, anabranch: Anabranch):
    two(keyed, anabranch, OTHER)
    keyed.replace(
        "anabranch.yaml", "sources:", "before_all: [UPDATE raw__other.orders SET amount = -8 WHERE id = 8]\nsources:"
    )
    refused = anabranch("apply", "other", "--merged")
    assert refused.code == 3
    assert "was written to since the plan was made" in refused.err
    keyed.replace("anabranch.yaml", "before_all: [UPDATE raw__other.orders SET amount = -8 WHERE id = 8]\n", "")
    said = ok(anabranch("apply", "other", "--merged", "--json"))
    assert "by id: 2 changed" in decision(said)["because"]
    assert keyed.run_sql("SELECT amount FROM raw__other.orders WHERE id IN (6, 8) ORDER BY id") == [(66.0,), (-8.0,)]


def test_what_was_taken_in_and_undone_is_not_promoted(keyed: Shop, anabranch: Anabranch):
    before = keyed.run_sql(SOURCE)
    two(keyed, anabranch, OTHER)
    ok(anabranch("apply", "other", "--merged"))
    ok(anabranch("undo", "other", "--yes"))
    assert keyed.run_sql("SELECT amount FROM raw__other.orders WHERE id IN (1, 6) ORDER BY id")[1] == (66.0,)
    with keyed.unchanged():
        refused = anabranch("promote", "other", "--yes")
    assert refused.code == 3
    assert "apply --merged" in refused.err
    ok(anabranch("apply", "other", "--merged"))
    ok(anabranch("promote", "other", "--yes"))
    assert keyed.run_sql(SOURCE) == with_other(keyed, before)


def test_an_environment_made_before_takes_the_merge_in(keyed: Shop, anabranch: Anabranch):
    ok(anabranch("env", "create", "other"))
    keyed.write("models/marts/total.sql", "SELECT count(*) AS n, sum(amount) AS v FROM raw.orders\n")
    ok(anabranch("apply", "other"))
    keyed.run_sql(*WRITES)
    (keyed.root / "models/marts/total.sql").unlink()
    ok(anabranch("apply", "feature"))
    ok(anabranch("promote", "feature", "--yes"))
    keyed.write("models/marts/total.sql", "SELECT count(*) AS n, sum(amount) AS v FROM raw.orders\n")
    assert anabranch("promote", "other", "--yes").code == 3
    ok(anabranch("apply", "other", "--merged"))
    ok(anabranch("promote", "other", "--yes"))
    assert keyed.run_sql("FROM marts.total") == keyed.run_sql("SELECT count(*), sum(amount) FROM raw.orders")


def test_what_merging_left_behind_is_collected(keyed: Shop, anabranch: Anabranch, monkeypatch: pytest.MonkeyPatch):
    from tests.cli.test_clone import collect

    keyed.run_sql("CREATE TABLE raw.orders__g7 AS SELECT 1 AS mine", *WRITES)
    ok(anabranch("apply", "feature"))
    ok(anabranch("promote", "feature", "--yes"))
    merged = keyed.run_sql(SOURCE)
    ok(anabranch("gc"))
    left = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw' ORDER BY ALL"
    assert keyed.run_sql(left) == [
        ("orders",),
        ("orders__anabranch_u1",),
        ("orders__anabranch_u1000001",),
        ("orders__g7",),
    ]
    ok(anabranch("env", "drop", "feature"))
    collect(anabranch, monkeypatch)
    assert keyed.run_sql(left) == [("orders",), ("orders__g7",)]
    assert keyed.run_sql("SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'raw__feature'") == [(0,)]
    assert keyed.run_sql(SOURCE) == merged


def test_nothing_is_merged_into_a_view(applied: Shop, anabranch: Anabranch):
    applied.run_sql("ALTER TABLE raw.orders RENAME TO stored", "CREATE VIEW raw.orders AS FROM raw.stored")
    declared(applied, anabranch, key=True)
    applied.run_sql(*WRITES)
    ok(anabranch("apply", "feature"))
    with applied.unchanged():
        refused = anabranch("promote", "feature", "--yes")
    assert refused.code == 1
    assert "raw.orders is a view, which nothing can be written into" in refused.err


def test_a_source_that_is_gone_is_told(keyed: Shop, anabranch: Anabranch):
    keyed.run_sql(*WRITES)
    ok(anabranch("apply", "feature"))
    keyed.run_sql("DROP TABLE raw.orders CASCADE")
    refused = anabranch("promote", "feature", "--yes")
    assert refused.code == 1
    assert "raw.orders is gone" in refused.err
