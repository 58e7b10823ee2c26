"""What Postgres' errors mean to whoever typed the command. A driver's text may quote the address: it is redacted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anabranch.errors import StateUnavailable
from anabranch.stores.postgres_url import Address

if TYPE_CHECKING:
    import psycopg

_LOST = {"57P01", "57P02", "57P03", "57P05", "25P03"}
"""The server ends the session: shutdown, crash, starting up, idle too long."""
_REPEAT = {"40001", "40P01"}
"""Serialization failure, deadlock: this transaction was chosen to give way."""


def is_lost(error: psycopg.Error, connection: psycopg.Connection[object]) -> bool:
    """Whether the connection is gone, so that the error says nothing of the statement."""
    state = error.sqlstate or ""
    return connection.closed or state in _LOST or state.startswith("08")


def is_worth_repeating(error: psycopg.Error) -> bool:
    """Whether the same transaction will fare better the next time."""
    return error.sqlstate in _REPEAT


def explain(error: psycopg.Error, address: Address) -> StateUnavailable:
    """``error`` in terms of the place and what to do."""
    state = error.sqlstate or ""
    said = address.redact(str(error.diag.message_primary or error))
    place, schema = address.place, address.schema
    match state:
        case "42501":
            return StateUnavailable(
                f"this role may not use the state in {place} ({said})",
                hint=f"have the owner of schema {schema} grant what docs/state.md lists",
            )
        case "25006":
            return StateUnavailable(
                f"{place} is read-only ({said})", hint="is that a replica? Use the address of the primary server"
            )
        case "55P03" | "57014":
            return StateUnavailable(
                f"{place} has been locked by another session for too long ({said})",
                hint="see which one is open (SELECT * FROM pg_stat_activity), and repeat the command",
            )
        case "53100":
            return StateUnavailable(f"{place} can't grow: the server's disk is full", hint="free some space there")
    if state and not state.startswith(("08", "57P", "53", "28", "3D")):
        return StateUnavailable(
            f"{place} refused a statement ({said})", hint=f"if schema {schema} was changed by hand, restore a backup"
        )
    return StateUnavailable(
        f"{place} can't be reached ({said})", hint="check that the server is up, and the address, user and password"
    )
