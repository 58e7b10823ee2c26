"""What a project's file says of a warehouse, and the engine that is opened by it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from anabranch.bootstrap.engines import open_engine
from anabranch.config import settings
from anabranch.engines.databricks import DatabricksEngine
from anabranch.engines.spark import SparkEngine
from anabranch.errors import ConfigError
from anabranch.ports.engine import Engine

SECRET = "dapi0123456789abcdef"


def opened(root: Path, warehouse: str) -> Engine:
    (root / settings.FILE).write_text(f"project: x\nwarehouse: {warehouse}\n")
    return open_engine(settings.load(root).warehouse, root, lambda holder: None)


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv("TOKEN", SECRET)


def test_spark_over_delta(tmp_path):
    engine = opened(
        tmp_path,
        '{engine: spark, database: "sc://spark.internal:15003/;use_ssl=true;token=${TOKEN}", connections: 3,'
        " patience: 20s, settings: {spark.sql.shuffle.partitions: 4}}",
    )
    assert isinstance(engine, SparkEngine)
    assert (engine.name, engine.dialect, engine.place) == ("spark", "spark", "sc://spark.internal:15003")
    assert engine.identifiers.plain, "a Hive metastore's names"
    assert engine._settings["spark.sql.shuffle.partitions"] == "4"
    assert not {"table_format", "catalog"} & set(engine._settings)
    assert (engine._connections, engine._patience) == (3, 20)
    assert engine._secrets == (SECRET,)


def test_spark_over_iceberg(tmp_path):
    engine = opened(
        tmp_path, "{engine: spark, database: 'sc://spark.internal', settings: {table_format: iceberg, catalog: lake}}"
    )
    assert engine.place == "sc://spark.internal:15002/lake"
    assert not engine.identifiers.plain
    assert isinstance(engine, SparkEngine)
    assert not {"table_format", "catalog"} & set(engine._settings), "these are ours, not Spark's"


@pytest.mark.parametrize("way", ["http_path: /sql/1.0/warehouses/abc, volume: /Volumes/a/b/c", "cluster: 0123-abc"])
def test_databricks(tmp_path, way):
    engine = opened(
        tmp_path,
        f'{{engine: databricks, database: dbc-1.cloud.databricks.com, settings: {{{way}, token: "${{TOKEN}}",'
        " catalog: main, use_cached_result: false}}",
    )
    assert isinstance(engine, DatabricksEngine)
    assert (engine.name, engine.place) == ("databricks", "databricks://dbc-1.cloud.databricks.com/main")
    assert engine._settings == {"use_cached_result": "false"}
    assert (engine._http_path, engine._cluster) in {("/sql/1.0/warehouses/abc", None), (None, "0123-abc")}
    assert engine._token == SECRET
    assert SECRET not in repr(engine)


@pytest.mark.parametrize(
    ("warehouse", "named"),
    [
        ("{engine: spark}", "sc://"),
        ("{engine: spark, database: 'thrift://${TOKEN}@host:10000'}", "warehouse.database"),
        ("{engine: spark, database: 'sc://host', settings: {table_format: hudi}}", "warehouse.settings.table_format"),
        ("{engine: databricks}", "databricks.com"),
        ("{engine: databricks, database: h}", "warehouse.settings.http_path"),
        ("{engine: databricks, database: h, settings: {cluster: c}}", "warehouse.settings.token"),
        ("{engine: databricks, database: 'u:${TOKEN}@h', settings: {http_path: /x}}", "warehouse.database"),
        ("{engine: snowflake, database: 'postgres://u:${TOKEN}@h'}", "snowflake://"),
    ],
)
def test_what_is_wrong_says_where_it_stands_and_what_to_write(tmp_path, warehouse, named):
    with pytest.raises(ConfigError) as caught:
        opened(tmp_path, warehouse)
    assert named in (caught.value.hint or "")
    assert caught.value.where is not None
    assert (caught.value.where.path, caught.value.where.line) == (tmp_path / settings.FILE, 2)
    assert SECRET not in f"{caught.value} {caught.value.hint}"


def test_no_driver_is_imported_before_it_is_needed(tmp_path):
    """An engine is opened without one; the first session asks for it."""
    said = {"spark": "database: 'sc://host'", "databricks": "database: h, settings: {http_path: /x}"}
    code = "import sys\nfrom pathlib import Path\nfrom anabranch.bootstrap.engines import open_engine\n"
    code += "from anabranch.config import settings\n"
    for engine, where in said.items():
        root = tmp_path / engine
        root.mkdir()
        (root / settings.FILE).write_text(f"project: x\nwarehouse: {{engine: {engine}, {where}}}\n")
        code += f"root = Path({str(root)!r})\nopen_engine(settings.load(root).warehouse, root, print)\n"
    code += "print({'pyspark', 'databricks', 'pyarrow', 'pandas', 'grpc'} & set(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}, timeout=60
    )
    assert found.stdout == "set()\n", found.stderr
