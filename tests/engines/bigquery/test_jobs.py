"""What the engine does where BigQuery fails, limits, or isn't heard: over the real driver, and no network."""

import json
import subprocess
import sys
import threading
import time

import google.auth
import pytest
import requests
from google.auth import exceptions as auth
from tests.support.recorded_bigquery import PROJECT, Recorded, RecordedEngine, answered, failure

from anabranch.engines.bigquery import BigQueryEngine, open_engine
from anabranch.errors import AnabranchError, ConfigError, StatementFailed, WarehouseUnavailable
from anabranch.ports.engine import Relation

SECRET = "ya29.verysecret"
STATEMENT = "CREATE TABLE `shop`.`d`.`t` AS SELECT 1 AS id"


@pytest.fixture
def recorded():
    return Recorded()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses are as long as they are told to be, but for the clock of these tests."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))


def opened(recorded, **options):
    return RecordedEngine(recorded, **options).session()


def begun(recorded):
    """The ids under which jobs were begun, in order."""
    return [a.body["jobReference"]["jobId"] for a in recorded.of("POST", "/jobs") if "jobReference" in a.body]


def lost(times, method="POST", part="/jobs"):
    """Loses the connection so many times."""
    left = [times]

    def lose(asked):
        if asked.method == method and asked.path.endswith(part) and left[0] > 0:
            left[0] -= 1
            raise requests.exceptions.ConnectionError(f"https://bigquery.test/?access_token={SECRET}: reset by peer")

    return lose


# --- lost connections


def test_a_statement_whose_beginning_was_not_heard_of_is_looked_for(recorded):
    recorded.after = [lost(1)]
    with opened(recorded) as session:
        session.execute(STATEMENT)
    assert recorded.statements == [STATEMENT]
    (job_id,) = begun(recorded)
    assert recorded.of("GET", f"/jobs/{job_id}"), "it was asked for by its id"


def test_a_statement_that_did_not_arrive_is_begun_again_under_its_id(recorded):
    recorded.accidents = [lost(2)]
    with opened(recorded) as session:
        session.execute(STATEMENT)
    assert recorded.statements == [STATEMENT]
    ids = begun(recorded)
    assert len(ids) == 3
    assert len(set(ids)) == 1, "so that a late arrival and this one are the same"


def test_a_statement_that_arrived_late_is_not_run_twice(recorded):
    """The request is lost, isn't known when it is asked for, and arrives before it is sent again."""
    lose = lost(1)

    def late(asked):
        try:
            lose(asked)
        except requests.exceptions.ConnectionError:
            held.append(asked)
            raise
        if held and asked.method == "POST" and asked.path.endswith("/jobs"):
            recorded._answer(held.pop())

    held: list = []
    recorded.accidents = [late]
    with opened(recorded) as session:
        session.execute(STATEMENT)
    assert recorded.statements == [STATEMENT]
    assert len(begun(recorded)) == 2
    assert len(set(begun(recorded))) == 1


def test_a_result_that_was_not_heard_is_asked_for_again(recorded):
    recorded.answers = [("SELECT", {"fields": [{"name": "a", "type": "INTEGER"}], "rows": [["7"]]})]
    ids: list = []

    def lose(asked):
        if "/queries/" in asked.path and len(ids) < 3:
            ids.append(asked.path)
            raise requests.exceptions.ConnectionError("reset")

    recorded.accidents = [lose]
    with opened(recorded) as session:
        assert session.query("SELECT 7 AS a").rows == [(7,)]
    assert len(ids) == 3
    assert len(begun(recorded)) == 1


def test_what_stays_out_of_reach_is_told_without_the_address(recorded):
    recorded.accidents = [lost(10**6, "GET", "/datasets")]
    with pytest.raises(WarehouseUnavailable) as caught, opened(recorded, patience=0.1):
        pass
    assert "out of reach" in caught.value.message
    assert_tells_nothing(caught.value)


# --- jobs that fail


@pytest.mark.parametrize("reason", ["rateLimitExceeded", "backendError", "jobInternalError"])
def test_a_job_that_failed_in_passing_is_run_again_under_another_id(recorded, reason):
    recorded.answers = [("CREATE TABLE", {"error": {"reason": reason, "message": "later"}, "left": 2})]
    with opened(recorded) as session:
        session.execute(STATEMENT)
    assert recorded.statements == [STATEMENT] * 3
    assert len(set(begun(recorded))) == 3, "the id of a job that failed is used up"


def test_a_statement_that_another_one_disturbed_is_run_again(recorded):
    said = "Could not serialize access to table shop:d.t due to concurrent update"
    recorded.answers = [("MERGE", {"error": {"reason": "invalidQuery", "message": said}, "left": 1})]
    with opened(recorded) as session:
        session.execute("MERGE INTO x")
    assert recorded.statements == ["MERGE INTO x"] * 2


def test_several_statements_are_not_run_again_for_one_of_them(recorded):
    error = {"reason": "rateLimitExceeded", "message": "too many updates"}
    recorded.answers = [("BEGIN", {"kind": "SCRIPT", "error": error})]
    with opened(recorded) as session, pytest.raises(StatementFailed) as caught:
        session.execute("BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT 1; END")
    assert caught.value.kind == "rateLimitExceeded"
    assert len(recorded.statements) == 1


def test_what_does_not_pass_is_told(recorded):
    recorded.answers = [("CREATE TABLE", {"error": {"reason": "rateLimitExceeded", "message": "too many"}})]
    began = time.monotonic()
    with opened(recorded, patience=0.5) as session, pytest.raises(StatementFailed) as caught:
        session.execute(STATEMENT)
    assert caught.value.kind == "rateLimitExceeded"
    assert "connections" in (caught.value.hint or "")
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("reason", "message", "hint"),
    [
        ("invalidQuery", "Unrecognized name: nothing at [1:8]", None),
        ("accessDenied", "User does not have permission to query table shop:d.t", "roles/bigquery.dataViewer"),
        ("quotaExceeded", "Quota exceeded: Your table exceeded quota for imports", "quota"),
        ("bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 1", "maximum_bytes_billed"),
        ("notFound", "Not found: Dataset shop:d was not found in location US", "settings.location"),
        ("notFound", "Not found: Table shop:d.t", None),
        ("billingNotEnabled", "Billing has not been enabled for this project", "billing_project"),
    ],
)
def test_an_error_has_bigquerys_words_and_a_hint(recorded, reason, message, hint):
    recorded.answers = [("SELECT", {"error": {"reason": reason, "message": message}})]
    with opened(recorded) as session:
        for run in (session.query, session.execute, session.describe_query):
            with pytest.raises(StatementFailed) as caught:
                run("SELECT nothing")
            assert caught.value.message == message
            assert caught.value.kind == reason
            assert caught.value.hint is None if hint is None else hint in (caught.value.hint or "")


# --- reaching it


def test_a_project_that_is_not_there(recorded):
    said = failure("notFound", "Not found: Project shop")
    recorded.accidents = [lambda asked: answered(404, said)]
    engine = RecordedEngine(recorded)
    assert not engine.exists()
    with pytest.raises(WarehouseUnavailable, match="Not found: Project shop") as caught, engine.session():
        pass
    assert "warehouse.database" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (auth.RefreshError("invalid_grant: Token expired", {"refresh_token": SECRET}), "expired"),
        (auth.DefaultCredentialsError(f"File {SECRET} is no credential"), "no credentials"),
        (auth.TransportError(f"https://oauth2.test/token?refresh_token={SECRET}"), "out of reach"),
        (auth.GoogleAuthError(SECRET), "can't be used"),
    ],
)
def test_credentials_that_do_not_serve(recorded, raised, said):
    def fail(asked):
        raise raised

    recorded.accidents = [fail]
    with pytest.raises(WarehouseUnavailable, match=said) as caught, opened(recorded, patience=0.1):
        pass
    assert caught.value.hint
    assert_tells_nothing(caught.value)


def test_credentials_that_are_refused(recorded):
    recorded.accidents = [lambda asked: answered(401, failure("authError", f"Invalid Credentials {SECRET}"))]
    with pytest.raises(WarehouseUnavailable, match="doesn't take the credentials") as caught, opened(recorded):
        pass
    assert_tells_nothing(caught.value)


@pytest.mark.parametrize("content", [None, "", "{", SECRET, f'"{SECRET}"', f'{{"private_key": "{SECRET}"}}', "[]"])
def test_a_key_file_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    engine = BigQueryEngine(PROJECT, credentials=path)
    with pytest.raises(WarehouseUnavailable, match="no key file that can be read") as caught, engine.session():
        pass
    assert caught.value.__cause__ is None
    assert_tells_nothing(caught.value)


def test_a_key_file_of_a_user_is_taken(tmp_path):
    path = tmp_path / "key.json"
    told = {"type": "authorized_user", "client_id": "id", "client_secret": SECRET, "refresh_token": SECRET}
    path.write_text(json.dumps(told))
    engine = BigQueryEngine(PROJECT, credentials=path)
    credentials = engine._known(("scope",))
    assert credentials.refresh_token == SECRET
    assert SECRET not in repr(engine) + repr(engine.__dict__)


def test_no_credentials_at_all(monkeypatch):
    def none(scopes):
        raise auth.DefaultCredentialsError("Your default credentials were not found.")

    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(WarehouseUnavailable, match="no credentials") as caught, BigQueryEngine(PROJECT).session():
        pass
    assert "gcloud auth application-default login" in (caught.value.hint or "")


def test_without_its_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.cloud", None)
    with pytest.raises(WarehouseUnavailable) as caught, BigQueryEngine(PROJECT).session():
        pass
    assert caught.value.hint == "pip install 'anabranch[bigquery]'"


def test_nothing_heavy_is_imported_before_it_is_used():
    program = (
        "import sys, anabranch.engines.bigquery as b; b.BigQueryEngine('p').place;"
        " print([m for m in sys.modules if m.split('.')[0] in ('google', 'pyarrow', 'requests', 'grpc', 'duckdb')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


# --- how statements are sent


def test_settings_are_part_of_every_statement(recorded):
    settings = {"maximum_bytes_billed": "1000", "priority": "BATCH", "billing_project": "other", "job_timeout_ms": "9"}
    with opened(recorded, settings=settings, location="EU") as session:
        session.tag({"environment": "feature", "asset": "marts.orders"})
        session.execute(STATEMENT)
    (sent,) = recorded.of("POST", "/jobs")
    assert sent.path.endswith("/projects/other/jobs")
    assert sent.body["jobReference"]["location"] == "EU"
    configuration = sent.body["configuration"]
    assert configuration["query"]["maximumBytesBilled"] == "1000"
    assert configuration["query"]["priority"] == "BATCH"
    assert configuration["jobTimeoutMs"] == "9"
    assert configuration["query"]["useLegacySql"] is False
    assert configuration["labels"]["anabranch_environment"] == "feature"
    assert set(configuration["labels"]) == {"anabranch_environment", "anabranch_asset"}


def test_a_projects_file_says_where_it_is(tmp_path):
    settings = {"location": "EU", "credentials": str(tmp_path / "key.json"), "priority": "BATCH"}
    engine = open_engine(PROJECT, settings, connections=3, patience=9)
    assert (engine._location, engine._credentials) == ("EU", tmp_path / "key.json")
    assert (engine._connections, engine._patience) == (3, 9)
    assert engine._options == {"priority": "BATCH"}
    assert open_engine(PROJECT, {})._location == "US"


@pytest.mark.parametrize(
    ("settings", "said"), [({"maximum_bytes": "1"}, "no setting"), ({"maximum_bytes_billed": "much"}, "number")]
)
def test_a_setting_that_is_not_there_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        BigQueryEngine(PROJECT, settings=settings)


def test_a_reading_session_runs_queries_only(recorded):
    recorded.answers = [
        ("INSERT", {"kind": "INSERT"}),
        ("EXPORT", {"kind": "EXPORT_DATA"}),
        ("CALL", {"kind": "SCRIPT"}),
        ("SELECT", {"fields": [{"name": "a", "type": "INTEGER"}], "rows": [["7"]]}),
    ]
    with opened(recorded) as session:
        reading = type(session)(
            session._jobs, PROJECT, "there", "US", RecordedEngine.identifiers, connections=1, read_only=True
        )
        assert reading.query("SELECT 7 AS a").rows == [(7,)]
        for statement in ("INSERT INTO t VALUES (1)", "EXPORT DATA", "CALL d.p()"):
            for run in (reading.execute, reading.query, reading.read_arrow):
                with pytest.raises(StatementFailed, match="only reads"):
                    run(statement)
    assert recorded.statements == ["SELECT 7 AS a"]


def test_pointers_are_set_several_at_a_time(recorded):
    """Each takes a second or two: an environment of thousands takes as many as there are connections at a time."""
    running, most, lock, together = [0], [0], threading.Lock(), threading.Barrier(4)

    def wait(asked):
        if asked.method == "POST" and asked.path.endswith("/jobs"):
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            together.wait(20)
            with lock:
                running[0] -= 1

    recorded.accidents = [wait]
    with opened(recorded, connections=4) as session:
        session.point({Relation("dev", f"v{n}"): Relation("raw", "t") for n in range(40)})
    assert len(recorded.statements) == 40
    assert most[0] == 4


def test_after_the_first_pointer_that_fails_none_is_begun(recorded):
    recorded.answers = [("CREATE", {"error": {"reason": "accessDenied", "message": "Access Denied"}})]
    with opened(recorded, connections=2) as session, pytest.raises(StatementFailed, match="Access Denied"):
        session.point({Relation("dev", f"v{n}"): Relation("raw", "t") for n in range(500)})
    assert len(recorded.statements) < 100


def test_a_pointer_in_a_dataset_that_is_gone_is_gone(recorded):
    recorded.answers = [
        ("dev", {"error": {"reason": "notFound", "message": "Not found: Dataset shop:dev"}}),
        ("mine", {"error": {"reason": "invalidQuery", "message": "it is currently a TABLE"}}),
    ]
    with opened(recorded) as session:
        session.point({Relation("dev", "v"): None})
        with pytest.raises(StatementFailed, match="currently a TABLE"):
            session.point({Relation("mine", "v"): None})


def test_stopping_stops_what_runs(recorded):
    engine = RecordedEngine(recorded, patience=60)
    recorded.answers = [("CREATE TABLE", {"error": {"reason": "rateLimitExceeded", "message": "later"}})]

    def stop(asked):
        if asked.method == "POST" and asked.path.endswith("/jobs"):
            engine.interrupt()

    recorded.after = [stop]
    with engine.session() as session, pytest.raises(StatementFailed):
        session.execute(STATEMENT)
    (job_id,) = begun(recorded)
    assert f"/{job_id}/" in recorded.of("POST", "/cancel")[0].path
    assert len(recorded.statements) == 1, "what was stopped isn't run again"


def test_stopping_before_a_job_is_known_stops_it_too(recorded):
    engine = RecordedEngine(recorded)

    def stop(asked):
        if asked.method == "POST" and asked.path.endswith("/jobs"):
            engine.interrupt()  # the service answers that there is no such job

    recorded.accidents = [stop]
    with engine.session() as session:
        session.execute(STATEMENT)
    assert len(recorded.of("POST", "/cancel")) == 2
    assert begun(recorded)[0] in recorded.of("POST", "/cancel")[-1].path


def assert_tells_nothing(error: AnabranchError) -> None:
    """Neither a secret nor an address."""
    told = f"{error.message} {error.hint} {error!r}"
    assert SECRET not in told
    assert "://" not in told
