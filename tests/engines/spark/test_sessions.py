"""Sessions on a Spark server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

import pyarrow as pa
import pytest
from tests.engines.spark.helping import SLOW

from anabranch.engines.spark import SparkEngine
from anabranch.engines.spark.grammar import SPARK
from anabranch.errors import StatementFailed
from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.cloning import CloneRules
from anabranch.ports.engine import ArrowStream
from anabranch.testing.engine_helpers import SCHEMA, SMALL, at, failure, rows

pytestmark = pytest.mark.spark


def test_texts_come_back_as_they_went(engine):
    odd = [
        "it's",
        'a "b"',
        "back\\slash",
        "\\n",
        "new\nline",
        "\t",
        "%_\\%",
        "ünï\U0001f600",
        "--",
        "/* */",
        "`",
        "\r\n",
        "${x}",
    ]
    with engine.session() as session:
        for text in odd:
            assert session.query(f"SELECT {SPARK.literal(text)}").rows == [(text,)]


def test_statements_that_are_late_for_a_commit_are_run_again(engine):
    with engine.session() as session:
        session.create_schemas([SCHEMA])
        session.create_table(at("table"), "SELECT -1 AS who, 0 AS number")
    failed: list[Exception] = []

    def work(who: int) -> None:
        try:
            with engine.session() as session:
                table = session.named(at("table"))
                for number in range(3):
                    session.execute(f"INSERT INTO {table} VALUES ({who}, {number})")
                    session.execute(f"DELETE FROM {table} WHERE who = {who} AND number < {number}")
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=work, args=[who]) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    with engine.session() as session:
        assert rows(session, at("table")) == [(-1, 0), *((who, 2) for who in range(4))]


def test_relations_are_found_while_others_come_and_go(engine):
    with engine.session() as session:
        session.create_schemas([SCHEMA])
        session.create_table(at("stays"), SMALL)
        session.point({at("shows"): at("stays")})
    ends = threading.Event()
    failed: list[Exception] = []

    def work() -> None:
        try:
            with engine.session() as session:
                while not ends.is_set():
                    session.create_table(at("comes"), SMALL)
                    session.create_view(at("seen"), "SELECT 1 AS id")
                    session.drop([at("comes"), at("seen")])
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        with engine.session() as session:
            for _ in range(25):
                found = {f.relation: f for f in session.find([SCHEMA])}
                assert {at("stays"), at("shows")} <= set(found) <= {at(n) for n in ("stays", "shows", "comes", "seen")}
                assert all(f.columns for f in found.values())
                assert session.targets([SCHEMA])[at("shows")] == at("stays")
    finally:
        ends.set()
        thread.join()
    assert not failed


def test_sessions_share_nothing_but_tables(engine):
    with engine.session() as session:
        session.execute("SET spark.sql.session.timeZone = Asia/Tokyo")
        session.execute("CREATE TEMPORARY VIEW mine AS SELECT 1 AS id")
    with engine.session() as session:
        zone, strict = session.query(
            "SELECT current_timezone(), CAST(CAST('2020-01-01 00:00:00+00:00' AS TIMESTAMP) AS STRING)"
        ).rows[0]
        assert (zone, strict) == ("UTC", "2020-01-01 00:00:00")
        failure(lambda: session.query("SELECT * FROM mine"))
        assert failure(lambda: session.query("SELECT CAST('x' AS INT)")).kind == "CAST_INVALID_INPUT"
        session.create_schemas([SCHEMA])
        session.execute("CREATE TEMPORARY VIEW temporary AS SELECT 1 AS id")
        assert session.find([SCHEMA]) == []
        assert session.targets([SCHEMA]) == {}


def test_settings_of_ones_own(spark):
    with SparkEngine(spark, settings={"spark.sql.shuffle.partitions": "3"}).session() as session:
        assert session.query("SET spark.sql.shuffle.partitions").rows == [("spark.sql.shuffle.partitions", "3")]
    with pytest.raises(StatementFailed), SparkEngine(spark, catalog="nothing").session():
        pass


def test_statements_carry_tags_by_which_they_can_be_stopped(engine):
    with engine.session() as session:
        session.tag({"environment": "feature, one", "plan": "0123"})
        failed: list[StatementFailed] = []
        thread = threading.Thread(
            target=lambda: failed.append(failure(lambda: session.query(f"SELECT max(b) FROM ({SLOW})")))
        )
        thread.start()
        stopped: list[str] = []
        deadline = time.monotonic() + 30
        while not stopped and time.monotonic() < deadline:
            time.sleep(0.5)
            assert not session._transport._spark.interruptTag("plan=other")
            stopped = session._transport._spark.interruptTag("environment=feature  one")
        thread.join(30)
        assert stopped
        assert failed[0].kind == "OPERATION_CANCELED"


def test_a_session_that_reads_sends_nothing_but_queries(engine):
    with engine.session() as session:
        session.create_schemas([SCHEMA])
        session.create_table(at("t"), SMALL)
        name = session.named(at("t"))
    with engine.session(read_only=True) as session:
        assert session.query(
            f"WITH w AS (SELECT * FROM {name}) SELECT id FROM w ORDER BY id DESC -- the last\n;"
        ).rows == [(2,), (1,)]
        assert session.query(f"SHOW TABLES IN {session.named_schema(SCHEMA)}").rows
        assert [tuple(r) for r in session.query(f"EXPLAIN DELETE FROM {name}").columns] == [tuple("plan")]
        assert pa.table(session.read_arrow(f"SELECT * FROM {name}")).num_rows == 2
        for other in (
            f"DELETE FROM {name}",
            f"SELECT 1) UNION ALL (SELECT 1); DELETE FROM {name}",
            f"FROM {name} INSERT INTO {name} SELECT *",
            f"CREATE TEMPORARY VIEW v AS SELECT * FROM {name}",
            "SET spark.sql.ansi.enabled = false",
            f"DROP TABLE {name} --",
            f"SELECT 1) --\n; DROP TABLE {name}",
        ):
            failure(partial(session.query, other))
            failure(partial(session.read_arrow, other))
        failure(lambda: session.load_arrow(at("made"), [], {"id": "INT"}))
        failure(lambda: session.rename(at("t"), "u"))
        failure(lambda: session.clone(at("t"), at("u")))
        failure(lambda: session.drop_schemas([SCHEMA, "empty"]) or session.create_schemas(["x"]))
        assert [f.relation for f in session.find([SCHEMA])] == [at("t")]
        assert session.count(at("t")) == 2


def test_rows_in_many_parts_make_one_table_in_the_end(engine):
    spare = at("anabranch__load_made")

    def parts(seen: list[bool]) -> Iterator[ArrowStream]:
        for first in range(0, 300_000, 100_000):
            yield pa.table({"id": range(first, first + 100_000), "n": [None] * 100_000})
            with engine.session() as other:
                seen.append(other.columns(at("made")) is None)

    with engine.session() as session:
        session.create_schemas([SCHEMA])
        session.create_table(spare, SMALL)  # left by a process that was killed
        seen: list[bool] = []
        assert session.load_arrow(at("made"), parts(seen), {"id": "BIGINT", "n": "STRING"}) == 300_000
        assert seen == [True] * 3
        assert [f.relation for f in session.find([SCHEMA])] == [at("made")]
        assert session.query(f"SELECT sum(id), count(n) FROM {session.named(at('made'))}").rows == [(44999850000, 0)]

        def broken() -> Iterator[ArrowStream]:
            yield from parts([])
            raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            session.load_arrow(at("other"), broken(), {"id": "BIGINT"})
        assert [f.relation for f in session.find([SCHEMA])] == [at("made")]


def test_wide_rows_go_in_messages_that_fit(engine):
    wide = pa.table({"x": ["x" * 1_000_000] * 80})
    with engine.session() as session:
        session.create_schemas([SCHEMA])
        assert session.load_arrow(at("made"), [wide], {"x": "STRING"}) == 80
        assert session.query(f"SELECT sum(length(x)) FROM {session.named(at('made'))}").rows == [(80_000_000,)]


def test_types_of_arrow_that_spark_has_not(engine):
    part = pa.table(
        {
            "small": pa.array([255], pa.uint8()),
            "large": pa.array([2**64 - 1], pa.uint64()),
            "words": pa.array(["x"]).dictionary_encode(),
            "long": pa.array(["y"], pa.large_string()),
            "at": pa.array([1_600_000_000_123_456_789], pa.timestamp("ns")),
            "time": pa.array([3_723_000_000], pa.time64("us")),
            "half": pa.array([1.5], pa.float32()),
            "fixed": pa.array([b"ab"], pa.binary(2)),
        }
    )
    columns = {"small": "INT", "large": "DECIMAL(20, 0)", "words": "STRING", "long": "STRING", "at": "TIMESTAMP_NTZ",
               "time": "STRING", "half": "DOUBLE", "fixed": "BINARY"}  # fmt: skip
    with engine.session() as session:
        session.create_schemas([SCHEMA])
        session.load_arrow(at("made"), [part], columns)
        (found,) = session.query(
            f"SELECT small, CAST(large AS STRING), words, long, CAST(at AS STRING), time, half, hex(fixed)"
            f" FROM {session.named(at('made'))}"
        ).rows
        assert found == (
            255,
            "18446744073709551615",
            "x",
            "y",
            "2020-09-13 12:26:40.123456",
            "01:02:03.000000",
            1.5,
            "6162",
        )


def test_a_table_of_any_columns_names_is_made_and_only_then_mapped(spark):
    with SparkEngine(spark).session() as session:
        session.create_schemas([SCHEMA])
        session.create_table(at("plain"), SMALL)
        session.create_table(at("odd"), "SELECT 1 AS `a b;{}()\t=`, 2 AS `b.c`")
        assert rows(session, at("odd")) == [(1, 2)]
        properties = [str(session.query(f"SHOW TBLPROPERTIES {session.named(at(t))}").rows) for t in ("plain", "odd")]
        assert ["columnMapping.mode" in p for p in properties] == [False, True]
        session.clone(at("odd"), at("clone"))
        assert session.columns(at("clone")) == session.columns(at("odd"))


def test_what_is_claimed(spark):
    for engine in (SparkEngine(spark), SparkEngine(spark, table_format="iceberg", catalog="ice")):
        assert engine.capabilities[Capability.CLONE_TABLE] is Support.PARTLY, "it breaks with its source"
        assert engine.clone_rules == CloneRules(outlive_source=False)


def test_a_driver_started_without_a_file_is_not_ended(spark, tmp_path):
    """``python -c``: pyspark would run its own doctests then."""
    import subprocess
    import sys

    code = (
        "from anabranch.engines.spark import SparkEngine\n"
        f"with SparkEngine({spark!r}).session() as s: print(s.query('SELECT 7').rows)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        timeout=120,
    )
    assert found.stdout == "[(7,)]\n", found.stderr
