"""A Spark Connect server for tests, with Delta and Iceberg, from jars that Maven finds.

There is one at a time on a machine, for all processes that test: whoever comes first starts it, and it ends when nobody
uses it any more. Its catalogs outlive it where it is started again in the same folder: Hive's metastore in Derby for
Delta, a JDBC catalog in SQLite for Iceberg.

Run as a program, this module is the server's keeper: it starts the server in a process group of its own, and waits until
nobody holds the file ``users`` any more, however they came to their end, or until the time limit is over.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anabranch.engines.spark import SparkEngine, SparkSession

TIME_LIMIT = 5400
"""Seconds that a server lives at most."""
START_LIMIT = 180
CACHE = Path.home() / ".cache" / "anabranch-tests"
SPARK, DELTA, ICEBERG = "4.1.2", "4.4.0", "1.12.0"
JARS = {
    f"org.apache.spark:spark-sql_2.13:{SPARK}",
    "org.apache.spark:spark-hive_2.13:4.1.0",
    f"org.apache.spark:spark-connect_2.13:{SPARK}",
    "org.apache.spark:spark-mllib_2.13:4.1.0",  # without which it can't end a session
    f"org.apache.spark:spark-pipelines_2.13:{SPARK}",
    f"io.delta:delta-spark_4.1_2.13:{DELTA}",
    f"org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:{ICEBERG}",
    "org.xerial:sqlite-jdbc:3.50.3.0",
}
OPENED = (
    *("java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util"),
    *("java.util.concurrent", "java.util.concurrent.atomic", "jdk.internal.ref", "sun.nio.ch", "sun.nio.cs"),
    *("sun.security.action", "sun.util.calendar"),
)


def missing() -> str | None:
    """What isn't there that a server needs, and how to get it; None: all is there, and the jars are."""
    for program, package in (("java", "a Java runtime, 17 or later"), ("mvn", "Maven")):
        if shutil.which(program) is None:
            return f"Spark needs {package}: {program} isn't installed"
    try:
        jars()
    except subprocess.SubprocessError as error:
        return f"Maven can't get Spark's jars ({error}): see that a Maven repository can be reached"
    return None


def jars() -> Path:
    """The folder of all jars, filled by Maven when it is first asked for."""
    dependency = "".join(
        "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>".format(
            *jar.split(":")
        )
        for jar in sorted(JARS)
    )
    pom = (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>anabranch.tests</groupId><artifactId>spark</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{dependency}</dependencies></project>"
    )
    folder = CACHE / f"spark-{hashlib.sha256(pom.encode()).hexdigest()[:12]}"
    with locked(CACHE / "spark-jars.lock"):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "pom.xml").write_text(pom)
            subprocess.run(
                ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={folder}/jars",
                 "-DincludeScope=runtime"],
                cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=900,
            )  # fmt: skip
            (folder / "complete").touch()
    return folder / "jars"


@contextmanager
def locked(path: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Holds a lock that ends with this process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, how)
        yield


@contextmanager
def server() -> Iterator[str]:
    """The address of the machine's server; it is used by one test at a time: see :func:`turn`."""
    folder = CACHE / "spark-server"
    with contextlib.ExitStack() as use:
        with locked(folder / "starting"):
            use.enter_context(locked(folder / "users", fcntl.LOCK_SH))
            address = _running(folder / "running.json") or _start(folder)
        yield address


def turn() -> contextlib.AbstractContextManager[None]:
    """While it is held, nobody else uses the machine's server."""
    return locked(CACHE / "spark-server" / "turn")


@contextmanager
def emptied(address: str) -> Iterator[str]:
    """The machine's server, for the caller alone, with nothing in it."""
    with turn():
        for engine in _engines(address):
            with engine.session() as session:
                empty(session)
        yield address


@functools.cache
def _engines(address: str) -> tuple[SparkEngine, ...]:
    """For both catalogs; one asks only once which it has."""
    from anabranch.engines.spark import SparkEngine

    return SparkEngine(address), SparkEngine(address, table_format="iceberg", catalog="ice")


def empty(session: SparkSession) -> None:
    """Drops all that there is, by the quickest way."""
    for schema in set(session.schemas()) - {"default"}:
        if session.own_catalog != "ice":
            session.execute(f"DROP SCHEMA {session.named_schema(schema)} CASCADE")
            continue
        for name, is_view in session.kinds(schema).items():  # without PURGE: files stay until the server ends
            session.execute(
                f"DROP {'VIEW' if is_view else 'TABLE'} {session.grammar.name(session.own_catalog, schema, name)}"
            )
        session.execute(f"DROP SCHEMA {session.named_schema(schema)}")


def _running(told: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError):
        address = json.loads(told.read_text())["address"]
        host, _, port = address.removeprefix("sc://").partition(":")
        socket.create_connection((host, int(port)), 5).close()
        return str(address)
    return None


def _start(folder: Path) -> str:
    (folder / "running.json").unlink(missing_ok=True)
    # nobody waits for it: it outlives this process where another uses its server
    os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-I", __file__, str(folder), str(jars())])
    deadline = time.monotonic() + START_LIMIT
    while (address := _running(folder / "running.json")) is None:
        assert time.monotonic() < deadline, f"no server: {_end_of(folder / 'log')}"
        time.sleep(0.2)
    return address


def keep(folder: Path, found: Path) -> None:
    """The keeper: see above."""
    data = Path(tempfile.mkdtemp(prefix="anabranch-spark-"))
    process: subprocess.Popen | None = None
    try:
        process, port = launch(data, found, folder / "log")
        deadline = time.monotonic() + TIME_LIMIT
        if wait_for(port, process):
            (folder / "running.json").write_text(json.dumps({"address": f"sc://127.0.0.1:{port}"}))
            while time.monotonic() < deadline and process.poll() is None and not _is_unused(folder):
                time.sleep(1)
    finally:
        (folder / "running.json").unlink(missing_ok=True)
        if process is not None:
            end(process)
        shutil.rmtree(data, ignore_errors=True)


def _is_unused(folder: Path) -> bool:
    """Whether nobody holds it, and nobody is about to."""
    with (folder / "starting").open("a") as starting, (folder / "users").open("a") as users:
        try:
            for file in (starting, users):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        (folder / "running.json").unlink(missing_ok=True)  # whoever comes now starts another
        return True


@contextmanager
def own_server(data: Path, *, quick_start: bool = True) -> Iterator[str]:
    """The address of a server of one's own, which keeps everything below ``data``, to be stopped and started at will."""
    process, port = launch(data, jars(), data / "log", quick_start=quick_start)
    try:
        assert wait_for(port, process), f"no server: {_end_of(data / 'log')}"
        yield f"sc://127.0.0.1:{port}"
    finally:
        end(process)


def launch(data: Path, found: Path, log: Path, *, quick_start: bool = True) -> tuple[subprocess.Popen, int]:
    """Starts a server in a process group of its own. ``quick_start``: without the compiler that isn't worth its time
    where the server lives for minutes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("warehouse", "tmp"):
        (data / name).mkdir(parents=True, exist_ok=True)
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": port,
        "spark.ui.enabled": "false",
        "spark.log.level": "FATAL",  # errors of statements are told to the client, too
        "spark.local.dir": data / "tmp",
        # for tables of a few rows, on a machine with few cores
        "spark.sql.shuffle.partitions": 2,
        "spark.default.parallelism": 2,
        "spark.sql.adaptive.enabled": "false",
        "spark.databricks.delta.snapshotPartitions": 1,
        "spark.databricks.delta.writeChecksumFile.enabled": "false",
        # nobody looks at what has been
        "spark.ui.retainedJobs": 1,
        "spark.ui.retainedStages": 1,
        "spark.ui.retainedTasks": 10,
        "spark.sql.ui.retainedExecutions": 1,
        "spark.sql.warehouse.dir": data / "warehouse",
        "spark.sql.catalogImplementation": "hive",
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={data}/metastore;create=true",
        "spark.hadoop.datanucleus.schema.autoCreateAll": "true",
        "spark.hadoop.hive.metastore.schema.verification": "false",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension,"
        "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.catalog.ice": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.ice.type": "jdbc",
        "spark.sql.catalog.ice.uri": f"jdbc:sqlite:{data}/iceberg.db?journal_mode=WAL&synchronous=OFF"
        "&busy_timeout=60000",
        "spark.sql.catalog.ice.jdbc.schema-version": "V1",
        "spark.sql.catalog.ice.warehouse": data / "iceberg",
        # Iceberg begins a file with its first row group, which some test waits for
        "spark.sql.catalog.ice.table-default.write.parquet.row-group-size-bytes": 2**20,
    }
    command: list[object] = ["java", "-Xmx2g", "-XX:+UseSerialGC", "-XX:ReservedCodeCacheSize=256m"]
    command += ["-XX:TieredStopAtLevel=1"] if quick_start else []
    command += [f"-Dderby.system.home={data}"]
    command += [f"-Djava.io.tmpdir={data}/tmp", "-Djdk.reflect.useDirectMethodHandle=false"]
    command += [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
    command += ["-cp", f"{found}/*", "org.apache.spark.deploy.SparkSubmit", "--master", "local[4]"]
    command += [f"--conf={name}={value}" for name, value in settings.items()]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    with log.open("a") as output:
        process = subprocess.Popen(
            [str(c) for c in command],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=data, start_new_session=True,
        )  # fmt: skip
    return process, port


def wait_for(port: int, process: subprocess.Popen) -> bool:
    """Whether the server answers in time."""
    deadline = time.monotonic() + START_LIMIT
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 5).close()
            return True
        time.sleep(0.2)
    return False


def end(process: subprocess.Popen) -> None:
    """At once: nothing is to be kept."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def _end_of(log: Path) -> str:
    return log.read_text()[-2000:] if log.exists() else "it says nothing"


if __name__ == "__main__":
    os.setsid()  # Ctrl-C is for the tests
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    keep(Path(sys.argv[1]), Path(sys.argv[2]))
