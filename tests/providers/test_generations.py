"""On DuckDB: whatever a table went through, a return brings back exactly what it held."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from anabranch.domain.content import Content
from anabranch.domain.ids import CommitId, Fingerprint, TreeId, digest
from anabranch.domain.intervals import Span, seconds
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.places import physical_location
from anabranch.domain.snapshot import Definition, Input, Kind, Snapshot
from anabranch.engines.duckdb import DuckDBEngine, DuckDBSession
from anabranch.errors import ModelError, StatementFailed
from anabranch.ports.engine import Relation
from anabranch.ports.provider import Move, Shown, Swap, Work
from anabranch.providers import generations
from anabranch.providers.models import ModelsProvider
from anabranch.sql.macros.moments import moment_sql
from anabranch.sql.rewrite import template_of

PROD = EnvironmentName("prod")
SOURCE = Snapshot(
    AssetName("raw.t"), Kind.EXTERNAL, "models", Fingerprint(digest(b"t")), Fingerprint(digest(b"t")), "raw.t"
)
SHOWN = Shown(CommitId(digest(b"commit")), TreeId(digest(b"tree")))


def day(number: int) -> int:
    return seconds(datetime.fromisoformat("2024-01-01")) + 86400 * number


@dataclass
class Rig:
    """One warehouse with raw.t (id, day, v)."""

    provider: ModelsProvider
    contents: dict[str, Content] = field(default_factory=dict)

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        with self.provider.engine.session() as session:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                rows = list(session.query(statement).rows)
            return rows

    def load(self, chance: random.Random) -> None:
        rows = ", ".join(
            f"({chance.randrange(6)}, DATE '2024-01-01' + {chance.randrange(10)}, {chance.randrange(3)})"
            for _ in range(9)
        )
        self.sql("DELETE FROM raw.t", f"INSERT INTO raw.t VALUES {rows}")

    def model(self, kind: Kind, query: str, **properties: str) -> Snapshot:
        asset = AssetName("marts.m")
        fingerprint = Fingerprint(digest(f"{kind}{query}{properties}".encode()))
        definition = Definition(query, "duckdb", "", template=template_of(query, "duckdb", "main"))
        upstreams = {SOURCE.asset: Input(SOURCE.fingerprint)}
        place = physical_location(asset, fingerprint)
        return Snapshot(asset, kind, "models", fingerprint, fingerprint, place, upstreams, properties, definition)

    def build(self, snapshot: Snapshot, *spans: Span, now: int = 0, previous: Snapshot | None = None) -> Content:
        work = Work(spans, now or day(20), previous=previous)
        built = self.provider.build(snapshot, {SOURCE.asset: SOURCE}, work)
        assert built.content is not None
        self.contents[snapshot.location] = built.content
        return built.content

    def refresh(self, snapshot: Snapshot, *spans: Span, now: int = 0) -> Content:
        content = self.contents[snapshot.location]
        work = Work(spans, now or day(20))
        staged = self.provider.stage(snapshot, content, {SOURCE.asset: SOURCE}, {}, work)
        return self.swap(snapshot, content.grown(staged.generation, partial=False))

    def swap(self, snapshot: Snapshot, content: Content) -> Content:
        with self.provider.prepare(PROD, lambda before: Move(SHOWN), [Swap(snapshot, content)]) as prepared:
            prepared.commit()
        self.contents[snapshot.location] = content
        return content

    def rows(self, snapshot: Snapshot) -> Counter[tuple[Any, ...]]:
        schema, name = snapshot.location.split(".")
        return Counter(self.sql(f'SELECT * FROM "{schema}"."{name}"'))

    def tables(self) -> set[str]:
        return {
            str(r[0]) for r in self.sql("SELECT table_name FROM duckdb_tables() WHERE schema_name LIKE 'anabranch__%'")
        }


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    engine = DuckDBEngine(tmp_path / "w.duckdb")
    found = Rig(ModelsProvider(engine, root=tmp_path, trunk=PROD, default_schema="main"))
    found.sql("CREATE SCHEMA raw", "CREATE TABLE raw.t (id INTEGER, day DATE, v INTEGER)")
    return found


BY_TIME = (Kind.BY_TIME_RANGE, "SELECT id, day, v FROM raw.t", {"time_column": "day", "start": str(day(0))})
KINDS: Mapping[str, tuple[Kind, str, Mapping[str, str]]] = {
    "time": BY_TIME,
    "time in batches": (*BY_TIME[:2], {**BY_TIME[2], "batch_size": "2"}),
    "time in batches at once": (*BY_TIME[:2], {**BY_TIME[2], "batch_size": "2", "batch_concurrency": "3"}),
    "key": (Kind.BY_UNIQUE_KEY, "SELECT id, max(v) AS v FROM raw.t GROUP BY id", {"unique_key": "id"}),
    "keys": (
        Kind.BY_UNIQUE_KEY,
        "SELECT id, day, max(v) AS v FROM raw.t GROUP BY id, day",
        {"unique_key": "id,day"},
    ),
    "partition": (Kind.BY_PARTITION, "SELECT day, id, v FROM raw.t", {"partitioned_by": "day"}),
    "append": (Kind.UNMANAGED, "SELECT id, v FROM raw.t", {}),
    "history by column": (
        Kind.SCD_TYPE_2_BY_COLUMN,
        "SELECT id, max(v) AS v FROM raw.t GROUP BY id",
        {"unique_key": "id", "tracked": "*", "invalidate_hard_deletes": "true"},
    ),
    "history by time": (
        Kind.SCD_TYPE_2_BY_TIME,
        "SELECT id, max(v) AS v, max(day)::TIMESTAMP AS updated_at FROM raw.t GROUP BY id",
        {"unique_key": "id"},
    ),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", KINDS)
def test_a_return_brings_back_what_was_held(rig: Rig, name: str, seed: int) -> None:
    """Refreshes and returns at random, in any order: each generation is ever the same rows."""
    chance = random.Random(f"{name}{seed}")
    kind, query, properties = KINDS[name]
    snapshot = rig.model(kind, query, **properties)
    rig.load(chance)
    content = rig.build(snapshot, (day(0), day(10)))
    seen = {0: rig.rows(snapshot)}
    for step in range(10):
        if chance.random() < 0.5:
            to = chance.choice(list(content.generations))
            content = rig.swap(snapshot, content.moved(to, float(step)))
        else:
            rig.load(chance)
            begin = chance.randrange(9)
            spans = (day(begin), day(chance.randrange(begin + 1, 11)))
            content = rig.refresh(snapshot, spans, now=day(21 + step))
            seen[content.current] = rig.rows(snapshot)
        assert rig.rows(snapshot) == seen[content.current], (step, content.current)
        assert rig.provider.contents([snapshot.location]) == {snapshot.location: content}
    kept, _ = content.retained(1e12)
    rig.provider.discard({snapshot.location: [n for n, g in kept.generations.items() if g.parent is not None]})
    assert rig.tables() == {snapshot.location.split(".")[1]}, "nothing is left beside it"
    assert rig.rows(snapshot) == seen[content.current]
    rig.provider.drop([snapshot.location])
    assert rig.tables() == set()
    assert rig.provider.contents([snapshot.location]) == {}


def test_a_model_by_time_holds_the_rows_of_its_spans(rig: Rig) -> None:
    rig.sql("INSERT INTO raw.t SELECT range, DATE '2024-01-01' + range::INTEGER, 0 FROM range(10)")
    kind, query, properties = BY_TIME
    snapshot = rig.model(kind, query, **properties)
    rig.build(snapshot, (day(2), day(5)))
    assert {r[1] for r in rig.rows(snapshot)} == {date(2024, 1, d) for d in (3, 4, 5)}, "the end is excluded"
    rig.sql("UPDATE raw.t SET v = 1")
    content = rig.refresh(snapshot, (day(4), day(7)))
    found = {(r[1].day, r[2]) for r in rig.rows(snapshot)}
    assert found == {(3, 0), (4, 0), (5, 1), (6, 1), (7, 1)}
    assert content.now.held == ((day(2), day(7)),)


@pytest.mark.parametrize(
    ("column", "time_format"),
    [
        ("day::TIMESTAMP", ""),
        ("day::TIMESTAMPTZ", ""),
        ("strftime(day, '%Y-%m-%d')", ""),
        ("strftime(day, '%Y%m%d')", "%Y%m%d"),
        ("strftime(day, '%Y%m%d')::INTEGER", "%Y%m%d"),
        ("strftime(day, '%Y%m%d')::BIGINT", ""),
    ],
)
def test_time_columns_of_every_type(rig: Rig, column: str, time_format: str) -> None:
    rig.sql("INSERT INTO raw.t SELECT range, DATE '2024-01-01' + range::INTEGER, 0 FROM range(10)")
    said = {"time_column": "at", "start": str(day(0))} | ({"time_format": time_format} if time_format else {})
    rig.sql("SET TimeZone = 'UTC'")
    snapshot = rig.model(Kind.BY_TIME_RANGE, f"SELECT id, {column} AS at FROM raw.t", **said)
    rig.build(snapshot, (day(2), day(5)))
    assert sorted(r[0] for r in rig.rows(snapshot)) == [2, 3, 4]


@pytest.mark.parametrize(
    ("kind", "query", "properties", "message"),
    [
        (Kind.BY_TIME_RANGE, "SELECT id FROM raw.t", {"time_column": "day"}, "marts.m has no column day, which its time_column names"),
        (Kind.BY_TIME_RANGE, "SELECT id, v > 0 AS day FROM raw.t", {"time_column": "day"}, "marts.m can't be filled by day: its type BOOLEAN is no time"),
        (Kind.BY_TIME_RANGE, "SELECT day FROM raw.t", {"time_column": "day", "interval_unit": "hour", "batch_size": "1"}, "marts.m can't be filled by day: a DATE can't tell intervals apart that are shorter than a day"),
        (Kind.BY_UNIQUE_KEY, "SELECT v, id FROM raw.t", {"unique_key": "v"}, "v is not a unique key of marts.m: 0: 10 rows"),
        (Kind.BY_UNIQUE_KEY, "SELECT v FROM raw.t", {"unique_key": "id"}, "marts.m has no column id, which unique_key names"),
        (Kind.BY_PARTITION, "SELECT v FROM raw.t", {"partitioned_by": "day"}, "marts.m has no column day, which partitioned_by names"),
        (Kind.SCD_TYPE_2_BY_TIME, "SELECT id FROM raw.t", {"unique_key": "id"}, "marts.m has no column updated_at, which its kind names"),
        (Kind.SCD_TYPE_2_BY_COLUMN, "SELECT v FROM raw.t", {"unique_key": "v", "tracked": "*"}, "v is not a unique key of marts.m: 0: 10 rows"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_the_query(
    rig: Rig, kind: Kind, query: str, properties: dict[str, str], message: str
) -> None:
    rig.sql("INSERT INTO raw.t SELECT range, DATE '2024-01-01' + range::INTEGER, 0 FROM range(10)")
    snapshot = rig.model(kind, query, start=str(day(0)), **properties)
    with pytest.raises(ModelError) as caught:
        rig.build(snapshot, (day(0), day(10)))
    assert caught.value.message == message
    assert caught.value.hint


def test_a_first_build_that_was_cut_short_is_gone_on_with(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.sql("INSERT INTO raw.t SELECT range, DATE '2024-01-01' + range::INTEGER, 0 FROM range(10)")
    kind, query, properties = BY_TIME
    snapshot = rig.model(kind, query, batch_size="3", **properties)
    from anabranch.providers import filling

    original, filled = filling.Filler._fill, []

    def fill(self: Any, record: Any, content: Any, spans: list[Span]) -> Any:
        filled.extend(spans)
        if len(filled) == 3:
            raise KeyboardInterrupt
        return original(self, record, content, spans)

    monkeypatch.setattr(filling.Filler, "_fill", fill)
    with pytest.raises(KeyboardInterrupt):
        rig.build(snapshot, (day(0), day(10)))
    assert rig.provider.probe(snapshot) == "not-applied"
    filled.append((0, 0))
    work = Work(((day(0), day(10)),), day(20), resume=True)
    built = rig.provider.build(snapshot, {SOURCE.asset: SOURCE}, work)
    assert filled[4:] == [(day(6), day(9)), (day(9), day(10))], "what was filled isn't filled again"
    assert built.content is not None
    assert built.content.now.held == ((day(0), day(10)),)
    assert sorted(r[0] for r in rig.rows(snapshot)) == list(range(10))


def test_a_change_of_code_keeps_a_history(rig: Rig) -> None:
    said = {"unique_key": "id", "tracked": "*"}
    old = rig.model(Kind.SCD_TYPE_2_BY_COLUMN, "SELECT id, v FROM raw.t", **said)
    rig.sql("INSERT INTO raw.t VALUES (1, DATE '2024-01-01', 0)")
    rig.build(old, now=day(10))
    rig.sql("UPDATE raw.t SET v = 1")
    rig.refresh(old, now=day(11))
    new = rig.model(Kind.SCD_TYPE_2_BY_COLUMN, "SELECT id, v, 'x' AS more FROM raw.t", **said)
    rig.sql("UPDATE raw.t SET v = 2")
    rig.build(new, now=day(12), previous=old)
    beginning, eleventh, twelfth = map(datetime.fromisoformat, ("1970-01-01", "2024-01-12", "2024-01-13"))
    assert rig.rows(new) == Counter(
        [
            (1, 0, None, beginning, eleventh),
            (1, 1, None, eleventh, twelfth),
            (1, 2, "x", twelfth, None),
        ]
    )


def test_a_history_by_time_and_keys_that_come_and_go(rig: Rig) -> None:
    snapshot = rig.model(
        Kind.SCD_TYPE_2_BY_TIME,
        "SELECT id, v, day::TIMESTAMP AS updated_at FROM raw.t",
        unique_key="id",
        invalidate_hard_deletes="true",
    )
    rig.sql("INSERT INTO raw.t VALUES (1, DATE '2024-01-01', 0), (2, DATE '2024-01-01', 0)")
    rig.build(snapshot, now=day(10))
    rig.sql("DELETE FROM raw.t WHERE id = 2", "UPDATE raw.t SET v = 5")  # without a later day: not a change
    rig.refresh(snapshot, now=day(11))
    rig.sql("INSERT INTO raw.t VALUES (2, DATE '2024-01-08', 7)")
    rig.refresh(snapshot, now=day(12))
    found = {(r[0], r[1], str(r[3])[:10], str(r[4])[:10]) for r in rig.rows(snapshot)}
    assert found == {
        (1, 0, "1970-01-01", "None"),
        (2, 0, "1970-01-01", "2024-01-12"),
        (2, 7, "2024-01-08", "None"),
    }


def test_a_swap_that_was_made_already_is_passed_over(rig: Rig) -> None:
    rig.load(random.Random(1))
    snapshot = rig.model(Kind.UNMANAGED, "SELECT id FROM raw.t")
    rig.build(snapshot, (day(0), day(1)))
    content = rig.refresh(snapshot, (day(1), day(2)))
    before = rig.rows(snapshot)
    rig.swap(snapshot, content)
    assert rig.rows(snapshot) == before


AT_ONCE = (*BY_TIME[:2], {**BY_TIME[2], "batch_size": "1", "batch_concurrency": "4"})


def test_batches_are_computed_at_the_same_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.sql("INSERT INTO raw.t SELECT range, DATE '2024-01-01' + range::INTEGER, 0 FROM range(10)")
    kind, query, properties = AT_ONCE
    snapshot = rig.model(kind, query, **properties)
    together = threading.Barrier(4, timeout=60)
    original = DuckDBSession.create_table
    names: list[str] = []

    def create(self: DuckDBSession, relation: Relation, query: str) -> int:
        if "__g10000" in relation.name:
            names.append(relation.name)
            together.wait()  # broken where they come one by one
        return original(self, relation, query)

    monkeypatch.setattr(DuckDBSession, "create_table", create)
    content = rig.build(snapshot, (day(0), day(8)))
    assert len(names) == 8, "two times four"
    assert content.now.held == ((day(0), day(8)),)
    assert {r[0] for r in rig.rows(snapshot)} == set(range(8))
    rig.refresh(snapshot, (day(6), day(10)))
    assert {r[0] for r in rig.rows(snapshot)} == set(range(10))
    assert not [t for t in rig.tables() if "__g10000" in t]


def test_one_of_several_batches_fails(rig: Rig) -> None:
    rig.sql("INSERT INTO raw.t SELECT range, DATE '2024-01-01' + range::INTEGER, 0 FROM range(10)")
    rows = "SELECT id, day, CASE WHEN id = 5 THEN error('no') ELSE v END AS v FROM raw.t"
    query = f"{rows} WHERE day BETWEEN {moment_sql('start_date')} AND {moment_sql('end_date')}"
    kind, _, properties = AT_ONCE
    snapshot = rig.model(kind, query, **properties)
    with pytest.raises(StatementFailed, match="no"):
        rig.build(snapshot, (day(0), day(10)))
    assert rig.tables() == {snapshot.location.split(".")[1]}, "the first four are kept, parts aren't"
    assert {r[0] for r in rig.rows(snapshot)} == set(range(4))


def test_parts_that_a_killed_process_left_are_swept(rig: Rig) -> None:
    kind, query, properties = AT_ONCE
    snapshot = rig.model(kind, query, **properties)
    rig.build(snapshot, (day(0), day(2)))
    schema, name = snapshot.location.split(".")
    left = generations.part(Relation(schema, name), 3)
    rig.sql(f'CREATE TABLE "{left.schema}"."{left.name}" AS SELECT 1 AS a')
    rig.provider.discard({snapshot.location: []})
    assert rig.tables() == {name}
