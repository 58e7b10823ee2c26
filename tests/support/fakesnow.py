"""A server that answers as Snowflake does, for tests: fakesnow, an emulator over DuckDB.

It wants other versions of DuckDB and sqlglot than Anabranch, so it lives in an environment of its own, made once from
requirements/fakesnow.txt and kept below ~/.cache/anabranch-tests. It has no network but the loopback interface, and no
files but its own folder.

Run as a program, by that environment's Python, this module is the server. It ends when its standard input does, however
the test process came to its end, or when the time limit is over.

What is mended of the emulator, because Snowflake does it otherwise (see :func:`mend`): metadata that it lacks, the sign
of HASH, and moments that are NULL.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

TIME_LIMIT = 900
"""Seconds that a server lives at most."""
START_LIMIT = 60
INSTALL_LIMIT = 600
LOCK = Path(__file__).parents[2] / "requirements" / "fakesnow.txt"
CACHE = Path.home() / ".cache" / "anabranch-tests"
SETTINGS = {"user": "anybody", "password": "any", "account": "emulated", "host": "127.0.0.1", "protocol": "http"}


class Missing(Exception):
    """Why there is no emulator, and how to get it."""


def environment() -> Path:
    """The Python of the emulator's environment, made where it is missing.

    Raises:
        Missing: it can't be made.
    """
    key = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    place = CACHE / f"fakesnow-{key}"
    python = place / "bin" / "python"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"fakesnow-{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes take turns
        if (place / "ready").exists():
            return python
        shutil.rmtree(place, ignore_errors=True)
        pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "install"]
        try:
            for command in (
                [sys.executable, "-m", "venv", str(place)],
                [*pip, "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(LOCK)],
            ):
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_LIMIT)
        except (subprocess.SubprocessError, OSError) as error:
            said = str(getattr(error, "stderr", "") or error).strip().splitlines()[-1:]
            raise Missing(
                f"the emulator of Snowflake can't be installed ({' '.join(said)}):"
                f" it needs a package index once, for pip install -r requirements/{LOCK.name} into {place}"
            ) from error
        (place / "ready").touch()
    return python


@contextmanager
def server() -> Iterator[dict[str, object]]:
    """What to connect with.

    Raises:
        Missing: there is no emulator.
    """
    from tests.support.keepers import kept  # not in the server, which knows nothing but itself

    python = environment()
    folder = Path(tempfile.mkdtemp(prefix="anabranch-fakesnow-"))
    surroundings = {"PATH": os.defpath, "TMPDIR": str(folder), "HOME": str(folder)}
    try:
        with (
            (folder / "log").open("w") as log,
            kept([python, "-I", __file__], START_LIMIT, stderr=log, cwd=folder, env=surroundings) as answer,
        ):
            assert answer.get("port"), f"no server: {(folder / 'log').read_text()[-2000:]}"
            yield {**SETTINGS, "port": answer["port"]}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def serve() -> None:
    """The server: see above."""
    mend()
    import fakesnow

    def end() -> None:
        shutil.rmtree(Path.cwd(), ignore_errors=True)
        os._exit(0)  # without waiting for a query that runs

    threading.Timer(TIME_LIMIT, end).start()
    with fakesnow.server() as found:
        print(json.dumps({"port": found["port"]}), flush=True)
        os.dup2(2, 1)  # what it tells of each request would fill a pipe that nobody reads
        sys.stdin.read()
        end()


def mend() -> None:
    """Corrects answers. Nothing here makes the emulator accept a statement that changes something."""
    import pyarrow
    from fakesnow import arrow, cursor, info_schema
    from sqlglot import exp

    # a moment that is NULL would come as 1970
    convert = arrow.timestamp_to_sf_struct

    def convert_with_nulls(moments):
        moments = moments.combine_chunks() if isinstance(moments, pyarrow.ChunkedArray) else moments
        found = convert(moments)
        parts = [part.fill_null(0) for part in found.flatten()]
        return pyarrow.StructArray.from_arrays(parts, fields=list(found.type), mask=moments.is_null())

    arrow.timestamp_to_sf_struct = convert_with_nulls

    # it makes a table named "it's", and then stumbles over the name in what it says and writes down of it
    def told(name):
        return str(name).replace("'", "''")

    class Sentence(Template):
        def substitute(self, words={}, /, **more):  # noqa: B006  # as it is there
            return super().substitute({name: told(word) for name, word in {**words, **more}.items()})

    for name, value in list(vars(cursor).items()):
        if isinstance(value, Template):
            setattr(cursor, name, Sentence(value.template))

    comment, lengths = info_schema.insert_table_comment_sql, info_schema.insert_text_lengths_sql
    info_schema.insert_table_comment_sql = lambda *names: comment(*map(told, names))
    info_schema.insert_text_lengths_sql = lambda catalog, schema, table, columns: lengths(
        catalog, told(schema), told(table), [(told(name), length) for name, length in columns]
    )

    # INFORMATION_SCHEMA.COLUMNS tells how fine times are; the emulator calls them all as fine as nanoseconds
    view = "SQL_CREATE_GLOBAL_INFORMATION_SCHEMA_COLUMNS_VIEW"
    old = "null::VARCHAR as DATA_TYPE_ALIAS"
    text = getattr(info_schema, view)
    assert old in text
    fine = "case when columns.data_type like 'TIME%' then 9 end as DATETIME_PRECISION"
    setattr(info_schema, view, text.replace(old, f"{old}, {fine}"))

    # a schema of the emulator never has any of these
    none = re.compile(r"\s*SHOW\s+(STREAMS|TASKS|PIPES)\s+IN\s+SCHEMA\s+\S+\s*\Z", re.IGNORECASE)
    # what statements are about, which it doesn't know
    tag = re.compile(r"\s*ALTER\s+SESSION\s+(UN)?SET\s+QUERY_TAG\b", re.IGNORECASE)
    # HASH is a signed number of 64 bits, NUMBER(19, 0); DuckDB's is unsigned
    fake = cursor.FakeSnowflakeCursor
    execute, transform = fake.execute, fake._transform

    def execute_mended(self, command, *args, **kwargs):
        command = re.sub(r"( CLONE .*) COPY GRANTS\s*\Z", r"\1", command)  # it has no grants, nor the words
        return execute(
            self,
            "SELECT '' AS \"name\" WHERE FALSE" if none.match(command) or tag.match(command) else command,
            *args,
            **kwargs,
        )

    def signed(node):
        if isinstance(node, exp.Anonymous) and node.name.upper() == "HASH":
            return exp.cast(exp.BitwiseRightShift(this=node, expression=exp.Literal.number(1)), "BIGINT")
        return node

    fake.execute = execute_mended
    fake._transform = lambda self, expression, params: transform(self, expression, params).transform(signed)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests; they then end, and so does standard input
    serve()
