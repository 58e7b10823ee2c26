"""Each built-in audit on each engine that can be had: rows that pass, rows that fail, NULLs, no rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest
from tests.sql.audits.support import MODEL, audit
from tests.sql.audits.test_library import CASES, IDS, Case
from tests.support import fakesnow, local_bigquery, postgres

from anabranch.engines.bigquery import BigQueryEngine
from anabranch.engines.clickhouse import ClickHouseEngine
from anabranch.engines.postgres import PostgresEngine
from anabranch.engines.snowflake import SnowflakeEngine
from anabranch.errors import StatementFailed
from anabranch.ports.engine import Engine, Relation, Session, name
from anabranch.sql.macros.moments import fill_moments
from anabranch.sql.template import fill

TABLE, THERE = Relation("audited", "physical"), Relation("audited", "there")


class EngineAudits:
    """``engine``, a fixture of the class, is one without relations."""

    lacking: ClassVar[Collection[str]] = ()
    """Audits that can't be run there, and that say so instead of passing."""

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls, engine: Engine) -> Iterator[Session]:
        with engine.session() as session:
            session.create_schemas(["audited"])
            kind = session.grammar.integer
            keys = " UNION ALL ".join(f"SELECT {session.grammar.cast(v, kind)} AS key" for v in ("1", "2", "NULL"))
            session.create_table(THERE, keys.replace("AS key", f"AS {session.grammar.identifier('key')}"))
            yield session
        engine.close()

    @pytest.mark.parametrize(
        "case",
        [c for c in CASES if c.kind != "UUID"],
        ids=[i for i, c in zip(IDS, CASES, strict=True) if c.kind != "UUID"],
    )
    def test_good_rows_pass_and_bad_rows_fail(self, session: Session, engine: Engine, case: Case) -> None:
        if case.name in self.lacking:
            with pytest.raises(StatementFailed):
                self.failing(session, engine, case, case.good)
            return
        assert self.failing(session, engine, case, case.good) == 0
        if case.bad:
            assert self.failing(session, engine, case, case.bad) == case.wrong
        assert bool(self.failing(session, engine, case, [(None, None)])) is case.null
        assert bool(self.failing(session, engine, case, [])) is case.empty

    def failing(self, session: Session, engine: Engine, case: Case, rows: Sequence[object]) -> int:
        arguments = case.arguments.replace("\\d", "[0-9]").replace("'y''s'", "'ys'")
        arguments = arguments.replace("INTERVAL 2 HOUR", "'2 hours'")
        found = audit(f"{case.name}({arguments.format(a='a', b='b')})", dialect=engine.dialect)
        assert found is not None
        told = [row if isinstance(row, tuple) else (row, None) for row in rows]
        lines = [
            f"SELECT {self.value(session, a, case.kind)} AS a, {self.value(session, b, case.kind_b)} AS b"
            for a, b in told or [(None, None)]
        ]
        session.drop([TABLE])
        where = "" if told else " WHERE 1 = 0"
        session.create_table(TABLE, f"SELECT * FROM ({' UNION ALL '.join(lines)}) AS told{where}")
        places = {MODEL: name(session, TABLE), "main.there": name(session, THERE)}
        now = datetime(2024, 3, 10, 12, tzinfo=UTC)
        query = fill(found.template, lambda asset: places[asset])
        return len(session.query(fill_moments(query, datetime(2024, 3, 1, tzinfo=UTC), now, now)).rows)

    def value(self, session: Session, value: object, kind: str) -> str:
        grammar = session.grammar
        types = {"INTEGER": grammar.integer, "VARCHAR": grammar.text, "TIMESTAMP": grammar.timestamp}
        text = "y's" if value == "y's" else str(value)
        told = (
            "NULL" if value is None else str(value) if kind == "INTEGER" else grammar.literal(text.replace("y's", "ys"))
        )
        if kind == "TIMESTAMP" and value is not None:
            return grammar.time(datetime.fromisoformat(str(value)))
        return grammar.cast(told, types[kind])


class TestPostgres(EngineAudits):
    pytestmark = pytest.mark.postgres

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[Engine]:
        with postgres.server() as url:
            yield PostgresEngine(url)


class TestClickHouse(EngineAudits):
    pytestmark = pytest.mark.clickhouse

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, tmp_path_factory: pytest.TempPathFactory) -> Engine:
        pytest.importorskip("chdb")
        place: Path = tmp_path_factory.mktemp("audits") / "warehouse"
        return ClickHouseEngine.embedded(place, settings={"fsync_metadata": "0"})


@pytest.mark.long
class TestBigQuery(EngineAudits):
    """On an emulator."""

    pytestmark = pytest.mark.bigquery

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[Engine]:
        try:
            with local_bigquery.server() as address:
                yield BigQueryEngine("audits", endpoint=address)
        except local_bigquery.Missing as missing:
            pytest.skip(str(missing))


@pytest.mark.long
class TestSnowflake(EngineAudits):
    """On an emulator."""

    pytestmark = pytest.mark.snowflake

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[Engine]:
        try:
            with fakesnow.server() as settings:
                yield SnowflakeEngine(
                    "snowflake://anybody@emulated/audits/public?network_timeout=10", settings=settings
                )
        except fakesnow.Missing as missing:
            pytest.skip(str(missing))
