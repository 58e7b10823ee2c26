"""Values of Postgres, and of Arrow, on their way."""

from functools import partial

import pytest

from anabranch.engines.postgres import PostgresEngine
from anabranch.errors import StatementFailed
from anabranch.testing.engine_helpers import SCHEMA, SMALL, at, failure, rows, text

pytestmark = pytest.mark.postgres


def test_values_that_python_has_no_date_for(engine):
    with engine.session() as session:
        found = session.query(
            "SELECT 'infinity'::date, '0044-03-15 BC'::date, '294276-12-31'::timestamp, '-infinity'::timestamptz,"
            " '10000-01-01 00:00+00'::timestamptz AT TIME ZONE 'UTC'"
        ).rows[0]
        assert [str(v) for v in found] == [
            "infinity", "0044-03-15 BC", "294276-12-31 00:00:00", "-infinity", "10000-01-01 00:00:00"
        ]  # fmt: skip


def test_what_arrow_brings_that_postgres_writes_otherwise(engine):
    import datetime
    from decimal import Decimal

    import pyarrow as pa

    columns = {
        "half": (pa.array([1.5, None], pa.float32()), "double precision"),
        "tenth": (pa.array([0.1, float("nan")], pa.float32()), "double precision"),
        "tenth_real": (pa.array([0.1, float("-inf")], pa.float32()), "real"),
        "rounded": (pa.array([2.5, 3.5]), "integer"),
        "rounded_decimal": (pa.array([Decimal("2.5"), None]), "integer"),
        "flag": (pa.array([2, 0]), "boolean"),
        "flag_number": (pa.array([True, False]), "integer"),
        "big": (pa.array([2**64 - 1, 0], pa.uint64()), "numeric"),
        "day": (pa.array(["2020-01-01 23:59", None]).cast(pa.timestamp("us")), "date"),
        "local": (
            pa.array([datetime.datetime(2020, 1, 1, 23, tzinfo=datetime.UTC), None], pa.timestamp("ns", "+02:00")),
            "timestamp",
        ),
        "zoned": (
            pa.array([datetime.datetime(2020, 1, 1, 23, tzinfo=datetime.UTC), None], pa.timestamp("s", "UTC")),
            "timestamptz",
        ),
        "span": (pa.array([datetime.timedelta(days=40000, seconds=-1), None]), "interval"),
        "months": (pa.array([(14, -3, -1_500_000_000), None], pa.month_day_nano_interval()), "interval"),
        "list": (pa.array([["a,b", None, '"', ""], []]), "text[]"),
        "lists": (pa.array([[[1, 2], [3, None]], None]), "integer[]"),
        "struct": (pa.array([{"a": 1, "b": ["é"]}, None]), "jsonb"),
        "category": (pa.array(["x", "y"]).dictionary_encode(), "text"),
        "bytes": (pa.array([b"\x00\xff", b""]), "bytea"),
        "nothing": (pa.array([None, None]), "integer"),
        "empty": (pa.array(["", None]), "text"),
        "large": (pa.array(["\\.", "a\nb"], pa.large_string()), "text"),
        "number_text": (pa.array([1e100, 0.1]), "text"),
        "code": (pa.array(["7", None]), "numeric(9, 2)"),
    }
    table = pa.table({name: values for name, (values, _) in columns.items()})
    with engine.session() as session:
        session.execute("SET TimeZone = 'Europe/Paris'")
        assert session.load_arrow(at("t"), [table], {n: kind for n, (_, kind) in columns.items()}) == 2
        told = ", ".join(f'"{n}"::text' for n in columns)
        found = session.query(f"SELECT {told} FROM suite.t ORDER BY big DESC").rows
        assert dict(zip(columns, found[0], strict=True)) == {
            "half": "1.5", "tenth": "0.10000000149011612", "tenth_real": "0.1", "rounded": "2", "rounded_decimal": "3",
            "flag": "true", "flag_number": "1", "big": "18446744073709551615", "day": "2020-01-01",
            "local": "2020-01-02 00:00:00", "zoned": "2020-01-02 00:00:00+01", "span": "39999 days 23:59:59",
            "months": "1 year 2 mons -3 days -00:00:01.5", "list": '{"a,b",NULL,"\\"",""}', "lists": "{{1,2},{3,NULL}}",
            "struct": '{"a": 1, "b": ["é"]}', "category": "x", "bytes": "\\x00ff", "nothing": None, "empty": "",
            "large": "\\.", "number_text": "1e+100", "code": "7.00",
        }  # fmt: skip
        assert dict(zip(columns, found[1], strict=True)) == {
            **dict.fromkeys(columns), "tenth": "NaN", "tenth_real": "-Infinity", "rounded": "4", "flag": "false",
            "flag_number": "0", "big": "0", "list": "{}", "category": "y", "bytes": "\\x", "large": "a\nb",
            "number_text": "0.1",
        }  # fmt: skip
        assert [f.relation.name for f in session.find([SCHEMA])] == ["t"]


def test_the_types_that_rows_come_with(engine):
    import pyarrow as pa

    with engine.session() as session:
        session.execute("SET TimeZone = 'Asia/Kathmandu'")
        query = (
            "SELECT 1::smallint AS a, 2 AS b, 3::bigint AS c, 1.5::numeric(9, 2) AS d, 1.5::numeric AS e, true AS f,"
            " 'x'::bytea AS g, '2020-01-01'::date AS h, '2020-01-01 00:00+05:45'::timestamptz AS i, '{1}'::int[] AS j,"
            " 'x' AS k, 'x' AS k, '12:00'::time AS l, 1.5::real AS m, '2020-01-01'::timestamp AS n"
        )
        table = pa.table(session.read_arrow(f"{query};"))
        assert table.column_names == list("abcdefghijkklmn")
        assert list(table.schema.types) == [
            pa.int16(), pa.int32(), pa.int64(), pa.decimal128(9, 2), pa.string(), pa.bool_(), pa.binary(), pa.date32(),
            pa.timestamp("us", "UTC"), pa.string(), pa.string(), pa.string(), pa.time64("us"), pa.float32(),
            pa.timestamp("us"),
        ]  # fmt: skip
        assert str(table.column(8)[0]) == "2019-12-31 18:15:00+00:00"
        assert table.column(6).to_pylist() == [b"x"]
        single = pa.table(session.read_arrow("SELECT NULL::text AS x UNION ALL SELECT '' UNION ALL SELECT 'a'"))
        assert single.column(0).to_pylist() == [None, "", "a"]
        for wrong in (
            "SELECT 'infinity'::date AS d",
            "SELECT '10000-01-01'::date AS d",
            "SELECT 'NaN'::numeric(9, 2) AS n",
            "SELECT 1 / (2 - n) AS n FROM generate_series(1, 5) AS n",
        ):
            stream = session.read_arrow(wrong)
            with pytest.raises(StatementFailed):
                stream.read_all()
            assert session.query("SELECT 1").rows == [(1,)]
        for refused in ("SELECT 1) TO '/tmp/x' --", "SELECT 1; SELECT 2", "CREATE TABLE suite.x (id integer)"):
            failure(partial(session.read_arrow, refused))
        assert session.find([SCHEMA]) == []


def test_a_stream_within_a_transaction(engine):
    import pyarrow as pa

    with engine.session() as session:
        session.begin()
        session.create_table(at("t"), "SELECT generate_series(1, 100000) AS id")
        stream = session.read_arrow("SELECT id FROM suite.t", 10)
        reader = stream
        assert reader.read_next_batch().num_rows == 10
        session.create_table(at("u"), SMALL)
        with pytest.raises(StatementFailed, match="used for something else"):
            reader.read_all()
        assert pa.table(session.read_arrow("SELECT id FROM suite.t")).num_rows == 100_000
        session.commit()
        assert session.count(at("t")) == 100_000
        assert session.count(at("u")) == 2


def test_a_hash_is_the_same_in_every_time_zone(postgres_url):
    hashes = set()
    for zone in ("UTC", "Asia/Tokyo"):
        engine = PostgresEngine(postgres_url, settings={"TimeZone": zone, "extra_float_digits": "-15"})
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            if session.columns(at("t")) is None:
                session.create_table(at("t"), "SELECT '2020-01-01 00:00+00'::timestamptz AS x, 0.1::float8 AS y")
            assert session.query("SHOW TimeZone").rows == [(zone,)]
            hashes.add(session.content_hash(at("t"), ["x", "y"]))
        engine.close()
    assert len(hashes) == 1


def test_text_in_queries_is_never_a_placeholder(engine):
    with engine.session() as session:
        assert session.query("SELECT '100%', '%s', '%(x)s', 7 % 4").rows == [("100%", "%s", "%(x)s", 3)]
        session.create_table(at("t%s"), "SELECT '%s' AS x")
        assert text(session, at("t%s"))
        assert rows(session, at("t%s")) == [("%s",)]
