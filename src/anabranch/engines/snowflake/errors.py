"""Snowflake's errors as Anabranch's: what can be said about them in plain words, and what can be done next.

Numbers are Snowflake's own error codes, as its driver tells them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from anabranch.errors import StatementFailed, WarehouseError, WarehouseUnavailable

if TYPE_CHECKING:
    from snowflake.connector.errors import Error

MISSING = frozenset({"002003", "002043", "002037", "002057"})
"""There is no such object, or none that the role may see; or a view over one, or over one of other columns."""
EXISTS = "002002"
SYNTAX = "001003"
_LINES = 6

_EXPIRED = frozenset({390104, 390110, 390111, 390112, 390113, 390114, 390115, 390195, 390303, 390318, 252007})
"""The session or its token is no longer valid: whatever was asked has not been done."""
_CLOSED = 250002
_REJECTED = frozenset({390100, 390144, *range(394300, 394307)})
_LOCKED = 625
"""Too many statements wait for the same table: this one was refused."""
_HINTS = {
    606: "name a warehouse: warehouse.warehouse in anabranch.yaml, or ?warehouse=… in the URL",
    90073: "a quota is used up: have the resource monitor's raised, wait for its next period, or use another warehouse",
    390189: "have the role granted to the user (GRANT ROLE … TO USER …), or name another one",
    390201: "check the names of database, warehouse and role in the settings",
    390422: "the account's network policy doesn't let this address in: use the network that it allows",
    290404: "check the account's name, as organization-account",
}
_FAILED_HINTS = {
    3001: "have an administrator grant what is missing to the role in use (GRANT … TO ROLE …), or set another role",
    2003: "check the name; the role in use may also lack rights on it (SHOW GRANTS ON …)",
    2043: "check the name; the role in use may also lack rights on it (SHOW GRANTS ON …)",
    630: "raise STATEMENT_TIMEOUT_IN_SECONDS of the session, the user or the warehouse",
    _LOCKED: "let other statements on this table end first, then run it again",
    253003: "files are uploaded to Snowflake's own storage: see that this network lets them through",
}


def kind(error: Error) -> str:
    """Snowflake's number, in six digits; the error's class where it has none."""
    return f"{error.errno:06d}" if error.errno and error.errno > 0 else type(error).__name__


def is_expired(error: Exception) -> bool:
    """The session is over, and nothing of the statement has been done."""
    return getattr(error, "errno", None) in _EXPIRED or _is(error, _CLOSED)


def is_locked(error: Exception) -> bool:
    """The statement was refused because too many wait for the same table."""
    return _is(error, _LOCKED)


def is_lost(error: Exception) -> bool:
    """There is no answer: what was asked may have been done or not."""
    from snowflake.connector import errors

    if is_expired(error) or isinstance(error, errors.ProgrammingError):
        return False
    number = getattr(error, "errno", None) or 0
    if 252000 <= number < 256000:  # of cursors, files and conversions: the answer was there
        return False
    return (
        isinstance(error, errors.OperationalError | errors.InterfaceError)
        or 250001 <= number < 251000
        or number >= 290000
    )


def failure(error: Error, place: str, secrets: Collection[str] = ()) -> WarehouseError:
    """What a statement failed with."""
    number, text = error.errno or 0, said(error, secrets)
    if number in _HINTS:
        return WarehouseUnavailable(f"{place}: {text}", hint=_HINTS[number])
    if is_expired(error) or number in _REJECTED:
        return unavailable(error, place, secrets)
    if is_lost(error):
        return WarehouseUnavailable(f"the connection to {place} was lost: {text}", hint="run the command again")
    return StatementFailed(text, kind=kind(error), hint=_FAILED_HINTS.get(number))


def unavailable(error: Error, place: str, secrets: Collection[str] = ()) -> WarehouseUnavailable:
    """Why there is no session."""
    number, text = error.errno or 0, said(error, secrets)
    if number in _HINTS:
        return WarehouseUnavailable(f"{place}: {text}", hint=_HINTS[number])
    if is_expired(error):
        return WarehouseUnavailable(
            f"the login at {place} has expired: {text}", hint="log in again: get a new token, or use a key pair"
        )
    if number in _REJECTED or "ncorrect username or password" in text or "JWT token is invalid" in text:
        return WarehouseUnavailable(
            f"{place} rejects the login: {text}", hint="check user, authenticator, and password, key or token"
        )
    if "404" in text and "Not Found" in text:
        return WarehouseUnavailable(f"there is no {place}: {text}", hint=_HINTS[290404])
    return WarehouseUnavailable(
        f"{place} can't be reached: {text}", hint="check the account's name, the network and the settings"
    )


def said(error: Error, secrets: Collection[str] = ()) -> str:
    """The engine's own message: its first lines, without addresses and secrets."""
    text = str(error.raw_msg or error.msg or type(error).__name__)
    text = re.sub(r"^\d{6}(?: \([^)]*\))?: (?:[0-9a-f-]{36}: |None: )?", "", text)
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"https?://\S+", "…", text)
    text = re.sub(r" with url: \S+", "", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[:_LINES]) or type(error).__name__


def _is(error: Exception, number: int) -> bool:
    return getattr(error, "errno", None) == number
