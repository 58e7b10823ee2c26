"""Postgres' errors as Anabranch's, in plain words where people can do something about them.

An error while connecting has no SQLSTATE, only a text, which a server may give in another language: what isn't
recognised is told as it stands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from anabranch.engines.postgres.address import Address
from anabranch.errors import StatementFailed, WarehouseBusy, WarehouseError, WarehouseUnavailable

if TYPE_CHECKING:
    import psycopg

_LOST = {"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"}
"""The server ends the session: shutdown, crash, starting up, idle or under way for too long."""
_FULL = re.compile(r"too many clients already|remaining connection slots|too many connections for", re.IGNORECASE)
_NOT_YET = re.compile(
    r"is starting up|is shutting down|in recovery mode|not yet accepting|terminating connection", re.IGNORECASE
)
_NO_DATABASE = re.compile(r'database ".*" does not exist', re.DOTALL)
_LOGIN = re.compile(
    r"password authentication failed|no password supplied|authentication failed|role \".*\" does not exist"
    r"|is not permitted to log in|no pg_hba.conf entry",
    re.IGNORECASE | re.DOTALL,
)
_NO_CONNECT = re.compile(r"permission denied for database", re.IGNORECASE)


class NoDatabase(WarehouseUnavailable):
    """The server is there, the database isn't."""


class Lost(WarehouseUnavailable):
    """The connection broke. What was under way in a transaction hasn't happened."""


def is_lost(error: psycopg.Error, connection: psycopg.Connection[object]) -> bool:
    """Whether the connection is gone, so that the error says nothing of the statement."""
    state = error.sqlstate or ""
    return connection.closed or state in _LOST or state.startswith("08")


def is_passing(error: psycopg.Error) -> bool:
    """Of an error while connecting: whether the server will take connections in a while."""
    return bool(_FULL.search(str(error)) or _NOT_YET.search(str(error)))


def is_missing(error: psycopg.Error) -> bool:
    """Of an error while connecting: whether there is no such database, as far as its text says."""
    return bool(_NO_DATABASE.search(str(error)))


def is_refused(error: psycopg.Error) -> bool:
    """Of an error while connecting: whether the user or the password is wrong, as far as its text says."""
    return bool(_LOGIN.search(str(error)))


def unreachable(error: psycopg.Error, address: Address) -> WarehouseError:
    """Why there is no connection."""
    said = address.redact(str(error))
    place = address.place
    if _FULL.search(said):
        return _full(said, address)
    if _NO_DATABASE.search(said):
        return missing(address)
    if _LOGIN.search(said):
        return WarehouseUnavailable(
            f"{place} lets nobody in by that user and password ({said})",
            hint="correct them: in warehouse.database, in PGUSER and PGPASSWORD, or in ~/.pgpass",
        )
    if _NO_CONNECT.search(said):
        return WarehouseUnavailable(
            f"{place} may not be used by this role ({said})", hint="have its owner say GRANT CONNECT ON DATABASE … TO …"
        )
    return WarehouseUnavailable(
        f"{place} can't be reached ({said})", hint="check that the server is up, and warehouse.database"
    )


def _full(said: str, address: Address) -> WarehouseBusy:
    return WarehouseBusy(
        f"{address.place} takes no more connections ({said})",
        hint="wait until others are done, use fewer (warehouse.workers), or raise the server's max_connections",
    )


def missing(address: Address) -> NoDatabase:
    return NoDatabase(f"{address.place} doesn't exist", hint="check warehouse.database in anabranch.yaml")


def lost(error: Exception, address: Address) -> Lost:
    """The connection broke in the middle of something."""
    return Lost(
        f"the connection to {address.place} was lost ({address.redact(str(error))})",
        hint="see that the server is up, then run the command again: it finds out what was done and goes on from there",
    )


def explain(error: Exception, address: Address) -> WarehouseError:
    """What a statement was refused with, in terms of what to do."""
    import psycopg  # already loaded here: it raised the error

    if not isinstance(error, psycopg.Error):
        return StatementFailed(address.redact(str(error)), kind=type(error).__name__)
    state, diagnosis = error.sqlstate or "", error.diag
    said = address.redact(diagnosis.message_primary or str(error)) or type(error).__name__
    if state == "2BP01" and diagnosis.message_detail:
        said = f"{said}: {address.redact(diagnosis.message_detail)}"
    match state:
        case "55P03":
            return WarehouseBusy(
                f"something in {address.place} has been locked by another session for too long ({said})",
                hint="see who holds it (SELECT * FROM pg_stat_activity), and run the command again when it is done",
            )
        case "40P01" | "40001":
            return WarehouseBusy(
                f"another session in {address.place} wanted the same at the same time ({said})",
                hint="run the command again",
            )
        case "53300":
            return _full(said, address)
        case "53100":
            return WarehouseUnavailable(
                f"no space left for {address.place} ({said})",
                hint="make room on the server (anabranch gc drops what nobody reads), then run it again",
            )
    return StatementFailed(said, kind=type(error).__name__, hint=_hint(state, said, diagnosis.message_hint))


def _hint(state: str, said: str, told: str | None) -> str | None:
    match state:
        case "42501":
            return "have the owner grant this role what it needs (GRANT … TO …), or use another role"
        case "25006":
            return "a session that only reads can't; if this one should write, is the address that of a replica?"
        case "53200":
            return "raise max_locks_per_transaction on the server: a change of many views holds a lock on each"
        case "2BP01":
            return "drop or change those first"
        case "57014":
            return None
    if "No space left" in said:
        return "make room on the server, then run it again"
    return told
