"""A database that another process, or another thread, holds."""

import os
import threading
import time
from functools import partial

import pytest
from tests.engines.duckdb.warehouses import finish, held, made, refused, start, use

from anabranch.engines.duckdb import DuckDBEngine
from anabranch.errors import StatementFailed, WarehouseBusy, WarehouseError


def test_another_process_holds_it(path):
    told: list[str] = []
    with held(made(path)) as number:
        engine = DuckDBEngine(path, patience=0.6, on_wait=told.append)
        for read_only in (True, False):
            began = time.monotonic()
            error = refused(partial(use, engine, read_only=read_only))
            assert isinstance(error, WarehouseBusy)
            assert error.message.startswith(f"{path} is held by process {number} (")
            assert "python" in error.message
            assert error.hint
            assert "wait until it is done" in error.hint
            assert 0.5 < time.monotonic() - began < 3
        assert len(told) == 2, "once for each time that it waits"
        assert told[0].startswith(f"process {number} (")
    assert use(engine) == 2
    assert len(told) == 2
    engine.close()


def test_a_session_can_have_less_patience_than_the_engine(path):
    with held(made(path)):
        engine = DuckDBEngine(path, patience=60)
        began = time.monotonic()
        with pytest.raises(WarehouseBusy), engine.session(patience=0.1):
            pass
        assert time.monotonic() - began < 2


def test_it_is_used_as_soon_as_the_other_is_done(path):
    told: list[str] = []
    process = start("with engine.session():\n    print(flush=True)\n    time.sleep(0.5)", made(path))
    assert process.stdout
    process.stdout.readline()
    engine = DuckDBEngine(path, patience=30, on_wait=told.append)
    assert use(engine) == 2
    assert len(told) == 1
    engine.close()
    process.communicate()


def test_a_process_that_was_killed_holds_nothing(path):
    with held(made(path)):
        pass
    assert use(DuckDBEngine(path, patience=0)) == 2


def test_readers_share_it(path):
    made(path)
    process = start("with engine.session(read_only=True):\n    print(flush=True)\n    time.sleep(30)", path)
    assert process.stdout
    process.stdout.readline()
    engine = DuckDBEngine(path, patience=0.1)
    assert use(engine, read_only=True) == 2
    engine.close()
    assert isinstance(refused(lambda: use(engine)), WarehouseBusy)
    process.kill()
    process.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_process_of_somebody_else_holds_it(reachable):
    made(reachable).chmod(0o666)
    reachable.parent.chmod(0o777)
    with held(reachable) as number:
        program = "engine = DuckDBEngine(path, patience=0.1)\nbecome_somebody_else()\nsaid(engine.session().__enter__)"
        answer = finish(start(program, reachable))
        assert answer["type"] == "WarehouseBusy"
        assert answer["message"].startswith(f"{reachable} is held by process {number}")


def test_stopping_ends_the_waiting_for_another_process(path):
    with held(made(path)):
        engine = DuckDBEngine(path, patience=60)
        outcome: list[BaseException] = []

        def work() -> None:
            try:
                use(engine)
            except WarehouseError as error:
                outcome.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        time.sleep(0.3)
        began = time.monotonic()
        engine.interrupt()
        thread.join(10)
        assert time.monotonic() - began < 2
        assert isinstance(outcome[0], WarehouseBusy)


def test_a_stop_reaches_all_though_one_session_ends_just_then(path):
    """It is told to those that were open when it began; one of them may be gone by the time that it is its turn."""
    engine = DuckDBEngine(made(path))
    with engine.session() as gone, engine.session() as slow:
        gone._cursor.close()
        outcome: list[WarehouseError | None] = []

        def work() -> None:
            try:
                slow.query("SELECT max(hash(a.range + b.range)) FROM range(1000000) AS a, range(1000000) AS b")
            except WarehouseError as error:
                outcome.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        for _ in range(100):
            engine.interrupt()
            thread.join(0.1)
            if not thread.is_alive():
                break
        assert isinstance(outcome[0], StatementFailed)
    engine.close()


def test_one_thread_cannot_read_and_write_at_once(path):
    engine = DuckDBEngine(made(path), patience=60)
    began = time.monotonic()
    with engine.session(read_only=True), pytest.raises(WarehouseBusy, match="is being read by this process"):
        use(engine)
    assert time.monotonic() - began < 2, "waiting for oneself would take forever"
    assert use(engine) == 2
    engine.close()
