"""Addresses, secrets and rights."""

import re
import sys
import traceback
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from anabranch.errors import AnabranchError, ConfigError, StateUnavailable
from anabranch.stores.postgres import PostgresStore
from anabranch.stores.postgres_url import Address
from anabranch.testing.store_suite import named

DOCS = Path(__file__).parents[2] / "docs" / "state.md"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://me:hidden@host:5432/db", "postgresql://me@host:5432/db"),
        ("postgres://me@host/db", "postgresql://me@host/db"),
        ("postgresql://host/db?password=hidden&sslmode=require", "postgresql://host/db"),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///run/postgresql/db"),
        ("postgresql://one:1,two:2/db?sslpassword=hidden", "postgresql://one:1,two:2/db"),
        ("postgresql://[::1]:5432/db", "postgresql://[::1]:5432/db"),
        ("postgresql://me:hidden@host", "postgresql://me@host/"),
        ("postgresql://me:hidden@host/db?schema=team", "postgresql://me@host/db?schema=team"),
        ("postgresql://host/db?schema=anabranch_state", "postgresql://host/db"),
    ],
)
def test_a_place_has_no_secret(url, place):
    address = Address(url)
    assert address.place == place
    assert "hidden" not in repr(address)
    assert "schema" not in address.url
    assert psycopg.conninfo.conninfo_to_dict(address.url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "state.db",
        "mysql://host/db",
        "host=host password=SECRET",
        "postgresql://me:SE#CRET@host/db",
        "postgresql://me:SE/CRET@host/db",
        "postgresql://me:SE?CRET@host/db",
        "postgresql://me:1?SE=CRET@host/db",
        "postgresql://me:1?SECRET@host/db",
        "postgresql://me:SE@CRET@host/db",
        "postgresql://me:SE[CRET@host/db",
        "postgresql://me:SECRET@host:port/db",
        "postgresql://me:SECRET@host/db?nonsense",
        "postgresql://me:SECRET@host/db?nonsense=1",
        "postgresql://me:SE%zzCRET@host/db",
        "postgresql://me:SECRET@host/db?schema=Robert'); DROP",
        "postgresql://me:SECRET@host/db?schema=",
    ],
)
def test_an_address_that_cannot_be_read_is_not_repeated(url):
    with pytest.raises(ConfigError) as caught:
        PostgresStore(url).read(["a"])
    assert caught.value.hint
    for secret in ("SE", "CRET"):
        assert secret not in caught.value.message
        assert secret not in "".join(traceback.format_exception(caught.value))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=5))
@example("p%2Fw$rd+ =")
def test_every_spelling_of_a_password_is_taken_out(password):
    assume(password not in "postgresql://me@host/db?schema=anabranch_state")
    encoded = quote(password, safe="")
    address = Address(f"postgresql://me:{encoded}@host/db")
    assert password not in address.place
    assert encoded not in address.place
    for spelling in (password, encoded, quote(password)):
        assert address.redact(f"<{spelling}>") == "<***>"


def test_an_address_keeps_its_other_options():
    address = Address("postgresql://me@host/db?sslmode=require&schema=team&options=-c%20geqo%3Doff", schema="other")
    assert psycopg.conninfo.conninfo_to_dict(address.url) == {
        "user": "me",
        "host": "host",
        "dbname": "db",
        "sslmode": "require",
        "options": "-c geqo=off",
    }
    assert address.schema == "other"


def test_the_extra_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StateUnavailable, match="needs the package psycopg") as caught:
        PostgresStore("postgresql://host/db")
    assert "anabranch[postgres]" in str(caught.value.hint)


def as_role(url: str, role: str) -> str:
    return url.replace("//postgres@", f"//{role}@")


def refusal(store: PostgresStore) -> AnabranchError:
    with store, pytest.raises(StateUnavailable) as caught:
        store.swap({}, {"a": b"1"})
    assert caught.value.hint
    return caught.value


@pytest.mark.postgres
def test_a_wrong_password(postgres_server, postgres_url):
    with psycopg.connect(postgres_server) as connection:
        connection.execute("CREATE ROLE secretive LOGIN PASSWORD 'right'")
    error = refusal(PostgresStore(as_role(postgres_url, "secretive:so-Wrong%21")))
    assert "password authentication failed" in error.message
    assert "so-Wrong" not in "".join(traceback.format_exception(error))


@pytest.mark.postgres
def test_a_database_that_does_not_exist(postgres_url):
    assert '"nowhere" does not exist' in refusal(PostgresStore(postgres_url.replace("/postgres?", "/nowhere?"))).message


@pytest.mark.postgres
def test_the_rights_that_the_documents_list_suffice(postgres_server):
    """Each block of SQL in docs/state.md, in order; the owner's first use is between the first and the second."""
    blocks = re.findall(r"```sql\n(.*?)```", DOCS.read_text(), re.DOTALL)
    first, second, third = (re.sub("anabranch_state", "granted", block).encode() for block in blocks)
    url = f"{postgres_server}&schema=granted"
    objects = named([b"1"])
    with psycopg.connect(postgres_server, autocommit=True) as administrator:
        administrator.execute(first)
        administrator.execute("CREATE ROLE stranger LOGIN")
        with PostgresStore(as_role(url, "anabranch_owner")) as owner:
            assert owner.swap({}, {"made": b"1"})
        error = refusal(PostgresStore(as_role(url, "stranger")))
        assert "may not use the state" in error.message
        assert "granted" in str(error.hint)
        administrator.execute(second)
        administrator.execute(third)
    with PostgresStore(as_role(url, "engineer")) as store:
        store.put(objects)
        assert store.get(objects.keys()) == objects
        assert store.swap({"made": b"1", "a": None}, {"a": b"1", "b": b"1"})
        assert store.swap({"a": b"1"}, {"a": None}, durable=False)
        assert store.swap({"b": b"1"}, {})
        assert store.scan("") == {"b": b"1", "made": b"1"}
        assert store.delete(store.aged(-60), -60) == 1
        assert store.now() > 0
        store.put(objects)
    with PostgresStore(as_role(url, "auditor")) as reader:
        assert reader.get(objects.keys()) == objects
        assert reader.scan("") == {"b": b"1", "made": b"1"}
    assert "may not use the state" in refusal(PostgresStore(as_role(url, "auditor"))).message
    new = PostgresStore(as_role(f"{postgres_server}&schema=new", "engineer"))
    assert "permission denied for database" in refusal(new).message


@pytest.mark.postgres
def test_a_server_that_only_reads(postgres_server, postgres_url):
    with PostgresStore(postgres_url) as store, psycopg.connect(postgres_server, autocommit=True) as administrator:
        assert store.swap({}, {"a": b"1"})
        administrator.execute("CREATE ROLE reader LOGIN SUPERUSER")
        administrator.execute("ALTER ROLE reader SET default_transaction_read_only = on")
    with PostgresStore(as_role(postgres_url, "reader")) as store:
        assert store.read(["a"]) == {"a": b"1"}
        with pytest.raises(StateUnavailable, match="is read-only") as caught:
            store.delete(named([b"1"]).keys(), 0)
        assert "replica" in str(caught.value.hint)
