"""Rows on their way to a SQL warehouse, and from it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from databricks.sql import exc
from tests.engines.databricks.fake import opened, said

from anabranch.engines.databricks.sql import literals
from anabranch.errors import StatementFailed
from anabranch.testing.engine_helpers import at


def test_rows_are_written_into_statements_where_there_is_no_volume(fake, session):
    part = pa.table(
        {
            "id": [1, None],
            "text": ["it's \\", None],
            "d": pa.array([date(2020, 2, 29), None]),
            "at": pa.array([datetime.fromisoformat("2020-02-29T12:00:00.000005"), None]),
            "n": [Decimal("1.50"), None],
            "f": [0.1, float("inf")],
            "b": [b"\x00\xff", None],
            "yes": [True, None],
        }
    )
    assert literals(part) == (
        "(VALUES ('1', 'it\\'s \\\\', '2020-02-29', '2020-02-29 12:00:00.000005', '1.50', '0.1', X'00ff', 'true'),"
        " (NULL, NULL, NULL, NULL, NULL, 'inf', NULL, NULL))"
        " AS anabranch_batch (`id`, `text`, `d`, `at`, `n`, `f`, `b`, `yes`)"
    )
    with pytest.raises(StatementFailed) as caught:
        literals(pa.table({"list": [[1]]}))
    assert "volume" in (caught.value.hint or "")


def test_many_rows_go_in_small_statements_and_then_take_the_name(fake, session):
    fake.answers["DESCRIBE QUERY"] = exc.ServerOperationError("[TABLE_OR_VIEW_NOT_FOUND] no")
    statements = said(fake, lambda: session.load_arrow(at("t"), [pa.table({"id": range(1001)})], {"id": "BIGINT"}))
    assert [s[:60] for s in statements] == [
        "DESCRIBE QUERY SELECT * FROM `main`.`suite`.`t`",
        "SELECT table_name, table_type FROM `main`.`information_schem",
        "CREATE TABLE `main`.`suite`.`anabranch__load_t` USING delta ",
        "INSERT INTO `main`.`suite`.`anabranch__load_t` SELECT CAST(`",
        "INSERT INTO `main`.`suite`.`anabranch__load_t` SELECT CAST(`",
        "ALTER TABLE `main`.`suite`.`anabranch__load_t` RENAME TO `su",
    ]


def test_rows_go_through_a_volume(fake):
    fake.answers["DESCRIBE QUERY"] = exc.ServerOperationError("[TABLE_OR_VIEW_NOT_FOUND] no")
    with opened(volume="/Volumes/main/etl/it's/").session() as session:
        put, content, create, remove = said(
            fake, lambda: session.load_arrow(at("t"), [pa.table({"id": [[1]]})], {"id": "ARRAY<INT>"})
        )[1:]
    file = put.removeprefix("PUT '__input_stream__' INTO '").removesuffix("' OVERWRITE")
    assert file.startswith("/Volumes/main/etl/it\\'s/anabranch-")
    assert file.endswith(".parquet")
    assert content.startswith("-- with ")
    plain = file.replace("\\'", "'")
    assert create == (
        f"CREATE TABLE `main`.`suite`.`t` USING delta AS SELECT CAST(`id` AS ARRAY<INT>) AS `id` FROM parquet.`{plain}`"
    )
    assert remove == f"REMOVE '{file}'"


def test_rows_are_read_in_batches(fake, session):
    fake.answers["SELECT id"] = pa.table({"id": range(10)})
    found = pa.RecordBatchReader.from_stream(session.read_arrow("SELECT id FROM t", 4))
    assert [b.num_rows for b in found] == [4, 4, 2]
    assert session.query("SELECT id FROM t", 3).rows == [(0,), (1,), (2,)]
    assert session.query("SELECT id FROM t", 0).columns == ("id",)
